//! What a store has counted since its server started, and what it holds now.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts sessions of a store.
#[derive(Debug, Default)]
pub(super) struct Counts {
    filled: AtomicU64,
    used: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    pub(super) fn filled(&self) {
        self.filled.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn used(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Of sessions that were stored, used, and dropped without use.
    pub(super) fn read(&self) -> [u64; 3] {
        [&self.filled, &self.used, &self.dropped].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// The figures of a store at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Sessions that are stored now.
    pub sessions: u64,
    /// Bytes that they take, with what is being stored.
    pub bytes: u64,
    /// The most bytes.
    pub limit: u64,
    /// Sessions that were stored since the server started.
    pub filled: u64,
    /// Those that were used.
    pub used: u64,
    /// Those that were dropped without use.
    pub dropped: u64,
}
