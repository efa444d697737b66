//! A router whose dealer and servers are threads of this process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blindroute_placement::{
    Cancel, Measurement, Placement, PlacementError, PrivateRouter, RouteOptions, SessionRequest, UnknownText,
    default_bundle,
};
use blindroute_routing::bundle::{Bundle, Direct, Matrix, Rule};
use blindroute_routing::lexical::Lexical;
use blindroute_routing::program::SelectMethod;
use blindroute_routing::tokenizer::Window;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

fn small_bundle() -> Bundle {
    let mut parts = default_bundle().unwrap().into_parts();
    parts.layers.truncate(1);
    parts.encoder.layers = 1;
    Bundle::new(parts).unwrap()
}

/// Threads of this process that are a party, or serve one's connection.
fn party_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| ["server", "dealer", "call-"].iter().any(|party| name.starts_with(party))).count()
}

/// One test at a time: they count threads.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_long_prompt_is_read_through_the_bundles_window_in_every_placement() {
    let _alone = alone();
    let (examples, question) = ("Translate into French: the cat sleeps. ", "Prove that 2 is prime.");
    let prompt = examples.repeat(40) + question;
    let mut seen = Vec::new();
    for window in Window::ALL {
        let mut parts = small_bundle().into_parts();
        parts.encoder.window = window;
        let router = PrivateRouter::in_process(&Bundle::new(parts).unwrap()).unwrap();
        let route = |placement| {
            // λ = 0: the prompt alone decides.
            let options = RouteOptions::default().with_placement(placement).with_lambda(0.0).with_router("direct");
            router.route(&prompt, &options).unwrap()
        };
        let clear = route(Placement::Local);
        let says = clear.cut_from.clone().unwrap();
        assert!(says.starts_with(&format!("only the {} of ", window.kept())), "{says}");
        for placement in [Placement::Full, Placement::Head] {
            let answer = route(placement);
            assert_eq!((&answer.model, &answer.cut_from, answer.tokens), (&clear.model, &clear.cut_from, 256));
        }
        seen.push(router.tokens(&prompt).unwrap().ids);
    }
    let [head, tail, both] = &seen[..] else { panic!("three windows") };
    let question = PrivateRouter::local(&small_bundle()).unwrap().tokens(question).unwrap().ids;
    let ends_with_it = [head, tail, both].map(|ids| ids.ends_with(&question[1..]));
    assert_eq!(ends_with_it, [false, true, true]);
    assert_eq!(both[..128], head[..128]);
    assert_eq!(both[128..], tail[128..]);
}

/// Routers that read lexical features only: the model of a prompt is the one of its kind of text, in every placement.
#[test]
fn lexical_features_are_read_in_every_placement() {
    let _alone = alone();
    let mut parts = small_bundle().into_parts();
    let settings = Lexical { hashed: 64, scale: 3.0 };
    let (hidden, models) = (parts.encoder.hidden, parts.models.len());
    // The first dense feature is the length, the fourth the share of numbers.
    let weight =
        Matrix::from_fn(hidden + settings.width(), models, |row, model| match (row.checked_sub(hidden), model) {
            (Some(0), 3) | (Some(3), 5) => 1.0,
            _ => 0.0,
        });
    let bias = Matrix::from_fn(1, models, |_, model| if model == 1 { 0.2 } else { 0.0 });
    let router = parts.routers.iter_mut().find(|router| router.kind() == "direct").unwrap();
    let rule = Direct { weight, bias, cost: router.cost().clone() };
    (router.lexical, router.rule) = (Some(settings), Rule::Direct(rule));
    let router = PrivateRouter::in_process(&Bundle::new(parts).unwrap()).unwrap();
    let texts = ["Good day".to_owned(), "some words ".repeat(60), "what is 7 + 8 + 9 + 10".to_owned()];
    let prompts = texts.each_ref().map(String::as_str);
    let chosen = |placement| {
        let options = RouteOptions::default().with_placement(placement).with_lambda(0.0).with_router("direct");
        let answers = router.route_batch(&prompts, &options).unwrap();
        answers.into_iter().map(|answer| answer.unwrap().model).collect::<Vec<_>>()
    };
    let models = [1, 3, 5].map(|model: usize| router.public().models[model].name.clone());
    for placement in [Placement::Local, Placement::Head, Placement::Full] {
        assert_eq!(chosen(placement), models, "{placement:?}");
    }
}

