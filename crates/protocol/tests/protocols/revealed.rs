//! What is revealed to the client shows the answer and nothing else, also to a client that has the dealer's tables.

use crate::common::{body, gate};
use blindroute_protocol::{
    Comparison, Form, Meter, Output, OutputSize, OutputSpec, Program, Shape, Tensor, Tuning, gates,
};
use blindroute_testkit::{TestWorld, Transcript};

/// Two prompts, five models each.
const SCORES: Shape = Shape::new(2, 1, 5);

body!(Routed { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let scores = machine.input::<u64>(0)?;
    let scores = machine.open(scores)?;
    let best = gates::argmax(machine, &scores, &Comparison::exact(5, 4))?;
    machine.reveal_bits(best, "the choice of each prompt")
});

/// The two prompts' scores: the best is the third and the first; the others are in the order that `order` says.
fn scores(order: usize) -> Tensor<f32> {
    const ORDERS: [[f32; 4]; 4] = [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [200.0, 7.0, 5.0, 90.0], [0.0; 4]];
    let [a, b, c, d] = ORDERS[order];
    Tensor::new(SCORES, vec![a, b, 500.0, c, d, 500.0, d, c, b, a])
}

const ORDERS: usize = 4;
const SEEDS: u64 = 200;

fn shares<P: Program>(program: &P, zeros: u64, inputs: &[Tensor<f32>]) -> Transcript {
    TestWorld::seeded(44).with_zeros(zeros).run(program, &[], inputs).unwrap().transcript
}

/// The bits that the shares hold: of each output its words' rings, or its bits without what lies beyond the last.
fn words(specs: &[OutputSpec], bytes: &[u8]) -> Vec<(u32, u128)> {
    let mut at = 0;
    let mut words = Vec::new();
    for spec in specs {
        let (len, bits) = match spec.size {
            OutputSize::Words(form) => (form.shape.len(), form.bits),
            OutputSize::Bits(len) => (len, 1),
        };
        let bit = |bit: usize| u128::from(bytes[at + bit / 8] >> (bit % 8) & 1);
        let word = |index: usize| (0..bits as usize).fold(0, |word, b| word | bit(index * bits as usize + b) << b);
        words.extend((0..len).map(|index| (bits, word(index))));
        at += Output::byte_len(std::slice::from_ref(spec));
    }
    assert_eq!(at, bytes.len());
    words
}

fn modulo(bits: u32, word: u128) -> u128 {
    word & (u128::MAX >> (128 - bits))
}

/// Asserts that for fixed seeds of all else the shares, over the seeds of zeros, are uniform whatever the input: how a
/// share moves with that seed is the same for every input, and every bit and every exclusive or of neighbouring bits is
/// set half of the time.
fn assert_rerandomised<P: Program>(program: &P, inputs: &[Vec<Tensor<f32>>]) {
    let specs = Meter::outputs(program).unwrap();
    let first: Vec<_> = inputs.iter().map(|inputs| shares(program, 0, inputs)).collect();
    let read = |transcript: &Transcript, party: usize| words(&specs, &transcript.output_shares[party]);
    let mut ones = Vec::<[u32; 2]>::new();
    for zeros in 1..=SEEDS {
        // Each seed with two of the inputs, so that all of them are compared.
        let chosen = [zeros as usize % inputs.len(), (zeros as usize + 1) % inputs.len()];
        let moved = chosen.map(|input| {
            let found = shares(program, zeros, &inputs[input]);
            let by = |party| {
                let pairs = read(&found, party).into_iter().zip(read(&first[input], party));
                pairs
                    .map(|((bits, now), (_, before))| (bits, modulo(bits, now.wrapping_sub(before))))
                    .collect::<Vec<_>>()
            };
            let (zero, one) = (by(0), by(1));
            assert!(zero.iter().zip(&one).all(|(&(bits, a), &(_, b))| modulo(bits, a.wrapping_add(b)) == 0));
            (zero, read(&found, 0))
        });
        assert!(moved[0].0 == moved[1].0, "how a share is re-randomised depends on the input");
        let bits = |words: &[(u32, u128)]| -> Vec<u32> {
            words.iter().flat_map(|&(bits, word)| (0..bits).map(move |bit| (word >> bit & 1) as u32)).collect()
        };
        let bits = bits(&moved[0].1);
        ones.resize(bits.len(), [0; 2]);
        for (index, ones) in ones.iter_mut().enumerate() {
            ones[0] += bits[index];
            ones[1] += bits[index] ^ bits[(index + 1) % bits.len()];
        }
    }
    // A deviation is the square root of a quarter of the number, so seven: six of them each way.
    let expected = 100 - 43..=100 + 43;
    for (index, ones) in ones.iter().enumerate() {
        assert!(ones.iter().all(|ones| expected.contains(ones)), "bit {index} is set {ones:?} of {SEEDS} times");
    }
}

