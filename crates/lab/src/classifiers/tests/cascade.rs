//! The training of the router between two encoders.

use super::*;
use crate::data::synthetic::small_encoder_of;
use blindroute_routing::bundle::{BundleParts, ClassifierPool};

/// A larger encoder of another width, and the tasks' texts for it.
fn wide() -> Bundle {
    let mut parts = small_encoder_of(16, Attention::Linear, Activation::Square).into_parts();
    parts.encoder.norms = Norms::Output;
    Bundle::new(parts).unwrap()
}

fn pool(parts: &mut BundleParts) -> &mut ClassifierPool {
    parts.pool.as_mut().unwrap()
}

/// The bundle with a last exit that gives all texts the first label.
fn worse(bundle: &Bundle) -> Bundle {
    let mut parts = bundle.parts().clone();
    let head = pool(&mut parts).tasks[0].heads.last_mut().unwrap();
    let hidden = head.weight.rows();
    head.weight = Matrix::from_fn(hidden, 2, |_, _| 0.0);
    head.bias = Matrix::from_fn(1, 2, |_, label| [1.0, 0.0][label]);
    Bundle::new(parts).unwrap()
}

fn trained(
    bundles: (&Bundle, &Bundle),
    tasks: &[CascadeTexts],
    options: &RoutingOptions,
) -> Result<TrainedCascade, ClassifierError> {
    train_cascade_router(bundles, tasks, (options, 0), None, &mut |_| ())
}

#[test]
fn the_last_exit_gets_a_gain_for_a_larger_encoder_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let texts = read(folder.path(), "words", &lines(200, false), Some(&lines(60, false))).unwrap();
    let task = [CascadeTexts { small: texts.clone(), large: texts.clone() }];
    let train = |start: &Bundle, exits: Vec<usize>, steps| {
        let options = PoolOptions { exits, ..options(steps) };
        train_pool(start, &[task[0].small.clone()], &options, None, &mut |_| ()).unwrap().bundle
    };
    let (small, large) = (worse(&train(&start(), vec![2], 200)), train(&wide(), vec![1, 2], 600));
    let free = RoutingOptions { lambda: 0.0, ..Default::default() };
    let found = trained((&small, &large), &task, &free).unwrap();
    let report = &found.reports[0];
    for split in [Some(report.dev), report.test].map(Option::unwrap) {
        assert!(split.large > 0.9 && split.small < 0.8, "{split:?}");
        // Where time counts nothing, nearly all that the larger encoder would get right is right.
        assert!(split.routed + 0.05 >= split.large && split.routed > split.small, "{split:?}");
        assert!((split.random - (split.small + split.share * (split.large - split.small))).abs() < 1e-9);
        assert!(split.oracle + 1e-9 >= split.routed.max(split.large) && split.seconds > 0.0, "{split:?}");
    }
    // What is dear is asked less, and never at the price of more than the tolerance.
    let dear = RoutingOptions { lambda: 5.0, ..Default::default() };
    let dear = trained((&small, &large), &task, &dear).unwrap();
    assert!(dear.reports[0].dev.share <= report.dev.share && dear.reports[0].threshold >= report.threshold);
    // Against a larger encoder that is no better, no text goes on where time counts.
    let same = trained((&large, &small), &task, &RoutingOptions::default()).unwrap();
    let of_same = same.reports[0].dev;
    assert!(of_same.share < 0.2 && of_same.routed > 0.9, "{of_same:?}");

    // The gain and its threshold taken off, the bundle is the one from before.
    let mut parts = found.bundle.into_parts();
    let classifier = &mut pool(&mut parts).tasks[0];
    assert_eq!((classifier.gains.len(), classifier.task.thresholds.as_slice()), (1, [report.threshold].as_slice()));
    (classifier.gains, classifier.task.thresholds) = (Vec::new(), Vec::new());
    assert_eq!(Bundle::new(parts).unwrap().digest(), small.digest());
    // Another training of the other exits leaves it there.
    let again = train_pool_router(&same.bundle, &[task[0].small.clone()], (&free, 0), None, &mut |_| ()).unwrap();
    let classifiers =
        [&same.bundle, &again.bundle].map(|bundle| bundle.parts().pool.as_ref().unwrap().tasks[0].clone());
    assert_eq!(classifiers[0].gains.last(), classifiers[1].gains.last());
    assert_eq!((classifiers[1].gains.len(), classifiers[1].task.thresholds.len()), (2, 2));
}

#[test]
fn encoders_for_other_labels_or_texts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let texts = read(folder.path(), "words", &lines(60, false), Some(&lines(60, false))).unwrap();
    let small = train_pool(&start(), std::slice::from_ref(&texts), &options(1), None, &mut |_| ()).unwrap().bundle;
    let refused = |large: &Bundle, large_texts: &LabelledTexts, expected: &str| {
        let both = CascadeTexts { small: texts.clone(), large: large_texts.clone() };
        let error = trained((&small, large), &[both], &RoutingOptions::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let changed = |change: &dyn Fn(&mut ClassifierPool)| {
        let mut parts = small.parts().clone();
        change(pool(&mut parts));
        Bundle::new(parts).unwrap()
    };
    let swapped = changed(&|pool| pool.tasks[0].task.labels.reverse());
    refused(&swapped, &texts, "\"10\" as label 0 in the larger encoder's bundle, expected \"9\" as in the smaller one");
    refused(&changed(&|pool| pool.tasks[0].task.pair = true), &texts, "pairs of texts in the larger encoder's bundle");
    refused(&changed(&|pool| pool.tasks[0].task.name = "other".to_owned()), &texts, "no task \"words\"");
    refused(&start(), &texts, "no pool of classifiers, in the larger encoder's bundle");
    let mut other = texts.clone();
    other.dev.labels.swap(0, 1);
    refused(&small, &other, "other texts for the larger encoder");
    let without = changed(&|pool| pool.tasks[0].task.thresholds.clear());
    let both = CascadeTexts { small: texts.clone(), large: texts.clone() };
    let error = trained((&without, &small), &[both], &RoutingOptions::default()).unwrap_err().to_string();
    assert!(error.contains("no thresholds for policy open"), "{error}");
}
