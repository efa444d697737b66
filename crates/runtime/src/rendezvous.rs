//! Where connections of one session that arrive on different threads meet.
//!
//! At server 0 a session's client and the two lanes of server 1 arrive in any order on threads of their own. Each lane
//! is offered under its key; the session's thread takes it. Both waits are bounded, and so is the number of items.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why nobody was met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RendezvousError {
    /// The other one did not come.
    #[error("the other side of session {key} did not come within {after:?}; look at the other server's log")]
    TimedOut {
        /// The session and lane.
        key: String,
        /// The limit.
        after: Duration,
    },
    /// Someone came under this key already.
    #[error("two connections came for {key}; a session takes one of each lane: start a new session")]
    Duplicate {
        /// The session and lane.
        key: String,
    },
    /// Too many wait.
    #[error("{limit} connections wait for their sessions, the limit; try again later or raise max_sessions")]
    Full {
        /// The limit.
        limit: usize,
    },
}

struct Entry<T> {
    item: T,
    until: Instant,
    ticket: u64,
}

/// A place to meet.
pub struct Rendezvous<K, T> {
    waiting: Mutex<HashMap<K, Entry<T>>>,
    arrived: Condvar,
    taken: Condvar,
    tickets: AtomicU64,
    limit: usize,
    keep: Duration,
}

impl<K, T> Debug for Rendezvous<K, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendezvous").field("limit", &self.limit).field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Display, T> Rendezvous<K, T> {
    /// A place for up to `limit` items, each kept for `keep`.
    #[must_use]
    pub fn new(limit: usize, keep: Duration) -> Self {
        Rendezvous {
            waiting: Mutex::new(HashMap::new()),
            arrived: Condvar::new(),
            taken: Condvar::new(),
            tickets: AtomicU64::new(0),
            limit,
            keep,
        }
    }

    /// Leaves an item for whoever asks for `key`, and returns at once.
    ///
    /// # Errors
    /// An item waits under this key already, or too many wait.
    pub fn offer(&self, key: K, item: T) -> Result<(), RendezvousError> {
        self.enter(key, item, self.keep).map(drop).map_err(|(_, error)| error)
    }

    /// Leaves an item and waits until somebody takes it.
    ///
    /// # Errors
    /// Nobody did in time, or the offer was refused: the item comes back, so that its owner can be told.
    pub fn offer_and_wait(&self, key: K, item: T) -> Result<(), (T, RendezvousError)>
    where
        K: Clone,
    {
        // Longer than the wait below: it is this thread that takes the item back.
        let ticket = self.enter(key.clone(), item, 2 * self.keep)?;
        let waits = |waiting: &HashMap<K, Entry<T>>| waiting.get(&key).is_some_and(|entry| entry.ticket == ticket);
        let (mut waiting, _) = self
            .taken
            .wait_timeout_while(self.lock(), self.keep, |waiting| waits(waiting))
            .unwrap_or_else(PoisonError::into_inner);
        if !waits(&waiting) {
            return Ok(());
        }
        match waiting.remove(&key) {
            Some(entry) => Err((entry.item, RendezvousError::TimedOut { key: key.to_string(), after: self.keep })),
            None => Ok(()),
        }
    }

    fn enter(&self, key: K, item: T, keep: Duration) -> Result<u64, (T, RendezvousError)> {
        let mut waiting = self.lock();
        let now = Instant::now();
        waiting.retain(|_, entry| entry.until > now);
        if waiting.contains_key(&key) {
            return Err((item, RendezvousError::Duplicate { key: key.to_string() }));
        }
        if waiting.len() >= self.limit {
            return Err((item, RendezvousError::Full { limit: self.limit }));
        }
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        waiting.insert(key, Entry { item, until: now + keep, ticket });
        drop(waiting);
        self.arrived.notify_all();
        Ok(ticket)
    }

    /// Takes the item of `key`, waiting up to `limit` for it.
    ///
    /// # Errors
    /// Nobody came in time.
    pub fn take(&self, key: &K, limit: Duration) -> Result<T, RendezvousError> {
        let (mut waiting, _) = self
            .arrived
            .wait_timeout_while(self.lock(), limit, |waiting| !waiting.contains_key(key))
            .unwrap_or_else(PoisonError::into_inner);
        match waiting.remove(key) {
            Some(entry) => {
                drop(waiting);
                self.taken.notify_all();
                Ok(entry.item)
            }
            None => Err(RendezvousError::TimedOut { key: key.to_string(), after: limit }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_meet_in_either_order_and_waits_are_bounded() {
        let place = std::sync::Arc::new(Rendezvous::new(2, Duration::from_secs(10)));
        place.offer("a", 1).unwrap();
        assert_eq!(place.take(&"a", Duration::ZERO), Ok(1));
        let later = place.clone();
        let taking = std::thread::spawn(move || later.take(&"b", Duration::from_secs(5)));
        std::thread::sleep(Duration::from_millis(20));
        place.offer("b", 2).unwrap();
        assert_eq!(taking.join().unwrap(), Ok(2));
        assert!(matches!(place.take(&"c", Duration::from_millis(10)), Err(RendezvousError::TimedOut { .. })));
        place.offer("d", 3).unwrap();
        assert!(matches!(place.offer("d", 4), Err(RendezvousError::Duplicate { .. })));
        place.offer("e", 5).unwrap();
        assert_eq!(place.offer("f", 6), Err(RendezvousError::Full { limit: 2 }));
    }

    #[test]
    fn who_waits_learns_whether_the_item_was_taken() {
        let place = std::sync::Arc::new(Rendezvous::new(2, Duration::from_millis(200)));
        let other = place.clone();
        let taking = std::thread::spawn(move || other.take(&"a", Duration::from_secs(5)));
        assert_eq!(place.offer_and_wait("a", 1), Ok(()));
        assert_eq!(taking.join().unwrap(), Ok(1));
        let (item, error) = place.offer_and_wait("b", 2).unwrap_err();
        assert!(item == 2 && matches!(error, RendezvousError::TimedOut { .. }));
        assert!(place.take(&"b", Duration::ZERO).is_err(), "it was given back");
        place.offer("c", 3).unwrap();
        assert!(matches!(place.offer_and_wait("c", 4), Err((4, RendezvousError::Duplicate { .. }))));
    }

    #[test]
    fn what_nobody_takes_is_dropped() {
        let place = Rendezvous::new(1, Duration::from_millis(10));
        place.offer("a", 1).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        place.offer("b", 2).unwrap();
        assert!(place.take(&"a", Duration::ZERO).is_err());
    }
}
