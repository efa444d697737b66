//! `/v1/responses/compact`, and what is refused before a model is asked.

use crate::bench::{answer, request};
use crate::mock::whole;
use crate::world::{Settings, Told, World};
use blindroute_dialects::Dialect;

const PATH: &str = "/v1/responses/compact";

const ASKED: &str = r#"{ "model":"auto", "unheard_of":[1.0e5],"input":[{"role":"user","content":"canary"}]}"#;

const COMPACTED: &str = r#"{ "object":"response.compaction","output":[{"type":"compaction","id":"cmp_1","encrypted_content":"Z0FB"}],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}"#;

async fn compact(world: &World, body: &str) -> Told {
    Told::of(world.post(PATH, body).send().await.unwrap()).await
}

#[tokio::test]
async fn a_provider_of_responses_gets_and_gives_its_own_bytes() {
    let settings = Settings { dialect: Dialect::Responses, ..Settings::default() };
    let world = World::with(settings, vec![whole(200, "", COMPACTED)]).await;
    let told = compact(&world, ASKED).await;
    assert_eq!(told.says(["model", "why", "cost"]), ["best", "routed", "0.000007000000"]);
    assert_eq!(told.text, COMPACTED);
    let seen = world.mock.seen();
    assert!(seen[0].head.starts_with("POST /v1/responses/compact "), "{}", seen[0].head);
    assert_eq!(seen[0].body, ASKED.replace("auto", "large-2026"));
    world.spent(7_000_000, 1).await;
    assert_eq!(world.recorded(1).await[0].model, "best");
}

#[tokio::test]
async fn the_next_model_whose_provider_speaks_responses_is_asked_else_nobody() {
    let two = |url: &str| {
        let first = Settings::default().text(url);
        let next = "name = \"next\"\n            provider = \"mock\"";
        let moved = first.replace(next, "name = \"next\"\n            provider = \"other\"");
        assert_ne!(moved, first);
        format!(
            "{moved}\n[[provider]]\nname = \"other\"\ndialects = [\"responses\"]\nbase_url = \"{url}\"\nkey_env = \"KEY\"\n"
        )
    };
    let world = World::local(two, vec![whole(200, "", COMPACTED)]).await;
    let told = compact(&world, ASKED).await;
    assert_eq!(told.says(["model", "why"]), ["next", "routed"]);
    for body in [ASKED.replace("auto", "best"), ASKED.replace("auto", "spare")] {
        let told = compact(&world, &body).await;
        let error = &told.json()["error"];
        assert_eq!((told.status, &error["code"], &error["param"]), (400, &"model_not_able".into(), &"model".into()));
        assert!(told.text.contains("cannot compact a conversation") && !told.text.contains("canary"), "{}", told.text);
    }
    assert_eq!(compact(&world, r#"{"input":"canary"}"#).await.status, 400);
    assert_eq!(world.mock.seen().len(), 1);
    world.spent(39_000_000, 1).await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_compacts_nothing() {
    let settings =
        Settings { dialect: Dialect::Responses, tables: "[budget]\ndaily = \"0.000001\"", ..Settings::default() };
    let world = World::with(settings, vec![whole(200, "", COMPACTED)]).await;
    let told = compact(&world, ASKED).await;
    assert_eq!((told.status, &told.json()["error"]["code"]), (429, &"budget_exceeded".into()));
    assert!(world.mock.seen().is_empty());
}

#[tokio::test]
async fn messages_needs_the_largest_answer() {
    for dialect in [Dialect::Chat, Dialect::Messages] {
        let world =
            World::with(Settings { dialect, ..Settings::default() }, vec![whole(200, "", answer(dialect))]).await;
        let body = request(Dialect::Messages, false).replace(r#""max_tokens":9,"#, "");
        let told = world.ask(Dialect::Messages, &body).await;
        assert_eq!((told.status, &told.json()["error"]["type"]), (400, &"invalid_request_error".into()));
        assert!(told.text.contains("max_tokens") && world.mock.seen().is_empty(), "{}", told.text);
    }
}
