use super::*;
use crate::default_bundle;
use blindroute_routing::bundle::ClassifierTask;
use blindroute_routing::bundle::TaskShape;

fn plan() -> BundlePlan {
    let mut plan = BundlePlan::of(&default_bundle().unwrap());
    let task = |name: &str, pair| TaskShape {
        task: ClassifierTask {
            name: name.to_owned(),
            labels: vec!["yes".to_owned(), "no".to_owned()],
            pair,
            capacities: vec![0.5, 0.25],
            thresholds: Vec::new(),
        },
        units: vec![4, 4],
    };
    plan.pool = Some(PoolShape { exits: vec![1, 2, 4], tasks: vec![task("topic", false), task("same", true)] });
    plan
}

fn asked(options: &ClassifyOptions) -> Result<Asked, ClassifyError> {
    Asked::of(&plan(), options)
}

/// The capacities of a session in a bucket, where there are several texts.
fn capacities(options: &ClassifyOptions, bucket: usize) -> (usize, [usize; 3]) {
    let asked = asked(options).unwrap();
    let sessions = asked.sessions(bucket, 100);
    let Task::Classify { capacities, .. } = asked.task(sessions, sessions.size) else { panic!("another task") };
    (sessions.size, capacities)
}

#[test]
fn shares_of_texts_go_on_rounded_up_and_never_more_than_before() {
    let options = ClassifyOptions::default();
    assert_eq!(capacities(&options, 32), (32, [16, 8, 0]));
    // A session of the largest bucket takes 16 texts.
    assert_eq!(capacities(&options, 256), (16, [8, 4, 0]));
    assert_eq!(capacities(&options.clone().with_batch(7), 32), (7, [4, 2, 0]));
    assert_eq!(capacities(&options.clone().with_batch(2).with_capacities([0.01, 0.001]), 32), (2, [1, 1, 0]));
    assert_eq!(capacities(&options.clone().with_capacities([1.0, 1.0]), 32), (32, [32, 32, 0]));
    // 0.1 is a little more than a tenth as an f32.
    assert_eq!(capacities(&options.clone().with_batch(30).with_capacities([0.1, 0.1]), 32), (30, [3, 3, 0]));
    for size in 1..=64 {
        for tenths in 1..=10 {
            assert_eq!(
                going(&[tenths as f32 / 10.0], size),
                [(tenths * size).div_ceil(10)],
                "{tenths} tenths of {size}"
            );
        }
    }
}

#[test]
fn at_one_depth_all_texts_go_on_to_it() {
    let options = ClassifyOptions::default();
    let task = |options: &ClassifyOptions, texts: usize, size: usize| {
        let asked = asked(options).unwrap();
        let sessions = asked.sessions(32, texts);
        let Task::Classify { exit, capacities, .. } = asked.task(sessions, size) else { panic!("another task") };
        (sessions.filled, exit, capacities)
    };
    assert_eq!(task(&options.clone().with_depth(2), 5, 5), (false, 1, [5, 0, 0]));
    assert_eq!(task(&options.clone().with_depth(1), 5, 5), (false, 0, [0, 0, 0]));
    assert_eq!(task(&options.clone().with_batch(1), 5, 1), (false, 2, [1, 1, 0]));
    assert_eq!(task(&options, 1, 1), (false, 2, [1, 1, 0]), "a text alone has none to be chosen before");
    assert_eq!(task(&options, 2, 32), (true, 2, [16, 8, 0]));
}

#[test]
fn what_the_pool_does_not_have_is_refused_with_what_it_has() {
    let options = ClassifyOptions::default();
    let says = |options: ClassifyOptions, parts: &[&str]| {
        let error = asked(&options).unwrap_err().to_string();
        parts.iter().for_each(|part| assert!(error.contains(part), "{part:?} is not in {error}"));
    };
    says(options.clone().with_task("mood"), &["no task \"mood\"", "topic, same"]);
    says(options.clone().with_placement(Placement::Head), &["full or local"]);
    says(options.clone().with_depth(3), &["depth 3 is no exit", "after 1, 2, 4 layers"]);
    for batch in [0, 65] {
        says(options.clone().with_batch(batch), &[&format!("the batch is {batch} texts"), "1 to 64"]);
    }
    for wrong in [vec![], vec![0.5], vec![0.5, 0.6], vec![0.0, 0.0], vec![1.5, 0.5], vec![f32::NAN, 0.5]] {
        says(options.clone().with_capacities(wrong), &["the capacities are", "expected 2 numbers above 0"]);
    }
    says(options.clone().with_capacities([0.5, 0.5]).with_depth(2), &["--depth decides the depth"]);
    says(options.clone().with_capacities([0.5, 0.5]).with_batch(1), &["--batch 1 decides the depth"]);
    let without = BundlePlan { pool: None, ..plan() };
    let error = options.check(&without).unwrap_err().to_string();
    assert!(error.contains("no pool of classifiers") && error.contains("blindroute train pool"), "{error}");
}

#[test]
fn a_task_takes_single_texts_or_pairs() {
    let (topic, same) = (ClassifyOptions::default(), ClassifyOptions::default().with_task("same"));
    let (one, two) = (Text::from("canary"), Text { text: "canary", text2: Some("canary") });
    assert!(topic.check_text(&plan(), &one).is_ok() && same.check_text(&plan(), &two).is_ok());
    let missing = same.check_text(&plan(), &one).unwrap_err().to_string();
    let superfluous = topic.check_text(&plan(), &two).unwrap_err().to_string();
    assert!(missing.contains("add the other as text2") && superfluous.contains("leave out text2"));
    assert!(![missing, superfluous, format!("{two:?}")].iter().any(|text| text.contains("canary")));
}
