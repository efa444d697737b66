//! The training of a pool's router alone.

use super::*;
use blindroute_routing::bundle::{ClassifierPool, Layer};
use blindroute_routing::program::NetworkEstimate;
use std::time::Duration;

fn pool(bundle: &Bundle) -> &ClassifierPool {
    bundle.parts().pool.as_ref().unwrap()
}

fn tasks(folder: &Path) -> [LabelledTexts; 2] {
    let words = read(folder, "words", &lines(200, false), Some(&lines(60, false))).unwrap();
    [words, read(folder, "pairs", &lines(120, true), None).unwrap()]
}

fn retrained(
    bundle: &Bundle,
    tasks: &[LabelledTexts],
    options: &RoutingOptions,
    checkpoint: Option<&Path>,
) -> Result<TrainedPool, ClassifierError> {
    train_pool_router(bundle, tasks, (options, 0), checkpoint, &mut |_| ())
}

#[test]
fn a_router_is_trained_on_a_pool_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = tasks(folder.path());
    let trained = train_pool(&start(), &tasks, &options(60), None, &mut |_| ()).unwrap();
    let bundle = &trained.bundle;
    // With the same options and texts, it is the router that the pool has.
    let same = retrained(bundle, &tasks, &RoutingOptions::default(), None).unwrap();
    assert_eq!((same.bundle.digest(), &same.reports), (bundle.digest(), &trained.reports));

    let wan = NetworkEstimate { delay: Duration::from_millis(20), megabits: 400.0 };
    let other = RoutingOptions { network: Some(wan), mix: Some(vec![0.9, 0.1]), cost: 1.0, ..Default::default() };
    let found = train_pool_router(bundle, &tasks[..1], (&other, 7), None, &mut |_| ()).unwrap();
    let layers = |bundle: &Bundle| -> Vec<Layer> { bundle.parts().layers.clone() };
    assert_eq!((layers(&found.bundle), found.reports.len()), (layers(bundle), 1));
    assert_eq!(pool(&found.bundle).tasks[0].heads, pool(bundle).tasks[0].heads);
    assert_eq!(pool(&found.bundle).tasks[1], pool(bundle).tasks[1]);
    assert_eq!(found.bundle.parts().origin, bundle.parts().origin);
    // What is chosen for far servers takes longer than what is chosen for near ones.
    assert!(found.reports[0].dev.chosen.seconds > 10.0 * trained.reports[0].dev.chosen.seconds);
    // The bytes of encoder and heads are the same: gains and shares put back, the bundle is the one from before.
    let mut parts = found.bundle.into_parts();
    parts.pool.as_mut().unwrap().tasks[0].gains = pool(bundle).tasks[0].gains.clone();
    parts.pool.as_mut().unwrap().tasks[0].task = pool(bundle).tasks[0].task.clone();
    assert!(Bundle::new(parts).unwrap().write().unwrap() == bundle.write().unwrap());
}

#[test]
fn an_interrupted_router_training_ends_like_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = tasks(folder.path());
    let bundle = train_pool(&start(), &tasks, &options(30), None, &mut |_| ()).unwrap().bundle;
    let options = RoutingOptions { balance: 0.3, ..Default::default() };
    let whole = retrained(&bundle, &tasks, &options, None).unwrap();
    let path = folder.path().join("state");
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let on_piece = &mut |progress: &GainProgress| assert!(progress.done < 13, "{progress:?}");
        train_pool_router(&bundle, &tasks, (&options, 0), Some(&path), on_piece).unwrap()
    }));
    assert!(interrupted.is_err());
    let state = std::fs::read(&path).unwrap();
    let mut pieces = Vec::new();
    let resumed = train_pool_router(&bundle, &tasks, (&options, 0), Some(&path), &mut |progress| {
        // What was finished is not made and written again.
        assert_eq!(std::fs::read(&path).unwrap() == state, progress.done <= 13, "{progress:?}");
        pieces.push((progress.done, progress.pieces));
    });
    let resumed = resumed.unwrap();
    assert_eq!((pieces.first(), pieces.last()), (Some(&(1, 20)), Some(&(20, 20))));
    assert_eq!((resumed.bundle.digest(), &resumed.reports), (whole.bundle.digest(), &whole.reports));
    let error = retrained(&bundle, &tasks[..1], &options, Some(&path)).unwrap_err().to_string();
    assert!(error.contains("belongs to a training with other options or texts"), "{error}");
}

