//! What freed memory still holds: an allocator that keeps a copy of every block as its owner left it, for tests that look
//! for secrets in them.
//!
//! A test program installs [`WATCHER`] as its global allocator, and looks at what [`watched`] returns. Stacks and registers
//! are not looked at.

use blindroute_protocol::WatchingAllocator;
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The allocator that a test program installs: it keeps what is freed while [`watched`] runs.
pub const WATCHER: WatchingAllocator = WatchingAllocator::new(look);

static WATCHING: AtomicBool = AtomicBool::new(false);
static FREED: Mutex<Vec<Freed>> = Mutex::new(Vec::new());
static TURN: Mutex<()> = Mutex::new(());
static PLACES: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread is inside the watcher, whose own blocks are not kept.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static OWNER: Cell<&'static str> = const { Cell::new("") };
}

/// A block as it was when it was freed, or left by growth: without the zeros at its end.
#[derive(Debug)]
pub struct Freed {
    /// What the thread that freed it is called, see [`call_this_thread`].
    pub owner: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    place: Option<Backtrace>,
}

impl Freed {
    /// The stack when it was freed, if [`keep_places`] was called or `FREED_BACKTRACE` is set in the environment.
    pub fn place(&self) -> String {
        self.place.as_ref().map_or_else(|| "set FREED_BACKTRACE=1 to see where".to_owned(), ToString::to_string)
    }
}

/// Names the blocks that this thread frees.
pub fn call_this_thread(name: &'static str) {
    OWNER.set(name);
}

/// Keeps the stack of every block from now on.
pub fn keep_places() {
    PLACES.store(true, Ordering::SeqCst);
}

/// Waits until no other test of this program watches: hold it from a test's first line.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work`, and returns what was freed meanwhile, by any thread.
pub fn watched<T>(work: impl FnOnce() -> T) -> (T, Vec<Freed>) {
    let kept = || std::mem::take(&mut *FREED.lock().unwrap_or_else(PoisonError::into_inner));
    drop(kept());
    WATCHING.store(true, Ordering::SeqCst);
    let result = work();
    WATCHING.store(false, Ordering::SeqCst);
    (result, kept())
}

/// Keeps a copy of a block that ends.
fn look(bytes: &[u8]) {
    // A thread that panics prints its stack, under the lock that resolving one takes.
    if !WATCHING.load(Ordering::Relaxed) || std::thread::panicking() || INSIDE.replace(true) {
        return;
    }
    if let Some(last) = bytes.iter().rposition(|&byte| byte != 0) {
        let wanted = PLACES.load(Ordering::Relaxed) || std::env::var_os("FREED_BACKTRACE").is_some();
        let place = wanted.then(Backtrace::force_capture);
        let freed = Freed { owner: OWNER.get(), bytes: bytes[..=last].to_vec(), place };
        FREED.lock().unwrap_or_else(PoisonError::into_inner).push(freed);
    }
    INSIDE.set(false);
}

/// Bytes that must not be found.
#[derive(Debug, Default)]
pub struct Secrets(HashMap<[u8; WINDOW], &'static str>);

/// Bytes that are compared at once.
const WINDOW: usize = 16;

impl Secrets {
    /// Adds a secret: every 16 bytes of it, from its start on. What has fewer than six different bytes could be there by
    /// chance, and is left out.
    pub fn add(&mut self, name: &'static str, bytes: &[u8]) {
        for window in bytes.as_chunks::<WINDOW>().0 {
            let different = window.iter().enumerate().filter(|(at, byte)| !window[..*at].contains(byte)).count();
            if different >= 6 {
                self.0.insert(*window, name);
            }
        }
    }

    /// How many windows there are to find.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The blocks that hold a secret, at any offset, with its name.
    pub fn found_in<'a>(&self, freed: &'a [Freed]) -> Vec<(&'static str, &'a Freed)> {
        let name = |block: &Freed| {
            // What ends in zeros was kept without them.
            let padded = [block.bytes.as_slice(), &[0; WINDOW - 1]].concat();
            padded.windows(WINDOW).find_map(|window| self.0.get(window).copied())
        };
        freed.iter().filter_map(|block| Some((name(block)?, block))).collect()
    }
}
