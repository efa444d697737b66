//! Everything long can be stopped, and looks often.

use super::*;
use crate::comparison::{self, ComparisonError, Side};
use crate::data::synthetic::{small_encoder, synthetic, synthetic_pool};
use crate::data::{Dataset, Samples};
use crate::encoders::similarity::{SimilarityError, correlation, read_pairs};
use crate::encoders::{ClearEmbedder, DatasetEmbedError, EmbedError, EmbeddingFileError, embed_all, embed_dataset};
use crate::evaluation::calibrate::{self, CalibrateError, Target, calibrate};
use crate::evaluation::{About, TestSet};
use crate::evaluation::{Bootstrap, Curve, EvaluationError, Group, Outcomes, Run, compare, evaluate};
use crate::routers::baselines::{boosting, knn, mlp};
use crate::routers::{
    Method, TrainBestError, TrainError, TrainRouterError, Training, Validation, cscr, direct, train_best, uniroute,
};
use blindroute_routing::bundle::{Activation, Attention, Matrix, Rule};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often `work` looks. Wherever it is stopped, it ends with an error that `is_stopped` knows.
fn looks<T, E: fmt::Debug>(work: impl Fn(&Stop) -> Result<T, E>, is_stopped: impl Fn(&E) -> bool) -> usize {
    let run = |most: usize| {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let stop = Stop::when(move || counted.fetch_add(1, Ordering::Relaxed) >= most);
        let error = work(&stop).err();
        (error, count.load(Ordering::Relaxed))
    };
    let (error, all) = run(usize::MAX);
    assert!(error.is_none(), "{error:?}");
    for most in [0, all / 3, all / 2, all - 1] {
        let (error, seen) = run(most);
        assert!(error.as_ref().is_some_and(&is_stopped), "stopped at look {most} of {all}: {error:?}");
        // Other threads may be at work on something when one sees that it should stop.
        assert!(seen <= most + 1 + 2 * rayon::current_num_threads().max(8), "{seen} looks after {most}");
    }
    all
}

fn is_stopped(error: &TrainError) -> bool {
    matches!(error, TrainError::Stopped(_))
}

const VALIDATION: Validation = Validation { folds: 3, seeds: 1 };

/// Folds, and once more for all prompts.
const TRAININGS: usize = 4;

#[test]
fn uniroute_looks_in_every_round_of_clustering_and_every_step_of_a_map() {
    let (samples, _, _, cost) = synthetic(8, 5);
    let base = uniroute::Options {
        clusters: vec![4],
        clusterings: vec![1, 6],
        smoothing: vec![3.0],
        validation: VALIDATION,
        rounds: 2,
        ..Default::default()
    };
    let train = |options: &uniroute::Options| {
        looks(|stop| uniroute::train(&samples, &cost, options, &mut |_, _| (), stop), is_stopped)
    };
    let few = train(&base);
    assert!(few > TRAININGS * 6 * 2, "{few}: two rounds of each of six clusterings");
    let learned = train(&uniroute::Options { map: uniroute::Map::Learned, ..base });
    // 20 passes over batches of 64.
    assert!(learned > few + 3 * 20 * (266usize.div_ceil(64)), "{learned} and {few}");
}

#[test]
fn direct_looks_at_every_penalty_and_cscr_in_every_step() {
    let (samples, _, _, cost) = synthetic(8, 5);
    let options = direct::Options { validation: VALIDATION, ..Default::default() };
    let seen = looks(|stop| direct::train(&samples, &cost, &options, &mut |_, _| (), stop), is_stopped);
    assert!(seen > TRAININGS * options.penalties.len() + Bootstrap::default().resamples, "{seen}");
    let options = cscr::Options { widths: vec![4], passes: 3, batch: 10, validation: VALIDATION, ..Default::default() };
    let seen = looks(|stop| cscr::train(&samples, &cost, &options, &mut |_, _| (), stop), is_stopped);
    assert!(seen > 3 * (3 * 26) + 3 * 40 + Bootstrap::default().resamples, "{seen}");
}

