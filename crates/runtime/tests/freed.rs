//! What our own code frees in a session holds no seed, material, input or output (case 49). The TLS library's copies
//! are in `freed_by_libraries.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod parties;
#[path = "suite/world.rs"]
mod world;

use blindroute_protocol::WatchingAllocator;
use blindroute_testkit::freed_memory::{WATCHER, keep_places};
use parties::Search;

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
