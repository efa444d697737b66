//! Routing under MPC, and what happens if there is no route in time.

use crate::bench::{answer, request};
use crate::mock::whole;
use crate::world::{Settings, World};
use blindroute_dialects::Dialect;
use blindroute_placement::{PrivateRouter, default_bundle};
use std::sync::Arc;
use std::time::Instant;

#[tokio::test]
async fn case_05_without_servers_the_default_model_answers_or_nobody() {
    let answers = || vec![whole(200, "", answer(Dialect::Chat))];
    let body = request(Dialect::Chat, false);
    let world = World::with(Settings { placement: "full", ..Settings::default() }, answers()).await;
    let told = world.ask(Dialect::Chat, &body).await;
    assert_eq!(told.says(["model", "why", "placement"]), ["spare", "default", ""]);
    let strict = Settings { placement: "full", route: "on_failure = \"error\"", ..Settings::default() };
    let world = World::with(strict, answers()).await;
    for dialect in Dialect::ALL {
        let told = world.ask(dialect, &request(dialect, false)).await;
        assert_eq!((told.status, told.header("retry-after")), (503, "1"), "{}", told.text);
        assert!(!told.text.contains("canary"));
    }
    assert!(world.mock.seen().is_empty());
    // Who names a model needs no route.
    assert_eq!(world.ask(Dialect::Chat, &body.replace("auto", "best")).await.says(["why"]), ["named"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_mpc_a_route_in_time_decides_and_a_late_one_does_not() {
    blindroute_runtime::choose_cryptography();
    let router = Arc::new(PrivateRouter::in_process(&default_bundle().unwrap()).unwrap());
    let answers = || vec![whole(200, "", answer(Dialect::Chat))];
    let body = request(Dialect::Chat, false);
    // To deal a session takes longer.
    for (route, status) in [
        ("deadline = \"50ms\"\nready = 0\ndefault_model = \"spare\"", 200),
        ("deadline = \"50ms\"\nready = 0\non_failure = \"error\"", 503),
    ] {
        let settings = Settings { placement: "full", route, ..Settings::default() };
        let world = World::routed(&router, |url| settings.text(url), answers()).await;
        let told = world.ask(Dialect::Chat, &body).await;
        assert_eq!((told.status, told.header("x-blindroute-placement")), (status, ""), "{}", told.text);
        if status == 200 {
            assert_eq!(told.says(["model", "why"]), ["spare", "default"]);
        } else {
            assert_eq!((told.header("retry-after"), world.mock.seen().len()), ("1", 0));
            assert!(told.text.contains("50ms"), "{}", told.text);
        }
        let metrics = world.told("/metrics").await.text;
        assert!(metrics.lines().any(|line| line.contains("\"late\"") && line.ends_with(" 1")), "{metrics}");
    }
    let echo = "data = \"data\"\n[route]\ndeadline = \"60s\"\nready = 1";
    let world = World::routed(&router, |_| echo.to_owned(), answers()).await;
    let asked = request(Dialect::Messages, false).replace("\"max_tokens\":9", "\"max_tokens\":99");
    let told = world.ask(Dialect::Messages, &asked).await;
    let [model, placement, why] = told.says(["model", "placement", "why"]);
    assert_eq!([placement, why], ["full", "routed"]);
    assert!(router.public().models.iter().any(|known| known.name == model));
    let text = told.json()["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with(&model) && text.ends_with("canary"), "{text}");
    let decision = &world.recorded(1).await[0];
    assert!(decision.openings > 0 && decision.bytes > 0 && decision.placement == "full", "{decision:?}");
    // Sessions for prompts of this length are kept ready from then on.
    let ready = world.told("/readyz").await.json();
    assert_eq!(ready["sessions"]["wanted"], 1, "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_may_ask_are_refused_at_once_and_those_under_way_go_on() {
    blindroute_runtime::choose_cryptography();
    let router = Arc::new(PrivateRouter::in_process(&default_bundle().unwrap()).unwrap());
    let strict = "deadline = \"60s\"\nready = 0\nmax_routes = 2\non_failure = \"error\"";
    let settings = Settings { placement: "full", route: strict, ..Settings::default() };
    let answers = vec![whole(200, "", answer(Dialect::Chat))];
    let world = World::routed(&router, |url| settings.text(url), answers).await;
    let body = request(Dialect::Chat, false);
    let ask = async || {
        let begun = Instant::now();
        let told = world.ask(Dialect::Chat, &body).await;
        (told.status, told.header("retry-after").to_owned(), begun.elapsed())
    };
    let told = futures_util::future::join_all((0..8).map(|_| ask())).await;
    let (routed, refused): (Vec<_>, Vec<_>) = told.iter().partition(|(status, ..)| *status == 200);
    assert_eq!((routed.len(), refused.len()), (2, 6), "{told:?}");
    assert!(refused.iter().all(|(status, retry, _)| (*status, retry.as_str()) == (503, "1")), "{told:?}");
    // Nobody who is refused waits for those who are routed.
    let last = refused.iter().map(|(.., took)| took).max();
    assert!(last < routed.iter().map(|(.., took)| took).min(), "{told:?}");
    assert_eq!(ask().await.0, 200, "there is room again");
    // Who names a model needs no route, however many wait.
    assert_eq!(world.ask(Dialect::Chat, &body.replace("auto", "best")).await.says(["why"]), ["named"]);
    println!("refused within {:?}, routed within {:?}", last, routed.iter().map(|(.., took)| took).max());
}
