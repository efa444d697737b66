//! What one server, or the dealer, can tell from its trace: a classifier is trained on traces of many sessions, and judged on others.
//!
//! Under policy `hidden` it tells neither which texts go on nor any label; under `open` it tells servers which texts go on, and the dealer only
//! how many; still no label.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::classify::{BUCKET, affine, gain_of, largest, world};
use crate::common::{World, prompt};
use blindroute_protocol::{Inputs, Output, Program, Seed, Tensor};
use blindroute_routing::bundle::{Bundle, BundleParts, LinearLayer, Matrix};
use blindroute_routing::program::{
    Measurement, RouteProgram, Task, label, onward, outside_range, split_output, stack_inputs,
};
use blindroute_testkit::{TestWorld, Transcript, generator};

/// Texts of a session; half of them go on.
const BATCH: usize = 4;
const GOING: usize = 2;
/// Sessions: half of them to train, half to judge. A multiple of eight, so that both halves are balanced.
const SAMPLES: usize = 288;
/// Deviations by which a share of right guesses may differ from one half.
const DEVIATIONS: f64 = 4.0;
const PARTIES: [&str; 3] = ["server 0", "server 1", "the dealer"];

fn task(capacity: usize, begin: Option<usize>, exit: usize, onward: bool) -> Task {
    Task::Classify { classifier: 0, bucket: BUCKET, exit, capacities: [capacity, 0, 0], scores: false, begin, onward }
}

/// A text that is surely on one side of the threshold, with a sure label.
struct Text {
    inputs: Vec<Tensor<f32>>,
    goes: bool,
    label: usize,
}

/// Two layers with an exit after each and a threshold that half of these texts exceed, and the texts.
fn pool() -> (World, Vec<Text>) {
    let mut parts = world(&[2]).bundle.parts().clone();
    parts.layers.truncate(2);
    parts.encoder.layers = 2;
    let pool = parts.pool.as_mut().unwrap();
    pool.exits = vec![1, 2];
    let classifier = &mut pool.tasks[0];
    classifier.task.capacities.truncate(1);
    classifier.task.thresholds = vec![0.0];
    classifier.heads.truncate(2);
    classifier.gains.truncate(1);
    let gain = classifier.gains[0].clone();
    // The features of an exit are the embeddings of the encoder up to there.
    let encoders = [1, 2].map(|layers| {
        let mut parts = BundleParts { pool: None, ..parts.clone() };
        parts.layers.truncate(layers);
        parts.encoder.layers = layers;
        World::of(Bundle::new(parts).unwrap())
    });
    let mut found: Vec<_> = (0..64u64)
        .map(|text| {
            let inputs = encoders[0].inputs(&prompt(3 + text as usize % 29, 100 + text), BUCKET).tensors;
            let embed = |encoder: &World| encoder.clear(Measurement::Embed { bucket: BUCKET }, inputs.clone());
            let at = encoders.each_ref().map(|encoder| embed(encoder).values[0].clone());
            let scores = affine(&at[0], &parts.pool.as_ref().unwrap().tasks[0].heads[0]);
            (gain_of(&gain, &scores, &at[0]), inputs, at)
        })
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let threshold = 0.5 * (found[31].0 + found[32].0);
    let classifier = &mut parts.pool.as_mut().unwrap().tasks[0];
    classifier.task.thresholds = vec![threshold as f32];
    // Those that leave at an exit have either label there.
    for (exit, texts) in [&found[..32], &found[32..]].into_iter().enumerate() {
        let features: Vec<&[f64]> = texts.iter().map(|(.., at)| at[exit].as_slice()).collect();
        classifier.heads[exit] = balanced(&classifier.heads[exit], &features);
    }
    let heads = classifier.heads.clone();
    let texts = found.into_iter().enumerate().filter_map(|(rank, (gain, inputs, at))| {
        let goes = gain > threshold;
        let exit = usize::from(goes);
        let (label, lead) = largest(&affine(&at[exit], &heads[exit]));
        (!(24..40).contains(&rank) && lead > 0.15).then_some(Text { inputs, goes, label })
    });
    (World::of(Bundle::new(parts).unwrap()), texts.collect())
}

