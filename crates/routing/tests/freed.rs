//! Freed memory holds no share of the weights: of a split's, and of a share file's that was read.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "suite/common.rs"]
mod common;

use blindroute_protocol::{Party, WatchingAllocator};
use blindroute_routing::bundle::{Activation, Attention, Pooling, PublicPart, ShareFile, SplitRandomness, split};
use blindroute_testkit::freed_memory::{Secrets, WATCHER, turn, watched};

#[global_allocator]
static ALLOCATOR: WatchingAllocator = WATCHER;

#[test]
fn case_49_splitting_and_reading_leave_no_share_in_freed_memory() {
    let _turn = turn();
    let bundle = common::bundle(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let bytes: [u8; SplitRandomness::BYTES] = std::array::from_fn(|index| (41 * index + 3) as u8);
    let parts = split(&bundle, &SplitRandomness::new(&bytes)).unwrap();
    let public = PublicPart::read(&parts.public).unwrap();
    let specs = public.plan.weights();
    let files = [0, 1].map(|party: usize| {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("freed-share{party}.bin"));
        std::fs::write(&file, &parts.shares[party]).unwrap();
        file
    });
    let mut secrets = Secrets::default();
    secrets.add("seed and salts", &bytes);
    // What follows the headers, which are public: words of a few hundred weights at least.
    let words = parts.shares[1].len() / 2;
    secrets.add("share", &parts.shares[1][words..]);
    assert!(secrets.len() > 100, "{} windows", secrets.len());
    let ((), freed) = watched(|| {
        drop(split(&bundle, &SplitRandomness::new(&bytes)).unwrap());
        for (file, party) in files.iter().zip([Party::Zero, Party::One]) {
            drop(ShareFile::open(file, &public.expected_share(party)).unwrap().weights(&specs).unwrap());
        }
    });
    assert!(freed.len() > 100, "{} blocks", freed.len());
    let found = secrets.found_in(&freed);
    assert!(found.is_empty(), "{} blocks, the first of the {}: {}", found.len(), found[0].0, found[0].1.place());
}
