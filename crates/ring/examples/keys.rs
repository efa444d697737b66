//! How fast keys of function secret sharing are dealt and evaluated, on one core. Run with
//! `cargo run --release -p blindroute-ring --example keys`.
#![allow(clippy::print_stdout)]

use blindroute_ring::fss::{BitKeys, HashKey, PayloadCases, PayloadKeys, PayloadShape};
use blindroute_ring::{Prg, Seed, Word};
use std::time::Instant;

fn words<W: Word>(seed: u8, len: usize) -> Vec<W> {
    Prg::new(&Seed::new([seed; 16])).words(len)
}

fn points(seed: u8, len: usize, depth: u32) -> Vec<u32> {
    words::<u32>(seed, len).into_iter().map(|word| word.low_bits(depth)).collect()
}

fn main() {
    let (len, depth) = (1 << 16, 12);
    let key = HashKey::new(&[7; 16]);
    let (zero, one) = (words::<u128>(1, len), words::<u128>(2, len));
    let (secret, public) = (points(1, len, depth), points(2, len, depth));
    let lists: Vec<Vec<u32>> = (0..16).map(|list| points(list + 2, len, depth)).collect();
    let rate = |name: &str, started: Instant| {
        println!("{name}: {:.2} M elements/s", len as f64 / started.elapsed().as_secs_f64() / 1e6)
    };
    for _ in 0..3 {
        let started = Instant::now();
        let keys = BitKeys::deal(&key, [&zero, &one], &secret, depth);
        rate("bits, dealt", started);
        let started = Instant::now();
        std::hint::black_box(keys.evaluate(&key, 0, &zero, &public));
        rate("bits, evaluated", started);
        let beta: Vec<u32> = words(3, len);
        let shape = PayloadShape { depth, rings: vec![32, 32, 12] };
        let started = Instant::now();
        let keys = PayloadKeys::deal(&key, shape, [&zero, &one], &secret, &[&beta, &beta, &beta]);
        rate("three words, dealt", started);
        let started = Instant::now();
        std::hint::black_box(keys.evaluate(
            &key,
            0,
            &zero,
            &lists[..1],
            &PayloadCases { words: [&[0, 1, 2]; 2], of: |_| 0 },
        ));
        rate("three words, evaluated", started);
        let beta: Vec<u128> = secret.iter().map(|&r| u128::from(r)).collect();
        let shape = PayloadShape { depth: 20, rings: vec![104; 7] };
        let started = Instant::now();
        let keys = PayloadKeys::deal(&key, shape, [&zero, &one], &secret, &[&beta[..]; 7]);
        rate("seven wide words, dealt", started);
        let started = Instant::now();
        std::hint::black_box(keys.evaluate(
            &key,
            0,
            &zero,
            &lists,
            &PayloadCases { words: [&[0, 1, 2, 3], &[0, 4, 5, 6]], of: |i| i & 1 },
        ));
        rate("seven wide words, sixteen knots", started);
    }
}
