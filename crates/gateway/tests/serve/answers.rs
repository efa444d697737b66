//! Answers of each dialect, by a provider of the same and of another dialect, and by the next model.

use crate::bench::{KEY, USAGE, answer, events, request};
use crate::mock::{stream, whole};
use crate::world::{Settings, World};
use blindroute_dialects::Dialect;

#[tokio::test]
async fn requests_and_answers_of_the_same_dialect_pass_byte_for_byte() {
    for dialect in Dialect::ALL {
        let odd = answer(dialect).replacen('{', "{ \"odd\":1e400 ,", 1) + "\n";
        let (first, rest) = events(dialect);
        let scripts =
            vec![whole(200, "x-request-id: r7\r\nset-cookie: a=b\r\n", &odd), stream(&(first.clone() + &rest))];
        let world = World::with(Settings { dialect, ..Settings::default() }, scripts).await;
        let body = request(dialect, false).replacen('{', "{ \"unheard_of\":[1.0e5], ", 1);
        let told = world.ask(dialect, &body).await;
        let said = told.says(["model", "fallback", "pinned", "why", "placement", "cost"]);
        assert_eq!(said, ["best", "false", "false", "routed", "local", "0.000007000000"]);
        assert!(!told.header("x-blindroute-router").is_empty());
        assert!(told.header("x-blindroute-route-ms").parse::<f64>().unwrap() >= 0.0);
        assert_eq!(
            (told.text.as_str(), told.header("x-request-id"), told.header("set-cookie")),
            (odd.as_str(), "r7", "")
        );
        let streamed = world.ask(dialect, &request(dialect, true)).await;
        assert_eq!(streamed.says(["model", "cost"]), ["best", ""]);
        assert!(streamed.header("content-type").starts_with("text/event-stream"));
        // Chat's event with the usage, which the gateway asked for, is for the gateway.
        assert_eq!(streamed.text, (first + &rest).replace(USAGE, ""));
        let seen = world.mock.seen();
        assert_eq!(seen[0].body, body.replace("auto", "large-2026"));
        assert!(seen[0].head.starts_with(&format!("POST {} ", dialect.path())), "{}", seen[0].head);
        assert!(seen.iter().all(|seen| seen.head.contains(KEY)));
    }
}

#[tokio::test]
async fn a_provider_of_chat_answers_callers_of_all_dialects() {
    let (first, rest) = events(Dialect::Chat);
    let scripts = vec![whole(200, "", answer(Dialect::Chat)), stream(&(first + &rest))];
    for dialect in [Dialect::Responses, Dialect::Messages] {
        let world = World::new(scripts.clone()).await;
        let told = world.ask(dialect, &request(dialect, false)).await;
        assert_eq!(told.says(["model", "why", "cost"]), ["best", "routed", "0.000007000000"]);
        let (json, usage) = (told.json(), ["input_tokens", "output_tokens"]);
        let text = match dialect {
            Dialect::Messages => &json["content"][0]["text"],
            _ => &json["output"][0]["content"][0]["text"],
        };
        assert_eq!((text, usage.map(|name| json["usage"][name].as_u64())), (&"Hello".into(), [Some(3), Some(2)]));
        let streamed = world.ask(dialect, &request(dialect, true)).await;
        let end = if dialect == Dialect::Messages { "event: message_stop\n" } else { "event: response.completed\n" };
        assert!(streamed.text.contains("Hello") && streamed.text.contains(end), "{}", streamed.text);
        for seen in world.mock.seen() {
            assert!(seen.head.starts_with("POST /v1/chat/completions "), "{}", seen.head);
            let sent: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
            assert_eq!((&sent["model"], &sent["messages"][0]["content"]), (&"large-2026".into(), &"canary".into()));
        }
        world.spent(14_000_000, 2).await;
    }
}

