//! Clients that a server knows by name: who may ask, how much, and how much they asked.
//!
//! A server with a **register** answers only clients that are in it and were not revoked. A client shows who it is by its
//! certificate, or by a **token** in its hello; both are in the register as digests only. Each client may ask for a number of
//! routes a day and a minute. All of it is checked before the session's id is claimed and before the dealer is asked, so a
//! client that asks for more costs no material. What a refusal says has the same length for every reason, and is the same
//! from both servers: a client that is revoked is told no more than one that never was there.
//!
//! Where the operators allow it, a client may ask for [passes](blindroute_passes) instead and show one of them in place of itself: how
//! much each client asked for is known then, and not which sessions are its own.
//!
//! The register is a file that the operators' commands write, and that is read again when it changed: a client that is
//! revoked is refused from its next session on. Both servers have a register of their own.

mod account;
mod asked;
mod error;
mod passes;
mod records;
mod register;
mod reported;
mod secret;
#[cfg(test)]
mod tests;
mod usage;

use crate::role::Role;
use blindroute_passes::{KeyId, POINT, Pass};
use passes::Passes;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

pub use account::{Account, Accounts, Asking, ClientKey, Counts, Limits};
pub use asked::{Asked, BITS_PER_PASS, Refusal};
pub use error::ClientsError;
pub use passes::PERIOD as PASS_PERIOD;
pub(crate) use passes::{Issued, challenge};
pub use register::{Credential, Register, Registered, Registration};
pub use secret::{ClientSecret, ClientToken};
pub use usage::Usage;

use register::Watched;
use reported::Reported;

/// What a client showed of itself: of a certificate the digest of its public key, of a token its digest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// Of its certificate.
    pub certificate: Option<[u8; 32]>,
    /// Of its token.
    pub token: Option<[u8; 32]>,
}

/// The clients that a server answers.
#[derive(Debug)]
pub struct Clients {
    state: Mutex<State>,
    accounts: Arc<dyn Accounts>,
    passes: Option<Passes>,
}

#[derive(Debug)]
struct State {
    register: Watched,
    reported: Reported,
}

impl Clients {
    /// Those of a register, counted in a folder that no other process uses.
    ///
    /// # Errors
    /// If the register cannot be read, or the counts are damaged.
    pub fn open(register: &Path, state: &Path) -> Result<Self, ClientsError> {
        Self::with_accounts(register, Arc::new(Usage::open(state)?))
    }

    /// Those of a register, counted in these accounts.
    ///
    /// # Errors
    /// If the register cannot be read.
    pub fn with_accounts(register: &Path, accounts: Arc<dyn Accounts>) -> Result<Self, ClientsError> {
        let state = State { register: Watched::open(register)?, reported: Reported::default() };
        Ok(Self { state: Mutex::new(state), accounts, passes: None })
    }

    /// The same, and passes that this server issues to them, whose keys and uses are in the same folder.
    ///
    /// # Errors
    /// If what the folder holds of passes is damaged, or the disk fails.
    pub fn issuing_passes(self, server: Role, state: &Path) -> Result<Self, ClientsError> {
        Ok(Self { passes: Some(Passes::open(state, server, SystemTime::now())?), ..self })
    }

    /// Issues passes to a client, if it may ask for as many routes: they are counted now, and never again. With no requests it names the
    /// key, to whoever asks. Nothing if this server issues none.
    ///
    /// # Errors
    /// If a request is none, or the disk fails.
    pub(crate) fn issue(
        &self,
        shown: Shown,
        blinded: &[[u8; POINT]],
        now: SystemTime,
    ) -> Result<Option<Result<Issued, Refusal>>, ClientsError> {
        let Some(passes) = &self.passes else { return Ok(None) };
        if !blinded.is_empty()
            && let Err(refusal) = self.admit(shown, Asked::of_passes(blinded.len()), now)?
        {
            return Ok(Some(Err(refusal)));
        }
        passes.issue(blinded, now).map(|issued| Some(Ok(issued)))
    }

    /// Takes the passes for what is asked for: all of them, once.
    ///
    /// # Errors
    /// That they are not as many, not good, or used before. Nothing was taken then.
    pub(crate) fn take(&self, key: &KeyId, shown: &[Pass], asked: Asked) -> Result<Result<(), Refusal>, ClientsError> {
        let Some(passes) = &self.passes else { return Ok(Err(Refusal::Unknown)) };
        let taken = shown.len() == asked.passes() && passes.take(key, shown)?;
        Ok(if taken { Ok(()) } else { Err(Refusal::Unknown) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client that showed this, if it is in the register and was not revoked.
    fn find(&self, shown: Shown) -> Option<Registered> {
        self.lock().register.current().find(shown).filter(|client| !client.revoked).cloned()
    }

    /// Counts what a client asks for, if it may. Returns its name.
    ///
    /// # Errors
    /// The reason why it may not. Nothing was counted then.
    pub fn admit(&self, shown: Shown, asked: Asked, now: SystemTime) -> Result<Result<String, Refusal>, ClientsError> {
        let Some(client) = self.find(shown) else { return Ok(Err(Refusal::Unknown)) };
        // Nothing is locked here: accounts in a database are waited for.
        let asking = Asking { asked, limits: client.limits(), now };
        let account = match self.accounts.admit(ClientKey::of(&client.name), asking)? {
            Ok(account) => account,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let after = account.counts(now).ever;
        let before = after.saturating_sub(u64::from(asked.routes));
        if before < client.alarm_at && client.alarm_at <= after {
            // Both servers know the name, so it is not in their logs.
            tracing::warn!(
                "a client has asked for as many routes as its register entry has as alarm_at: enough answers are a copy of the router; \
                 `blindroute-operator client list` says which one"
            );
        }
        Ok(Ok(client.name))
    }

    /// Counts a report of a choice, if the client may send one: no more in a day (UTC) than the routes that it asked for.
    ///
    /// # Errors
    /// The reason why it may not. Nothing was counted then.
    pub fn admit_report(&self, shown: Shown, now: SystemTime) -> Result<Result<(), Refusal>, ClientsError> {
        let Some(client) = self.find(shown) else { return Ok(Err(Refusal::Unknown)) };
        let most = self.accounts.of(ClientKey::of(&client.name))?.counts(now).today;
        let taken = self.lock().reported.take(&client.name, account::day(now), most);
        Ok(if taken { Ok(()) } else { Err(Refusal::Reports) })
    }

    /// How many clients are registered and not revoked.
    pub fn registered(&self) -> usize {
        self.lock().register.current().clients.iter().filter(|client| !client.revoked).count()
    }

    /// What each client of the register has asked for so far, in the order of the register.
    ///
    /// # Errors
    /// If the accounts cannot be read.
    pub fn counts(&self, now: SystemTime) -> Result<Vec<(String, Counts)>, ClientsError> {
        let names: Vec<String> =
            self.lock().register.current().clients.iter().map(|client| client.name.clone()).collect();
        let counts = |name: String| {
            let account = self.accounts.of(ClientKey::of(&name))?;
            Ok((name, account.counts(now)))
        };
        names.into_iter().map(counts).collect()
    }
}