#[test]
fn case_44_shares_of_the_choice_tell_dealer_and_client_nothing_of_the_others() {
    for tuning in [Tuning::Near, Tuning::Middle] {
        let program = gate(Routed { tuning }, vec![Form::new(SCORES, 40, 10)]);
        // The finding: with all seeds fixed, the seed of zeros too, the losers' order is in the shares.
        let fixed: Vec<_> = (0..ORDERS).map(|order| shares(&program, 0, &[scores(order)]).output_shares).collect();
        assert!(fixed.iter().any(|shares| *shares != fixed[0]), "the test's inputs would not show the finding");
        assert_rerandomised(&program, &(0..ORDERS).map(|order| vec![scores(order)]).collect::<Vec<_>>());
    }
}

#[test]
fn the_choice_is_right_and_nothing_is_sent_beyond_it() {
    let program = gate(Routed { tuning: Tuning::Near }, vec![Form::new(SCORES, 40, 10)]);
    for zeros in 0..20 {
        let found = shares(&program, zeros, &[scores(zeros as usize % ORDERS)]);
        let sum: Vec<u8> = found.output_shares[0].iter().zip(&found.output_shares[1]).map(|(a, b)| a ^ b).collect();
        assert_eq!(sum, [0b10_0100, 0, 0, 0, 0, 0, 0, 0]);
        assert!(found.output_shares.iter().all(|share| share[1] >> 2 == 0 && share[2..].iter().all(|&byte| byte == 0)));
    }
}

const ROW: Shape = Shape::row(9);

body!(EveryPath {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let bits = machine.compare(&x, &Comparison::of_many(vec![0], 20, 4))?;
    let kept = machine.select(&bits, &x)?;
    machine.reveal(kept, "64 bits")?;
    let narrow = machine.bits_to_share::<u32>(&bits, 5)?;
    machine.reveal(narrow, "5 bits in a word of 32")?;
    let wide = machine.extend::<u64, u128>(&x, 6, 70)?;
    machine.reveal(wide, "70 bits in a word of 128")?;
    let index = machine.input::<u32>(1)?;
    let index = machine.open(index)?;
    let squares: Vec<i64> = (0..16).map(|entry| entry * entry).collect();
    let entry = machine.lookup::<u32, u64>(&index, &squares, 33)?;
    machine.reveal(entry, "33 bits in a word of 64")?;
    let odd: Vec<bool> = (0..16).map(|entry| entry % 2 == 1).collect();
    let odd = machine.lookup_bits(&index, &odd)?;
    machine.reveal_bits(odd, "bits")?;
    let share = machine.share_of(&x)?;
    machine.reveal(share, "64 bits again")
});

#[test]
fn case_44_every_path_to_the_client_is_rerandomised() {
    let program = gate(EveryPath {}, vec![Form::new(ROW, 64, 20), Form::new(ROW, 4, 0)]);
    let inputs = |x: f32, index: f32| vec![Tensor::new(ROW, vec![x; 9]), Tensor::new(ROW, vec![index; 9])];
    assert_rerandomised(&program, &[inputs(0.0, 0.0), inputs(77.5, 3.0), inputs(-1000.0, -8.0)]);
}
