//! Nested pools in the open: the client decides which texts go on, and the servers continue with what they kept of these.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::classify::{BUCKET, affine, features, gain_of, largest, texts, with_gains, world};
use crate::common::World;
use blindroute_protocol::{Clear, Meter, Tensor, Tuning};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{
    RouteProgram, Task, label, onward, outside_range, scores, split_output, stack_inputs,
};
use std::sync::Arc;

fn task(begin: Option<usize>, exit: usize, batch: usize, scores: bool) -> Task {
    let mut capacities = [0; 3];
    (begin.map_or(0, |begin| begin + 1)..exit).for_each(|exit| capacities[exit] = batch);
    Task::Classify { classifier: 0, bucket: BUCKET, exit, capacities, scores, begin, onward: exit < 2 }
}

/// The same past the last exit, to a larger encoder.
fn past(task: Task) -> Task {
    let Task::Classify { classifier, bucket, exit, capacities, scores, begin, .. } = task else { return task };
    Task::Classify { classifier, bucket, exit, capacities, scores, begin, onward: true }
}

/// Texts of a world, what the thresholds make of them, and how near any gain was to its threshold.
struct Simulated {
    world: World,
    texts: Vec<Vec<Tensor<f32>>>,
    /// By text, the exit at which it leaves, and its scores there.
    left: Vec<(usize, Vec<f64>)>,
    margin: f64,
}

/// More than what the servers' rounding adds to a gain: with units it has a standard deviation of about 0.13 here, whatever the
/// seeds, and between two scores less.
fn noise(leads: bool) -> f64 {
    if leads { 0.15 } else { 0.6 }
}

/// How many of these gains, in falling order, exceed a threshold that lies in the widest gap; some, and not all.
fn widest_gap(gains: &[f64]) -> usize {
    let gap = |count: &usize| gains[count - 1] - gains[*count];
    (1..gains.len()).max_by(|a, b| gap(a).total_cmp(&gap(b))).unwrap()
}

/// A world whose thresholds let some texts go on past the first exit, at least two, and some of these past the second.
fn simulated(labels: usize, leads: bool) -> Simulated {
    let mut world = with_gains(&[labels], leads);
    let texts = texts(&world, 8);
    let pool = world.bundle.parts().pool.clone().unwrap();
    let classifier = &pool.tasks[0];
    let mut left = vec![(0, Vec::new()); texts.len()];
    let mut going: Vec<usize> = (0..texts.len()).collect();
    let (mut thresholds, mut margin) = (Vec::new(), f64::INFINITY);
    for exit in 0..3 {
        let mut gains = Vec::new();
        for &text in &going {
            let features = features(&world, pool.exits[exit], &texts[text]);
            left[text] = (exit, affine(&features, &classifier.heads[exit]));
            gains.push((classifier.gains.get(exit).map_or(0.0, |gain| gain_of(gain, &left[text].1, &features)), text));
        }
        gains.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut count = 0;
        if exit < 2 {
            let values: Vec<f64> = gains.iter().map(|(gain, _)| *gain).collect();
            // The first goes on in any case, so that there are some for the second exit.
            count = if exit == 0 { 1 + widest_gap(&values[1..]) } else { widest_gap(&values) };
            let (above, below) = (gains[count - 1].0, gains[count].0);
            thresholds.push((0.5 * (above + below)) as f32);
            margin = margin.min(0.5 * (above - below));
        }
        going = gains[..count].iter().map(|(_, text)| *text).collect();
    }
    let mut parts = world.bundle.parts().clone();
    parts.pool.as_mut().unwrap().tasks[0].task.thresholds = thresholds;
    world = World::of(Bundle::new(parts).unwrap());
    Simulated { world, texts, left, margin }
}

/// What came of each text: the exit at which it left, and its label or scores.
type Left = Vec<(usize, Option<usize>, Vec<f64>)>;

/// The chain of sessions, where `run` gives the outputs of the program of an exit for the texts that are left of those of the
/// program before, by their places there.
fn chain(
    world: &World,
    count: usize,
    scored: bool,
    run: &mut dyn FnMut(&RouteProgram, &[usize]) -> blindroute_protocol::Output,
) -> Left {
    let mut left = vec![(0, None, Vec::new()); count];
    let mut texts: Vec<usize> = (0..count).collect();
    let mut places = texts.clone();
    for exit in 0..3usize {
        let program = world.program(task(exit.checked_sub(1), exit, places.len(), scored));
        let program = program.with_batch(places.len()).unwrap();
        let outputs = split_output(&run(&program, &places), places.len()).unwrap();
        let goes = |output| {
            assert!(!outside_range(output));
            let goes = onward(output);
            assert_eq!(goes.is_some(), exit < 2);
            if goes == Some(true) {
                assert!(scores(output).iter().all(|score| score.abs() < 1e-3), "the answer of a text that goes on");
            }
            goes == Some(true)
        };
        places = (0..places.len()).filter(|place| goes(&outputs[*place])).collect();
        for (place, output) in outputs.iter().enumerate().filter(|(place, _)| !places.contains(place)) {
            left[texts[place]] = (exit, label(output), scores(output).to_vec());
        }
        texts = places.iter().map(|place| texts[*place]).collect();
        if texts.is_empty() {
            break;
        }
    }
    left
}

