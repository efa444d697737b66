//! Preparing a session from stored material: the two servers agree on one stored session and claim its use, or ask the dealer.
//!
//! Server 1 proposes a stored session on the lane that it opens, before anything else is sent on it. Server 0 looks whether it has
//! the same, claims its use in its ledger, and says yes; then server 1 claims the use in its own. The ids of both claims follow from the id under which
//! the material was dealt, so a copy of a store's folder is refused by the ledgers. A stored session is touched by these claims: if
//! anything fails after that, it is lost, and no other is.

use super::proposals::Proposals;
use super::server::ServerService;
use super::versions::{ServerVersion, Version as _};
use super::{Catalogue, SessionError};
use crate::ledger::{Claim, LedgerError};
use crate::link::Link;
use crate::messages::{Digest, Proposal, SessionOpen, StoreAnswer, StoreCall};
use crate::store::{Kind, Reserved, Store, Taken, use_of};
use blindroute_protocol::Party;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many stored sessions are proposed for one session of a client.
const TRIES: usize = 4;

/// A server's store, and what server 1 proposes.
pub(super) struct StoreUse {
    pub(super) store: Arc<Store>,
    pub(super) proposals: Proposals,
    /// At server 1: whether the stores may differ, so that they are to be compared soon.
    pub(super) differs: AtomicBool,
}

impl StoreUse {
    pub(super) fn new(store: Arc<Store>) -> Self {
        let proposals = Proposals::default();
        // Server 1 filled it together with this one, so it will propose what is there.
        if store.figures().sessions > 0 {
            proposals.heard();
        }
        Self { store, proposals, differs: AtomicBool::new(false) }
    }
}

/// What a stored session has to be to stand for one of a resolved request.
pub(super) fn kind_of<C: Catalogue>(version: &ServerVersion<C>, messages: u16, request: &[u8]) -> Kind {
    use sha2::{Digest as _, Sha256};
    Kind { version: messages, deployment: version.digest(), request: Digest(Sha256::digest(request).into()) }
}

/// Stored material for a session, if the servers agreed on some; and the lane on which they spoke about it, if they did.
pub(super) type TakenStored = (Option<Taken>, Option<Link>);

impl<C: Catalogue> ServerService<C> {
    /// Agrees with the other server on stored material for a claimed session of this kind.
    ///
    /// # Errors
    /// If the other server cannot be reached, or the material cannot be used although it has claimed it.
    pub(super) fn take_stored(&self, claim: &Claim, kind: &Kind) -> Result<TakenStored, SessionError> {
        match (&self.store, self.party) {
            (None, _) => Ok((None, None)),
            (Some(own), Party::One) => self.propose(own, claim, kind),
            (Some(own), Party::Zero) => self.answer(own, claim, kind),
        }
    }

    /// At server 1: proposes one stored session after the other.
    fn propose(&self, own: &StoreUse, claim: &Claim, kind: &Kind) -> Result<TakenStored, SessionError> {
        let StoreUse { store, differs, .. } = own;
        let mut lane = self.lanes.call(kind.version)?;
        for tried in 0..=TRIES {
            let reserved = if tried < TRIES { self.reserve(store, || store.reserve(kind)) } else { None };
            let stored = reserved.as_ref().map(|reserved| reserved.label().session);
            lane.send_message(&StoreCall::Propose(Proposal { session: claim.session(), stored }))?;
            match (lane.receive_message()?, reserved) {
                (StoreAnswer::Yes, Some(reserved)) => {
                    let taken = self.use_of(reserved, claim)?.ok_or(SessionError::Disagreement("stored material"))?;
                    return Ok((Some(taken), Some(lane)));
                }
                (StoreAnswer::Lacks, Some(reserved)) => reserved.discard(),
                (StoreAnswer::No | StoreAnswer::NoStore, reserved) => {
                    // Server 0 may have restarted without what is here.
                    differs.fetch_or(reserved.is_some(), Ordering::Relaxed);
                    break;
                }
                _ => return Err(SessionError::Disagreement("stored material")),
            }
        }
        Ok((None, Some(lane)))
    }

