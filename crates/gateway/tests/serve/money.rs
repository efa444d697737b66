//! Budgets, and what calls cost.

use crate::bench::{answer, events, request};
use crate::mock::{Step, stream, whole};
use crate::world::{Settings, Told, World};
use blindroute_dialects::Dialect;
use blindroute_gateway::store::Period;

/// Enough for one call that may take a hundred tokens at 2 millionths, not for two.
const ONE: Settings = Settings {
    placement: "local",
    route: "default_model = \"spare\"",
    dialect: Dialect::Chat,
    tables: "[budget]\ndaily = \"0.0003\"",
};

#[tokio::test]
async fn a_budget_that_is_used_up_answers_429_and_nothing_is_sent() {
    let long = answer(Dialect::Chat).replace(r#""completion_tokens":2"#, r#""completion_tokens":200"#);
    let world = World::with(ONE, vec![whole(200, "", &long)]).await;
    let told = world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await;
    assert_eq!(told.says(["cost"]), ["0.000403000000"]);
    world.spent(403_000_000, 1).await;
    for dialect in Dialect::ALL {
        for body in [request(dialect, false), request(dialect, true), request(dialect, false).replace("auto", "best")] {
            let told = world.ask(dialect, &body).await;
            assert_eq!(
                (told.status, &told.json()["error"]["type"]),
                (429, &"rate_limit_error".into()),
                "{}",
                told.text
            );
            assert!(!told.text.contains("canary"));
        }
    }
    assert_eq!(world.mock.seen().len(), 1);
    // To forget does not raise the budget.
    assert_eq!(crate::people::forget(&world, true).await, 303);
    assert_eq!(world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await.status, 429);
}

#[tokio::test]
async fn a_budget_that_is_used_up_stops_embeddings_too() {
    let tables = "[embeddings]\nprovider = \"mock\"\nmodels = [\"embed\"]\n[[model]]\nname = \"embed\"\nprovider = \"mock\"\n\
                  input = \"1\"\noutput = \"0\"\n[budget]\ndaily = \"0.0003\"";
    let vectors = r#"{"object":"list","data":[],"usage":{"prompt_tokens":300,"total_tokens":300}}"#;
    let world = World::with(Settings { tables, ..ONE }, vec![whole(200, "", vectors)]).await;
    let embed = || world.post("/v1/embeddings", r#"{"model":"embed","input":"canary"}"#).send();
    assert_eq!(embed().await.unwrap().status(), 200);
    world.spent(300_000_000, 1).await;
    let told = Told::of(embed().await.unwrap()).await;
    assert_eq!((told.status, &told.json()["error"]["code"]), (429, &"budget_exceeded".into()), "{}", told.text);
    // What embeddings cost counts for answers too.
    assert_eq!(world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await.status, 429);
    assert_eq!(world.mock.seen().len(), 1);
}

#[tokio::test]
async fn money_of_a_call_that_runs_is_not_given_to_another() {
    let mut slow = vec![Step::AwaitGoOn];
    slow.extend(whole(200, "", answer(Dialect::Chat)));
    let world = World::with(ONE, vec![slow, whole(200, "", answer(Dialect::Chat))]).await;
    let body = request(Dialect::Chat, false);
    let second = async {
        while world.mock.seen().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let told = world.ask(Dialect::Chat, &body).await;
        world.mock.go_on();
        told.status
    };
    let (first, second) = tokio::join!(world.ask(Dialect::Chat, &body), second);
    assert_eq!((first.status, second), (200, 429));
    world.spent(7_000_000, 1).await;
    assert_eq!(world.ask(Dialect::Chat, &body).await.status, 200);
}

#[tokio::test]
async fn models_without_prices_are_not_called_within_a_budget() {
    let tables = "[[model]]\nname = \"unpriced\"\nprovider = \"mock\"\n";
    let free = World::with(Settings { tables, ..ONE }, vec![whole(200, "", answer(Dialect::Chat))]).await;
    let body = request(Dialect::Chat, false).replace("auto", "unpriced");
    assert_eq!(free.ask(Dialect::Chat, &body).await.says(["model", "cost"]), ["unpriced", ""]);
    let tables = "[[model]]\nname = \"unpriced\"\nprovider = \"mock\"\n[budget]\nmonthly = \"100\"";
    let world = World::with(Settings { tables, ..ONE }, vec![whole(200, "", answer(Dialect::Chat))]).await;
    assert_eq!(world.ask(Dialect::Chat, &body).await.status, 400);
    assert!(world.mock.seen().is_empty());
}

#[tokio::test]
async fn a_stream_costs_exactly_what_its_usage_says() {
    for dialect in Dialect::ALL {
        let (first, rest) = events(Dialect::Chat);
        let cached = r#""prompt_tokens":1000,"prompt_tokens_details":{"cached_tokens":600}"#;
        let rest = rest.replace(r#""prompt_tokens":3"#, cached);
        let tables = "[budget]\nreference_model = \"next\"";
        let world = World::with(Settings { tables, ..ONE }, vec![stream(&(first + &rest))]).await;
        assert_eq!(world.ask(dialect, &request(dialect, true)).await.status, 200);
        // 400 at 1, 600 at 0.1, and 2 at 2 millionths.
        world.spent(464_000_000, 1).await;
        let by_model = &world.store.by_model(Period::Today).await.unwrap()[0];
        let tokens = (by_model.tokens.input, by_model.tokens.cached, by_model.tokens.output);
        assert_eq!((by_model.model.as_str(), by_model.estimated, tokens), ("best", 0, (1000, 600, 2)), "{dialect}");
        // At the reference nothing was cached before: 1000 at 3 and 2 at 15.
        let savings = world.store.savings(Period::Today, None).await.unwrap();
        assert_eq!((savings.compared, savings.reference.pico()), (1, 3_030_000_000));
    }
}

#[tokio::test]
async fn each_conversation_has_its_own_budget_and_the_error_says_that_it_is_that_one() {
    let long = answer(Dialect::Chat).replace(r#""completion_tokens":2"#, r#""completion_tokens":200"#);
    let tables = "[budget]\ndaily = \"100\"\nsession = \"0.0003\"";
    let world = World::with(Settings { tables, ..ONE }, vec![whole(200, "", &long)]).await;
    let body = request(Dialect::Chat, false);
    let of = async |session: &str| {
        let asked = world.post(Dialect::Chat.path(), &body).header("x-session-id", session);
        Told::of(asked.send().await.unwrap()).await
    };
    assert_eq!(of("canary-one").await.says(["cost"]), ["0.000403000000"]);
    world.spent(403_000_000, 1).await;
    let refused = of("canary-one").await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (429, &"budget_exceeded".into()));
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("the monthly budget of this session is 0.0003 USD"), "{message}");
    assert!(message.contains("raise budget.session"), "{message}");
    // Another one, and one that is known by its first messages.
    assert_eq!(of("canary-two").await.status, 200);
    world.spent(806_000_000, 2).await;
    assert_eq!(world.ask(Dialect::Chat, &body).await.status, 200);
    world.spent(1_209_000_000, 3).await;
    assert_eq!(world.ask(Dialect::Chat, &body).await.status, 429);
    assert_eq!(world.ask(Dialect::Chat, &body.replace("canary", "other")).await.status, 200);
    assert_eq!(world.mock.seen().len(), 4);
}
