//! When each pair of servers last answered and last failed, from the sessions with it; without any, from a look now and then.

use super::{Pair, Pairs, lock};
use crate::health;
use blindroute_runtime::messages::Digest;
use blindroute_runtime::{Catalogue as _, Endpoint, LinkError, Role, Timeouts, Validity};
use std::time::{Duration, SystemTime};

/// A server that is only looked at is not waited for longer than this at each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of a pair of servers without asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairState {
    /// The addresses of server 0 and server 1.
    pub servers: [String; 2],
    /// When it last answered.
    pub answered: Option<SystemTime>,
    /// When it last failed, and why.
    pub failed: Option<(SystemTime, String)>,
    /// How long the authority's certificate and the client's own hold, if they are in files.
    pub certificates: Option<[Validity; 2]>,
}

impl PairState {
    /// Whether it answered when it was last asked; nothing if it was not asked yet.
    #[must_use]
    pub fn answers(&self) -> Option<bool> {
        match (self.answered, &self.failed) {
            (None, None) => None,
            (answered, failed) => Some(answered >= failed.as_ref().map(|(at, _)| *at)),
        }
    }
}

/// The last contacts with a pair.
#[derive(Clone, Debug, Default)]
pub(super) struct Contact {
    answered: Option<SystemTime>,
    failed: Option<(SystemTime, String)>,
}

/// How servers elsewhere are called.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) endpoint: Endpoint,
    pub(crate) timeouts: Timeouts,
    pub(crate) certificates: [Validity; 2],
}

impl Pairs {
    /// What is known of each pair.
    pub(crate) fn states(&self) -> Vec<PairState> {
        let contacts = lock(&self.contacts);
        let state = |(pair, contact): (&Pair, &Contact)| PairState {
            servers: pair.used.servers.clone(),
            answered: contact.answered,
            failed: contact.failed.clone(),
            certificates: pair.calls.as_ref().map(|calls| calls.certificates),
        };
        self.pairs.iter().zip(contacts.iter()).map(state).collect()
    }

    /// Calls the servers elsewhere whose last contact is as long ago as this, and asks nothing of them.
    pub(crate) fn look(&self, after: Duration) {
        for (index, pair) in self.pairs.iter().enumerate() {
            let Some(calls) = &pair.calls else { continue };
            let last = lock(&self.contacts).get(index).and_then(Contact::last);
            let recent = last.and_then(|last| last.elapsed().ok()).is_some_and(|ago| ago < after);
            if !recent {
                self.noted(index, calls.call(&pair.used.servers).map_err(|error| error.to_string()).err());
            }
        }
    }

    /// Whether there is a pair both of whose servers hold its version of the bundle.
    pub(crate) fn hold_it(&self) -> bool {
        self.pairs.iter().any(|pair| {
            let digest = pair.client.catalogue().digest();
            pair.calls.as_ref().is_some_and(|calls| calls.compare(&pair.used.servers, digest).is_ok())
        })
    }

    /// Notes that a pair answered, or why it did not.
    pub(super) fn noted(&self, index: usize, failure: Option<String>) {
        let (mut contacts, now) = (lock(&self.contacts), SystemTime::now());
        let Some(contact) = contacts.get_mut(index) else { return };
        match failure {
            None => contact.answered = Some(now),
            Some(reason) => contact.failed = Some((now, reason)),
        }
    }
}

impl Contact {
    fn last(&self) -> Option<SystemTime> {
        self.answered.max(self.failed.as_ref().map(|(at, _)| *at))
    }
}

impl Calls {
    fn call(&self, servers: &[String; 2]) -> Result<(), LinkError> {
        let timeouts = self.patience();
        for (role, address) in [Role::Server0, Role::Server1].into_iter().zip(servers) {
            health::call(role, address, &self.endpoint, &timeouts)?;
        }
        Ok(())
    }

    fn compare(&self, servers: &[String; 2], version: Digest) -> Result<(), LinkError> {
        let timeouts = self.patience();
        let roles = [Role::Server0, Role::Server1].into_iter().zip(servers);
        roles
            .into_iter()
            .try_for_each(|(role, server)| health::compare(role, server, &self.endpoint, &timeouts, version))
    }

    fn patience(&self) -> Timeouts {
        let Timeouts { connect, handshake, stall, .. } = self.timeouts;
        let [connect, handshake, stall] = [connect, handshake, stall].map(|wait| wait.min(PATIENCE));
        Timeouts { connect, handshake, stall, ..self.timeouts }
    }
}
