//! Freed memory holds nothing secret: what client, servers and dealer leave behind in whole sessions.

// What is an address is known of Linux.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "protocols/common/mod.rs"]
mod common;

use blindroute_protocol::gates::{self, SignWindow, Target};
use blindroute_protocol::{Seed, Tuning, WatchingAllocator, WeightShares};
use blindroute_testkit::freed_memory::{Freed, Secrets, WATCHER, call_this_thread, turn, watched};
use blindroute_testkit::{Run, TestWorld, generator};
use common::{Everything, body, everything, everything_inputs, everything_weights};
use std::collections::{BTreeMap, HashSet};

#[global_allocator]
static ALLOCATOR: WatchingAllocator = WATCHER;

/// Of the world: eight different bytes.
const SEED: u64 = 0xA1B2_C3D4_E5F6_0718;

/// Elements: a plane of bits takes more than [`FEW`] bytes.
const SIZE: usize = 130;

/// Fewer bytes than this that are not zero may be left by chance or by a counter.
const FEW: usize = 12;

body!(Tuned { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u32>(5)?;
    let x = machine.open(x)?;
    let window = SignWindow { range: 8, digits: 3 };
    let positive = gates::relu::<I, u32, u32>(machine, &x, window, Target { bits: 28, fraction: 4 })?;
    machine.reveal(positive, "a test")?;
    Everything.run(machine)
});

fn session(tuning: Tuning, seed: u64) -> (Run, Vec<Freed>) {
    call_this_thread("client");
    let mut all = everything(SIZE);
    all.inputs.push(all.inputs[4]);
    let program = common::Gate { weights: all.weights, inputs: all.inputs, body: Tuned { tuning } };
    let (weights, mut inputs) = (everything_weights(SIZE), everything_inputs(SIZE, generator(3)));
    inputs.push(inputs[4].clone());
    watched(|| TestWorld::seeded(seed).recorded().run(&program, &weights, &inputs).unwrap())
}

/// Whether a word is where Linux puts heaps, stacks and code.
fn is_address(word: u64) -> bool {
    matches!(word >> 40, 0x55..=0x57 | 0x7e..=0x7f)
}

/// What a block holds besides addresses, which differ from run to run; nothing if it is one of addresses and lengths.
fn content(bytes: &[u8]) -> Vec<u8> {
    let mut content = bytes.to_vec();
    // A block's last zeros are left out, also where they are the high bytes of an address.
    content.resize(bytes.len().next_multiple_of(8), 0);
    let mut addresses = 0;
    for word in content.as_chunks_mut::<8>().0 {
        if is_address(u64::from_le_bytes(*word)) {
            *word = [0; 8];
            addresses += 1;
        }
    }
    if addresses * 8 >= bytes.len() / 8 && addresses > 0 { Vec::new() } else { content }
}

/// Blocks of one party's alone, which nobody else ever saw: not those that another session with the same inputs and
/// weights and other randomness leaves too (constants, shapes), nor those that both servers leave (opened values), nor
/// messages of one server to the other.
fn private<'a>(run: &Run, freed: &'a [Freed], other: &[Freed]) -> Vec<&'a Freed> {
    let constants: HashSet<Vec<u8>> = other.iter().map(|block| content(&block.bytes)).collect();
    let of = |owner: &str| -> HashSet<&[u8]> {
        freed.iter().filter(|block| block.owner == owner).map(|block| block.bytes.as_slice()).collect()
    };
    let servers = ["server 0 online", "server 1 online"].map(of);
    let sent = |bytes: &[u8]| run.transcript.messages.iter().flatten().any(|message| message.starts_with(bytes));
    let is_private = |block: &&Freed| {
        let bytes = content(&block.bytes);
        bytes.iter().filter(|byte| **byte != 0).count() >= FEW
            && !constants.contains(&bytes)
            && !servers.iter().all(|server| server.contains(block.bytes.as_slice()))
            && !sent(&block.bytes)
    };
    freed.iter().filter(is_private).collect()
}

/// The first block of each owner and size.
fn described(blocks: &[&Freed]) -> String {
    let kinds: BTreeMap<_, _> = blocks.iter().map(|block| ((block.owner, block.bytes.len()), block)).collect();
    kinds.iter().map(|((owner, len), block)| format!("{owner}: {len} bytes\n{}\n", block.place())).collect()
}

#[test]
fn case_49_freed_memory_holds_nothing_secret() {
    let _turn = turn();
    for tuning in Tuning::ALL {
        // The first session makes what is made once.
        drop(session(tuning, SEED));
        let (run, freed) = session(tuning, SEED);
        let (_, other) = session(tuning, SEED + 1);
        assert!(freed.len() > 1000, "{} blocks", freed.len());
        // By name: what the parties were given and what they sent.
        let mut secrets = Secrets::default();
        // As the world makes them.
        let seeds = [1, 2, 3, 4, 5, 6].map(|purpose| {
            let mut seed = [purpose; 16];
            seed[..8].copy_from_slice(&SEED.to_le_bytes());
            seed
        });
        seeds.iter().for_each(|seed| secrets.add("seed", seed));
        assert_eq!(secrets.len(), 6);
        let (specs, weights) = (everything(SIZE).weights, everything_weights(SIZE));
        let seed = Seed::new(seeds[0]);
        secrets
            .add("share of the weights", &WeightShares::complement(&specs, &weights, &seed).unwrap().to_bytes(&specs));
        run.transcript.material.iter().for_each(|record| secrets.add("material", record));
        run.transcript.output_shares.iter().for_each(|share| secrets.add("output share", share));
        assert!(secrets.len() > 1000, "{} windows", secrets.len());
        let found = secrets.found_in(&freed);
        if let Some((name, block)) = found.first() {
            panic!("{tuning:?}: {name} in {} blocks, the first of {}: {}", found.len(), block.owner, block.place());
        }
        // By what it is: anything that one party alone knew.
        let private = private(&run, &freed, &other);
        assert!(private.is_empty(), "{tuning:?}: {} blocks\n{}", private.len(), described(&private));
    }
}

#[test]
fn case_49_the_search_finds_what_is_not_wiped() {
    let _turn = turn();
    let words: Vec<u32> = noise();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut secrets = Secrets::default();
    secrets.add("planted", &bytes);
    let leaves = |work: &dyn Fn()| !secrets.found_in(&watched(work).1).is_empty();
    assert!(leaves(&|| drop(words.clone())));
    assert!(leaves(&|| drop(words[7..40].to_vec())), "at another offset");
    // Growth moves, and what is wiped at the end is what it moved to.
    let grown = |reserve: fn(&mut Vec<u32>, usize)| {
        let mut grown = Vec::new();
        for word in &words {
            reserve(&mut grown, 1);
            grown.push(*word);
        }
        blindroute_protocol::wipe_vec(&mut grown);
    };
    assert!(leaves(&|| grown(Vec::reserve)));
    assert!(!leaves(&|| grown(blindroute_protocol::reserve_wiped)));
    let wiped = || blindroute_protocol::wipe_vec(&mut words.clone());
    assert!(!leaves(&wiped));
}

fn noise() -> Vec<u32> {
    let mut next = generator(5);
    (0..500).map(|_| (next() * f64::from(1u32 << 31)) as i32 as u32).collect()
}
