//! The two lanes between the servers of a session. Server 1 opens them, and both servers compare what they see.

use super::SessionError;
use super::failure::{absent, tell};
use crate::identity::Endpoint;
use crate::link::{Link, Timeouts};
use crate::messages::{Lane, SessionId, SessionOpen, Standing};
use crate::rendezvous::Rendezvous;
use crate::role::Role;

/// The most lanes that wait at once: four for each session of the largest `max_sessions` that a configuration may have.
const WAITING: usize = 4096;

/// The name of a lane at server 0's rendezvous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct LaneKey(SessionId, Lane);

impl std::fmt::Display for LaneKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.0, self.1)
    }
}

/// What a server needs to open lanes to the other server or to take those that it opens.
pub(super) struct Lanes {
    endpoint: Endpoint,
    /// The address of server 0. Only server 1 needs it.
    peer: Option<String>,
    timeouts: Timeouts,
    waiting: Rendezvous<LaneKey, (Link, SessionOpen)>,
}

impl Lanes {
    pub(super) fn new(endpoint: Endpoint, peer: Option<String>, timeouts: Timeouts) -> Self {
        // Server 1 waits for the confirmation up to the stall timeout. A lane waits half of it here, so that server 1
        // still hears why its lane was not taken.
        let waiting = Rendezvous::new(WAITING, timeouts.stall / 2);
        Self { endpoint, peer, timeouts, waiting }
    }

    /// At server 0: leaves a lane that server 1 opened for the session's thread, and waits until it is taken.
    ///
    /// # Errors
    /// If nobody took the lane; server 1 is told.
    pub(super) fn offer(&self, link: Link, open: SessionOpen) -> Result<(), SessionError> {
        let session = open.session;
        let offered = self.waiting.offer_and_wait(LaneKey(session, open.lane), (link, open));
        offered.or_else(|((mut link, _), error)| tell(&mut link, Some(session), error.into()))
    }

    /// At server 1: opens a lane to server 0, and returns how the other server's ledger stands. It is the same for both lanes.
    ///
    /// # Errors
    /// If server 0 cannot be reached, or sees another session.
    pub(super) fn open(&self, open: &SessionOpen) -> Result<(Link, Standing), SessionError> {
        let missing = || SessionError::Request("server 1 has no address of server 0: set `peer`".into());
        let address = self.peer.as_ref().ok_or_else(missing)?;
        let mut link = Link::connect(address, &self.endpoint, Role::Server0, &self.timeouts)?;
        link.check_session(open.version)?;
        link.send_message(open)?;
        let theirs: SessionOpen = link.receive_message()?;
        agree(open, &theirs)?;
        Ok((link, theirs.standing))
    }

    /// At server 0: takes a lane that server 1 opened, and confirms it if `see` accepts how the other server's ledger stands.
    ///
    /// # Errors
    /// If server 1 did not open it in time, sees another session, or is refused.
    pub(super) fn take(
        &self,
        open: &SessionOpen,
        see: impl FnOnce(&Standing) -> Result<(), SessionError>,
    ) -> Result<Link, SessionError> {
        let taken = self.waiting.take(&LaneKey(open.session, open.lane), self.timeouts.stall);
        let (mut link, theirs) = taken.map_err(|error| absent("server1", error))?;
        if let Err(error) = agree(open, &theirs).and_then(|()| see(&theirs.standing)) {
            return tell(&mut link, Some(open.session), error);
        }
        link.send_message(open)?;
        Ok(link)
    }
}

/// Both servers must see the same session, from opposite positions.
fn agree(ours: &SessionOpen, theirs: &SessionOpen) -> Result<(), SessionError> {
    if ours.party == theirs.party {
        return Err(SessionError::SameShare(ours.party));
    }
    if ours.version != theirs.version {
        return Err(SessionError::Disagreement("version of the messages"));
    }
    if ours.deployment != theirs.deployment {
        // One client named different versions to the two servers.
        return Err(SessionError::Disagreement("version of the bundle"));
    }
    if ours.epoch != theirs.epoch {
        return Err(SessionError::Disagreement("epoch: the servers use different dealers"));
    }
    if (ours.session, ours.lane) != (theirs.session, theirs.lane) {
        return Err(SessionError::Disagreement("identity"));
    }
    if ours.request != theirs.request {
        return Err(SessionError::ProgramMismatch);
    }
    if ours.audit != theirs.audit {
        return Err(SessionError::AuditsDiffer { ours: ours.audit, theirs: theirs.audit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{Digest, EpochId, FailureKind, LedgerId, TermNonce};

    #[test]
    fn servers_of_different_requests_are_told_where_to_look() {
        let open = |party, request| SessionOpen {
            version: 10,
            session: SessionId([1; 16]),
            party,
            lane: Lane::ToServer0,
            deployment: Digest([2; 32]),
            epoch: EpochId([3; 16]),
            request: Digest(request),
            audit: 20_000,
            standing: Standing { ledger: LedgerId([party; 16]), term: 1, nonce: TermNonce([6; 16]), claimed: 7 },
        };
        assert!(agree(&open(0, [4; 32]), &open(1, [4; 32])).is_ok());
        let error = agree(&open(0, [4; 32]), &open(1, [5; 32])).unwrap_err();
        assert!(error.to_string().contains("[between_servers]") && !error.is_temporary(), "{error}");
        let told = error.failure(None);
        assert!(told.kind == FailureKind::ProgramMismatch && told.to_string().contains("[between_servers]"), "{told}");
        let other = SessionOpen { audit: 10_000, ..open(1, [4; 32]) };
        let error = agree(&open(0, [4; 32]), &other).unwrap_err();
        assert!(error.to_string().contains("[audit]") && !error.is_temporary(), "{error}");
        assert_eq!(error.failure(None).kind, FailureKind::AuditsDiffer);
        let other = SessionOpen { version: 9, ..open(1, [4; 32]) };
        assert!(matches!(agree(&open(0, [4; 32]), &other), Err(SessionError::Disagreement("version of the messages"))));
        let other = SessionOpen { deployment: Digest([9; 32]), ..open(1, [4; 32]) };
        assert!(matches!(agree(&open(0, [4; 32]), &other), Err(SessionError::Disagreement("version of the bundle"))));
        let other = SessionOpen { lane: Lane::ToServer1, ..open(1, [4; 32]) };
        assert!(matches!(agree(&open(0, [4; 32]), &other), Err(SessionError::Disagreement("identity"))));
    }
}
