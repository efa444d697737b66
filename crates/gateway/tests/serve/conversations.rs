//! Which model a conversation stays with.

use crate::bench::{answer, request};
use crate::mock::{Step, whole};
use crate::world::{Settings, Told, World};
use blindroute_dialects::Dialect;

/// The first model fails once, so that the conversation is with the second, which the router would not choose.
fn scripts() -> Vec<Vec<Step>> {
    let failed = whole(500, "", r#"{"error":{"message":"down","type":"server_error"}}"#);
    vec![failed, whole(200, "", answer(Dialect::Chat))]
}

fn chat(first: &str, rest: &str) -> String {
    format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"{first}"}}{rest}]}}"#)
}

const LOOP: &str = r#",{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"4"}"#;

async fn ask(world: &World, session: Option<(&str, &str)>, body: &str) -> Told {
    let post = world.post("/v1/chat/completions", body);
    let post = match session {
        Some((name, value)) => post.header(name, value),
        None => post,
    };
    Told::of(post.send().await.unwrap()).await
}

#[tokio::test]
async fn a_tool_loop_stays_with_the_model_that_called_the_tool() {
    let world = World::new(scripts()).await;
    let first = world.ask(Dialect::Chat, &chat("canary", "")).await;
    assert_eq!(first.says(["model", "pinned"]), ["next", "false"]);
    let told = world.ask(Dialect::Chat, &chat("canary", LOOP)).await;
    assert_eq!(told.says(["model", "pinned", "why", "placement"]), ["next", "true", "pinned", ""]);
    // Another conversation's tool loop is routed.
    let other = world.ask(Dialect::Chat, &chat("canary too", LOOP)).await;
    assert_eq!(other.says(["pinned", "why", "placement"]), ["false", "routed", "local"]);
    // A new message may go to the cheaper model.
    let next = r#",{"role":"assistant","content":"Hello"},{"role":"user","content":"canary"}"#;
    let told = world.ask(Dialect::Chat, &chat("canary", next)).await;
    assert_eq!(told.says(["model", "pinned", "why"]), ["best", "false", "switched"]);
    let recorded = &world.recorded(5).await[0];
    assert_eq!((recorded.model.as_str(), recorded.previous.as_deref()), ("best", Some("next")));
}

#[tokio::test]
async fn a_session_is_known_by_its_header() {
    for name in ["x-session-id", "x-claude-code-session-id"] {
        let world = World::new(scripts()).await;
        let session = Some((name, "s1"));
        assert_eq!(ask(&world, session, &chat("canary", "")).await.says(["model"]), ["next"]);
        let said = ask(&world, session, &chat("another beginning", LOOP)).await.says(["model", "why"]);
        assert_eq!(said, ["next", "pinned"]);
        for other in [Some((name, "s2")), None] {
            assert_eq!(ask(&world, other, &chat("canary", LOOP)).await.says(["why"]), ["routed"]);
        }
        assert!(world.mock.seen().iter().all(|seen| seen.header(name).is_none()), "the provider learns {name}");
    }
}

#[tokio::test]
async fn what_is_forgotten_pins_nothing() {
    let world = World::new(scripts()).await;
    assert_eq!(world.ask(Dialect::Chat, &chat("canary", "")).await.says(["model"]), ["next"]);
    assert_eq!(crate::people::forget(&world, true).await, 303);
    assert_eq!(world.ask(Dialect::Chat, &chat("canary", LOOP)).await.says(["why"]), ["routed"]);
}

#[tokio::test]
async fn a_signature_keeps_its_model_for_new_messages() {
    let signed = r#"{"type":"thinking","thinking":"t","signature":"s"},"#;
    let body = |thought: &str| {
        format!(
            r#"{{"model":"auto","max_tokens":9,"messages":[{{"role":"user","content":"canary"}},{{"role":"assistant","content":[{thought}{{"type":"text","text":"Hello"}}]}},{{"role":"user","content":"canary"}}]}}"#
        )
    };
    for (thought, said) in [(signed, ["next", "pinned"]), ("", ["best", "switched"])] {
        let failed = whole(500, "", r#"{"type":"error","error":{"type":"api_error","message":"down"}}"#);
        let answers = vec![failed, whole(200, "", answer(Dialect::Messages))];
        let world = World::with(Settings { dialect: Dialect::Messages, ..Settings::default() }, answers).await;
        let first = world.ask(Dialect::Messages, &request(Dialect::Messages, false)).await;
        assert_eq!(first.says(["model"]), ["next"]);
        let body = body(thought);
        assert_eq!(world.ask(Dialect::Messages, &body).await.says(["model", "why"]), said);
        // The provider gets the signature as it was.
        assert!(world.mock.seen().last().unwrap().body.contains(thought));
    }
}
