//! Handing a connection from the thread that accepted it to the thread of its session.
//!
//! At server 0 a session's client and the two lanes of server 1 arrive in any order, each on its own thread. Each lane
//! is offered under its key, and the session's thread takes it. Both waits are bounded, and so is the number of items.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why an item could not be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RendezvousError {
    /// The other thread did not come in time.
    #[error("the other connection of session {key} did not arrive within {after:?}; look at the other server's log")]
    TimedOut {
        /// The session and lane.
        key: String,
        /// The limit.
        after: Duration,
    },
    /// There is already an item under this key.
    #[error("two connections arrived for {key}, expected one for each lane; start a new session")]
    Duplicate {
        /// The session and lane.
        key: String,
    },
    /// Too many items wait.
    #[error(
        "{limit} connections already wait for their sessions, which is the limit; try again later, or raise max_sessions"
    )]
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

/// Items that wait to be taken, by key.
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
    /// A rendezvous for up to `limit` items, each kept for up to `keep`.
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

    /// Leaves an item under `key`, and returns at once.
    ///
    /// # Errors
    /// If an item already waits under this key, or too many items wait.
    pub fn offer(&self, key: K, item: T) -> Result<(), RendezvousError> {
        self.enter(key, item, self.keep).map(drop).map_err(|(_, error)| error)
    }

    /// Whether an item waits under this key.
    pub fn holds(&self, key: &K) -> bool {
        self.lock().contains_key(key)
    }

    /// Leaves an item and waits until it is taken.
    ///
    /// # Errors
    /// If it was not taken in time, or was refused. The item is returned, so that the peer can be told.
    pub fn offer_and_wait(&self, key: K, item: T) -> Result<(), (T, RendezvousError)>
    where
        K: Clone,
    {
        // Longer than the wait below, so that this thread takes the item back itself.
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

    /// Takes the item under `key`, waiting up to `limit` for it.
    ///
    /// # Errors
    /// If no item arrived in time.
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
        let rendezvous = std::sync::Arc::new(Rendezvous::new(2, Duration::from_secs(10)));
        rendezvous.offer("a", 1).unwrap();
        assert_eq!(rendezvous.take(&"a", Duration::ZERO), Ok(1));
        let later = rendezvous.clone();
        let taking = std::thread::spawn(move || later.take(&"b", Duration::from_secs(5)));
        std::thread::sleep(Duration::from_millis(20));
        rendezvous.offer("b", 2).unwrap();
        assert_eq!(taking.join().unwrap(), Ok(2));
        assert!(matches!(rendezvous.take(&"c", Duration::from_millis(10)), Err(RendezvousError::TimedOut { .. })));
        rendezvous.offer("d", 3).unwrap();
        assert!(matches!(rendezvous.offer("d", 4), Err(RendezvousError::Duplicate { .. })));
        rendezvous.offer("e", 5).unwrap();
        assert_eq!(rendezvous.offer("f", 6), Err(RendezvousError::Full { limit: 2 }));
    }

    #[test]
    fn a_waiting_thread_learns_whether_its_item_was_taken() {
        let rendezvous = std::sync::Arc::new(Rendezvous::new(2, Duration::from_millis(200)));
        let other = rendezvous.clone();
        let taking = std::thread::spawn(move || other.take(&"a", Duration::from_secs(5)));
        assert_eq!(rendezvous.offer_and_wait("a", 1), Ok(()));
        assert_eq!(taking.join().unwrap(), Ok(1));
        let (item, error) = rendezvous.offer_and_wait("b", 2).unwrap_err();
        assert!(item == 2 && matches!(error, RendezvousError::TimedOut { .. }));
        assert!(rendezvous.take(&"b", Duration::ZERO).is_err(), "it was given back");
        rendezvous.offer("c", 3).unwrap();
        assert!(matches!(rendezvous.offer_and_wait("c", 4), Err((4, RendezvousError::Duplicate { .. }))));
    }

    #[test]
    fn case_22_each_of_a_thousand_interleaved_sessions_meets_its_own_lanes() {
        let rendezvous = Rendezvous::new(2000, Duration::from_secs(60));
        let lanes = || (0..1000_u32).flat_map(|session| [(session, 0_u32), (session, 1)]);
        let name = |(session, lane): (u32, u32)| format!("session {session}, lane {lane}");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let rendezvous = &rendezvous;
                // Each thread's lanes arrive in another order than they are taken in.
                let own = move || lanes().filter(move |(session, _)| session % 4 == thread);
                scope.spawn(move || {
                    let mut own: Vec<_> = own().collect();
                    own.sort_by_key(|&(session, lane)| (session.wrapping_mul(0x9E37_79B1), lane));
                    own.into_iter().for_each(|lane| rendezvous.offer(name(lane), lane).unwrap());
                });
                scope.spawn(move || {
                    for lane in own() {
                        assert_eq!(rendezvous.take(&name(lane), Duration::from_secs(60)), Ok(lane));
                    }
                });
            }
        });
        let again = rendezvous.take(&name((0, 0)), Duration::ZERO);
        assert!(matches!(again, Err(RendezvousError::TimedOut { .. })), "a lane is taken once");
    }

    #[test]
    fn items_that_nobody_takes_are_dropped() {
        let rendezvous = Rendezvous::new(1, Duration::from_millis(10));
        rendezvous.offer("a", 1).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        rendezvous.offer("b", 2).unwrap();
        assert!(rendezvous.take(&"a", Duration::ZERO).is_err());
    }
}
