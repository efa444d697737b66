//! What servers of other pairs handed over to this one, until a client continues with it.

use super::SessionError;
use super::continued::{Handed, HeldValues};
use super::hand_over::HandOverError;
use crate::frame::FrameKind;
use crate::link::Link;
use crate::messages::{Digest, HandOver, HandOverAnswer};
use blindroute_protocol::Kept;
use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What an entry takes beside its shares and its request.
const OVERHEAD: usize = 8 << 10;
/// How often the expiry is checked at least, while something is held.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// What is under a ticket.
struct Entry {
    /// None until the shares have arrived.
    values: Option<HeldValues>,
    bytes: usize,
    until: Instant,
}

#[derive(Default)]
struct Entries {
    by_ticket: HashMap<Digest, Entry>,
}

impl Entries {
    fn bytes(&self) -> usize {
        self.by_ticket.values().map(|entry| entry.bytes).sum()
    }

    /// Drops what has expired, which wipes it, and says when the next one expires.
    fn expire(&mut self, now: Instant) -> Option<Instant> {
        let before = self.by_ticket.len();
        self.by_ticket.retain(|_, entry| entry.until > now);
        if self.by_ticket.len() < before {
            tracing::info!(count = before - self.by_ticket.len(), "handed over and not continued in time: dropped");
        }
        self.by_ticket.values().map(|entry| entry.until).min()
    }
}

/// The values that were handed over, by the digests of their tickets: each for a limited time, used once, all together of limited
/// size. Wiped when they go.
pub(super) struct HandedStore {
    entries: Arc<Mutex<Entries>>,
    budget: usize,
    keep: Duration,
    /// Wakes the thread that drops what has expired, which ends with this store.
    watch: Mutex<Option<Sender<()>>>,
}

/// Room for values that are being received. It is given back when this is dropped, unless they were stored.
struct Room<'a> {
    store: &'a HandedStore,
    ticket: Digest,
    stored: bool,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if !self.stored {
            lock(&self.store.entries).by_ticket.remove(&self.ticket);
        }
    }
}

impl HandedStore {
    /// A store of so many bytes, which keeps each item for `keep`.
    pub(super) fn new(budget: usize, keep: Duration) -> Self {
        Self { entries: Arc::default(), budget, keep, watch: Mutex::default() }
    }

    /// Takes what is under a ticket. Nobody can take it again.
    pub(super) fn take(&self, ticket: &Digest) -> Option<HeldValues> {
        let mut entries = lock(&self.entries);
        entries.expire(Instant::now());
        entries.by_ticket.get(ticket)?.values.as_ref()?;
        entries.by_ticket.remove(ticket)?.values
    }

    /// Answers a server of another pair that hands something over.
    ///
    /// # Errors
    /// If the message is malformed, there is no room, or the shares do not come.
    pub(super) fn receive(&self, link: &mut Link) -> Result<(), SessionError> {
        // A caller that leaves at once only asked whether this server answers.
        let Some(offer) = link.receive_message_or_end::<HandOver>()? else { return Ok(()) };
        let HandOver { session, request, ticket, places, forms } = offer;
        let ticket = ticket.digest();
        let words = forms.iter().map(|form| form.shape.len()).sum::<usize>();
        let mut room = self.reserve(ticket, request.len() + 8 * words)?;
        link.send_message(&HandOverAnswer { session, stored: false })?;
        let bytes = Zeroizing::new(link.receive_long(FrameKind::KeptShares, 0, Kept::byte_len(&forms))?);
        let kept = Kept::from_bytes(&forms, &bytes)?;
        let texts = places.len();
        room.store(HeldValues { session, version: None, request, kept, handed: Some(Handed { ticket, places }) });
        self.watch()?;
        link.send_message(&HandOverAnswer { session, stored: true })?;
        tracing::info!(%session, texts, "another pair handed a session over to this one");
        Ok(())
    }

