//! Classification: private labels are those of the same sessions in the clear.

use crate::pool::pool_bundle;
use blindroute_placement::{
    Cancel, ClassifyOptions, ClassifyReport, Placement, PlacementError, Policy, PrivateRouter, Text, default_bundle,
};

/// Their gains lie 0.3 or more apart, and 0.1 or more from the threshold: rounding by the servers decides nothing.
const TEXTS: [&str; 5] = [
    "What is the capital of France?",
    "Sort a list of names",
    "She sold the blue car yesterday.",
    "Is water wet",
    "A much longer text, which has so many words that it does not fit into the smallest bucket of tokens: it goes on and on about \
     nothing in particular, and then about something else, until it finally ends.",
];

fn good(answers: Vec<Result<ClassifyReport, PlacementError>>) -> Vec<ClassifyReport> {
    answers.into_iter().map(Result::unwrap).collect()
}

#[test]
fn private_labels_are_those_of_the_same_sessions_in_the_clear() {
    let router = PrivateRouter::in_process(&pool_bundle()).unwrap();
    let texts = TEXTS.map(Text::from);
    let options = ClassifyOptions::default().with_batch(8);
    let mut labels = Vec::new();
    for options in [options.clone(), options.clone().with_capacities([0.25]), options.with_depth(1)] {
        let private = good(router.classify_batch(&texts, &options).unwrap());
        let clear = good(router.classify_batch(&texts, &options.clone().with_placement(Placement::Local)).unwrap());
        for (place, (private, clear)) in private.iter().zip(&clear).enumerate() {
            assert_eq!(private.label, clear.label, "text {place} with {options:?}");
            assert_eq!((private.batch, private.padded), (clear.batch, clear.padded));
            assert_eq!((private.depth, &private.capacities), (clear.depth, &clear.capacities));
            assert!(private.openings > 0 && private.bytes.material > 0 && clear.openings == 0);
            assert!(private.bucket.is_some() && clear.bucket.is_none() && private.scores.is_none());
            assert_eq!((private.leaked_bits, private.task.as_str()), (0, "topic"));
        }
        let fixed = options.depth.is_some();
        let shape = |report: &ClassifyReport| (report.bucket, report.batch, report.padded, report.depth);
        let expected = if fixed { (Some(32), 4, 0, Some(1)) } else { (Some(32), 8, 4, None) };
        assert!(private[..4].iter().all(|report| shape(report) == expected), "{:?}", shape(&private[0]));
        // The last is alone in its bucket, so there are none that it could be chosen before.
        assert_eq!(shape(&private[4]), (Some(64), 1, 0, Some(if fixed { 1 } else { 2 })));
        labels.extend(private.into_iter().map(|report| report.label));
    }
    labels.sort();
    labels.dedup();
    assert!(labels.len() > 1, "one label for everything would show nothing");
}

#[test]
fn scores_come_only_from_servers_that_serve_them() {
    let texts = [Text::from(TEXTS[0])];
    let options = ClassifyOptions::default().with_scores();
    let closed = PrivateRouter::in_process(&pool_bundle()).unwrap();
    let refusal = closed.classify_batch(&texts, &options).unwrap().pop().unwrap().unwrap_err().to_string();
    assert!(refusal.contains("scores = true"), "{refusal}");
    let open = PrivateRouter::in_process_with_scores(&pool_bundle()).unwrap();
    let report = good(open.classify_batch(&texts, &options).unwrap()).pop().unwrap();
    let clear = good(closed.classify_batch(&texts, &options.with_placement(Placement::Local)).unwrap()).pop().unwrap();
    let (scores, clear) = (report.scores.unwrap(), clear.scores.unwrap());
    assert_eq!(scores.len(), 4);
    for (label, score) in &scores {
        assert!((score - clear[label]).abs() < 0.02, "{label}: {score} for {}", clear[label]);
        assert!(scores[&report.label] >= *score);
    }
    assert_eq!((report.depth, report.batch), (Some(2), 1));
}

