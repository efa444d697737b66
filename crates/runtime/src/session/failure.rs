//! How a call by another party begins, and telling it that a session failed.

use super::SessionError;
use crate::link::Link;
use crate::messages::{Clock, Message, SessionId};
use crate::rendezvous::RendezvousError;
use crate::role::Role;

/// The error for a party that did not come to a session in time.
pub(super) fn absent(party: &'static str, error: RendezvousError) -> SessionError {
    match error {
        RendezvousError::TimedOut { after, .. } => SessionError::Silent { party, after },
        error => error.into(),
    }
}

/// A call that begins a session, or that only asks for the time, which is answered here. Nothing if it asks for neither.
pub(super) fn begun<M: Message>(link: &mut Link) -> Result<Option<M>, SessionError> {
    match link.receive_any(&[M::KIND, Clock::KIND])? {
        Some((kind, payload)) if kind == M::KIND => Ok(Some(link.decode(&payload)?)),
        Some((_, payload)) => {
            let _theirs: Clock = link.decode(&payload)?;
            link.send_message(&Clock::now())?;
            Ok(None)
        }
        // A caller that leaves without a word only asked whether this party answers.
        None => Ok(None),
    }
}

/// Tells the other side which kind of failure it was, and gives up the link. The log has what the other side is not
/// told. Only a client is told what this log calls the session: another party would log it too, and then two logs name it alike.
pub(super) fn tell<T>(link: &mut Link, session: Option<SessionId>, error: SessionError) -> Result<T, SessionError> {
    if let Some(session) = session {
        tracing::info!(%session, %error, "a session failed; the other side is told which kind of failure it was");
    }
    let named = session.filter(|_| link.peer() == Role::Client);
    link.fail(&error.failure(named));
    Err(error)
}