    fn reserve(&self, ticket: Digest, bytes: usize) -> Result<Room<'_>, HandOverError> {
        let (found, limit) = (bytes + OVERHEAD, self.budget);
        if found > limit {
            return Err(HandOverError::TooLarge { found, limit });
        }
        let mut entries = lock(&self.entries);
        let now = Instant::now();
        entries.expire(now);
        if entries.bytes() + found > limit {
            return Err(HandOverError::NoRoom { found, limit, after: self.keep });
        }
        match entries.by_ticket.entry(ticket) {
            MapEntry::Occupied(_) => return Err(HandOverError::TicketReused),
            MapEntry::Vacant(free) => free.insert(Entry { values: None, bytes: found, until: now + self.keep }),
        };
        Ok(Room { store: self, ticket, stored: false })
    }

    /// Sees to it that what is held goes when it expires, although nobody asks.
    fn watch(&self) -> Result<(), SessionError> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.as_ref().is_some_and(|watch| watch.send(()).is_ok()) {
            return Ok(());
        }
        let (send, wake) = mpsc::channel();
        let entries = Arc::downgrade(&self.entries);
        let thread = std::thread::Builder::new().name("expire".into());
        thread.spawn(move || expire(&entries, &wake)).map_err(SessionError::Thread)?;
        *watch = Some(send);
        Ok(())
    }

    /// How many are held or being received, and their bytes.
    #[cfg(test)]
    fn held(&self) -> (usize, usize) {
        let entries = lock(&self.entries);
        (entries.by_ticket.len(), entries.bytes())
    }
}

impl Room<'_> {
    /// Stores the values, unless they took so long to come that they have expired.
    fn store(&mut self, values: HeldValues) {
        if let Some(entry) = lock(&self.store.entries).by_ticket.get_mut(&self.ticket) {
            entry.values = Some(values);
            self.stored = true;
        }
    }
}

/// Drops what has expired until the store is gone.
fn expire(entries: &Weak<Mutex<Entries>>, wake: &mpsc::Receiver<()>) {
    loop {
        let Some(held) = entries.upgrade() else { return };
        let next = lock(&held).expire(Instant::now());
        drop(held);
        let left = next.map_or(LONGEST_LOOK, |next| next.saturating_duration_since(Instant::now()));
        if let Err(RecvTimeoutError::Disconnected) = wake.recv_timeout(left.min(LONGEST_LOOK)) {
            return;
        }
    }
}

fn lock(entries: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::SessionId;

    const LONG: Duration = Duration::from_secs(60);

    fn values() -> HeldValues {
        let (session, kept) = (SessionId([1; 16]), Kept::default());
        HeldValues { session, version: None, request: Vec::new(), kept, handed: None }
    }

    fn stored(store: &HandedStore, ticket: Digest) {
        store.reserve(ticket, 100).unwrap().store(values());
        store.watch().unwrap();
    }

    #[test]
    fn what_was_handed_over_is_used_once_and_by_its_ticket_only() {
        let store = HandedStore::new(1 << 20, LONG);
        let (one, other) = (Digest([1; 32]), Digest([2; 32]));
        stored(&store, one);
        assert!(matches!(store.reserve(one, 100), Err(HandOverError::TicketReused)));
        assert!(store.take(&other).is_none() && store.take(&one).is_some() && store.take(&one).is_none());
        assert_eq!(store.held(), (0, 0));
        // What was not received takes no room.
        let room = store.reserve(one, 100).unwrap();
        assert!(store.take(&one).is_none() && store.held().0 == 1);
        drop(room);
        assert_eq!(store.held(), (0, 0));
    }

    #[test]
    fn room_is_limited_before_anything_is_received() {
        let store = HandedStore::new(3 * OVERHEAD, LONG);
        assert!(matches!(store.reserve(Digest([0; 32]), 3 * OVERHEAD), Err(HandOverError::TooLarge { .. })));
        let first = store.reserve(Digest([1; 32]), OVERHEAD).unwrap();
        assert!(matches!(store.reserve(Digest([2; 32]), 1), Err(HandOverError::NoRoom { .. })));
        drop(first);
        assert!(store.reserve(Digest([2; 32]), 1).is_ok());
    }

    #[test]
    fn what_nobody_continues_goes_by_itself() {
        let store = HandedStore::new(1 << 20, Duration::from_millis(50));
        for number in [1, 2] {
            stored(&store, Digest([number; 32]));
            assert_eq!(store.held().0, 1);
            let until = Instant::now() + LONG;
            while store.held().0 > 0 {
                assert!(Instant::now() < until, "it is held for a minute");
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(store.take(&Digest([number; 32])).is_none());
        }
    }
}