#[test]
fn a_text_that_is_none_does_not_disturb_the_others() {
    let router = PrivateRouter::local(&pool_bundle()).unwrap();
    let options = ClassifyOptions::default().with_task("same").with_placement(Placement::Local);
    let pair = |text, text2| Text { text, text2: Some(text2) };
    let long = "word ".repeat(300);
    let texts = [pair("one", "two"), Text::from("one"), pair("one", " "), pair(&long, "two")];
    let answers = router.classify_batch(&texts, &options).unwrap();
    let says = |place: usize, part: &str| answers[place].as_ref().unwrap_err().to_string().contains(part);
    assert!(answers[0].is_ok() && says(1, "add the other as text2") && says(2, "empty or blank"));
    let cut = answers[3].as_ref().unwrap().cut_from.clone().unwrap();
    assert!(cut.starts_with("only 256 of ") && cut.ends_with("the first of each text"), "{cut}");
    let none = PrivateRouter::local(&default_bundle().unwrap()).unwrap();
    assert!(none.classify_batch(&texts, &options).unwrap_err().to_string().contains("no pool of classifiers"));
    assert!(router.classify_batch(&[], &options).unwrap().is_empty());
}

#[test]
fn case_35_in_the_open_texts_leave_where_their_gain_says_and_reports_say_what_that_shows() {
    let router = PrivateRouter::in_process(&pool_bundle()).unwrap();
    let texts = TEXTS.map(Text::from);
    let open = ClassifyOptions::default().with_policy(Policy::Open);
    let clear = good(router.classify_batch(&texts, &open.clone().with_placement(Placement::Local)).unwrap());
    let depths: Vec<Option<usize>> = clear.iter().map(|report| report.depth).collect();
    assert!(depths.contains(&Some(1)) && depths.contains(&Some(2)), "{depths:?}");
    assert!(clear.iter().all(|report| report.leaked_bits == 0), "no server was asked");
    for batch in [8, 1] {
        let private = good(router.classify_batch(&texts, &open.clone().with_batch(batch)).unwrap());
        for (place, (private, clear)) in private.iter().zip(&clear).enumerate() {
            assert_eq!((&private.label, private.depth), (&clear.label, clear.depth), "text {place}, batch {batch}");
            assert_eq!((private.leaked_bits, private.padded, private.capacities.len()), (1, 0, 0));
            assert!(private.seen.contains("after how many layers each left"), "{}", private.seen);
        }
        if batch == 1 {
            let openings = |depth| private.iter().find(|report| report.depth == Some(depth)).unwrap().openings;
            assert!(openings(2) > openings(1) && openings(1) > 0);
        }
    }
    // The labels are those of the depths.
    for depth in [1, 2] {
        let fixed = ClassifyOptions::default().with_depth(depth).with_placement(Placement::Local);
        let fixed = good(router.classify_batch(&texts, &fixed).unwrap());
        let same = clear.iter().zip(&fixed).filter(|(open, _)| open.depth == Some(depth));
        assert!(same.map(|(open, fixed)| assert_eq!(open.label, fixed.label)).count() > 0);
    }
    let refused = |options: ClassifyOptions| router.classify_batch(&texts, &options).unwrap_err().to_string();
    assert!(refused(open.clone().with_depth(1)).contains("leave out --depth"));
    assert!(refused(open.clone().with_capacities([0.5])).contains("leave out --capacity"));
    assert!(refused(open.with_task("same")).contains("no thresholds"));
}

#[test]
fn classifications_that_are_cancelled_have_errors_that_say_so() {
    let router = PrivateRouter::in_process(&pool_bundle()).unwrap();
    let texts = TEXTS.map(Text::from);
    let cancel = Cancel::default();
    cancel.cancel();
    let full = ClassifyOptions::default();
    for options in [full.clone(), full.clone().with_placement(Placement::Local), full.with_policy(Policy::Open)] {
        let answers = router.classify_batch_cancellable(&texts, &options, &cancel).unwrap();
        assert_eq!(answers.len(), texts.len());
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(PlacementError::is_cancelled)), "{answers:?}");
    }
}
