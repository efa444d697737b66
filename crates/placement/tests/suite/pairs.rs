//! Several pairs of servers: who serves, and what happens if one is gone.

use crate::deployment::{Files, Running};
use crate::pool::{TEXTS, pool_bundle};
use blindroute_placement::{
    ClassifyOptions, ClassifyReport, Placement, PlacementError, PrivateRouter, Retry, RouteOptions, SessionRequest,
    Task, Text,
};
use blindroute_routing::bundle::{Bundle, Matrix};
use blindroute_runtime::ClientConfig;
use blindroute_runtime::config::NextConfig;
use std::time::{Duration, Instant};

/// Deployments of one bundle, each with a split of its own.
fn start(bundle: &Bundle) -> [(Files, Running); 2] {
    [7, 8].map(|seed| {
        let files = Files::split(bundle, seed);
        let running = Running::start(&files, |_| {});
        (files, running)
    })
}

fn configs(pairs: &[(Files, Running); 2]) -> [ClientConfig; 2] {
    [pairs[0].1.client.clone(), pairs[1].1.client.clone()]
}

/// Gives up at once, so that what a test waits for is no pause.
fn connect(configs: &[ClientConfig]) -> PrivateRouter {
    PrivateRouter::connect_all(configs).unwrap().with_patience(Retry::NEVER)
}

/// Sessions of two. All texts go through both layers: which of two gains more, rounding may decide.
fn sessions_of_two() -> ClassifyOptions {
    ClassifyOptions::default().with_batch(2).with_depth(2)
}

/// The texts whose best score leads by more than rounding can change.
fn clear_cut() -> Vec<Text<'static>> {
    let scored = sessions_of_two().with_placement(Placement::Local).with_scores();
    let answers =
        PrivateRouter::local(&pool_bundle()).unwrap().classify_batch(&TEXTS.map(Text::from), &scored).unwrap();
    let leads = answers.into_iter().map(|answer| {
        let mut scores: Vec<f64> = answer.unwrap().scores.unwrap().into_values().collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores[0] - scores[1]
    });
    let texts: Vec<Text<'_>> =
        TEXTS.iter().zip(leads).filter(|(_, lead)| *lead > 0.1).map(|(text, _)| Text::from(*text)).collect();
    assert!(texts.len() >= 8, "{} texts are clear", texts.len());
    texts
}

fn classified(router: &PrivateRouter, options: &ClassifyOptions) -> Vec<Result<ClassifyReport, PlacementError>> {
    let texts = clear_cut();
    let answers = router.classify_batch(&texts, options).unwrap();
    assert_eq!(answers.len(), texts.len(), "one answer for each text");
    answers
}

/// Each text's label, and the pairs that answered, each once.
fn labels(router: &PrivateRouter, options: &ClassifyOptions) -> (Vec<String>, Vec<usize>) {
    let answers: Vec<_> = classified(router, options).into_iter().map(Result::unwrap).collect();
    let mut served: Vec<usize> = answers.iter().filter_map(|report| Some(report.pair.as_ref()?.index)).collect();
    served.sort_unstable();
    served.dedup();
    (answers.into_iter().map(|report| report.label).collect(), served)
}

