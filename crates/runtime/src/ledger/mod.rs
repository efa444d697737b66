//! The durable record of claimed sessions: material is used at most once, across restarts, crashes and restored copies.
//!
//! [`Ledger`] is what a party needs of such a record; [`FileLedger`] keeps it in a folder. Databases are in a crate of their own.
//! A session is claimed before anything of it is used, and a claim is never taken back: after a crash, every session whose material
//! may have been used is claimed.
//!
//! A ledger cannot see by itself that it was restored from a copy or cloned. So the two servers tell each other how their ledgers
//! stand ([`Standing`]) when they open a session, each keeps what it has seen of the other in its own ledger, and a [`Witness`]
//! refuses a standing that does not follow from it. The dealer needs no witness: its seeds are drawn anew for each session and are
//! never derived from an identifier, so a dealer with an old ledger deals other material, and the servers' ledgers refuse the session.

mod counting;
mod error;
mod file;
mod lock;
mod witness;

pub use crate::messages::Standing;
pub use counting::CountingLedger;
pub use error::LedgerError;
pub use file::FileLedger;
pub use lock::hold;
pub use witness::{StandingError, Witness};

use crate::clients::Accounts;
use crate::messages::SessionId;
use crate::role::Role;
use std::sync::Arc;

/// How many of the last sessions every ledger refuses at least. Older ones may be forgotten. That is safe, because material is
/// never derived from an identifier: the dealer draws a session's seeds from the operating system when it grants them, keeps them
/// only for that session and does not store them. If a forgotten session is begun again, all parties get other material. Everything
/// else that an identifier names (connections that wait for each other, a stream under way) exists only for minutes.
pub const KEPT: u64 = 1 << 19;

/// A party's record of the sessions that it has claimed. Opening it raises its term durably and fences off whoever holds it.
pub trait Ledger: std::fmt::Debug + Send + Sync {
    /// Claims a session, durably before this returns. Call it before the session's material is used for the first time. What is
    /// known of the other server's ledger is stored with it; the dealer has `None`, which changes nothing.
    ///
    /// # Errors
    /// If the session was claimed before, another process has opened the ledger since, or the claim could not be made durable. Do
    /// not use the material then.
    fn claim(&self, session: SessionId, other: Option<&Standing>) -> Result<Claim, LedgerError>;

    /// Whether it could take a session now, as far as can be told without claiming one.
    ///
    /// # Errors
    /// If another process has opened it since, an earlier write failed, or it does not answer.
    fn check(&self) -> Result<(), LedgerError>;

    /// How the ledger stands.
    fn standing(&self) -> Standing;

    /// What the ledger holds of the other server's ledger: the newest standing that was stored with a claim.
    fn other(&self) -> Option<Standing>;

    /// The number of sessions that are known to be claimed.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    fn entries(&self) -> Result<u64, LedgerError>;

    /// Forgets the other server's ledger, durably. The next one that is seen is taken for it.
    ///
    /// # Errors
    /// If that cannot be made durable.
    fn forget_other(&self) -> Result<(), LedgerError>;

    /// Where accounts of clients are kept beside this ledger, if all ledgers of this role in the same place share them: that of one
    /// operator's lanes, which count a client together then. None of a ledger in a folder.
    fn accounts(self: Arc<Self>, role: Role) -> Option<Arc<dyn Accounts>>;
}

/// The proof that a session was claimed, by this process and never before.
#[derive(Debug)]
pub struct Claim {
    session: SessionId,
    standing: Standing,
}

impl Claim {
    /// For ledgers: the claim of a session that is durable, and how the ledger stood with it.
    #[must_use]
    pub fn new(session: SessionId, standing: Standing) -> Self {
        Self { session, standing }
    }

    /// What was claimed.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// How the ledger stood with this claim, which is its last one there. Each claim of a ledger has another number.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

/// What a ledger says about itself to an operator, without being opened: its term stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overview {
    /// How it stands.
    pub standing: Standing,
    /// What it holds of the other server's ledger.
    pub other: Option<Standing>,
}