#[test]
fn baselines_look_at_every_prompt_step_and_tree() {
    let (samples, _, _, cost) = synthetic(8, 5);
    let options = knn::Options { neighbours: vec![3], priors: vec![1.0], seed: 0 };
    let seen = looks(|stop| knn::train(&samples, &cost, &options, stop), is_stopped);
    assert!(seen >= samples.prompts(), "{seen}");
    let fitted = knn::train(&samples, &cost, &options, &Stop::never()).unwrap();
    assert!(looks(|stop| fitted.run(&samples, &[0.0], stop), |_| true) >= samples.prompts());
    let settings = vec![mlp::Settings { width: 4, decay: 1.0, dropout: 0.0 }];
    let options = mlp::Options { settings, passes: 2, networks: 2, ..Default::default() };
    let seen = looks(|stop| mlp::train(&samples, &cost, &options, stop), is_stopped);
    assert!(seen > 2 * 2 * 3, "{seen}");
    let options = boosting::Options { trees: 20, components: 4, depths: vec![2], ..Default::default() };
    let seen = looks(|stop| boosting::train(&samples, &cost, &options, stop), is_stopped);
    assert!(seen >= (4 + options.ensembles) * 20, "{seen}");
}

/// Two models and prompts with one number each, on which a direct rule is calibrated.
fn priced() -> (blindroute_routing::bundle::Router, Vec<blindroute_routing::bundle::Model>, Matrix) {
    use blindroute_routing::bundle::{Direct, Model, Router};
    let row = |values: [f32; 2]| Matrix::new(1, 2, values.to_vec()).unwrap();
    let rule = Rule::Direct(Direct { weight: row([0.0, 1.0]), bias: row([0.0, 0.0]), cost: row([0.1, 1.0]) });
    let model = |name: &str, price| Model { name: name.to_owned(), price, unit: String::new() };
    let router = Router { name: "direct".to_owned(), lambda: 0.1, lexical: None, rule };
    (router, vec![model("a", 1.0), model("b", 10.0)], Matrix::from_fn(400, 1, |row, _| row as f32 / 400.0))
}

#[test]
fn evaluation_and_calibration_look_in_every_resample() {
    let bootstrap = Bootstrap { resamples: 150, seed: 0 };
    let (router, models, inputs) = priced();
    let options = calibrate::Options { target: Target::Cost(0.5), tolerance: 0.2, bootstrap };
    let run = |stop: &Stop| calibrate(&router, &models, &inputs, None, &options, stop);
    assert!(looks(run, |error| matches!(error, CalibrateError::Stopped(_))) >= 150);

    let scores = Matrix::from_fn(60, 2, |row, model| f32::from(u8::from(row % 2 == model)));
    let outcomes = Outcomes::by_price(scores, &[1.0, 1.0]).unwrap();
    let is_stopped = |error: &EvaluationError| matches!(error, EvaluationError::Stopped(_));
    let hull = Run::Hull;
    assert!(looks(|stop| compare(&hull, &hull, &outcomes, bootstrap, stop), is_stopped) >= 150);
    let set = TestSet::new(About::default(), models, vec![String::new(); 60], outcomes).unwrap();
    let curves = [Curve { name: "hull".to_owned(), group: Group::Baseline, lambda: None, runs: vec![hull] }];
    assert!(looks(|stop| evaluate(&set, &curves, &[], bootstrap, stop), is_stopped) >= 150);
}

fn is_embedding_stopped(error: &EmbedError) -> bool {
    matches!(error, EmbedError::Stopped(_))
}

/// The prompts of a set with texts that differ in length, so that they are embedded in several batches.
fn with_texts(dataset: &Dataset) -> Dataset {
    let mut dataset = dataset.clone();
    for (place, prompt) in dataset.prompts.iter_mut().enumerate() {
        prompt.text = "a b c t ".repeat(1 + place % 3);
    }
    dataset
}

