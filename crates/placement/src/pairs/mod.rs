//! The pairs of servers that a router asks. A pair is a dealer with its two servers.
//!
//! All pairs of a router hold the same model, each in a split of its own. A session lives and ends with one pair: a [`Pair`] has
//! its own client, and shares are made, sent and used up within [`Pair::attempt`], so that shares of two pairs never meet. What a
//! session leaves with the servers may go on in a session of another pair, if its servers hand it over: then nothing of it stays.

mod batches;
mod contact;
mod failover;
mod same;
mod standing;

pub(crate) use batches::{Places, Tell};
pub(crate) use contact::Calls;
pub use contact::PairState;
pub(crate) use failover::Trial;
pub(crate) use same::check as check_same;

use crate::catalogue::BundleCatalogue;
use crate::error::PlacementError;
use crate::report::{BundleUsed, PairUsed};
use crate::reporter::Reporter;
use blindroute_routing::program::SessionRequest;
use blindroute_runtime::{Client, SessionPool, SessionPoolOptions, SessionPoolStatus};
use contact::Contact;
use standing::Standing;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The pairs of a router, and how each is doing.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    // Pools and clients are dropped before the parties of the router: their links are closed before the parties end.
    pairs: Vec<Pair>,
    standings: Mutex<Vec<Standing>>,
    contacts: Mutex<Vec<Contact>>,
    /// The work of requests, by their encoding.
    work: Mutex<BTreeMap<Vec<u8>, f64>>,
}

/// A dealer with its two servers, as their client sees them.
#[derive(Debug)]
pub(crate) struct Pair {
    /// Made when sessions are first asked to be kept ready.
    pool: Mutex<Option<Arc<SessionPool<BundleCatalogue>>>>,
    client: Client<BundleCatalogue>,
    used: PairUsed,
    bundle: BundleUsed,
    /// By which servers of other pairs know it, if they hand over to it.
    name: Option<String>,
    /// How its servers are called to see whether they answer; none if they were started here.
    calls: Option<Calls>,
}

impl Pair {
    pub(crate) fn new(client: Client<BundleCatalogue>, used: PairUsed, bundle: BundleUsed) -> Self {
        Self { pool: Mutex::default(), client, used, bundle, name: None, calls: None }
    }

    pub(crate) fn known_as(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    pub(crate) fn called_by(self, calls: Calls) -> Self {
        Self { calls: Some(calls), ..self }
    }

    fn pool(&self) -> Option<Arc<SessionPool<BundleCatalogue>>> {
        lock(&self.pool).clone()
    }
}

impl From<Vec<Pair>> for Pairs {
    fn from(pairs: Vec<Pair>) -> Self {
        let standings = Mutex::new(pairs.iter().map(|_| Standing::default()).collect());
        let contacts = Mutex::new(vec![Contact::default(); pairs.len()]);
        Self { pairs, standings, contacts, work: Mutex::default() }
    }
}

impl Pairs {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The servers' addresses, by pair.
    pub(crate) fn servers(&self) -> Vec<[String; 2]> {
        self.pairs.iter().map(|pair| pair.used.servers.clone()).collect()
    }

    /// Reports to the servers of the pair that answered which model was chosen.
    pub(crate) fn report_choice(&self, reporter: &Reporter, pair: usize, place: usize) {
        if let Some(pair) = self.pairs.get(pair) {
            reporter.report(&pair.client, place);
        }
    }

    /// The pair that answered, for a report; nothing if there is no choice.
    pub(crate) fn used(&self, pair: Option<usize>) -> Option<PairUsed> {
        self.several(pair).map(|pair| pair.used.clone())
    }

    /// The bundle of the pair that answered; nothing if there is no choice.
    pub(crate) fn bundle(&self, pair: Option<usize>) -> Option<&BundleUsed> {
        self.several(pair).map(|pair| &pair.bundle)
    }

    fn several(&self, pair: Option<usize>) -> Option<&Pair> {
        if self.pairs.len() > 1 { self.pairs.get(pair?) } else { None }
    }

    /// Keeps sessions of a request ready: about the same number with each pair, and `count` with all together.
    pub(crate) fn keep_ready(&self, request: SessionRequest, count: usize) -> Result<(), PlacementError> {
        let request = BundleCatalogue::encode(request);
        for (index, pair) in self.pairs.iter().enumerate() {
            let mut pool = lock(&pair.pool);
            let pool = match &mut *pool {
                Some(pool) => pool,
                none => none.insert(Arc::new(SessionPool::new(pair.client.clone(), SessionPoolOptions::default())?)),
            };
            // The first pairs take what is left over.
            pool.keep(&request, count / self.pairs.len() + usize::from(index < count % self.pairs.len()));
        }
        Ok(())
    }

    pub(crate) fn pause_filling(&self, paused: bool) {
        self.pools().for_each(|pool| pool.pause(paused));
    }

    /// What all pools together did for a request.
    pub(crate) fn ready(&self, request: SessionRequest) -> SessionPoolStatus {
        let request = BundleCatalogue::encode(request);
        let statuses = self.pools().map(|pool| pool.status(&request));
        statuses.reduce(added).unwrap_or_default()
    }

    /// Waits until all pools are full, up to `limit`; says whether they are.
    pub(crate) fn wait_ready(&self, request: SessionRequest, limit: Duration) -> bool {
        let (request, until) = (BundleCatalogue::encode(request), Instant::now() + limit);
        let (mut pools, mut full) = (0, 0);
        for pool in self.pools() {
            pools += 1;
            full += usize::from(pool.wait_full(&request, until.saturating_duration_since(Instant::now())));
        }
        pools > 0 && pools == full
    }

    fn pools(&self) -> impl Iterator<Item = Arc<SessionPool<BundleCatalogue>>> {
        self.pairs.iter().filter_map(Pair::pool)
    }
}

fn added(one: SessionPoolStatus, other: SessionPoolStatus) -> SessionPoolStatus {
    SessionPoolStatus {
        wanted: one.wanted + other.wanted,
        ready: one.ready + other.ready,
        filling: one.filling + other.filling,
        filled: one.filled + other.filled,
        filling_time: one.filling_time + other.filling_time,
        taken: one.taken + other.taken,
        discarded: one.discarded + other.discarded,
        failure: one.failure.or(other.failure),
        refused: one.refused || other.refused,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
