//! The model that is built in.

use crate::bench::{items, reading, request};
use blindroute_dialects::Dialect;
use blindroute_dialects::json::parse;
use blindroute_dialects::sse::Parser;
use blindroute_dialects::stream::{Progress, Watch};
use blindroute_dialects::usage::Usage;
use blindroute_gateway::upstream::echo;

const SAID: &str = "gpt-x was chosen. No provider is configured, so this is your message: canary";

#[tokio::test]
async fn it_answers_each_dialect_with_the_model_and_the_message() {
    for dialect in Dialect::ALL {
        let body = request(dialect, false);
        let (answer, used) = echo::answer(dialect, body.as_bytes(), &reading(dialect, &body), "gpt-x").unwrap();
        assert_eq!(answer.headers["content-type"], "application/json");
        let text = items(answer).await.concat();
        assert!(text.contains(SAID), "{text}");
        assert_eq!(Usage::of_response(dialect, &parse(text.as_bytes()).unwrap()), Some(used));
        assert!(used.input >= 2 && used.output == 26, "{used:?}");
    }
}

#[tokio::test]
async fn its_streams_end_properly() {
    for dialect in Dialect::ALL {
        let body = request(dialect, true);
        let (answer, used) = echo::answer(dialect, body.as_bytes(), &reading(dialect, &body), "gpt-x").unwrap();
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        let text = items(answer).await.concat();
        let (mut watch, mut events) = (Watch::new(dialect, false), Vec::new());
        Parser::default().push(text.as_bytes(), &mut events).unwrap();
        events.iter().for_each(|event| drop(watch.look(event)));
        assert_eq!(watch.progress(), Progress::Ended, "{text}");
        assert!(text.contains(SAID), "{text}");
        // Callers of Chat see the usage if they ask for it.
        assert_eq!(watch.usage(), Some(used).filter(|_| dialect != Dialect::Chat));
    }
}

#[tokio::test]
async fn what_chat_cannot_say_is_answered_too() {
    let body =
        r#"{"model":"auto","max_tokens":9,"top_k":4,"unknown":1,"messages":[{"role":"user","content":"canary"}]}"#;
    let read = reading(Dialect::Messages, body);
    let (answer, _) = echo::answer(Dialect::Messages, body.as_bytes(), &read, "gpt-x").unwrap();
    assert!(items(answer).await.concat().contains(SAID));
}
