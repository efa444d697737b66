//! What can be seen does not depend on what is hidden: lengths, distributions, printed forms, output shares.

use crate::common::{body, everything, everything_inputs, everything_weights, gate};
use blindroute_protocol::{
    Comparison, Form, Inputs, MaterialQueue, Meter, Output, OutputSize, Program, Ran, Seed, Shape, Structure, Tensor,
    WeightMasks, WeightShares,
};
use blindroute_testkit::{Run, TestWorld, generator};

#[test]
fn case_32_the_messages_have_the_same_lengths_for_every_input() {
    let n = 20;
    let program = everything(n);
    let lengths = |inputs: &[Tensor<f32>], seed| {
        let run = TestWorld::seeded(seed).recorded().run(&program, &everything_weights(n), inputs).unwrap();
        let of = |parts: &[Vec<u8>]| parts.iter().map(Vec::len).collect::<Vec<_>>();
        let sent = &run.transcript;
        [of(&sent.messages[0]), of(&sent.messages[1]), of(&sent.material), of(&sent.output_shares)]
    };
    let first = lengths(&everything_inputs(n, || 0.0), 1);
    assert_eq!(first[0], first[1], "both servers send as much");
    for seed in 2..6 {
        assert_eq!(lengths(&everything_inputs(n, generator(seed)), seed), first);
        assert_eq!(lengths(&everything_inputs(n, || 0.999), seed), first);
    }
}

const COUNT: usize = 2048;
const COLUMN: Shape = Shape::matrix(COUNT, 1);

body!(Opened {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let bits = machine.compare(&x, &Comparison::of_many(vec![0], 20, 4))?;
    let kept = machine.select(&bits, &x)?;
    let kept = machine.open(kept)?;
    let square = machine.product(&kept, &kept)?;
    machine.reveal(square, "a test")?;
    let extended = machine.extend::<u64, u64>(&kept, 10, 64)?;
    machine.reveal(extended, "a test")?;
    let one = machine.bits_to_share::<u32>(&bits, 32)?;
    machine.reveal(one, "a test")?;
    let index = machine.input::<u32>(1)?;
    let index = machine.open(index)?;
    let entry = machine.lookup_bits(&index, &[true; 16])?;
    machine.reveal_bits(entry, "a test")?;
    let exponent = machine.input::<u32>(2)?;
    let exponent = machine.open(exponent)?;
    let power = machine.exponential::<u32, u64>(&exponent, 64)?;
    let power = machine.open(power)?;
    let chosen = machine.select_extended::<u64, u32>(&bits, &power, 30, 32)?;
    let chosen = machine.open(chosen)?;
    let first = chosen.restructure(&Structure::Columns(0, 1));
    let scaled = machine.product_extended::<u32, u32, u64>((&exponent, 8), (&first, 2), 64)?;
    machine.reveal(scaled, "a test")?;
    let squares = machine.square_sum::<u32, u64>(&chosen.restructure(&Structure::Reshape(COLUMN)), 1, 64)?;
    machine.reveal(squares, "a test")
});

fn opened(seed: u64, mut next: impl FnMut() -> f64) -> Run {
    let row = Shape::row(COUNT);
    let forms = vec![Form::new(row, 64, 20), Form::new(row, 4, 0), Form::new(row, 28, 18)];
    let program = gate(Opened {}, forms);
    let x = (0..COUNT).map(|_| (next() * 1000.0) as f32).collect();
    let index = (0..COUNT).map(|_| (next() * 7.0).round() as f32).collect();
    let exponent = (0..COUNT).map(|_| (next() * 7.0 - 8.0) as f32).collect();
    let inputs = [Tensor::new(row, x), Tensor::new(row, index), Tensor::new(row, exponent)];
    TestWorld::seeded(seed).recorded().run(&program, &[], &inputs).unwrap()
}

/// χ² of the bytes against uniform: 255 on average, deviation 22.6. Seven deviations are allowed.
fn assert_uniform(what: &str, bytes: &[u8]) {
    let mut counts = [0.0f64; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1.0);
    let expected = bytes.len() as f64 / 256.0;
    assert!(expected >= 1.0, "{what}: {} bytes are too few", bytes.len());
    let statistic: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    assert!((97.0..413.0).contains(&statistic), "{what}: χ² = {statistic}");
}

#[test]
fn what_a_server_sees_is_uniform_whatever_the_input() {
    type Next = Box<dyn FnMut() -> f64>;
    let inputs: [(&str, Next); 3] =
        [("zero", Box::new(|| 0.0)), ("constant", Box::new(|| -0.75)), ("random", Box::new(generator(8)))];
    for (name, next) in inputs {
        let run = opened(11, next);
        let [zero, one] = &run.transcript.messages;
        for (index, (a, b)) in zero.iter().zip(one).enumerate() {
            if a.is_empty() {
                continue; // The set-up of a model without weights.
            }
            let what = format!("message {index}, input {name}");
            assert_uniform(&what, a);
            assert_uniform(&what, b);
            // The opened value, as bits and as words of 64 bits (messages of other words are skipped).
            let xor: Vec<u8> = a.iter().zip(b).map(|(a, b)| a ^ b).collect();
            let words = |bytes: &[u8]| -> Vec<u64> {
                bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect()
            };
            let sum: Vec<u8> =
                words(a).into_iter().zip(words(b)).flat_map(|(a, b)| a.wrapping_add(b).to_le_bytes()).collect();
            if a.len() == COUNT * 8 { assert_uniform(&what, &sum) } else { assert_uniform(&what, &xor) }
        }
        for (party, share) in run.transcript.output_shares.iter().enumerate() {
            assert_uniform(&format!("output share of server {party}, input {name}"), share);
        }
        let material: Vec<u8> = run.transcript.material.concat();
        assert_uniform("material", &material);
    }
}