#[test]
fn both_pairs_serve_and_the_labels_are_those_of_one_pair() {
    let bundle = pool_bundle();
    let pairs = start(&bundle);
    let options = sessions_of_two();
    let clear = PrivateRouter::local(&bundle).unwrap();
    let (expected, nobody) = labels(&clear, &options.clone().with_placement(Placement::Local));
    assert!(nobody.is_empty());
    let one = connect(&configs(&pairs)[..1]);
    assert_eq!(labels(&one, &options), (expected.clone(), vec![]), "one pair is not named");
    let two = connect(&configs(&pairs));
    assert_eq!((one.pairs(), two.pairs(), clear.pairs()), (1, 2, 0));
    assert_eq!(labels(&two, &options), (expected, vec![0, 1]));
    for report in classified(&two, &options).into_iter().map(Result::unwrap) {
        let pair = report.pair.unwrap();
        let client = &pairs[pair.index].1.client;
        assert_eq!(pair.servers, [client.server0.clone(), client.server1.clone()]);
        assert_eq!(report.bundle.name, client.bundle.display().to_string());
        assert_eq!(report.bundle.digest == two.bundle().digest, pair.index == 0, "each pair has its own split");
    }
    // Prompts that share no session, in the order of the prompts.
    let prompts = [TEXTS[0], &"a longer one ".repeat(20), "", &"the longest of all ".repeat(40)];
    let answers = two.route_batch(&prompts, &RouteOptions::default()).unwrap();
    let models = clear.route_batch(&prompts, &RouteOptions::default().with_placement(Placement::Local)).unwrap();
    for (answer, clear) in answers.iter().zip(&models) {
        assert_eq!(answer.as_ref().ok().map(|report| &report.model), clear.as_ref().ok().map(|report| &report.model));
    }
    assert!(answers[2].is_err() && answers[3].as_ref().unwrap().pair.is_some());
    drop((one, two));
    pairs.into_iter().for_each(|(_files, running)| running.stop());
}

#[test]
fn sessions_are_kept_ready_with_every_pair() {
    let pairs = start(&pool_bundle());
    let router = connect(&configs(&pairs));
    let request = SessionRequest::new(Task::route(0, 32));
    assert!(!router.wait_ready(request, Duration::ZERO));
    router.keep_ready(request, 3).unwrap();
    assert!(router.wait_ready(request, Duration::from_secs(60)));
    assert_eq!((router.ready(request).ready, router.ready(request).wanted), (3, 3));
    router.pause_filling(true);
    for _ in 0..3 {
        router.route(TEXTS[0], &RouteOptions::default()).unwrap();
    }
    // An idle pair that has not answered yet comes first, so both had their turn.
    assert!(router.ready(request).taken >= 2, "{:?}", router.ready(request));
    drop(router);
    pairs.into_iter().for_each(|(_files, running)| running.stop());
}

#[test]
fn a_pair_that_is_gone_is_done_without_and_without_any_the_error_names_all() {
    let bundle = pool_bundle();
    let pairs = start(&bundle);
    let configs = configs(&pairs);
    let options = sessions_of_two();
    let (expected, _) =
        labels(&PrivateRouter::local(&bundle).unwrap(), &options.clone().with_placement(Placement::Local));
    let router = connect(&configs);
    let [(_files0, running0), (_files1, running1)] = pairs;
    assert_eq!(labels(&router, &options), (expected.clone(), vec![0, 1]));
    running0.stop();
    assert_eq!(labels(&router, &options), (expected.clone(), vec![1]));
    // Before anything was asked of it.
    assert_eq!(labels(&connect(&configs), &options), (expected, vec![1]));
    running1.stop();
    let started = Instant::now();
    let errors = classified(&router, &options);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    for error in errors.into_iter().map(Result::unwrap_err) {
        let text = error.to_string();
        assert!(error.stops_all() && text.contains("no pair of servers can run a session now"), "{text}");
        assert!(configs.iter().all(|config| text.contains(&config.server0)), "{text}");
    }
    // With patience, it tries again until the time is up.
    let patience = Retry { budget: Duration::from_millis(300), ..Retry::default() };
    let router = router.with_patience(patience);
    let error = router.route(TEXTS[0], &RouteOptions::default()).unwrap_err();
    assert!(matches!(error, PlacementError::NoPair { .. }) && error.to_string().contains("tries in"), "{error}");
}

