//! The caller goes away: the provider's connection closes, and the money is counted.

use crate::bench::{events, reading, request};
use crate::mock::{Step, head, part};
use crate::world::{Settings, World};
use blindroute_dialects::Dialect;
use blindroute_gateway::store::Period;

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
