//! The passes that a client holds for one server: asked for in advance and many at a time, by name; shown later, without it.
//!
//! They are in memory only. A client that ends loses those that it did not use, which count as routes that it asked for.

use super::SessionError;
use crate::clients::challenge;
use crate::frame::PASSES_MAX;
use crate::identity::Endpoint;
use crate::link::{Link, Timeouts};
use crate::messages::{PassAnswer, PassRequest, ShownPasses, random_below};
use crate::role::Role;
use blindroute_passes::{KeyId, POINT, Pass, PassError, Wanted};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The passes for one server.
pub(super) struct Wallet {
    address: String,
    endpoint: Endpoint,
    role: Role,
    timeouts: Timeouts,
    /// How many it asks for at a time.
    batch: usize,
    held: Mutex<Held>,
    /// Held while some are asked for, so that callers that need them ask once.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Held {
    key: Option<KeyId>,
    passes: Vec<Pass>,
}

impl Wallet {
    pub(super) fn new(address: &str, endpoint: &Endpoint, role: Role, timeouts: Timeouts, batch: usize) -> Self {
        let (address, endpoint) = (address.to_owned(), endpoint.clone());
        Self { address, endpoint, role, timeouts, batch, held: Mutex::default(), asking: Mutex::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many passes, chosen at random from those held. If there are too few, it asks for more first; if few are left, afterwards, on a
    /// thread of its own.
    ///
    /// # Errors
    /// If the server cannot be reached, or issues none to this client.
    pub(super) fn take(self: &Arc<Self>, count: usize) -> Result<ShownPasses, SessionError> {
        if count > PASSES_MAX {
            return Err(SessionError::Request(format!(
                "the session takes {count} passes, for what its answers can tell: expected at most {PASSES_MAX}; leave `passes` out of \
                 the client's configuration for it"
            )));
        }
        let taken = match self.taken(count)? {
            Some(taken) => taken,
            None => {
                self.ask_for(count)?;
                // Others may have taken them meanwhile. Once more, and then it is this caller's error.
                let short = PassError::Count { expected: count, found: 0 };
                match self.taken(count)? {
                    Some(taken) => taken,
                    None => {
                        self.ask_for(count)?;
                        self.taken(count)?.ok_or(short)?
                    }
                }
            }
        };
        if self.lock().passes.len() < self.batch / 2 {
            let wallet = Arc::clone(self);
            let ask = move || {
                // One thread is enough; what fails is tried again, and told, when passes are needed.
                if let Ok(_asking) = wallet.asking.try_lock()
                    && let Err(error) = wallet.fetch(wallet.batch)
                {
                    tracing::debug!(%error, "no passes in advance; they are asked for when they are needed");
                }
            };
            std::thread::Builder::new().name("passes".into()).spawn(ask).map_err(SessionError::Thread)?;
        }
        Ok(taken)
    }

    /// Drops all: the server does not take them any more.
    pub(super) fn forget(&self) {
        *self.lock() = Held::default();
    }

    fn taken(&self, count: usize) -> Result<Option<ShownPasses>, SessionError> {
        let mut held = self.lock();
        let Held { key: Some(key), passes } = &mut *held else { return Ok(None) };
        if passes.len() < count {
            return Ok(None);
        }
        // In a random order: those of one issuance are not shown in the order in which they were asked for.
        let chosen = (0..count).map(|_| random_below(passes.len()).map(|place| passes.swap_remove(place)));
        let passes = chosen.collect::<Result<_, _>>()?;
        Ok(Some(ShownPasses { key: *key, passes }))
    }

    /// Asks for enough, unless another caller just did.
    fn ask_for(&self, count: usize) -> Result<(), SessionError> {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lock().passes.len() >= count {
            return Ok(());
        }
        self.fetch(self.batch.max(count))
    }

    fn fetch(&self, count: usize) -> Result<(), SessionError> {
        let mut link = Link::connect(&self.address, &self.endpoint, self.role, &self.timeouts)?;
        let PassAnswer { key, .. } = ask(&mut link, &PassRequest { token: None, blinded: Vec::new() })?;
        let wanted = Wanted::new(&key, &challenge(self.role), count)?;
        let asked = PassRequest { token: self.endpoint.token(self.role), blinded: wanted.blinded().to_vec() };
        let PassAnswer { key: same, evaluated, proof } = ask(&mut link, &asked)?;
        link.close();
        // A key that changed in between is proven wrong, and asked for again the next time.
        let passes = wanted.finish(&evaluated, &proof.ok_or(PassError::Proof)?)?;
        self.put(&same, passes);
        Ok(())
    }

    fn put(&self, key: &[u8; POINT], passes: Vec<Pass>) {
        let (mut held, key) = (self.lock(), KeyId::of(key));
        if held.key != Some(key) {
            if held.key.is_some() {
                tracing::info!(server = self.role.name(), "the server has a new key of passes");
            }
            *held = Held { key: Some(key), passes };
        } else {
            held.passes.extend(passes);
        }
    }
}

fn ask(link: &mut Link, asked: &PassRequest) -> Result<PassAnswer, SessionError> {
    link.send_message(asked)?;
    Ok(link.receive_message()?)
}
