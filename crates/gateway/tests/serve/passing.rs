//! What is passed on without a route: counts of tokens, and embeddings.

use crate::bench::{KEY, answer, reading, request};
use crate::mock::whole;
use crate::world::{Settings, Told, World};
use blindroute_dialects::Dialect;

const COUNT: &str = "/v1/messages/count_tokens";

const EMBED: &str = r#"{ "model":"embed", "input":"canary" }"#;

async fn post(world: &World, path: &str, body: &str) -> Told {
    Told::of(world.post(path, body).send().await.unwrap()).await
}

#[tokio::test]
async fn tokens_are_estimated_if_no_provider_counts_them() {
    let body = request(Dialect::Messages, false);
    let estimate = serde_json::json!({"input_tokens": reading(Dialect::Messages, &body).input_tokens});
    let chat = World::new(vec![whole(200, "", answer(Dialect::Chat))]).await;
    for model in ["auto", "best", "none"] {
        let told = post(&chat, COUNT, &body.replace("auto", model)).await;
        assert_eq!((told.status, told.json()), (200, estimate.clone()));
    }
    assert!(chat.mock.seen().is_empty());
    let counted = "{ \"input_tokens\":77 }";
    let settings = Settings { dialect: Dialect::Messages, ..Settings::default() };
    let messages = World::with(
        settings,
        vec![whole(200, "", counted), whole(200, "", answer(Dialect::Messages)), whole(200, "", counted)],
    )
    .await;
    // Before the conversation has a model, nobody can be asked.
    assert_eq!(post(&messages, COUNT, &body).await.json(), estimate);
    assert_eq!(post(&messages, COUNT, &body.replace("auto", "best")).await.text, counted);
    assert_eq!(messages.ask(Dialect::Messages, &body).await.status, 200);
    assert_eq!(post(&messages, COUNT, &body).await.text, counted);
    let seen = messages.mock.seen();
    assert_eq!(seen.len(), 3);
    assert!([0, 2].iter().all(|at: &usize| seen[*at].head.starts_with("POST /v1/messages/count_tokens ")));
    assert_eq!(seen[0].body, body.replace("auto", "large-2026"));
    messages.spent(7_000_000, 1).await;
}

#[tokio::test]
async fn embeddings_pass_and_cost_their_input() {
    let tables = "[embeddings]\nprovider = \"mock\"\nmodels = [\"embed\", \"unpriced\"]\n\
                  [[model]]\nname = \"embed\"\nprovider = \"mock\"\nupstream = \"embed-3\"\ninput = \"0.02\"\noutput = \"0\"";
    let vectors = r#"{ "object":"list","data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    let world = World::with(Settings { tables, ..Settings::default() }, vec![whole(200, "", vectors)]).await;
    assert_eq!(post(&world, "/v1/embeddings", EMBED).await.text, vectors);
    world.spent(100_000, 1).await;
    assert_eq!(post(&world, "/v1/embeddings", &EMBED.replace("embed", "unpriced")).await.status, 200);
    let seen = world.mock.seen();
    assert!(seen[0].head.starts_with("POST /v1/embeddings ") && seen[0].head.contains(KEY));
    assert_eq!(
        [&seen[0].body, &seen[1].body],
        [&EMBED.replace("embed", "embed-3"), &EMBED.replace("embed", "unpriced")]
    );
    for (body, status) in [(EMBED.replace("embed", "best"), 404), ("{}".to_owned(), 400), ("[".to_owned(), 400)] {
        assert_eq!(post(&world, "/v1/embeddings", &body).await.status, status);
    }
    assert_eq!(world.mock.seen().len(), 2);
    world.spent(100_000, 1).await;
}

#[tokio::test]
async fn embeddings_that_are_not_configured_are_refused() {
    let world = World::new(vec![Vec::new()]).await;
    let told = post(&world, "/v1/embeddings", EMBED).await;
    assert_eq!((told.status, &told.json()["error"]["code"]), (404, &"model_not_found".into()));
    assert!(told.text.contains("[embeddings]") && world.mock.seen().is_empty());
}
