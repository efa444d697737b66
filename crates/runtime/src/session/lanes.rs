//! The two lanes between the servers of a session: server 1 opens them, and both compare what they see.

use super::server::ServerService;
use super::{Catalogue, SessionError};
use crate::link::Link;
use crate::messages::{Lane, SessionId, SessionOpen};
use crate::role::Role;

/// A lane's name at server 0's rendezvous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LaneKey(pub(super) SessionId, pub(super) Lane);

impl std::fmt::Display for LaneKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.0, self.1)
    }
}

impl<C: Catalogue> ServerService<C> {
    /// Opens a lane to server 0.
    pub(super) fn call_lane(&self, open: &SessionOpen) -> Result<Link, SessionError> {
        let missing = || SessionError::Request("server 1 has no address of server 0: set `peer`".into());
        let address = self.options.peer.as_ref().ok_or_else(missing)?;
        let mut link = Link::connect(address, &self.endpoint, Role::Server0, &self.options.timeouts)?;
        link.send_message(open)?;
        let theirs: SessionOpen = link.receive_message()?;
        agree(open, &theirs)?;
        Ok(link)
    }

    /// Takes the lane that server 1 opened.
    pub(super) fn accept_lane(&self, open: &SessionOpen) -> Result<Link, SessionError> {
        let key = LaneKey(open.session, open.lane);
        let taken = self.lanes.take(&key, self.options.timeouts.stall);
        let (mut link, theirs) = taken.map_err(|error| super::dealer::absent("server1", error))?;
        if let Err(error) = agree(open, &theirs) {
            return super::dealer::tell(&mut link, Some(open.session), error);
        }
        link.send_message(open)?;
        Ok(link)
    }
}

/// Both servers must see the same session from opposite positions.
fn agree(ours: &SessionOpen, theirs: &SessionOpen) -> Result<(), SessionError> {
    if ours.party == theirs.party {
        return Err(SessionError::SameShare(ours.party));
    }
    if ours.model != theirs.model {
        let (ours, theirs) = (ours.model.to_string(), theirs.model.to_string());
        return Err(SessionError::DigestMismatch { with: "other server", ours, theirs });
    }
    if ours.epoch != theirs.epoch {
        return Err(SessionError::Disagreement("epoch: the servers use different dealers"));
    }
    if (ours.session, ours.lane, ours.request) != (theirs.session, theirs.lane, theirs.request) {
        return Err(SessionError::Disagreement("request"));
    }
    Ok(())
}