#[test]
fn rankings_are_the_same_in_every_placement_and_begin_with_the_choice() {
    let _alone = alone();
    let router = PrivateRouter::in_process(&small_bundle()).unwrap();
    let prompts = ["What is the capital of France?", "Sort a list in Rust."];
    for name in ["uniroute", "direct", "cscr"] {
        let options = |placement| RouteOptions::default().with_placement(placement).with_router(name);
        let names = |placement, ranking| {
            let answers = router.route_batch(&prompts, &options(placement).with_ranking(ranking)).unwrap();
            let reports = answers.into_iter().map(|answer| answer.unwrap()).collect::<Vec<_>>();
            assert!(reports.iter().all(|report| report.model == report.ranking[0].model));
            assert!(reports.iter().all(|report| (ranking > 1) == report.seen.contains("ranking")));
            reports.into_iter().map(|report| report.ranking.into_iter().map(|ranked| ranked.model).collect()).collect()
        };
        let clear: Vec<Vec<String>> = names(Placement::Local, 3);
        for ranking in &clear {
            assert!(ranking.len() == 3 && ranking[0] != ranking[1] && !ranking[..2].contains(&ranking[2]), "{clear:?}");
        }
        // The one that is not asked for more models names the first of them.
        let first: Vec<Vec<String>> = clear.iter().map(|ranking| ranking[..1].to_vec()).collect();
        assert_eq!(names(Placement::Local, 1), first, "{name}");
        assert_eq!(names(Placement::Head, 3), clear, "{name}");
        let mut full: Vec<Vec<String>> = names(Placement::Full, 3);
        if name == "cscr" {
            // Its scores of the second and the third are nearer to each other than an embedding in fixed point is to the clear one. On
            // one embedding, the suite of `routing` compares whole orders.
            full.iter_mut().zip(&clear).for_each(|(full, clear)| full[1..].clone_from_slice(&clear[1..]));
        }
        assert_eq!(full, clear, "{name}");
    }
    // Kept ready, and taken by routes that ask for as many models.
    let ranked = RouteOptions::default().with_ranking(2);
    let request = SessionRequest::new(router.task(prompts[0], &ranked).unwrap().unwrap());
    router.keep_ready(request, 1).unwrap();
    assert!(router.wait_ready(request, Duration::from_secs(240)), "{:?}", router.ready(request));
    router.pause_filling(true);
    router.route(prompts[0], &RouteOptions::default()).unwrap();
    assert_eq!(router.ready(request).taken, 0);
    let report = router.route(prompts[0], &ranked).unwrap();
    assert_eq!((router.ready(request).taken, report.ranking.len()), (1, 2));
    // The model for unknown text comes before those of the router.
    let unknown = UnknownText { share: 0.5, model: router.public().models[3].name.clone() };
    let report = router.route("ประเทศไทยมีกี่จังหวัด", &ranked.clone().with_unknown_text(unknown.clone())).unwrap();
    assert_eq!((&report.model, &report.ranking[0].model, report.ranking.len()), (&unknown.model, &unknown.model, 2));
    assert_ne!(report.ranking[1].model, unknown.model);
    for ranking in [0, 5] {
        let refused = router.route(prompts[0], &RouteOptions::default().with_ranking(ranking)).unwrap_err();
        assert!(matches!(refused, PlacementError::Ranking { found, most: 4, .. } if found == ranking), "{refused}");
    }
}

