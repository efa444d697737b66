//! The passes of a server: it issues them to the clients of its register, and takes each once.
//!
//! A pass is a route that a client has paid for in advance: issuing counts as asking for as many routes, by the client's name. Who
//! shows it later shows no name ([`blindroute_passes`] says why the two cannot be linked). Each server issues its own passes and
//! takes no others, so neither relies on the other's count, and a pass shown to one server is worth nothing at the other one.
//!
//! A key issues for [`PERIOD`], and its passes are taken for as long again; then what is known of used ones is forgotten with it.

mod keys;
mod spent;
#[cfg(test)]
mod tests;

use super::ClientsError;
use crate::role::Role;
use blindroute_passes::{Challenge, KeyId, POINT, PROOF, Pass, PassError};
use keys::Keys;
use spent::Spent;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long a key issues: a month, so that clients that ask at different times use passes of the same key.
pub const PERIOD: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a server issues and takes.
#[derive(Debug)]
pub(super) struct Passes {
    challenge: Challenge,
    keys: Mutex<Keys>,
    spent: Mutex<Spent>,
}

/// What a client gets for its blinded requests.
pub(crate) struct Issued {
    /// The public key.
    pub(crate) key: [u8; POINT],
    /// One answer for each request.
    pub(crate) evaluated: Vec<[u8; POINT]>,
    /// That they are of this key.
    pub(crate) proof: Option<[u8; PROOF]>,
}

impl Passes {
    /// Those of a server, with what its folder holds.
    ///
    /// # Errors
    /// If the files are damaged, or the disk fails.
    pub(super) fn open(folder: &Path, role: Role, now: SystemTime) -> Result<Self, ClientsError> {
        let mut keys = Keys::open(folder)?;
        keys.current(now)?;
        let spent = Spent::open(folder, &keys.ids())?;
        Ok(Self { challenge: challenge(role), keys: Mutex::new(keys), spent: Mutex::new(spent) })
    }

    /// Answers blinded requests; without any, it only names the key.
    ///
    /// # Errors
    /// If a request is none, or the disk fails when the key has to be changed.
    pub(super) fn issue(&self, blinded: &[[u8; POINT]], now: SystemTime) -> Result<Issued, ClientsError> {
        let key = {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.current(now)? {
                self.spent.lock().unwrap_or_else(PoisonError::into_inner).keep(&keys.ids())?;
            }
            keys.newest()?
        };
        let (evaluated, proof) = if blinded.is_empty() {
            (Vec::new(), None)
        } else {
            let (evaluated, proof) = key.issue(blinded)?;
            (evaluated, Some(proof))
        };
        Ok(Issued { key: key.public(), evaluated, proof })
    }

    /// Takes passes, all or none of them, durably before this returns. Returns whether they were good, different and unused.
    ///
    /// # Errors
    /// If the disk fails. They count as used then.
    pub(super) fn take(&self, key: &KeyId, passes: &[Pass]) -> Result<bool, ClientsError> {
        let Some(issuer) = self.keys.lock().unwrap_or_else(PoisonError::into_inner).find(key) else { return Ok(false) };
        let names: Vec<_> = passes.iter().map(Pass::name).collect();
        let different = names.iter().collect::<HashSet<_>>().len() == names.len();
        if !different || !passes.iter().all(|pass| issuer.accepts(&self.challenge, pass)) {
            return Ok(false);
        }
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).spend(key, &names)
    }
}

/// What the passes of a server are for.
pub(crate) fn challenge(role: Role) -> Challenge {
    Challenge::of(role.name())
}

impl From<PassError> for ClientsError {
    fn from(error: PassError) -> Self {
        Self::Pass(error)
    }
}
