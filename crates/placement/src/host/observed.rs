//! What a hosted party shows of itself to whoever runs it: figures, the state of its ledger and of its certificates. Nothing of it
//! tells about a prompt, a weight or a client.

use super::Listen;
use blindroute_runtime::choices::Choices;
use blindroute_runtime::clients::Clients;
use blindroute_runtime::identity::Dated;
use blindroute_runtime::ledger::CountingLedger;
use blindroute_runtime::messages::Digest;
use blindroute_runtime::store::{Store, StoreFigures};
use blindroute_runtime::{AuditCounts, Endpoint, Figures, Ledger, LedgerError, Role, Tally};
use std::sync::{Arc, OnceLock};

/// Which versions of the bundle a party holds now; none when its service is gone.
pub(super) type Versions = Arc<dyn Fn() -> Vec<Digest> + Send + Sync>;

/// A view of a [`Host`](super::Host). It stays when the host ends.
#[derive(Clone)]
pub struct Observed {
    pub(super) tally: Arc<Tally>,
    pub(super) audits: Option<Arc<AuditCounts>>,
    pub(super) clients: Option<Arc<Clients>>,
    pub(super) store: Option<Arc<Store>>,
    pub(super) choices: Option<Arc<Choices>>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) endpoint: Endpoint,
    pub(super) fenced: Arc<OnceLock<LedgerError>>,
    pub(super) places: usize,
    pub(super) versions: Versions,
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observed").field("role", &self.role()).finish_non_exhaustive()
    }
}

impl Observed {
    /// What is seen of a party that listens here, before it does.
    pub(super) fn before(listen: &Listen, ledger: Arc<dyn Ledger>) -> Self {
        let tally = Arc::<Tally>::default();
        Self {
            ledger: Arc::new(CountingLedger::new(ledger, Arc::clone(&tally))),
            tally,
            audits: None,
            clients: None,
            store: None,
            choices: None,
            endpoint: listen.endpoint.clone(),
            fenced: Arc::default(),
            places: listen.limits.max_sessions,
            versions: Arc::new(Vec::new),
        }
    }

    /// The party's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.endpoint.role()
    }

    /// Its certificates, to call other parties as it does.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What it has counted so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.tally.figures()
    }

    /// What a server's audits of the dealer have found; none at the dealer.
    #[must_use]
    pub fn audits(&self) -> Option<&AuditCounts> {
        self.audits.as_deref()
    }

    /// How many clients a server's register has; none without a register.
    #[must_use]
    pub fn registered(&self) -> Option<usize> {
        self.clients.as_ref().map(|clients| clients.registered())
    }

    /// What a server's store holds, and what came of it; none without a store.
    #[must_use]
    pub fn stored(&self) -> Option<StoreFigures> {
        self.store.as_ref().map(|store| store.figures())
    }

    /// What a server counts of the choices that clients report; none if it counts nothing.
    #[must_use]
    pub fn choices(&self) -> Option<&Choices> {
        self.choices.as_deref()
    }

    /// The most sessions at once.
    #[must_use]
    pub fn places(&self) -> usize {
        self.places
    }

    /// The versions of the bundle that it holds now; none when it has ended.
    #[must_use]
    pub fn versions(&self) -> Vec<Digest> {
        (self.versions)()
    }

    /// The certificates in use, its own and others' authorities.
    #[must_use]
    pub fn certificates(&self) -> Vec<Dated> {
        self.endpoint.dated()
    }

    /// Whether the ledger could take a session now. This may take as long as a database takes to answer.
    ///
    /// # Errors
    /// As for [`Ledger::check`].
    pub fn check_ledger(&self) -> Result<(), LedgerError> {
        self.ledger.check()
    }

    /// Whether the party has stopped because another process took its ledger over.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.fenced.get().is_some()
    }
}
