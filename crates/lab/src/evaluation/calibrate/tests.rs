use super::*;
use blindroute_routing::bundle::{Direct, Matrix, Model, Router, Rule};

/// Two models with costs 0.1 and 1. The expected gain of the expensive one is the only entry of the embedding, from 0 to 1, and it
/// is better on this share of the prompts.
fn case(prompts: usize) -> (Router, Vec<Model>, Matrix, Matrix) {
    let rule = Rule::Direct(Direct {
        weight: Matrix::new(1, 2, vec![0.0, 1.0]).unwrap(),
        bias: Matrix::new(1, 2, vec![0.0, 0.0]).unwrap(),
        cost: Matrix::new(1, 2, vec![0.1, 1.0]).unwrap(),
    });
    let router = Router { name: "direct".to_owned(), lambda: 0.0, lexical: None, rule };
    let model = |name: &str, price| Model { name: name.to_owned(), price, unit: String::new() };
    let gain = |row: usize| ((row * 7) % prompts) as f32 / prompts as f32;
    let embeddings = Matrix::from_fn(prompts, 1, |row, _| gain(row));
    let scores = Matrix::from_fn(prompts, 2, |row, model| match model {
        1 => 0.9,
        _ => 0.9 - 0.8 * gain(row),
    });
    (router, vec![model("small", 1.0), model("big", 10.0)], embeddings, scores)
}

fn options(target: Target) -> Options {
    Options { target, tolerance: 0.05, bootstrap: Bootstrap { resamples: 200, seed: 0 } }
}

#[test]
fn a_target_cost_is_met_with_the_best_score() {
    let (router, models, embeddings, _) = case(1000);
    let target = options(Target::Cost(0.4));
    let found = calibrate(&router, &models, &embeddings, None, &target, &Stop::never()).unwrap();
    // The expensive model is chosen where gain > 0.9 λ: a share of 1 − 0.9 λ costs 0.1 + 0.9 · (1 − 0.9 λ) ≤ 0.4 from λ = 0.741.
    assert!(found.cost.value <= 0.4 && found.cost.value > 0.3, "{found:?}");
    assert!((0.741..0.9).contains(&found.lambda.value), "{found:?}");
    assert!(found.cost.low < found.cost.value && found.cost.value < found.cost.high);
    assert!(found.lambda.low <= found.lambda.value && found.lambda.value <= found.lambda.high);
    assert_eq!((found.prompts, found.score), (1000, None));
    assert_eq!(calibrate(&router, &models, &embeddings, None, &target, &Stop::never()).unwrap(), found);
}

#[test]
fn a_target_score_is_met_at_the_least_cost() {
    let (router, models, embeddings, scores) = case(1000);
    let found =
        calibrate(&router, &models, &embeddings, Some(&scores), &options(Target::Score(0.85)), &Stop::never()).unwrap();
    // Below the threshold t the small model loses 0.8 · t² / 2 on average: 0.05 at t = 0.354, λ = 0.393.
    let score = found.score.unwrap();
    assert!(score.value >= 0.85 && score.value < 0.87, "{found:?}");
    assert!((0.3..=0.393).contains(&found.lambda.value), "{found:?}");
}

#[test]
fn uncertain_or_impossible_calibrations_are_refused() {
    let fault = |prompts: usize, target: Target, tolerance: f64, with_scores: bool| {
        let (router, models, embeddings, scores) = case(prompts);
        let options = Options { tolerance, ..options(target) };
        let scores = with_scores.then_some(&scores);
        calibrate(&router, &models, &embeddings, scores, &options, &Stop::never()).unwrap_err()
    };
    assert!(matches!(fault(29, Target::Cost(0.4), 0.05, false), CalibrateError::TooFew { prompts: 29 }));
    let few = fault(40, Target::Cost(0.4), 0.05, false);
    // ± 1.96 · 0.9 · √(0.33 · 0.67 / 40) = ± 0.13: about 280 prompts for ± 0.05.
    assert!(matches!(few, CalibrateError::NotEnough { what: "cost", needed: 150..=500, .. }), "{few}");
    assert!(few.to_string().contains("not enough data: with 40 different prompts"));
    assert!(matches!(fault(1000, Target::Score(0.8), 0.05, false), CalibrateError::NoOutcomes));
    let far = fault(1000, Target::Score(0.95), 0.05, true).to_string();
    assert!(far.contains("a mean score of 0.95: on these prompts it goes from"), "{far}");
    assert!(matches!(fault(1000, Target::Cost(0.05), 0.05, false), CalibrateError::OutOfReach { .. }));
    assert!(matches!(fault(1000, Target::Cost(f64::NAN), 0.05, false), CalibrateError::Number { .. }));
    assert!(matches!(fault(1000, Target::Cost(0.5), 0.0, false), CalibrateError::Number { .. }));
    let (router, models, embeddings, scores) = case(100);
    let short = Matrix::from_fn(99, 2, |row, model| scores.row(row)[model]);
    let error = calibrate(&router, &models, &embeddings, Some(&short), &options(Target::Cost(0.4)), &Stop::never());
    assert!(error.unwrap_err().to_string().contains("99, expected 100"));
}

