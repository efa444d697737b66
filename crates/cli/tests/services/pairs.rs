//! Several pairs of servers as real processes: killed before and in the middle of many texts, all gone, of different models.

use crate::harness::{Fleet, Ran, command, pool_bundle, run_within, wait_for, write};
use blindroute_placement::{PrivateRouter, Retry, RouteOptions};
use blindroute_runtime::config::{ClientConfig, Configuration};
use blindroute_runtime::{Role, SessionError};
use blindroute_testkit::{Direction, Proxy, StreamFault};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Two pairs, which run.
fn two_pairs() -> [Fleet; 2] {
    [(); 2].map(|()| {
        let mut fleet = Fleet::with(8.0, pool_bundle);
        fleet.start_all();
        fleet
    })
}

/// Texts that differ.
fn text(place: usize) -> String {
    let subjects = ["The red car", "My old computer", "A quiet river", "The new compiler", "Every swallow", "A train"];
    let verbs = ["is for sale", "was broken", "runs through the town", "does not stop", "sings at noon"];
    format!("{} {} for number {place}", subjects[place % subjects.len()], verbs[place / 6 % verbs.len()])
}

/// The labels in the clear, and whether each is so far ahead of the next that rounding, which is random, does not decide.
fn in_the_clear(fleet: &Fleet, texts: &str) -> Vec<(String, bool)> {
    let bundle = fleet.home.path().join("pool.blindroute").into_os_string();
    let mut command = command(&["classify", "--input", texts, "--placement", "local", "--scores", "--depth", "2"]);
    command.arg("--bundle").arg(bundle);
    let ran = run_within(2 * MINUTE, command, b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let label = |line: &serde_json::Value| {
        let mut scores: Vec<f64> =
            line["scores"].as_object().unwrap().values().map(|score| score.as_f64().unwrap()).collect();
        scores.sort_by(f64::total_cmp);
        (line["label"].as_str().unwrap().to_owned(), scores[2] - scores[1] > 0.05)
    };
    let labels: Vec<(String, bool)> = ran.lines().iter().map(label).collect();
    let sure: Vec<&String> = labels.iter().filter(|(_, sure)| *sure).map(|(label, _)| label).collect();
    assert!(
        sure.len() > labels.len() / 2 && sure.iter().any(|label| *label != sure[0]),
        "{labels:?} would show nothing"
    );
    labels
}

#[track_caller]
fn same(labels: &[String], expected: &[(String, bool)]) {
    assert_eq!(labels.len(), expected.len());
    for (place, (label, (clear, sure))) in labels.iter().zip(expected).enumerate() {
        assert!(!sure || label == clear, "text {place} is {label}, expected {clear}");
    }
}

/// Lines of texts, with their places as ids.
fn input(fleet: &Fleet, field: &str, count: usize) -> String {
    let line = |place: usize| serde_json::json!({"id": place, field: text(place)}).to_string();
    let lines: Vec<String> = (0..count).map(line).collect();
    write(fleet.home.path(), "input.jsonl", &(lines.join("\n") + "\n"))
}

/// The arguments of a command on these pairs.
fn asking(what: &str, input: &str, pairs: &[&Fleet], more: &[&str]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [what, "--input", input].iter().chain(more).map(Into::into).collect();
    for pair in pairs {
        arguments.extend(["--config".into(), pair.configuration(Role::Client).into_os_string()]);
    }
    arguments
}

/// The answers, one for each text and in their order, and the pairs that gave them.
#[track_caller]
fn answered(ran: &Ran, field: &str, count: usize) -> (Vec<String>, Vec<usize>) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines = ran.lines();
    let ids: Vec<usize> = lines.iter().map(|line| line["id"].as_u64().unwrap() as usize).collect();
    assert_eq!(ids, (0..count).collect::<Vec<_>>(), "every text once");
    let answers = lines.iter().map(|line| line[field].as_str().unwrap().to_owned()).collect();
    (answers, lines.iter().map(|line| line["pair"]["index"].as_u64().unwrap() as usize).collect())
}

