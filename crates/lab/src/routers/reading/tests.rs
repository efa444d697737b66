use super::*;
use crate::data::synthetic::synthetic_pool;
use crate::routers::{Validation, cscr, direct, uniroute};

const QUICK: Validation = Validation { folds: 2, seeds: 1 };

fn training(method: &Method) -> Training<'_> {
    Training { name: None, source: "made up", method, start: None, windows: &[], lexical: &[], embeddings: None }
}

fn case() -> (Bundle, Dataset) {
    let (bundle, mut dataset, _) = synthetic_pool(4, 3);
    // Prompts of different words, so that embeddings differ.
    for (place, prompt) in dataset.prompts.iter_mut().enumerate() {
        prompt.text = ["a", "b", "c", "t t"][place % 4].repeat(1 + place % 3);
    }
    (bundle, dataset)
}

#[test]
fn every_way_is_tried_and_the_best_is_kept() {
    let (bundle, dataset) = case();
    let method = Method::Direct(direct::Options { penalties: vec![1.0], validation: QUICK, ..Default::default() });
    let windows = [Window::Head, Window::Tail];
    let training = Training { windows: &windows, lexical: &[0.0, 1.0], ..training(&method) };
    let (mut folds, mut embedded) = (Vec::new(), 0);
    let mut on_event = |event| match event {
        TrainEvent::Folds { done, all } => folds.push((done, all)),
        TrainEvent::Embedding(EmbedEvent::Progress(at)) => embedded += usize::from(at.done == at.all),
        other => panic!("{other:?}"),
    };
    let best = train_best(bundle.clone(), &dataset, &training, &mut on_event, &Stop::never()).unwrap();
    assert_eq!(folds[..6], [(0, 0), (1, 8), (2, 8), (0, 0), (3, 8), (4, 8)]);
    assert_eq!((folds.len(), folds[11]), (12, (8, 8)));
    assert!(embedded >= 2, "once for each window");
    let ways: Vec<(Window, bool)> = best.tried.iter().map(|trial| (trial.window, trial.lexical.is_some())).collect();
    assert_eq!(ways, [(Window::Head, false), (Window::Head, true), (Window::Tail, false), (Window::Tail, true)]);
    assert_eq!(best.name, "direct");
    let most = best.tried.iter().map(|trial| trial.area).fold(0.0, f64::max);
    assert_eq!(best.chosen.area, most);
    assert_eq!(best.tried.iter().find(|trial| trial.area == most), Some(&best.chosen));
    let parts = best.trained.bundle.parts();
    assert_eq!((parts.encoder.window, parts.routers[0].lexical), (best.chosen.window, best.chosen.lexical));

    let report = TrainReport::new(&best, &dataset).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["router"], json["tried"].as_array().unwrap().len()), (&"direct".into(), 4));
    assert!(report.to_text().starts_with("router direct: penalty 1, λ "), "{}", report.to_text());
}

#[test]
fn a_router_that_continues_keeps_the_features_of_the_first() {
    let (bundle, dataset) = case();
    let options =
        uniroute::Options { clusters: vec![2], clusterings: vec![1], validation: QUICK, ..Default::default() };
    let method = Method::UniRoute(options);
    let first = Training { lexical: &[0.5], ..training(&method) };
    let run =
        |bundle: Bundle, training: &Training<'_>| train_best(bundle, &dataset, training, &mut |_| (), &Stop::never());
    let first = run(bundle.clone(), &first).unwrap();
    let start = Some(StartFrom { router: "uniroute", bundle: Some(&first.trained.bundle) });
    let second = Training { name: Some("second"), start, ..training(&method) };
    let continued = run(bundle.clone(), &second).unwrap();
    assert_eq!(continued.tried.len(), 1);
    assert_eq!(continued.chosen.lexical, first.chosen.lexical);
    let centroids = |best: &BestReading, name: &str| match &best.trained.bundle.router(Some(name)).unwrap().rule {
        blindroute_routing::bundle::Rule::UniRoute(rule) => rule.centroids.clone(),
        _ => panic!("another kind"),
    };
    assert_eq!(centroids(&continued, "second"), centroids(&first, "uniroute"));

    let refused = |training: &Training<'_>| run(bundle.clone(), training).unwrap_err().to_string();
    assert!(refused(&Training { lexical: &[1.0], ..second }).contains("leave them out"));
    let other = Method::Cscr(cscr::Options::default());
    assert!(refused(&Training { method: &other, ..second }).contains("is of kind uniroute: name a router of the kind"));
    let fewer = dataset.without_model(0);
    let error = train_best(bundle.clone(), &fewer, &second, &mut |_| (), &Stop::never()).unwrap_err();
    assert!(matches!(error, TrainBestError::OtherModels { .. }), "{error}");
}

#[test]
fn wrong_numbers_are_refused_before_prompts_are_embedded() {
    let (bundle, dataset) = case();
    let refused = |method: Method, lexical: &[f32]| {
        let training = Training { lexical, ..training(&method) };
        let mut no_event = |event| panic!("it began: {event:?}");
        train_best(bundle.clone(), &dataset, &training, &mut no_event, &Stop::never()).unwrap_err().to_string()
    };
    let direct = |penalty: f64| Method::Direct(direct::Options { penalties: vec![1.0, penalty], ..Default::default() });
    assert_eq!(refused(direct(-1.0), &[]), "a penalty is -1, expected numbers of 0 or more");
    assert_eq!(refused(direct(1.0), &[0.0, -1.0]), "a weight of lexical features is -1, expected numbers of 0 or more");
    let uniroute = uniroute::Options { clusters: vec![8, 1], ..Default::default() };
    assert!(refused(Method::UniRoute(uniroute), &[]).starts_with("a number of clusters is 1, expected 2 or more"));
    let cscr = cscr::Options { rate: 0.0, ..Default::default() };
    assert!(refused(Method::Cscr(cscr), &[]).starts_with("the learning rate is 0, expected a number above 0"));
    let lambda = crate::routers::LambdaRule::Utility { alpha: f64::NAN };
    let options = direct::Options { lambda, ..Default::default() };
    assert_eq!(refused(Method::Direct(options), &[]), "alpha is NaN, expected a number of 0 or more");
}