/// The head for two labels moved and stretched, so that these features have either label as often, with a lead.
fn balanced(head: &LinearLayer, features: &[&[f64]]) -> LinearLayer {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        0.5 * (values[(values.len() - 1) / 2] + values[values.len() / 2])
    };
    let leads = features.iter().map(|x| affine(x, head)).map(|scores| scores[0] - scores[1]).collect::<Vec<_>>();
    let middle = median(leads.clone());
    let scale = (1.0 / median(leads.iter().map(|lead| (lead - middle).abs()).collect())).min(8.0);
    let weight = |row: usize, column: usize| scale as f32 * head.weight.row(row)[column];
    let bias = [head.bias.data()[0] - middle as f32, head.bias.data()[1]].map(|bias| scale as f32 * bias);
    LinearLayer {
        weight: Matrix::from_fn(head.weight.rows(), head.weight.columns(), weight),
        bias: Matrix::new(1, 2, bias.to_vec()).unwrap(),
    }
}

/// The session of a sample: first a text whose place and label follow from the number, then others, so that two of four go on.
fn batch(texts: &[Text], sample: usize) -> Vec<&Text> {
    let mut next = generator(7000 + sample as u64);
    let mut any = |texts: Vec<usize>| texts[(((next() + 1.0) / 2.0) * texts.len() as f64) as usize];
    let which = |of: &dyn Fn(&Text) -> bool| (0..texts.len()).filter(|&text| of(&texts[text])).collect::<Vec<_>>();
    let (goes, label) = (sample % 2 == 1, sample / 2 % 2);
    let mut batch = vec![any(which(&|text| text.goes == goes && text.label == label))];
    while batch.len() < BATCH {
        let going = batch.iter().filter(|&&text| texts[text].goes).count();
        let (may_go, may_leave) = (going < GOING, batch.len() - going < BATCH - GOING);
        let others = which(&|text| if text.goes { may_go } else { may_leave });
        batch.push(any(others.into_iter().filter(|text| !batch.contains(text)).collect()));
    }
    batch.into_iter().map(|text| &texts[text]).collect()
}

/// What a party sees of a sample's sessions.
#[derive(Clone, Default)]
struct View {
    /// The requests: program, number of texts, and the places of those that continue.
    requests: Vec<u8>,
    /// The length of every message.
    lengths: Vec<usize>,
    /// Numbers made of the bytes.
    features: Vec<f32>,
}

impl View {
    fn request(&mut self, task: Task, texts: usize, places: &[usize]) {
        self.requests.extend(serde_json::to_vec(&(task, texts, places)).unwrap());
    }

    /// Adds a message: its first words bit by bit, and counts over all of it.
    fn message(&mut self, bytes: &[u8], words: usize) {
        self.lengths.push(bytes.len());
        let bits = (0..8 * words).map(|bit| bytes.get(bit / 8).map_or(0.0, |byte| f32::from(byte >> (bit % 8) & 1)));
        self.features.extend(bits);
        let mut classes = [0.0f32; 4];
        bytes.iter().for_each(|byte| classes[usize::from(byte % 4)] += 1.0);
        self.features.extend(classes);
        self.features.push(bytes.iter().map(|&byte| f32::from(byte)).sum());
    }

    /// Adds what the dealer sent: in pieces, because there are many records.
    fn material(&mut self, records: &[Vec<u8>]) {
        self.lengths.extend(records.iter().map(Vec::len));
        let bytes = records.concat();
        bytes.chunks(bytes.len().div_ceil(64).max(1)).for_each(|piece| self.message(piece, 16));
    }

    /// Adds what a server got from the other, and what both opened with it: the sums of their shares.
    fn opened(&mut self, sent: &[Vec<u8>], received: &[Vec<u8>]) {
        for (sent, received) in sent.iter().zip(received) {
            self.message(received, 8);
            // Elements are packed side by side: as one large number, with a carry to the next element that changes its last bit only.
            let mut carry = 0;
            let sum = sent.iter().zip(received).map(|(a, b)| {
                let sum = u16::from(*a) + u16::from(*b) + carry;
                carry = sum >> 8;
                sum as u8
            });
            self.message(&sum.collect::<Vec<_>>(), 48);
        }
    }
}

/// Adds to the three parties' views what they saw of a session.
fn add(views: &mut [View; 3], (task, texts, places): (Task, usize, &[usize]), seen: &Transcript) {
    let [zero, one, dealer] = views;
    zero.request(task, texts, places);
    one.request(task, texts, places);
    // The servers do not tell the dealer which texts continue.
    dealer.request(task, texts, &[]);
    zero.opened(&seen.messages[0], &seen.messages[1]);
    one.opened(&seen.messages[1], &seen.messages[0]);
    for (view, share) in [&mut *zero, &mut *one].into_iter().zip(&seen.output_shares) {
        view.message(share, 8);
    }
    zero.material(&seen.material_zero);
    one.material(&seen.material);
    dealer.material(&seen.material_zero);
    dealer.material(&seen.material);
}