#[test]
fn embedding_looks_at_every_batch_and_while_it_waits_for_a_file() {
    let (bundle, dataset, _) = synthetic_pool(8, 2);
    let dataset = with_texts(&dataset);
    let texts = || dataset.prompts().iter().map(|prompt| prompt.text.as_str());
    let (tokenizer, embedder) = (bundle.tokenizer().unwrap(), ClearEmbedder::new(&bundle).unwrap());
    let seen = looks(|stop| embed_all(texts(), &tokenizer, &embedder, &mut |_| (), stop), is_embedding_stopped);
    // One part, and in it a batch for each length rounded up to 8.
    assert!(seen > 2, "{seen}");
    let is_stopped =
        |error: &DatasetEmbedError| matches!(error, DatasetEmbedError::Embed(error) if is_embedding_stopped(error));
    looks(|stop| embed_dataset(&bundle, &dataset, None, &mut |_| (), stop), is_stopped);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("embeddings");
    let held = std::fs::File::create(&path).unwrap();
    held.lock().unwrap();
    let asked = Stop::when(|| true);
    let error = embed_dataset(&bundle, &dataset, Some(&path), &mut |_| (), &asked).unwrap_err();
    assert!(matches!(error, DatasetEmbedError::File(EmbeddingFileError::Stopped(_))), "{error:?}");
}

#[test]
fn similarities_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs.jsonl");
    let line = |text: &str, label: usize| format!("{{\"text\": \"a\", \"text2\": \"{text}\", \"label\": {label}}}\n");
    std::fs::write(&path, [line("b", 1), line("c", 2), line("a b", 3)].concat()).unwrap();
    let (bundle, pairs) = (small_encoder(Attention::TwoRelu, Activation::Relu), read_pairs(&path).unwrap());
    let is_stopped =
        |error: &SimilarityError| matches!(error, SimilarityError::Embed(error) if is_embedding_stopped(error));
    looks(|stop| correlation(&bundle, &pairs, &mut |_| (), stop), is_stopped);
}

#[test]
fn a_whole_training_and_a_whole_comparison_can_be_stopped_from_their_progress() {
    let (bundle, dataset, _) = synthetic_pool(8, 3);
    let dataset = with_texts(&dataset);
    let options = direct::Options { penalties: vec![1.0], validation: VALIDATION, ..Default::default() };
    let method = Method::Direct(options);
    let training = Training {
        name: None,
        source: "made up",
        method: &method,
        start: None,
        windows: &[],
        lexical: &[0.0, 1.0],
        embeddings: None,
    };
    let is_stopped = |error: &TrainBestError| match error {
        TrainBestError::Embed(DatasetEmbedError::Embed(error)) => is_embedding_stopped(error),
        TrainBestError::Train(TrainRouterError::Train(error)) => matches!(error, TrainError::Stopped(_)),
        _ => false,
    };
    let train = |stop: &Stop| train_best(bundle.clone(), &dataset, &training, &mut |_| (), stop);
    looks(train, is_stopped);

    let trained = train(&Stop::never()).unwrap().trained.bundle;
    let never = Stop::never();
    let side = Side::embed((Group::Private, trained), &dataset, None, &mut |_| (), &never).unwrap();
    let options =
        comparison::Options { bootstrap: Bootstrap { resamples: 20, seed: 0 }, ..comparison::Options::default() };
    // Not all baselines: the callback asks to stop as soon as the router is measured.
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let stop = Stop::when(move || seen.load(Ordering::Relaxed) > 0);
    let mut last = (0, 0);
    let mut on_step = |done, all| {
        last = (done, all);
        asked.store(done, Ordering::Relaxed);
    };
    let error = comparison::measure(&dataset, &[side], &options, &mut on_step, &stop).unwrap_err();
    assert!(matches!(error, ComparisonError::Stopped(_)), "{error:?}");
    assert_eq!(last, (1, 6));
}

#[test]
fn a_stop_says_nothing_of_what_it_asks() {
    assert_eq!(format!("{:?} {:?}", Stop::never(), Stop::when(|| false)), "Stop(never) Stop(when asked)");
    let samples = Samples::new(Matrix::from_fn(2, 1, |_, _| 0.0), Matrix::from_fn(2, 2, |_, _| 0.0)).unwrap();
    assert_eq!(samples.prompts(), 2);
    assert_eq!(Stop::when(|| true).check().unwrap_err().to_string(), "stopped as asked, before the work was done");
}