#[test]
fn texts_leave_where_their_gain_says_and_continue_from_what_was_kept() {
    for (seed, (labels, leads)) in [(2, false), (5, false), (23, false), (23, true)].into_iter().enumerate() {
        let Simulated { world, texts, left: expected, margin } = simulated(labels, leads);
        assert!(margin > noise(leads), "{margin}");
        for scored in [false, true] {
            let first = stack_inputs(&texts).unwrap();
            let mut kept = first.clone();
            let clear = chain(&world, texts.len(), scored, &mut |program, places| {
                let batch = |tensor: &Tensor<f32>| {
                    let each = tensor.shape().rows * tensor.shape().columns;
                    let part = |place: &usize| tensor.data()[place * each..(place + 1) * each].to_vec();
                    let shape = blindroute_protocol::Shape { batch: places.len(), ..tensor.shape() };
                    Tensor::new(shape, places.iter().flat_map(part).collect())
                };
                let inputs = kept.iter().map(batch).collect();
                let (output, next) = Clear::run_keeping(program, &world.weights, inputs).unwrap();
                kept = next;
                output
            });
            let (mut kept, mut session) = (None, 0);
            let tuning = Tuning::ALL[seed % Tuning::ALL.len()];
            let private = chain(&world, texts.len(), scored, &mut |program, places| {
                let program = program.clone().with_tuning(tuning);
                session += 1;
                let (output, next) = match kept.take() {
                    None => world.run_keeping(session, &program, &first),
                    Some(kept) => world.continue_keeping(session, &program, kept, places),
                };
                kept = Some(next);
                output
            });
            for (what, found) in [("clear", &clear), ("private", &private)] {
                for (text, ((exit, label, scores), expected)) in found.iter().zip(&expected).enumerate() {
                    assert_eq!(*exit, expected.0, "{what}, {labels} labels, text {text}");
                    let (best, lead) = largest(&expected.1);
                    if scored {
                        let near =
                            scores.iter().zip(&expected.1).all(|(found, expected)| (found - expected).abs() < 0.1);
                        assert!(near, "{what}, text {text}: {scores:?} for {expected:?}");
                    } else if lead > 0.15 {
                        assert_eq!(*label, Some(best), "{what}, {labels} labels, text {text}");
                    }
                }
            }
        }
    }
}

/// A world, its texts, and by text the gain less the threshold and the scores at the last exit.
type BeforeLarger = (World, Vec<Vec<Tensor<f32>>>, Vec<(f64, Vec<f64>)>);

/// The world with a gain at the last exit that some of these texts exceed, their gains less the threshold, and their scores there.
fn before_a_larger_encoder(labels: usize, leads: bool) -> BeforeLarger {
    let world = with_gains(&[labels], leads);
    let texts = texts(&world, 8);
    let mut parts = world.bundle.parts().clone();
    let classifier = &mut parts.pool.as_mut().unwrap().tasks[0];
    let gain = classifier.gains[1].clone();
    let mut found: Vec<(f64, Vec<f64>)> = (texts.iter())
        .map(|text| {
            let features = features(&world, 4, text);
            let scores = affine(&features, &classifier.heads[2]);
            (gain_of(&gain, &scores, &features), scores)
        })
        .collect();
    let mut gains: Vec<f64> = found.iter().map(|(gain, _)| *gain).collect();
    gains.sort_by(f64::total_cmp);
    gains.reverse();
    let count = widest_gap(&gains);
    let threshold = 0.5 * (gains[count - 1] + gains[count]);
    found.iter_mut().for_each(|(gain, _)| *gain -= threshold);
    classifier.gains.push(gain);
    classifier.task.thresholds.push(threshold as f32);
    (World::of(Bundle::new(parts).unwrap()), texts, found)
}

