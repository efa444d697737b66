//! With the allocator of the `blindroute` program, not even the copies that libraries make are left in freed memory
//! (case 49).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod parties;
#[path = "suite/world.rs"]
mod world;

use blindroute_protocol::{WatchingAllocator, WipingAllocator};
use blindroute_testkit::freed_memory::{WATCHER, watched};
use parties::Search;

#[global_allocator]
static ALLOCATOR: WipingAllocator<WatchingAllocator> = WipingAllocator::new(WATCHER);

#[track_caller]
fn check(search: &Search) {
    // The watcher works: it sees what is too large to be wiped.
    let ((), large) = watched(|| drop(vec![7u8; 100 << 10]));
    assert!(large.iter().any(|block| block.bytes.len() == 100 << 10));
    let found = search.found();
    assert!(found.is_empty(), "{} blocks, the first of {}: {}", found.len(), found[0].0, found[0].1.place());
}

#[test]
fn case_49_a_session_leaves_nothing_secret_in_memory_that_libraries_freed() {
    check(&parties::servers());
    check(&parties::dealer());
    check(&parties::client());
}

#[test]
fn case_49_a_private_key_that_was_loaded_is_not_left_in_freed_memory() {
    check(&parties::key());
}