/// What the parties see of a sample under each policy: in the open, the session that all texts begin, and the one of those that go on.
struct Sample {
    hidden: [View; 3],
    open: [View; 3],
}

fn sample(world: &World, texts: &[Text], number: usize) -> Sample {
    let batch = batch(texts, number);
    let stacked = stack_inputs(&batch.iter().map(|text| text.inputs.clone()).collect::<Vec<_>>()).unwrap();
    let program = |task, texts| -> RouteProgram { world.program(task).with_batch(texts).unwrap() };
    let seeded = |session: usize| TestWorld::seeded((10 * number + session) as u64 + 5000).recorded();
    // Server 1 gets the inputs less a stream; server 0 a seed alone.
    let shared = |session: usize| {
        let seed: [u8; 16] =
            std::array::from_fn(|byte| (number >> (8 * (byte % 4))) as u8 ^ (session * 16 + byte) as u8);
        Inputs::share(&program(hidden_task(), BATCH).inputs(), &stacked, &Seed::new(seed)).unwrap()
    };
    let (mut hidden, mut open): ([View; 3], [View; 3]) = Default::default();

    let whole = program(hidden_task(), BATCH);
    let run = seeded(0).run(&whole, &world.weights, &stacked).unwrap();
    add(&mut hidden, (hidden_task(), BATCH, &[]), &run.transcript);
    hidden[1].message(&shared(0), 48);
    check(&batch, &run.output, |_| true);

    let first = task(0, None, 0, true);
    let run = seeded(1).run(&program(first, BATCH), &world.weights, &stacked).unwrap();
    add(&mut open, (first, BATCH, &[]), &run.transcript);
    open[1].message(&shared(1), 48);
    let outputs = split_output(&run.output, BATCH).unwrap();
    let places: Vec<usize> = (0..BATCH).filter(|&place| onward(&outputs[place]) == Some(true)).collect();
    assert_eq!(places, (0..BATCH).filter(|&place| batch[place].goes).collect::<Vec<_>>(), "sample {number}");
    check(&batch, &run.output, |text| !text.goes);

    let rest = task(0, Some(0), 1, false);
    let run = seeded(2).run_continuing(&program(rest, GOING), &world.weights, run.kept, &places).unwrap();
    add(&mut open, (rest, GOING, &places), &run.transcript);
    check(&places.iter().map(|&place| batch[place]).collect::<Vec<_>>(), &run.output, |_| true);
    Sample { hidden, open }
}

/// The task of a session of policy `hidden`.
fn hidden_task() -> Task {
    task(GOING, None, 1, false)
}

/// Asserts the labels of these texts of a session.
fn check(batch: &[&Text], output: &Output, answered: impl Fn(&Text) -> bool) {
    for (text, output) in batch.iter().zip(split_output(output, batch.len()).unwrap()) {
        assert!(!outside_range(&output));
        assert!(!answered(text) || label(&output) == Some(text.label));
    }
}

/// The share of the second half of the samples of which a classifier, trained on the first half, guesses the class: a logistic
/// regression on the few features whose means differ most between the classes.
fn guessed(samples: &[Vec<f32>], class: &dyn Fn(usize) -> bool) -> f64 {
    const FEATURES: usize = 4;
    let half = samples.len() / 2;
    let of = |wanted: bool, feature: usize| {
        let values =
            (0..half).filter(|&sample| class(sample) == wanted).map(|sample| f64::from(samples[sample][feature]));
        let (count, sum, squares) =
            values.fold((0.0, 0.0, 0.0), |(count, sum, squares), x| (count + 1.0, sum + x, squares + x * x));
        (sum / count, squares / count - (sum / count).powi(2))
    };
    // By feature: the distance of the classes' means in deviations, the middle between them, and the deviation.
    let mut features: Vec<(f64, usize, f64, f64)> = (0..samples[0].len())
        .map(|feature| {
            let [(mean, variance), (other, more)] = [of(true, feature), of(false, feature)];
            // What is constant in both classes but differs between them is all the more telling.
            let deviation = (0.5 * (variance + more)).max(1e-6 * (mean - other).powi(2)).max(1e-12).sqrt();
            ((mean - other).abs() / deviation, feature, 0.5 * (mean + other), deviation)
        })
        .collect();
    features.sort_by(|a, b| b.0.total_cmp(&a.0));
    features.truncate(FEATURES);
    let inputs = |sample: usize| -> Vec<f64> {
        let scaled = |&(_, feature, middle, deviation): &(f64, usize, f64, f64)| {
            ((f64::from(samples[sample][feature]) - middle) / deviation).clamp(-3.0, 3.0)
        };
        features.iter().map(scaled).chain([1.0]).collect()
    };
    let inputs: Vec<Vec<f64>> = (0..samples.len()).map(inputs).collect();
    let mut weights = vec![0.0; features.len() + 1];
    let score = |weights: &[f64], x: &[f64]| weights.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    for _ in 0..300 {
        let mut gradient = vec![0.0; weights.len()];
        for (sample, x) in inputs[..half].iter().enumerate() {
            let error = f64::from(u8::from(class(sample))) - 1.0 / (1.0 + (-score(&weights, x)).exp());
            gradient.iter_mut().zip(x).for_each(|(sum, x)| *sum += error * x);
        }
        weights.iter_mut().zip(gradient).for_each(|(weight, slope)| *weight += 0.5 * slope / half as f64);
    }
    let right =
        (half..samples.len()).filter(|&sample| (score(&weights, &inputs[sample]) > 0.0) == class(sample)).count();
    right as f64 / (samples.len() - half) as f64
}

