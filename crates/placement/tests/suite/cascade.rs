//! Cascades: a small encoder and a larger one of another width and depth, each with parties of its own.

use crate::deployment::{Files, Running};
use crate::pool::{LABELS, TEXTS, narrow_bundle, pool_bundle};
use blindroute_placement::{
    Cascade, ClassifyOptions, ClassifyReport, Placement, PlacementError, Policy, PrivateRouter, Retry, Text,
};
use blindroute_routing::bundle::Bundle;
use std::time::Duration;

fn options() -> ClassifyOptions {
    ClassifyOptions::default().with_policy(Policy::Open).with_batch(4)
}

fn good(answers: Vec<Result<ClassifyReport, PlacementError>>) -> Vec<ClassifyReport> {
    answers.into_iter().map(Result::unwrap).collect()
}

fn local(bundle: &Bundle) -> PrivateRouter {
    PrivateRouter::local(bundle).unwrap()
}

/// What the cascade answers in the clear, and its small bundle. Its threshold divides the texts, and no text is so near to it that what
/// servers round could decide: thresholds well below and above have the same answers.
fn in_the_clear(texts: &[Text<'_>], large: &Bundle) -> (Bundle, Vec<ClassifyReport>) {
    let options = options().with_placement(Placement::Local);
    let answered = |threshold: f32| {
        let small = narrow_bundle(&LABELS, threshold);
        let cascade = Cascade::from(local(&small)).with_larger(local(large));
        let clear = good(cascade.classify_batch(texts, &options).unwrap());
        (small, clear)
    };
    let encoders = |clear: &[ClassifyReport]| clear.iter().map(|report| report.encoder).collect::<Vec<_>>();
    let [(_, below), (small, clear), (_, above)] = [-1.4, -1.25, -1.1].map(answered);
    assert!(encoders(&below) == encoders(&clear) && encoders(&above) == encoders(&clear));
    assert!((4..=9).contains(&clear.iter().filter(|report| report.encoder == Some(1)).count()));
    (small, clear)
}

#[test]
fn texts_go_on_to_the_larger_encoder_where_the_gain_says_and_are_answered_once() {
    let (texts, large) = (TEXTS.map(Text::from), pool_bundle());
    let (small, clear) = in_the_clear(&texts, &large);
    let start = |bundle: &Bundle, name: &str| PrivateRouter::in_process(bundle).unwrap().named(name.to_owned());
    let (of_small, of_large) = (start(&small, "small"), start(&large, "large"));
    // What a text costs that the larger encoder answers, there alone.
    let going = clear.iter().position(|report| report.encoder == Some(1)).unwrap();
    let cost = |reports: &[ClassifyReport]| (reports[0].openings, reports[0].bytes);
    let one = options().with_batch(1);
    let large_alone = cost(&good(of_large.classify_batch(&texts[going..=going], &one).unwrap()));
    let cascade = Cascade::from(of_small).with_larger(of_large);
    let both = cost(&good(cascade.classify_batch(&texts[going..=going], &one).unwrap()));
    let staying = clear.iter().position(|report| report.encoder == Some(0)).unwrap();
    let small_alone = cost(&good(cascade.classify_batch(&texts[staying..=staying], &one).unwrap()));
    assert_eq!(both.0, small_alone.0 + large_alone.0);
    assert_eq!(both.1.material, small_alone.1.material + large_alone.1.material);
    let private = good(cascade.classify_batch(&texts, &options()).unwrap());
    assert_eq!(private.len(), texts.len());
    for (place, (private, clear)) in private.iter().zip(&clear).enumerate() {
        assert_eq!((&private.label, private.encoder), (&clear.label, clear.encoder), "text {place}");
        assert_eq!(private.depth, clear.depth, "text {place}");
        // One of three exits, one of the smaller and two of the larger encoder.
        assert_eq!((private.leaked_bits, clear.leaked_bits), (2, 0));
        assert_eq!(private.bundle.name, ["small", "large"][private.encoder.unwrap()]);
        assert!(private.seen.contains("servers and dealer of each encoder that was asked:"), "{}", private.seen);
        assert!(LABELS.contains(&private.label.as_str()));
    }
    // What the larger encoder answers is what it answers alone.
    let alone = Cascade::from(local(&large));
    let of_large = good(alone.classify_batch(&texts, &options().with_placement(Placement::Local)).unwrap());
    for (report, of_large) in private.iter().zip(&of_large).filter(|(report, _)| report.encoder == Some(1)) {
        assert_eq!((&report.label, report.depth), (&of_large.label, of_large.depth));
        assert_eq!(of_large.encoder, None);
        let ms = report.ms;
        assert!((ms.client + ms.wait + ms.online - ms.total).abs() < 0.1, "{ms:?}");
    }
    // Without the larger encoder, the smaller one answers every text.
    let alone =
        good(Cascade::from(local(&small)).classify_batch(&texts, &options().with_placement(Placement::Local)).unwrap());
    assert!(alone.iter().all(|report| report.encoder.is_none() && LABELS.contains(&report.label.as_str())));
}

#[test]
fn texts_whose_larger_encoder_fails_have_its_error_and_others_keep_their_answers() {
    let (texts, large) = (TEXTS.map(Text::from), pool_bundle());
    let (small, clear) = in_the_clear(&texts, &large);
    let [small, large] = [small, large].map(|bundle| Files::of(&bundle));
    let parties = [&small, &large].map(|files| Running::start(files, |_| {}));
    let connect = |running: &Running| {
        let router = PrivateRouter::connect(&running.client).unwrap();
        router.with_patience(Retry::within(Duration::ZERO))
    };
    let cascade = Cascade::from(connect(&parties[0])).with_larger(connect(&parties[1]));
    let [small, large] = parties;
    large.stop();
    let answers = cascade.classify_batch(&texts, &options()).unwrap();
    for (place, (answer, clear)) in answers.iter().zip(&clear).enumerate() {
        match answer {
            Ok(report) => assert_eq!((&report.label, clear.encoder), (&clear.label, Some(0)), "text {place}"),
            Err(error) => assert!(clear.encoder == Some(1) && error.stops_all(), "text {place}: {error}"),
        }
    }
    assert_eq!(answers.len(), texts.len());
    drop(cascade);
    small.stop();
}

#[test]
fn encoders_that_do_not_belong_together_are_refused_before_any_text() {
    let (small, large) = (narrow_bundle(&LABELS, 0.0), pool_bundle());
    let refused = |small: &Bundle, large: &Bundle, options: &ClassifyOptions, parts: &[&str]| {
        let cascade = Cascade::from(local(small)).with_larger(local(large));
        let error = cascade.check(options).unwrap_err().to_string();
        parts.iter().for_each(|part| assert!(error.contains(part), "{part:?} is not in {error}"));
        assert_eq!(cascade.classify_batch(&[Text::from("x")], options).unwrap_err().to_string(), error);
    };
    let open = options();
    refused(&small, &large, &ClassifyOptions::default(), &["use --policy open", "--larger"]);
    refused(
        &large,
        &large,
        &open,
        &["task \"topic\" of encoder 0", "no gain at its last exit", "pool-router --larger"],
    );
    let mut swapped = LABELS;
    swapped.swap(1, 2);
    let says = ["encoder 1", "\"code\" as label 1, expected \"car\"", "same order"];
    refused(&narrow_bundle(&swapped, 0.0), &large, &open, &says);
    refused(&narrow_bundle(&LABELS[..3], 0.0), &large, &open, &["4 labels, expected 3 labels"]);
    let mut parts = large.into_parts();
    parts.pool.as_mut().unwrap().tasks.remove(0);
    let other = Bundle::new(parts).unwrap();
    refused(&small, &other, &open, &["encoder 1 of the cascade", "no task \"topic\"", "same"]);
    refused(&small, &other, &open.with_depth(1), &["leave out --depth"]);
}