/// One pair has gone on to the next version of the bundle, and the other one is away: nothing is waited for, since the next version is
/// there.
#[test]
fn the_next_version_is_asked_where_the_first_is_not_held_while_other_pairs_fail() {
    let bundle = pool_bundle();
    let pairs = start(&bundle);
    let former = [17, 18].map(|seed| Files::split(&bundle, seed));
    let mut configs = configs(&pairs);
    for (config, former) in configs.iter_mut().zip(&former) {
        config.next =
            Some(NextConfig { bundle: std::mem::replace(&mut config.bundle, former.at("public.bin")), share: None });
    }
    let [(files0, running0), (_files1, running1)] = pairs;
    running1.stop();
    // With the usual patience of a minute.
    let connect = || PrivateRouter::connect_all(&configs).unwrap();
    let (options, started) = (RouteOptions::default(), Instant::now());
    let prompts = [TEXTS[0], &"a longer one ".repeat(20)];
    let mut answers = connect().route_batch(&prompts, &options).unwrap();
    answers.push(connect().route(prompts[0], &options));
    for report in answers.into_iter().map(Result::unwrap) {
        assert_eq!(report.pair.unwrap().index, 0);
        assert_eq!(report.bundle.name, files0.at("public.bin").display().to_string());
    }
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    running0.stop();
}

#[test]
fn a_client_whose_versions_are_both_not_held_is_told_so() {
    let bundle = pool_bundle();
    let pairs = start(&bundle);
    let strangers = [17, 18, 27, 28].map(|seed| Files::split(&bundle, seed));
    let mut configs = configs(&pairs);
    for (place, config) in configs.iter_mut().enumerate() {
        config.bundle = strangers[place].at("public.bin");
        config.next = Some(NextConfig { bundle: strangers[place + 2].at("public.bin"), share: None });
    }
    let (router, options) = (PrivateRouter::connect_all(&configs).unwrap(), RouteOptions::default());
    let mut answers = router.route_batch(&[TEXTS[0], &"a longer one ".repeat(20)], &options).unwrap();
    answers.push(router.route(TEXTS[0], &options));
    for error in answers.into_iter().map(Result::unwrap_err) {
        assert!(error.is_not_held() && error.stops_all(), "{error}");
    }
    pairs.into_iter().for_each(|(_files, running)| running.stop());
}

#[test]
fn a_refused_request_is_not_taken_to_another_pair() {
    let pairs = start(&pool_bundle());
    let router = connect(&configs(&pairs));
    let asked = ClassifyOptions::default().with_scores().with_batch(1);
    let answers = router.classify_batch(&[Text::from(TEXTS[0])], &asked).unwrap();
    let error = answers.into_iter().next().unwrap().unwrap_err();
    assert!(matches!(error, PlacementError::Session(_)) && error.to_string().contains("scores = true"), "{error}");
    // Nor is the pair skipped that refused.
    let plain = sessions_of_two();
    assert_eq!(labels(&router, &plain).1, [0, 1]);
    drop(router);
    pairs.into_iter().for_each(|(_files, running)| running.stop());
}

#[test]
fn configurations_for_different_models_or_the_same_servers_are_refused() {
    let bundle = pool_bundle();
    let files = Files::split(&bundle, 7);
    let mut parts = bundle.into_parts();
    parts.models[0].price += 1.0;
    let token = &parts.embedding.token;
    parts.embedding.token = Matrix::from_fn(token.rows(), token.columns(), |row, column| 0.5 * token.row(row)[column]);
    let other = Files::split(&Bundle::new(parts).unwrap(), 8);
    let (one, another) = (files.client(["a:1", "b:2"]), other.client(["c:3", "d:4"]));
    let error = PrivateRouter::connect_all(&[one.clone(), another]).unwrap_err();
    assert!(error.stops_all());
    let text = error.to_string();
    for part in ["pair 1 (c:3, d:4)", "pair 0 (a:1, b:2)", "embedding tables, models", "splits of the same bundle"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("tokenizer"), "{text}");
    let error = PrivateRouter::connect_all(&[one.clone(), one]).unwrap_err().to_string();
    assert!(error.contains("configurations 0 and 1") && error.contains("name each pair of servers once"), "{error}");
    assert!(matches!(PrivateRouter::connect_all(&[]), Err(PlacementError::NeedsServers { .. })));
}
