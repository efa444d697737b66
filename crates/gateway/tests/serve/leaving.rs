//! The caller goes away: the provider's connection closes, and the money is counted.

use crate::bench::{events, reading, request};
use crate::mock::{Step, head, part};
use crate::world::{Settings, World};
use blindroute_dialects::Dialect;
use blindroute_gateway::store::Period;
use tokio::io::AsyncReadExt as _;

/// What is reserved for a request: its input at 1 and the most output, at 2 millionths.
fn reserved(dialect: Dialect, body: &str, output: u64) -> u64 {
    (reading(dialect, body).input_tokens + 2 * output) * 1_000_000
}

#[tokio::test]
async fn before_the_first_token_what_was_reserved_counts() {
    for (streamed, script) in
        [(false, vec![Step::AwaitClose]), (true, vec![Step::AwaitClose]), (true, vec![head(), Step::AwaitClose])]
    {
        let world = World::new(vec![script]).await;
        let body = request(Dialect::Chat, streamed);
        tokio::select! {
            _ = world.ask(Dialect::Chat, &body) => panic!("there is no answer"),
            () = world.mock.waiting() => {}
        }
        world.mock.closed().await;
        world.spent(reserved(Dialect::Chat, &body, 100), 1).await;
        world.estimated(1).await;
        assert_eq!(world.mock.seen().len(), 1);
    }
}

#[tokio::test]
async fn in_a_stream_what_was_reserved_counts_even_if_some_usage_is_known() {
    for dialect in [Dialect::Messages, Dialect::Chat] {
        let body = request(dialect, true);
        // Messages says at its beginning that there are 3 tokens of input and one of output, but bills what it wrote; Chat says nothing
        // before its end.
        let most = reading(dialect, &body).max_output_tokens.unwrap_or(100);
        let pico = reserved(dialect, &body, most);
        let script = vec![head(), part(&events(dialect).0), Step::AwaitClose];
        let world = World::with(Settings { dialect, ..Settings::default() }, vec![script]).await;
        let mut response = world.post(dialect.path(), &body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.chunk().await.unwrap().is_some());
        world.mock.waiting().await;
        drop(response);
        world.mock.closed().await;
        world.spent(pico, 1).await;
        world.estimated(1).await;
        assert_eq!(world.store.savings(Period::Today, None).await.unwrap().compared, 0);
    }
}

/// More than all buffers of two connections hold.
fn endless() -> Vec<Step> {
    let (first, _) = events(Dialect::Chat);
    let event = first.split_inclusive("\n\n").last().unwrap().to_owned();
    let mut script = vec![head(), part(&first)];
    script.extend(std::iter::repeat_n(part(&event.repeat(10_000)), 100));
    script
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_stream_does_not_hold_it_open() {
    for tables in [
        "[timeouts]\nidle = \"500ms\"",
        "[timeouts]\nidle = \"1h\"\ntotal = \"1s\"\nconnect = \"1s\"\nfirst_token = \"1s\"",
    ] {
        let world = World::with(Settings { tables, ..Settings::default() }, vec![endless()]).await;
        let body = request(Dialect::Chat, true);
        let mut socket = world.send(Dialect::Chat.path(), &body).await;
        let mut begin = [0; 12];
        socket.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        // The socket stays open, and nothing more is read from it.
        world.mock.closed().await;
        world.spent(reserved(Dialect::Chat, &body, 100), 1).await;
        world.estimated(1).await;
        // Who reads on after all sees no proper end.
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest).await;
        let end = String::from_utf8_lossy(&rest[rest.len().saturating_sub(100)..]).into_owned();
        assert!(rest.len() > 1000 && !end.contains("[DONE]") && !end.ends_with("0\r\n\r\n"), "{end}");
    }
}