#[test]
fn cancelled_routes_return_at_once_and_leave_the_others_alone() {
    let _alone = alone();
    let router = PrivateRouter::in_process(&small_bundle()).unwrap();
    let prompt = "What is the capital of France?";
    let options = |placement| RouteOptions::default().with_placement(placement);
    let expected = router.route(prompt, &options(Placement::Local)).unwrap().model;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| [0; 5].map(|_| router.route(prompt, &options(Placement::Full)).unwrap().model));
        // More often than the servers have places, and in whatever phase the time is up.
        for round in 0..24 {
            let placement = if round % 3 == 0 { Placement::Head } else { Placement::Full };
            let (started, time) = (Instant::now(), Duration::from_millis(7 * round));
            let answer = router.route_cancellable(prompt, &options(placement), &Cancel::after(time));
            match answer {
                Ok(report) => assert_eq!(report.model, expected),
                Err(error) => {
                    assert!(matches!(error, PlacementError::Cancelled) && error.is_cancelled(), "{error:?}");
                    assert!(!error.stops_all() && started.elapsed() >= time);
                    // Tokenising, and a loaded machine.
                    assert!(started.elapsed() < time + Duration::from_secs(5), "{:?}", started.elapsed());
                }
            }
        }
        assert!(other.join().unwrap().iter().all(|model| *model == expected));
    });
    let cancel = Cancel::default();
    assert_eq!(router.route_cancellable(prompt, &RouteOptions::default(), &cancel).unwrap().model, expected);
    cancel.cancel();
    for placement in [Placement::Local, Placement::Head, Placement::Full] {
        let refused = router.route_cancellable(prompt, &options(placement), &cancel).unwrap_err();
        assert!(matches!(refused, PlacementError::Cancelled), "{placement:?}: {refused}");
    }
    // From a session that is kept ready, which is consumed.
    let request = SessionRequest::new(router.task(prompt, &RouteOptions::default()).unwrap().unwrap());
    router.keep_ready(request, 1).unwrap();
    assert!(router.wait_ready(request, Duration::from_secs(240)), "{:?}", router.ready(request));
    router.pause_filling(true);
    let cancelled =
        router.route_cancellable(prompt, &RouteOptions::default(), &Cancel::after(Duration::from_millis(4)));
    assert!(cancelled.is_err_and(|error| error.is_cancelled()));
    assert_eq!(router.route(prompt, &RouteOptions::default()).unwrap().model, expected);
}

#[test]
fn every_placement_answers_alike_and_all_threads_end_with_the_router() {
    let _alone = alone();
    let router = PrivateRouter::in_process(&small_bundle()).unwrap();
    let prompts = ["What is the capital of France?", "Sort a list in Rust.", ""];
    let options = |placement| RouteOptions::default().with_placement(placement);
    let clear = router.route(prompts[0], &options(Placement::Local)).unwrap();
    for placement in [Placement::Full, Placement::Head] {
        let answers = router.route_batch(&prompts, &options(placement)).unwrap();
        let first = answers[0].as_ref().unwrap();
        assert_eq!((&first.model, first.placement, first.batch), (&clear.model, placement, 2));
        assert!(first.openings > 0 && answers[1].is_ok());
        assert!(matches!(answers[2], Err(PlacementError::Tokenizer(_))), "{:?}", answers[2]);
    }
    // The default is placement `full`.
    assert_eq!(router.route(prompts[0], &RouteOptions::default()).unwrap().bucket, Some(32));
    let unknown = UnknownText { share: 0.5, model: router.public().models[3].name.clone() };
    let report = router.route("ประเทศไทยมีกี่จังหวัด", &RouteOptions::default().with_unknown_text(unknown.clone())).unwrap();
    assert!(report.model == unknown.model && report.by_unknown_text && report.openings > 0);
    // The servers refuse measurements, and say how to allow them.
    let select = Measurement::Select { candidates: 9, keep: 2, method: SelectMethod::default() };
    for measurement in [Measurement::Embed { bucket: 32 }, select] {
        let inputs = match measurement {
            Measurement::Embed { bucket } => {
                router.encoder_inputs(&router.tokens(prompts[0]).unwrap().ids, bucket).unwrap().tensors
            }
            _ => vec![blindroute_protocol::Tensor::new(blindroute_protocol::Shape::row(9), vec![0.5; 9]); 2],
        };
        let refusal = router.private(SessionRequest::new(measurement), &inputs).unwrap_err().to_string();
        assert!(refusal.contains("measurements = true"), "{refusal}");
    }
    assert!(party_threads() >= 3);
    drop(router);
    let until = Instant::now() + Duration::from_secs(20);
    while party_threads() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(party_threads(), 0);
}

#[test]
fn batches_that_are_cancelled_have_errors_that_say_so_and_the_next_is_answered() {
    let _alone = alone();
    let router = PrivateRouter::in_process(&small_bundle()).unwrap();
    let (options, prompts) = (RouteOptions::default(), ["What is the capital of France?"; 3]);
    let cancel = Cancel::default();
    cancel.cancel();
    for placement in [Placement::Local, Placement::Full] {
        let options = options.clone().with_placement(placement);
        let answers = router.route_batch_cancellable(&prompts, &options, &cancel).unwrap();
        assert_eq!(answers.len(), prompts.len());
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(PlacementError::is_cancelled)), "{answers:?}");
    }
    let answers = router.route_batch(&prompts, &options).unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}