#[test]
fn texts_are_spread_and_a_pair_that_is_killed_among_them_is_done_without() {
    let [mut first, second] = two_pairs();
    let texts = input(&first, "text", 48);
    let of = |pairs: &[&Fleet]| {
        run_within(2 * MINUTE, command(&asking("classify", &texts, pairs, &["--batch", "2", "--depth", "2"])), b"")
    };
    let alone = of(&[&second]);
    assert_eq!(alone.code, Some(0), "{}", alone.stderr);
    assert!(alone.lines().iter().all(|line| line.get("pair").is_none()), "one pair is not named");
    let expected = in_the_clear(&first, &texts);
    let labels: Vec<String> = alone.lines().iter().map(|line| line["label"].as_str().unwrap().to_owned()).collect();
    same(&labels, &expected);
    let (labels, served) = answered(&of(&[&first, &second]), "label", 48);
    same(&labels, &expected);
    assert_eq!(served.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1]));

    // Killed when it has begun some of its sessions.
    let ledger = first.ledger(Role::Server1);
    let (ran, began) = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let arguments = asking("classify", &texts, &[&second], &["--batch", "2", "--depth", "2"]);
            let own = first.configuration(Role::Client).into_os_string();
            let mut command = command(&arguments);
            command.arg("--config").arg(own);
            run_within(2 * MINUTE, command, b"")
        });
        wait_for("the pair to begin sessions", MINUTE, || first.ledger(Role::Server1) > ledger);
        std::thread::sleep(Duration::from_millis(100));
        first.process(Role::Server1).signal("KILL");
        (running.join().unwrap(), first.ledger(Role::Server1) - ledger)
    });
    let (labels, served) = answered(&ran, "label", 48);
    same(&labels, &expected);
    assert!(served.iter().filter(|pair| **pair == 0).count() > 24, "{served:?} after {began} bytes of the ledger");
    let skipped = format!("pair=1 ({}, {})", first.address(Role::Server0), first.address(Role::Server1));
    assert!(ran.stderr.contains("is skipped") && ran.stderr.contains(&skipped), "{}", ran.stderr);
    assert!(!ran.stderr.contains("for number"), "{}", ran.stderr);

    // And before anything begins.
    let (labels, served) = answered(&of(&[&first, &second]), "label", 48);
    same(&labels, &expected);
    assert_eq!(served, vec![1; 48]);

    // It comes back, and is asked again.
    first.kill(Role::Server1);
    first.start(Role::Server1);
    let (_, served) = answered(&of(&[&first, &second]), "label", 48);
    assert!(served.contains(&0) && served.contains(&1), "{served:?}");
}

#[test]
fn prompts_use_every_pair_and_without_any_the_error_names_each() {
    let mut pairs = two_pairs();
    let prompts = input(&pairs[0], "prompt", 12);
    let of = |pairs: &[Fleet; 2]| {
        let arguments = asking("route", &prompts, &[&pairs[0], &pairs[1]], &["--retry", "0"]);
        run_within(2 * MINUTE, command(&arguments), b"")
    };
    let (_, served) = answered(&of(&pairs), "model", 12);
    assert!(served.contains(&0) && served.contains(&1), "{served:?}");
    pairs[0].kill(Role::Dealer);
    pairs[1].kill(Role::Server0);
    let ran = of(&pairs);
    assert_eq!(ran.code, Some(1));
    let error = ran.error_line();
    assert!(error.contains("no pair of servers can run a session now") && error.contains("cannot reach"), "{error}");
    assert!(pairs.iter().all(|pair| error.contains(&pair.address(Role::Server1))), "{error}");
}

#[test]
fn case_21_a_session_that_dies_after_its_input_was_sent_runs_once_more_elsewhere_and_no_third_time() {
    let [first, second] = two_pairs();
    let load = |fleet: &Fleet| ClientConfig::load(&fleet.configuration(Role::Client)).unwrap().config;
    // Toward server 1 goes the input, 49 kB of it and more.
    let cut = |fleet: &Fleet| {
        let target = fleet.address(Role::Server1).parse().unwrap();
        let proxy = Proxy::start(target, Some((Direction::Forward, 20_000, StreamFault::Cut))).unwrap();
        let config = ClientConfig { server1: proxy.address().to_string(), ..load(fleet) };
        (proxy, config)
    };
    let (_proxy, broken) = cut(&first);
    let options = RouteOptions::default();
    let prompt = "What is the capital of France?";
    let ledgers = || [first.ledger(Role::Server0), second.ledger(Role::Server0)];
    let before = ledgers();
    let router = PrivateRouter::connect_all(&[broken.clone(), load(&second)]).unwrap().with_patience(Retry::NEVER);
    let report = router.route(prompt, &options).unwrap();
    assert_eq!(report.pair.unwrap().index, 1);
    let entry = ledgers()[1] - before[1];
    assert_eq!(ledgers()[0] - before[0], entry, "one session was begun with each");
    // Both break: two sessions had the input, and there is no third, whatever the patience.
    let (_other, also) = cut(&second);
    let before = ledgers();
    let router = PrivateRouter::connect_all(&[broken, also]).unwrap();
    let error = router.route(prompt, &options).unwrap_err();
    assert!(matches!(error, blindroute_placement::PlacementError::Session(SessionError::Link(_))), "{error}");
    assert_eq!([ledgers()[0] - before[0], ledgers()[1] - before[1]], [entry; 2]);
}

#[test]
fn case_25_pairs_of_different_models_are_refused_before_anything_is_sent() {
    let (one, other) = (Fleet::with(4.0, pool_bundle), Fleet::new(4.0));
    let texts = input(&one, "text", 2);
    let ran = run_within(MINUTE, command(&asking("classify", &texts, &[&one, &other], &[])), b"");
    let error = ran.error();
    for part in ["the configurations are for different models", "pair 1", "shapes of routers and classifiers", "bundle"]
    {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    assert!(error.contains(&one.address(Role::Server0)) && error.contains(&other.address(Role::Server0)), "{error}");
}
