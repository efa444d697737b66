//! What people and their monitoring look at, and who may not ask.

use crate::bench::{answer, request};
use crate::mock::whole;
use crate::world::{Told, World};
use blindroute_dialects::Dialect;
use blindroute_gateway::store::Period;

/// Asks to forget, with the form's token or with another one, and gives the status.
pub(crate) async fn forget(world: &World, right: bool) -> u16 {
    let page = world.told("/forget").await.text;
    let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(token.len(), 64);
    let token = if right { token.to_owned() } else { "0".repeat(64) };
    // The client would follow the redirect.
    let body = format!("token={token}");
    let head = "origin: http://127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    world
        .raw(&format!(
            "POST /forget HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{head}content-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
}

#[tokio::test]
async fn the_record_is_deleted_only_by_the_pages_own_form() {
    let world = World::new(vec![whole(200, "", answer(Dialect::Chat))]).await;
    assert_eq!(world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await.status, 200);
    world.spent(7_000_000, 1).await;
    assert_eq!(forget(&world, false).await, 403);
    assert_eq!(Told::of(world.post("/forget", "").send().await.unwrap()).await.status, 403);
    assert_eq!(world.recorded(1).await.len(), 1);
    let page = world.told("/").await;
    assert!(page.status == 200 && page.text.contains("best") && !page.text.contains("canary"), "{}", page.text);
    assert_eq!(forget(&world, true).await, 303);
    assert!(world.store.recent(9).await.unwrap().is_empty());
    assert_eq!(world.store.spent(Period::All, None).await.unwrap().calls, 0);
}

#[tokio::test]
async fn case_29_strangers_are_refused_before_anything_is_read() {
    let world = World::new(vec![whole(200, "", answer(Dialect::Chat))]).await;
    let body = request(Dialect::Chat, false);
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
        let post = world.post("/v1/chat/completions", &body).header(name, value);
        let told = Told::of(post.send().await.unwrap()).await;
        assert_eq!((told.status, &told.json()["error"]["type"]), (403, &"permission_error".into()), "{name}");
    }
    assert!(world.mock.seen().is_empty());
    assert_eq!(Told::of(world.get("/v1/chat/completions").send().await.unwrap()).await.status, 405);
}

#[tokio::test]
async fn unknown_paths_answer_in_the_dialect() {
    let world = World::new(vec![Vec::new()]).await;
    let openai = world.told("/v1/nothing").await;
    assert_eq!((openai.status, openai.json().get("type")), (404, None));
    let anthropic = world.told("/v1/messages/nothing").await;
    assert_eq!((anthropic.status, &anthropic.json()["type"]), (404, &"error".into()));
    assert_eq!(anthropic.json()["error"]["type"], "not_found_error");
}

#[tokio::test]
async fn monitoring_sees_counts_and_no_texts() {
    let world = World::new(vec![whole(200, "", answer(Dialect::Chat))]).await;
    assert_eq!(world.told("/livez").await.json()["status"], "alive");
    let ready = world.told("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &"ready".into()));
    assert_eq!(world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await.status, 200);
    let metrics = world.told("/metrics").await.text;
    let line = |words: &[&str]| {
        let found = metrics.lines().find(|line| !line.starts_with('#') && words.iter().all(|word| line.contains(word)));
        found.unwrap_or_else(|| panic!("{words:?} in {metrics}")).rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(line(&["requests_total", "\"chat\"", "\"2xx\""]), "1");
    assert_eq!(line(&["routes_total", "\"local\"", "\"routed\""]), "1");
    assert_eq!(line(&["tokens", "\"best\"", "\"input\""]), "3");
    assert_eq!(line(&["tokens", "\"best\"", "\"output\""]), "2");
    assert!(!metrics.contains("canary"));
}