#[test]
fn the_dealer_sends_the_same_whatever_input_and_weights() {
    let n = 8;
    let program = everything(n);
    let material = |inputs: &[Tensor<f32>], weights: &[Tensor<f32>]| {
        TestWorld::seeded(3).recorded().run(&program, weights, inputs).unwrap().transcript.material
    };
    let weights = everything_weights(n);
    let zeros: Vec<_> = weights.iter().map(|weight| Tensor::zeros(weight.shape())).collect();
    let first = material(&everything_inputs(n, || 0.0), &zeros);
    assert!(first == material(&everything_inputs(n, generator(1)), &weights));
}

body!(Local {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.add_constant(x.scale(3), 1.0)?;
    machine.reveal(x, "a test")
});

#[test]
fn server_zeros_output_share_is_independent_of_the_input() {
    let shape = Shape::row(16);
    let program = gate(Local {}, vec![Form::new(shape, 48, 8)]);
    let shares = |value: f32| {
        TestWorld::seeded(6)
            .run(&program, &[], &[Tensor::new(shape, vec![value; 16])])
            .unwrap()
            .transcript
            .output_shares
    };
    let (first, second) = (shares(0.0), shares(1234.5));
    assert_eq!(first[0], second[0], "party zero's share follows from seeds alone");
    assert_ne!(first[1], second[1]);
    // After an opening the share follows the public parts, which are uniform: see the test above. Across seeds, one
    // bit of the share is as often set for one input as for another.
    let ones =
        |value: f64| (0..400).filter(|&seed| opened_small(seed, value).transcript.output_shares[0][0] & 1 == 1).count();
    for value in [0.0, 3.0] {
        let ones = ones(value);
        assert!((140..=260).contains(&ones), "{ones} of 400 for {value}");
    }
}

body!(Squared {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let y = machine.product(&x, &x)?;
    machine.reveal(y, "a test")
});

fn opened_small(seed: u64, value: f64) -> Run {
    let program = gate(Squared {}, vec![Form::new(Shape::row(1), 30, 0)]);
    TestWorld::seeded(seed).run(&program, &[], &[Tensor::new(Shape::row(1), vec![value as f32])]).unwrap()
}

body!(Printed {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    assert!(format!("{x:?}").starts_with("Share(Form {"), "{x:?}");
    let x = machine.open(x)?;
    assert!(format!("{x:?}").starts_with("Masked(Form {"), "{x:?}");
    let bits = machine.compare(&x, &Comparison::of_many(vec![0], 0, 2))?;
    assert!(format!("{bits:?}").starts_with("MaskedBits("), "{bits:?}");
    let x = machine.share_of(&x)?;
    let pending = machine.defer(x)?;
    assert!(format!("{pending:?}").starts_with("Pending(Form {"), "{pending:?}");
    machine.exchange()?;
    let x = machine.take(pending)?;
    let x = machine.share_of(&x)?;
    machine.reveal(x, "a test")
});

#[test]
fn nothing_secret_prints() {
    let forms = vec![Form::new(Shape::row(2), 40, 4)];
    let program = gate(Printed {}, forms.clone());
    let run = TestWorld::seeded(1).run(&program, &[], &[Tensor::new(Shape::row(2), vec![1.0, 2.0])]).unwrap();
    assert_eq!(run.output.values[0], [1.0, 2.0]);
    assert!(!format!("{:?}", run.transcript).contains('['));

    let seed = Seed::new([0xAB; 16]);
    let digits = |text: &str| text.contains("171") || text.to_lowercase().contains("abab");
    assert!(!digits(&format!("{seed:?}")), "{seed:?}");
    let inputs = Inputs::from_seed(&forms, &seed);
    assert!(format!("{inputs:?}").contains("redacted"), "{inputs:?}");
    let specs = everything(4).weights();
    let shares = WeightShares::from_seed(&specs, &seed);
    assert!(format!("{shares:?}").contains("redacted"), "{shares:?}");
    let dealer = WeightMasks::new(&specs, &[Seed::new([1; 16]), Seed::new([2; 16])]);
    assert!(format!("{dealer:?}").contains("redacted"), "{dealer:?}");
    let (writer, reader) = MaterialQueue::bounded(10);
    assert_eq!(format!("{writer:?} {reader:?}"), "QueueWriter QueueReader");
    // An output share is a share: its bytes must not print either.
    let parties =
        TestWorld::seeded(1).run_parties(&program, &[], &[Tensor::new(Shape::row(2), vec![1.0, 2.0])]).unwrap();
    let Ok(Ran { output: share, kept, .. }) = &parties.servers[0] else { panic!("the run failed") };
    let bytes = share.bytes().iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    assert!(!format!("{share:?}").contains(&bytes), "an output share prints its bytes: {share:?}");
    assert_eq!(format!("{kept:?}"), "Kept(0 values, redacted)");
    let outputs = Meter::outputs(&program).unwrap();
    assert!(matches!(outputs[0].size, OutputSize::Words(_)) && Output::byte_len(&outputs) == share.bytes().len());
}