/// Copies of a prompt are not more evidence: they do not make an interval narrower.
#[test]
fn copies_of_a_prompt_count_once() {
    let (router, models, embeddings, _) = case(1000);
    let of = |prompts: usize, copies: usize| {
        // Evenly spaced prompts have the same distribution as all.
        let row = |index: usize| embeddings.row(index / copies * (1000 / prompts))[0];
        let some = Matrix::from_fn(prompts * copies, 1, |index, _| row(index));
        let wide = Options { tolerance: 0.9, ..options(Target::Cost(0.4)) };
        calibrate(&router, &models, &some, None, &wide, &Stop::never())
    };
    let copied = of(1, 80).unwrap_err();
    assert!(matches!(copied, CalibrateError::TooFew { prompts: 1 }), "{copied}");
    let width = |found: &Estimate| found.high - found.low;
    let (once, copied, more) = (of(50, 1).unwrap().cost, of(50, 10).unwrap().cost, of(500, 1).unwrap().cost);
    assert_eq!(once, copied);
    assert!(width(&more) < 0.6 * width(&copied), "{more:?} {copied:?}");
}

#[test]
fn the_artefact_is_for_its_router_and_pool() {
    let (router, models, embeddings, _) = case(1000);
    let made = calibrate(&router, &models, &embeddings, None, &options(Target::Cost(0.4)), &Stop::never()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calibration.json");
    let text = serde_json::to_string(&made).unwrap();
    std::fs::write(&path, &text).unwrap();
    let read = Calibration::open(&path).unwrap();
    assert_eq!(read, made);
    read.check("direct", &models).unwrap();
    assert!(
        read.check("uniroute", &models)
            .unwrap_err()
            .to_string()
            .contains("the router \"direct\", expected \"uniroute\"")
    );
    assert!(read.check("direct", &models[..1]).unwrap_err().to_string().contains("the models \"small, big\""));
    let broken = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Calibration::open(&path).unwrap_err().to_string()
    };
    assert!(broken(&text.replace("\"version\":1", "\"version\":2")).contains("has version 2"));
    assert!(broken(&text.replace("blindroute-calibration", "other")).contains("is not a calibration"));
    assert!(broken("{").contains("is not a calibration"));
    assert!(broken(&text.replace("\"prompts\":1000", "\"prompts\":-1")).contains("is not a calibration"));
}

#[test]
fn prompts_are_read_with_or_without_scores() {
    let (_, models, ..) = case(30);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompts.jsonl");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        UserPrompts::read(&path, &models).map_err(|error| error.to_string())
    };
    let found = read("{\"prompt\": \"secret a\"}\n\n{\"prompt\": \"secret b\", \"id\": 7}\n").unwrap();
    assert_eq!((found.prompts.len(), found.scores.is_none()), (2, true));
    assert!(!format!("{found:?}").contains("secret"));
    let found = read("{\"prompt\": \"secret\", \"scores\": {\"big\": 1, \"small\": 0.5}}\n").unwrap();
    assert_eq!(found.scores.unwrap().data(), [0.5, 1.0]);
    let cases = [
        ("", "has no prompt"),
        ("secret", "line 1: it is not a JSON object"),
        ("{\"prompt\": \" \"}", "line 1: its prompt is empty"),
        ("{\"prompt\": \"secret\", \"scores\": {\"big\": 1}}", "the score of \"small\" is missing"),
        ("{\"prompt\": \"secret\", \"scores\": {\"big\": 1, \"small\": 2}}", "from 0 to 1"),
        ("{\"prompt\": \"secret\", \"scores\": {\"big\": 1, \"small\": null}}", "line 1: it is not a JSON object"),
        (
            "{\"prompt\": \"secret\", \"scores\": {\"big\": 1, \"small\": 0, \"x\": 0}}",
            "\"x\" is not a model of the pool",
        ),
        (
            "{\"prompt\": \"secret\", \"scores\": {\"big\": 1, \"small\": 0}}\n{\"prompt\": \"secret\"}",
            "line 2: some lines have scores",
        ),
    ];
    for (text, expected) in cases {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
    }
}