#[test]
fn bundles_and_tasks_that_do_not_fit_a_router_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = tasks(folder.path());
    let bundle = train_pool(&start(), &tasks, &options(1), None, &mut |_| ()).unwrap().bundle;
    let refused = |bundle: &Bundle, tasks: &[LabelledTexts], mix: Option<Vec<f64>>, expected: &str| {
        let options = RoutingOptions { mix, ..Default::default() };
        let error = retrained(bundle, tasks, &options, None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let [words, pairs] = tasks;
    refused(&start(), std::slice::from_ref(&words), None, "the bundle has no pool of classifiers");
    let unknown = LabelledTexts { name: "other".to_owned(), ..words.clone() };
    refused(&bundle, &[unknown], None, "no task \"other\", expected one of words, pairs");
    refused(&bundle, &[words.clone(), words.clone()], None, "the task \"words\" twice");
    for mix in [vec![1.0], vec![0.5, 0.6], vec![1.5, -0.5]] {
        refused(&bundle, std::slice::from_ref(&pairs), Some(mix), "expected 2 numbers from 0 to 1 with the sum 1");
    }
    let one = train_pool(
        &start(),
        std::slice::from_ref(&words),
        &PoolOptions { exits: vec![2], ..options(1) },
        None,
        &mut |_| (),
    );
    refused(&one.unwrap().bundle, std::slice::from_ref(&words), None, "a pool with one exit");

    // Files are read with the labels of the bundle's task, also where not all of them occur.
    let task = task_of(&bundle, "words").unwrap();
    let path = folder.path().join("part");
    let read = |content: String| {
        std::fs::write(&path, content).unwrap();
        let files = LabelledFiles { train: path.clone(), dev: None, test: None };
        let how = TaskReading { tokenizer: &start().tokenizer().unwrap(), longest: 16, seed: 3 };
        LabelledTexts::read_for(task, &files, how)
    };
    let ten = read("{\"text\": \"a\", \"label\": 10}\n".repeat(20)).unwrap();
    assert_eq!((ten.labels.as_slice(), ten.train.labels[0]), (task.labels.as_slice(), 1));
    let error = read("{\"text\": \"a\", \"label\": 11}\n".to_owned()).unwrap_err().to_string();
    assert!(error.contains("line 1: its label does not occur in the bundle's task"), "{error}");
    let error = read(lines(3, true)).unwrap_err().to_string();
    assert!(error.contains("line 1: the bundle's task does not have the field text2"), "{error}");
}

/// A gate that is trained with the layers changes them, resumes to the same bytes, and is where the gains start.
#[test]
fn layers_and_heads_are_trained_with_a_gate() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = [read(folder.path(), "words", &lines(200, false), Some(&lines(60, false))).unwrap()];
    let path = folder.path().join("state");
    let gated = PoolOptions { gated: true, ..options(120) };
    let train = |options: &PoolOptions, path: Option<&Path>, on_step: &mut dyn FnMut(&PoolProgress)| {
        train_pool(&start(), &tasks, options, path, on_step)
    };
    let whole = train(&gated, None, &mut |_| ()).unwrap();
    let plain = train(&options(120), None, &mut |_| ()).unwrap();
    assert_ne!(pool(&whole.bundle).tasks[0].heads, pool(&plain.bundle).tasks[0].heads);
    assert_ne!(whole.bundle.parts().layers, plain.bundle.parts().layers);
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        train(&gated, Some(&path), &mut |progress| assert!(progress.step < 73)).unwrap()
    }));
    assert!(interrupted.is_err());
    let mut steps = Vec::new();
    let resumed = train(&gated, Some(&path), &mut |progress| steps.push(progress.step)).unwrap();
    assert_eq!((steps.first(), resumed.bundle.digest()), (Some(&51), whole.bundle.digest()));
    let test = whole.reports[0].test.as_ref().unwrap();
    // Half of the answers would be right by chance.
    let of_plain = &plain.reports[0].test;
    assert!(test.exits.iter().all(|share| *share > 0.8), "{test:?}, without a gate {of_plain:?}");
    // Cost and balance reach the gate alone, but the gate mixes the answers that layers and heads learn from.
    let dear = PoolOptions { routing: RoutingOptions { cost: 50.0, ..Default::default() }, ..gated };
    assert_ne!(train(&dear, None, &mut |_| ()).unwrap().bundle.digest(), whole.bundle.digest());
}
