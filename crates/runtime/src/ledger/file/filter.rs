//! A filter that answers "certainly new" for almost every session without reading the disk.

use std::hash::{BuildHasher, RandomState};

use crate::messages::SessionId;

/// Bits per session. Of new sessions, 4 in 1000 are looked up unnecessarily.
const BITS_EACH: u64 = 16;

/// A Bloom filter. Clients choose the identifiers, so it hashes them with a secret key.
pub(super) struct Filter {
    words: Vec<u64>,
    hasher: RandomState,
}

impl Filter {
    /// A filter for this many sessions.
    pub(super) fn new(sessions: u64) -> Self {
        let bits = (sessions * BITS_EACH).next_power_of_two().max(64);
        Self { words: vec![0; (bits / 64) as usize], hasher: RandomState::new() }
    }

    pub(super) fn note(&mut self, session: &SessionId) {
        for (word, mask) in self.bits(session) {
            self.words[word] |= mask;
        }
    }

    pub(super) fn maybe(&self, session: &SessionId) -> bool {
        self.bits(session).iter().all(|(word, mask)| self.words[*word] & mask != 0)
    }

    /// The bits of a session, each as a word and a mask.
    fn bits(&self, session: &SessionId) -> [(usize, u64); 3] {
        let hash = self.hasher.hash_one(session.0);
        let bits = 64 * self.words.len() as u64;
        [0, 21, 42].map(|shift| {
            let bit = (hash >> shift ^ hash << 7 << shift) % bits;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }
}