#[tokio::test]
async fn a_model_that_is_named_is_called_without_a_route() {
    let world = World::new(vec![whole(200, "", answer(Dialect::Chat))]).await;
    let told = world.ask(Dialect::Chat, &request(Dialect::Chat, false).replace("auto", "next")).await;
    assert_eq!(told.says(["model", "why", "placement", "cost"]), ["next", "named", "", "0.000039000000"]);
    for (dialect, kind) in [(Dialect::Chat, "invalid_request_error"), (Dialect::Messages, "not_found_error")] {
        let told = world.ask(dialect, &request(dialect, false).replace("auto", "gpt-none")).await;
        assert_eq!((told.status, &told.json()["error"]["type"]), (404, &kind.into()), "{}", told.text);
        assert!(told.header("x-request-id").starts_with("req_"));
    }
    assert_eq!(world.mock.seen().len(), 1);
}

#[tokio::test]
async fn case_26_after_a_failure_the_next_of_the_ranking_answers() {
    let failed = whole(500, "", r#"{"error":{"message":"down","type":"server_error"}}"#);
    let scripts = vec![failed.clone(), whole(200, "", answer(Dialect::Chat)), failed];
    let world = World::new(scripts).await;
    let told = world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await;
    assert_eq!(told.says(["model", "fallback", "why", "cost"]), ["next", "true", "routed", "0.000039000000"]);
    let decisions = world.recorded(2).await;
    let said = decisions.iter().map(|decision| (decision.model.as_str(), decision.why.name(), decision.status));
    assert_eq!(said.collect::<Vec<_>>(), [("next", "fallback", 200), ("best", "routed", 500)]);
    // The provider refused the first call, so that it costs nothing.
    world.spent(39_000_000, 1).await;
    let models: Vec<_> = world.mock.seen().iter().map(|seen| seen.body.contains(r#""model":"next""#)).collect();
    assert_eq!(models, [false, true]);
    // Nobody answers: what the last provider said comes, and both were asked.
    let told = world.ask(Dialect::Chat, &request(Dialect::Chat, false).replace("canary", "canary again")).await;
    assert_eq!((told.status, &told.json()["error"]["message"]), (500, &"down".into()));
    assert_eq!(world.mock.seen().len(), 4);
    assert!(world.told("/metrics").await.text.contains("fallback"));
}

#[tokio::test]
async fn what_the_caller_did_wrong_is_not_tried_with_another_model() {
    let wrong = r#"{ "error":{"message":"bad \u0041","type":"invalid_request_error"}}"#;
    let world = World::new(vec![whole(400, "", wrong)]).await;
    let told = world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await;
    assert_eq!((told.status, told.text.as_str(), told.header("x-blindroute-model")), (400, wrong, "best"));
    for (body, words) in [("", "no JSON object"), ("[]", "no JSON object"), (r#"{"model":"auto"}"#, "messages")] {
        let told = world.ask(Dialect::Chat, body).await;
        assert_eq!(told.status, 400);
        assert!(told.json()["error"]["message"].as_str().unwrap().contains(words), "{}", told.text);
    }
    assert_eq!(world.mock.seen().len(), 1);
}

#[tokio::test]
async fn no_fallback_is_too_small_for_the_request() {
    let long = r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
    let small = |text: String| text.replace("name = \"next\"", "name = \"next\"\ncontext = 100");
    for (context, status, asked) in [(false, 200, 2), (true, 400, 1)] {
        let text = |url: &str| {
            let text = Settings::default().text(url);
            if context { small(text) } else { text }
        };
        let scripts = vec![whole(400, "", long), whole(200, "", answer(Dialect::Chat))];
        let world = World::local(text, scripts).await;
        // The router reads only what the user wrote last.
        let system = format!(r#""messages":[{{"role":"system","content":"{}"}},"#, "long ".repeat(200));
        let body = request(Dialect::Chat, false).replace(r#""messages":["#, &system);
        let told = world.ask(Dialect::Chat, &body).await;
        assert_eq!((told.status, world.mock.seen().len()), (status, asked), "{}", told.text);
        if context {
            // The caller learns what the provider said of its prompt.
            assert_eq!(told.text, long);
        }
    }
}