/// Whether a share of right guesses between two classes of the same size may be by chance.
fn by_chance(share: f64) -> bool {
    (share - 0.5).abs() <= DEVIATIONS * 0.5 / ((SAMPLES / 2) as f64).sqrt()
}

/// Class by the sample's number: whether the first text goes on, and its label. See [`batch`].
fn goes(sample: usize) -> bool {
    sample % 2 == 1
}
fn second_label(sample: usize) -> bool {
    sample / 2 % 2 == 1
}

fn samples() -> Vec<Sample> {
    let (world, texts) = pool();
    for (goes, label) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let count = texts.iter().filter(|text| text.goes == goes && text.label == label).count();
        assert!(count >= 3, "only {count} texts of label {label} with goes = {goes}");
    }
    let halves = [0, SAMPLES / 2].map(|start| start..start + SAMPLES / 2);
    std::thread::scope(|scope| {
        let run = |numbers: std::ops::Range<usize>| {
            let (world, texts) = (&world, &texts);
            scope.spawn(move || numbers.map(|number| sample(world, texts, number)).collect::<Vec<_>>())
        };
        halves.map(run).into_iter().flat_map(|half| half.join().unwrap()).collect()
    })
}

#[test]
fn case_34_no_trace_tells_which_texts_go_on_unless_it_is_in_the_request_and_none_tells_a_label() {
    let samples = samples();
    for (party, name) in PARTIES.into_iter().enumerate() {
        let hidden: Vec<&View> = samples.iter().map(|sample| &sample.hidden[party]).collect();
        for view in &hidden {
            assert_eq!(view.requests, hidden[0].requests, "hidden, {name}");
            assert_eq!(view.lengths, hidden[0].lengths, "hidden, {name}");
        }
        let bytes: Vec<Vec<f32>> = hidden.iter().map(|view| view.features.clone()).collect();
        let shares = [guessed(&bytes, &goes), guessed(&bytes, &second_label)];
        eprintln!("hidden, {name}, {} features: goes on {:.3}, label {:.3}", bytes[0].len(), shares[0], shares[1]);
        assert!(shares.into_iter().all(by_chance), "hidden, {name}: {shares:?}");

        // The classifier would notice a single bit of a single message that is right nine times out of ten.
        let mut leaking = bytes;
        let place = leaking[0].len() / 2;
        leaking.iter_mut().enumerate().for_each(|(sample, x)| {
            x[place] = f32::from(u8::from(goes(sample) == (sample / 4 % 10 != 0)));
        });
        let share = guessed(&leaking, &goes);
        assert!(share > 0.5 && !by_chance(share), "hidden with a bit that tells, {name}: {share}");

        let open: Vec<&View> = samples.iter().map(|sample| &sample.open[party]).collect();
        let lengths = open.iter().all(|view| view.lengths == open[0].lengths);
        assert!(lengths, "in the open, as many texts have messages as long, {name}");
        let bytes: Vec<Vec<f32>> = open.iter().map(|view| view.features.clone()).collect();
        let whole = |view: &&View| {
            view.requests.iter().map(|&byte| f32::from(byte)).chain(view.features.iter().copied()).collect()
        };
        let whole: Vec<Vec<f32>> = open.iter().map(whole).collect();
        let [seen, label, without] = [guessed(&whole, &goes), guessed(&whole, &second_label), guessed(&bytes, &goes)];
        eprintln!("open, {name}: goes on {seen:.3}, without the requests {without:.3}, label {label:.3}");
        assert!(if party < 2 { seen > 0.95 } else { by_chance(seen) }, "open, {name}: {seen}");
        assert!(by_chance(without) && by_chance(label), "open, {name}: {without}, label {label}");
    }
}