    /// At server 0: takes the first of what server 1 proposes that it has too.
    fn answer(&self, own: &StoreUse, claim: &Claim, kind: &Kind) -> Result<TakenStored, SessionError> {
        let Some((mut lane, mut proposal)) = own.proposals.take(claim.session(), self.patience()) else {
            return Ok((None, None));
        };
        for _ in 0..=TRIES {
            let Some(stored) = proposal.stored else { break };
            let reserved = self.reserve(&own.store, || own.store.reserve_session(kind, stored));
            if let Some(taken) = reserved.map(|reserved| self.use_of(reserved, claim)).transpose()?.flatten() {
                lane.send_message(&StoreAnswer::Yes)?;
                return Ok((Some(taken), Some(lane)));
            }
            lane.send_message(&StoreAnswer::Lacks)?;
            proposal = match lane.receive_message()? {
                StoreCall::Propose(next) if next.session == claim.session() => next,
                _ => return Err(SessionError::Disagreement("stored material")),
            };
        }
        lane.send_message(&StoreAnswer::No)?;
        Ok((None, Some(lane)))
    }

    /// Reserves something whose dealer is not refused.
    fn reserve(&self, store: &Arc<Store>, next: impl Fn() -> Option<Reserved>) -> Option<Reserved> {
        let reserved = next()?;
        if !self.audits.refuses(reserved.label().epoch) {
            return Some(reserved);
        }
        drop(reserved);
        self.drop_refused(store);
        next()
    }

    /// Claims the one use of a stored session for a claimed one, and takes it out of the store; nothing if it was used before or is damaged. It is
    /// dropped then.
    fn use_of(&self, reserved: Reserved, of: &Claim) -> Result<Option<Taken>, SessionError> {
        let stored = reserved.label().session;
        let claim = match self.ledger.claim(use_of(stored)) {
            Ok(claim) => claim,
            Err(LedgerError::AlreadyUsed(_)) => {
                tracing::warn!("the store holds material that was used before, as a copied folder does; it is dropped");
                reserved.discard();
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        // Both names are this operator's own: nobody can compare them with the other one's.
        tracing::debug!(session = %of.session(), %stored, "uses stored material");
        let opened = reserved.open(&claim);
        Ok(opened.map_err(|error| tracing::warn!(%error, "a stored session cannot be used")).ok())
    }

    /// How long the servers wait for each other before they ask the dealer. It leaves time for that.
    pub(super) fn patience(&self) -> Duration {
        self.options.timeouts.stall / 4
    }

    /// Drops what came from dealers that audits have found to deal wrong material.
    pub(super) fn drop_refused(&self, store: &Store) {
        let dropped = store.keep(|label| !self.audits.refuses(label.epoch));
        if dropped > 0 {
            tracing::warn!(dropped, "stored sessions of the refused dealer are dropped");
        }
    }

    /// At server 0: server 1 proposes something on a lane. If the session's thread does not take it, the lane goes on as others do.
    pub(super) fn proposed(&self, mut lane: Link, proposal: Proposal) -> Result<(), SessionError> {
        let said = match &self.store {
            None => StoreAnswer::NoStore,
            Some(own) => match own.proposals.offer(lane, proposal, self.patience()) {
                None => return Ok(()),
                Some(back) => {
                    lane = back;
                    StoreAnswer::No
                }
            },
        };
        lane.send_message(&said)?;
        match lane.receive_message_or_end::<SessionOpen>()? {
            Some(open) => self.lanes.offer(lane, open),
            None => Ok(()),
        }
    }

    /// At server 0: server 1 says what it has stored. What it lacks is of no use here either.
    pub(super) fn compared(&self, mut link: Link, theirs: Vec<crate::messages::SessionId>) -> Result<(), SessionError> {
        let Some(StoreUse { store, proposals, .. }) = &self.store else {
            link.send_message(&StoreAnswer::NoStore)?;
            link.close();
            return Ok(());
        };
        proposals.heard();
        let theirs: HashSet<_> = theirs.into_iter().collect();
        let dropped = store.keep(|label| theirs.contains(&label.session));
        if dropped > 0 {
            tracing::info!(dropped, "stored sessions that the other server has not are dropped");
        }
        link.send_message(&StoreAnswer::Compared(store.sessions()))?;
        link.close();
        Ok(())
    }
}
