//! A server's preparing thread: it turns the dealer's stream, or a stored one, into prepared material. And the wait until the material is used.

use super::SessionError;
use super::audit::SessionSeeds;
use super::continued::Continuing;
use super::source::Source;
use crate::frame::FrameKind;
use crate::link::{Link, LinkError};
use crate::service::{Interrupted, Rest, Resting};
use blindroute_protocol::{HashKey, Prepare, PrepareSeeds, Program, QueueReader, QueueWriter, ServerWeights};
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far the preparing thread is. Shared with the session's thread.
pub(super) struct Preparation {
    /// Whether the link to the dealer is kept after the end of its stream.
    keeps_link: bool,
    link: Mutex<Option<Link>>,
    /// Bytes of material that were read.
    received: AtomicU64,
    /// Whether the program's material is all prepared and the end of the dealer's stream was checked.
    complete: AtomicBool,
}

impl Preparation {
    /// Nothing is prepared so far. The link to the dealer stays open for an audit, if there is one.
    pub(super) fn new(audited: bool) -> Self {
        Self {
            keeps_link: audited,
            link: Mutex::default(),
            received: AtomicU64::new(0),
            complete: AtomicBool::new(false),
        }
    }

    /// Bytes of material that were read so far.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether all material is prepared, so that nothing more is expected from the dealer.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// The link to the dealer, if all material is prepared and the session is to be audited.
    pub(super) fn link_for_audit(&self) -> Option<Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn ended(&self, link: Option<Link>) {
        if self.keeps_link {
            *self.link.lock().unwrap_or_else(PoisonError::into_inner) = link;
        } else if let Some(link) = link {
            link.close();
        }
    }
}

/// What the online phase takes over from the offline phase.
pub(super) struct Prepared<'a> {
    pub(super) reader: &'a QueueReader,
    pub(super) progress: &'a Preparation,
    /// When the session began.
    pub(super) started: Instant,
    /// Where its inputs come from, if they were kept.
    pub(super) continued: Option<Continuing>,
}

/// Waits for the client's input to begin. A session rests here: its material is prepared, and the input may come later.
/// The wait ends at once if the client leaves or the service stops, and the session ends with it: its material is
/// dropped, and its id stays consumed.
pub(super) fn await_input(client: &mut Link, resting: &Resting, limit: Duration) -> Result<(), SessionError> {
    match resting.wait(Rest::Prepared, || client.await_message(limit, FrameKind::Input)) {
        Err(Interrupted::Stopping) => Err(SessionError::Stopping),
        Err(Interrupted::PlaceLost) => Err(SessionError::PlaceLost),
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false) | Err(LinkError::Closed { .. })) => Err(SessionError::Unused),
        Ok(Err(LinkError::TimedOut { after, .. })) => Err(SessionError::Expired { after }),
        Ok(Err(error)) => Err(error.into()),
    }
}

/// The material, counted as the program reads it.
struct Counted {
    reader: Source,
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
    seeds: &SessionSeeds,
    reader: Source,
    progress: Arc<Preparation>,
    queue: QueueWriter,
) {
    let mut material = Counted { reader, progress };
    let own = PrepareSeeds { material: &seeds.material, products: seeds.products.as_ref() };
    let seeds = (own, HashKey::new(seeds.hash_key.expose()));
    let result = Prepare::run(program, weights, seeds, &mut material, &queue).and_then(|()| {
        let ended = material.reader.finish().map(|link| material.progress.ended(link));
        ended.map_err(blindroute_protocol::Error::Material)
    });
    // Set before the queue ends, so that a thread that has seen the end of the queue sees this too.
    material.progress.complete.store(result.is_ok(), Ordering::Release);
    queue.finish(result);
}
