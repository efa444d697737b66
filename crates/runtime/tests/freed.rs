//! What our own code frees in a session holds no seed, material, input or output (case 49). The TLS library's copies
//! are in `freed_by_libraries.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod parties;
#[path = "suite/world.rs"]
mod world;

use blindroute_protocol::WatchingAllocator;
use blindroute_runtime::messages::{Digest, EpochId, MaterialGrant, SessionId, WireSeed};
use blindroute_runtime::store::{Kind, Store, StoreOptions, use_of};
use blindroute_runtime::{FileLedger, Ledger, Role};
use blindroute_testkit::freed_memory::{Secrets, WATCHER, keep_places, turn, watched};
use parties::Search;
use std::io::Read;

#[global_allocator]
static ALLOCATOR: WatchingAllocator = WATCHER;

/// Whether the TLS library freed its copy of a record: it does so when we step it, and is then called by no other of
/// our functions. Growth is ours.
fn is_the_librarys(place: &str) -> bool {
    let ours =
        place.lines().find(|line| ["blindroute_runtime", "blindroute_protocol"].iter().any(|of| line.contains(of)));
    ours.is_some_and(|line| line.contains("link::tls::state_machine::")) && !place.contains("finish_grow")
}

#[track_caller]
fn check(search: &Search) {
    assert!(search.blocks() > 100, "{} blocks", search.blocks());
    let found: Vec<String> =
        search.found().into_iter().map(|(name, block)| format!("{name}:\n{}", block.place())).collect();
    let ours: Vec<&String> = found.iter().filter(|place| !is_the_librarys(place)).collect();
    assert!(ours.is_empty(), "{} blocks, the first of {}", ours.len(), ours[0]);
}

#[test]
fn case_49_servers_leave_no_seed_material_input_or_output_in_freed_memory() {
    keep_places();
    check(&parties::servers());
}

#[test]
fn case_49_the_dealer_leaves_no_seed_or_material_in_freed_memory() {
    keep_places();
    check(&parties::dealer());
}

#[test]
fn case_49_a_client_leaves_no_seed_or_share_in_freed_memory() {
    keep_places();
    check(&parties::client());
}

#[test]
fn case_49_a_store_leaves_no_key_seed_or_material_in_freed_memory() {
    keep_places();
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    let (folder, key) = (home.path().join("store"), home.path().join("store.key"));
    let ledger = FileLedger::open(&home.path().join("state")).unwrap();
    let random = || *WireSeed::generate().unwrap().expose();
    let material: Vec<u8> = (0..10_000).flat_map(|_| random()).collect();
    let (seeds, mut read) = ([random(), random()], vec![0; material.len()]);
    let kind = Kind { version: 10, deployment: Digest([1; 32]), request: Digest([2; 32]) };
    let session = SessionId::generate().unwrap();
    let ((), freed) = watched(|| {
        let store = Store::open(&StoreOptions { folder, key: key.clone(), bytes: 1 << 20 }, Role::Server0).unwrap();
        let standing = ledger.claim(session, None).unwrap().standing();
        let mut filling = store.begin(session, kind.deployment).unwrap();
        material.chunks(9999).for_each(|piece| filling.write(piece).unwrap());
        let seeds = seeds.map(WireSeed::new).into();
        filling.finish(kind, standing, MaterialGrant { session, epoch: EpochId([3; 16]), seeds }).unwrap().enter();
        let claim = ledger.claim(use_of(session), None).unwrap();
        let mut taken = store.reserve(&kind).unwrap().open(&claim).unwrap();
        taken.material.read_exact(&mut read).unwrap();
        taken.material.finish().unwrap();
    });
    assert!(read == material && freed.len() > 20, "{} blocks", freed.len());
    let mut secrets = Secrets::default();
    secrets.add("material", &material);
    seeds.iter().for_each(|seed| secrets.add("a seed", seed));
    secrets.add("the store's key", &std::fs::read(key).unwrap());
    let found = secrets.found_in(&freed);
    assert!(found.is_empty(), "{} blocks, the first of {}:\n{}", found.len(), found[0].0, found[0].1.place());
}
