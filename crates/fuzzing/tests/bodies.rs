//! The functions on random bytes, on files that are right, and on files that are damaged in many places.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod seeds;

use blindroute_fuzzing::ALL;
use blindroute_ring::CountingAllocator;
use blindroute_testkit::generator;
use proptest::prelude::*;
use seeds::kept::kept;
use seeds::seeds;
use std::path::Path;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What a decoder may hold beside ten times its input: working memory that does not depend on it.
const WORKING_MEMORY: usize = 4 << 20;

/// Runs a function, whose memory is bounded by the length of its input.
fn bounded(name: &str, bytes: &[u8]) {
    let (_, body) = ALL.iter().find(|(found, _)| *found == name).unwrap();
    let most = CountingAllocator::most(|| body(bytes));
    let limit = 10 * bytes.len() + WORKING_MEMORY;
    assert!(most <= limit, "{name} took {most} bytes for an input of {} bytes", bytes.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_end_in_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        ALL.iter().for_each(|(name, _)| bounded(name, &bytes));
    }
}

#[test]
fn inputs_that_fuzzers_found_end_in_a_value_or_an_error_in_bounded_memory() {
    let kept = kept().unwrap();
    kept.iter().for_each(|(name, bytes)| bounded(name, bytes));
    for (name, _) in ALL {
        assert!(kept.iter().any(|(target, _)| *target == name), "none is kept for {name}");
    }
}

#[test]
fn case_13_damaged_inputs_end_in_a_value_or_an_error_in_bounded_memory() {
    let mut next = generator(31);
    for (name, seed) in seeds() {
        bounded(name, &seed);
        let mut place = |length: usize| ((next() + 1.0) / 2.0 * length as f64) as usize;
        for _ in 0..100 {
            let at = place(seed.len());
            let mut flipped = seed.clone();
            flipped[at] ^= 1 << place(8);
            bounded(name, &flipped);
            bounded(name, &seed[..at]);
            bounded(name, &[&seed[..at], &seed[at / 2..]].concat());
        }
    }
}

#[test]
fn case_11_huge_and_zero_lengths_anywhere_take_no_memory() {
    for (name, seed) in seeds() {
        // Wherever a length may be: at each of the first bytes, and now and then after them.
        let places = (0..seed.len().min(64)).chain((64..seed.len()).step_by(seed.len() / 32 + 1));
        for at in places {
            for length in [[0xFF; 8].as_slice(), &[0xFF; 4], &[0; 4], b"4294967295"] {
                let mut changed = seed.clone();
                changed.splice(at..(at + length.len()).min(seed.len()), length.iter().copied());
                bounded(name, &changed);
            }
        }
    }
}

#[test]
fn a_decoder_that_allocates_what_a_length_says_is_noticed() {
    let believes = |bytes: &[u8]| drop(std::hint::black_box(vec![1_u8; bytes[0] as usize * (1 << 20)]));
    assert!(CountingAllocator::most(|| believes(&[255])) > WORKING_MEMORY);
    assert!(CountingAllocator::most(|| believes(&[0])) < WORKING_MEMORY);
}

#[test]
fn every_function_has_a_target_and_a_right_input() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let seeds = seeds();
    for (name, _) in ALL {
        let target = std::fs::read_to_string(folder.join("fuzz_targets").join(format!("{name}.rs"))).expect(name);
        assert!(target.contains(&format!("blindroute_fuzzing::{name}(bytes)")), "{target}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in the manifest");
        assert!(seeds.iter().any(|(found, _)| *found == name), "{name} has no right input");
    }
    assert_eq!(std::fs::read_dir(folder.join("fuzz_targets")).unwrap().count(), ALL.len());
}
