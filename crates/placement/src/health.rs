//! Whether a party answers, and whether it fits: without a session, and without any input.

use blindroute_runtime::messages::{ClientHello, Clock, Digest, FailureKind, ServerReady, SessionId};
use blindroute_runtime::{Endpoint, FrameKind, Link, LinkError, Role, Timeouts, Validity};
use std::time::{Duration, Instant};

/// How long a party that refuses the call may take to say so, at least.
const REFUSAL: Duration = Duration::from_millis(300);

/// A party that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answering {
    /// Until the connection was made and both sides were proven.
    pub took: Duration,
    /// From when until when its certificate holds.
    pub certificate: Option<Validity>,
}

/// Calls a party with mutual TLS and asks nothing of it. One that accepts the call has the expected role, a valid certificate of
/// an authority that is trusted for it, and room for this caller.
///
/// # Errors
/// If it does not answer, or refuses the call.
pub fn call(party: Role, address: &str, endpoint: &Endpoint, timeouts: &Timeouts) -> Result<Answering, LinkError> {
    let started = Instant::now();
    let mut link = Link::connect(address, endpoint, party, timeouts)?;
    let answering = Answering { took: started.elapsed(), certificate: link.peer_validity() };
    // The caller's side of a TLS 1.3 handshake ends before the other side has seen the caller's certificate. A party that
    // refuses it, or has no room, says so within a round trip; one that accepts the call says nothing, and waits.
    match link.await_message(answering.took.max(REFUSAL), FrameKind::Failure) {
        Err(LinkError::TimedOut { .. }) => {
            link.close();
            Ok(answering)
        }
        Err(error) => Err(error),
        Ok(_) => {
            Err(link.receive(FrameKind::ServerReady).err().unwrap_or(LinkError::Internal("an answer to no question")))
        }
    }
}

/// Calls the dealer or the other server as a server, and asks what its clock says. Returns by how many seconds it is ahead of the clock
/// here; fewer than none if it is behind. A party that answers accepts the call, as in [`call`].
///
/// # Errors
/// If it does not answer, or refuses the call.
pub fn clock_of(party: Role, address: &str, endpoint: &Endpoint, timeouts: &Timeouts) -> Result<i64, LinkError> {
    let mut link = Link::connect(address, endpoint, party, timeouts)?;
    let before = Clock::now();
    link.send_message(&before)?;
    let theirs: Clock = link.receive_message()?;
    let after = Clock::now();
    link.close();
    // It was read somewhere between these two.
    let here = theirs.seconds.clamp(before.seconds.min(after.seconds), after.seconds);
    Ok(theirs.ahead_of(Clock { seconds: here }))
}

/// Asks a server whether it speaks this version and holds this split of a bundle. The request asks for nothing, which a server that
/// fits refuses before it notes the session.
///
/// # Errors
/// If it does not answer, has another version or another split.
pub fn compare(
    server: Role,
    address: &str,
    endpoint: &Endpoint,
    timeouts: &Timeouts,
    digest: Digest,
) -> Result<(), LinkError> {
    let mut link = Link::connect(address, endpoint, server, timeouts)?;
    let session = SessionId::generate().map_err(|_| LinkError::Internal("no randomness from the system"))?;
    let (version, request) = (link.version(), Vec::new());
    link.send_message(&ClientHello { version, session, deployment: digest, request, continues: None, token: None })?;
    match link.receive_message::<ServerReady>() {
        Err(LinkError::Failed { failure, .. }) if failure.kind == FailureKind::BadRequest => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(LinkError::Internal("a server is ready for nothing")),
    }
}
