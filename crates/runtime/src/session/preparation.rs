//! A server's preparing thread: it turns the dealer's stream into prepared material.

use crate::material::MaterialReader;
use blindroute_protocol::{HashKey, Prepare, Program, QueueWriter, Seed, ServerWeights};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far the preparing thread is. Shared with the session's thread.
#[derive(Default)]
pub(super) struct Preparation {
    /// Bytes received from the dealer.
    received: AtomicU64,
    /// Whether the program's material is all prepared and the end of the dealer's stream was checked.
    complete: AtomicBool,
}

impl Preparation {
    /// Bytes received from the dealer so far.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether all material is prepared, so that nothing more is expected from the dealer.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }
}

/// The dealer's stream, counted as the program reads it.
struct Counted {
    reader: MaterialReader,
    progress: Arc<Preparation>,
}

impl Read for Counted {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(bytes)?;
        self.progress.received.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Prepares until all is done or the queue has no reader any more. The queue carries the result.
pub(super) fn prepare<P: Program>(
    program: &P,
    weights: &ServerWeights,
    (seed, hash_key): &(Seed, Seed),
    reader: MaterialReader,
    progress: Arc<Preparation>,
    queue: QueueWriter,
) {
    let mut material = Counted { reader, progress };
    let seeds = (seed, HashKey::new(hash_key.expose()));
    let result = Prepare::run(program, weights, seeds, &mut material, &queue).and_then(|()| {
        let ended = material.reader.finish().map_err(std::io::Error::other);
        ended.map(|(link, _)| link.close()).map_err(blindroute_protocol::Error::Material)
    });
    // Set before the queue ends, so that a thread that has seen the end of the queue sees this too.
    material.progress.complete.store(result.is_ok(), Ordering::Release);
    queue.finish(result);
}