#[test]
fn past_the_last_exit_texts_go_on_by_their_gain_and_nothing_is_kept() {
    for (labels, leads) in [(2, false), (5, false), (23, true)] {
        let (world, texts, expected) = before_a_larger_encoder(labels, leads);
        assert!(expected.iter().all(|(over, _)| over.abs() > noise(leads)), "{expected:?}");
        let inputs = stack_inputs(&texts).unwrap();
        for (session, scored) in [(1, false), (2, true)] {
            let program = world.program(past(task(None, 2, 8, scored))).with_batch(8).unwrap();
            let (clear, kept) = Clear::run_keeping(&program, &world.weights, inputs.clone()).unwrap();
            assert!(kept.is_empty());
            let (private, kept) = world.run_keeping(session, &program, &inputs);
            assert!(kept.iter().all(blindroute_protocol::Kept::is_empty));
            for (what, output) in [("clear", clear), ("private", private)] {
                for (output, (over, of)) in split_output(&output, 8).unwrap().iter().zip(&expected) {
                    assert_eq!(onward(output), Some(*over > 0.0), "{what}, {labels} labels, {over}");
                    assert!(!outside_range(output));
                    let (best, lead) = largest(of);
                    if *over > 0.0 {
                        assert!(
                            scores(output).iter().all(|score| score.abs() < 1e-3),
                            "the answer of one that goes on"
                        );
                    } else if scored {
                        let near = scores(output).iter().zip(of).all(|(found, of)| (found - of).abs() < 0.1);
                        assert!(near, "{what}: {:?} for {of:?}", scores(output));
                    } else if lead > 0.15 {
                        assert_eq!(label(output), Some(best), "{what}, {labels} labels");
                    }
                }
            }
        }
        // What does not ask for it is answered as before, also in the open.
        let all = world.program(task(None, 2, 8, false)).with_batch(8).unwrap();
        let (output, _) = Clear::run_keeping(&all, &world.weights, inputs.clone()).unwrap();
        assert!(split_output(&output, 8).unwrap().iter().all(|output| onward(output).is_none()));
    }
}

#[test]
fn asking_costs_few_openings_and_continuing_does_not_start_again() {
    let world = world(&[2]);
    let cost = |task: Task| Meter::cost(&world.program(task).with_batch(8).unwrap()).unwrap();
    let hidden = |exit, capacities| {
        let (begin, onward) = (None, false);
        cost(Task::Classify { classifier: 0, bucket: BUCKET, exit, capacities, scores: false, begin, onward })
    };
    let first = cost(task(None, 0, 8, false));
    let rest = [cost(task(Some(0), 1, 8, false)), cost(task(Some(1), 2, 8, false))];
    // The keys of the gains, their comparison, its result, and the label.
    assert_eq!(first.openings - hidden(0, [0; 3]).openings, 4);
    let all = hidden(2, [8, 8, 0]);
    let sum = first.openings + rest[0].openings + rest[1].openings;
    // The same at the last exit, and the units of the gain.
    let before = before_a_larger_encoder(2, false).0;
    let last = |task| Meter::cost(&before.program(task).with_batch(8).unwrap()).unwrap().openings;
    assert_eq!(last(past(task(None, 2, 8, false))) - last(task(None, 2, 8, false)), 4);
    // Each session before the last takes these, and its own inputs, pooled rows, units and mark of the range.
    assert_eq!(sum, all.openings + 18);
    assert!(rest[1].opening_bytes < all.opening_bytes, "two layers of four");
}

#[test]
fn what_cannot_be_continued_is_refused() {
    let world = world(&[2]);
    let refused = |task: Task, batch: usize| {
        let program = RouteProgram::new(Arc::clone(&world.plan), task).and_then(|program| program.with_batch(batch));
        program.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let of = |begin, exit, capacities, onward| {
        let scores = false;
        Task::Classify { classifier: 0, bucket: BUCKET, exit, capacities, scores, begin, onward }
    };
    assert_eq!(refused(task(Some(0), 2, 8, false), 8), "");
    for (wrong, part) in [
        (of(Some(1), 1, [0; 3], false), "expected a later one"),
        (of(None, 2, [8, 8, 0], true), "the last"),
        (of(None, 1, [4, 0, 0], true), "expected 8 to 8"),
        (of(Some(0), 2, [8, 8, 0], false), "expected 0 to 0"),
        (of(Some(0), 2, [0, 9, 0], false), "a capacity of 9"),
    ] {
        assert!(refused(wrong, 8).contains(part), "{:?}: {}", wrong, refused(wrong, 8));
    }
    let mut parts = world.bundle.parts().clone();
    parts.pool.iter_mut().flat_map(|pool| &mut pool.tasks).for_each(|classifier| classifier.task.thresholds.clear());
    let without = World::of(Bundle::new(parts).unwrap());
    let error = RouteProgram::new(Arc::clone(&without.plan), task(None, 0, 8, false)).unwrap_err().to_string();
    assert!(error.contains("no thresholds"), "{error}");
}
