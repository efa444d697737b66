//! Answering a call: who calls, and whether it may.

use super::tls::TlsStream;
use super::{Link, LinkError, Timeouts};
use crate::frame::FrameKind;
use crate::identity::{Caller, Endpoint};
use crate::messages::{Failure, FailureKind};
use crate::role::Role;
use std::net::TcpStream;
use zeroize::Zeroizing;

/// What a frame holds, and of which kind it is.
pub(crate) type Payload = (FrameKind, Zeroizing<Vec<u8>>);

impl Link {
    /// Answers a call and learns the role of the caller. Only callers of this deployment with an `allowed` role are accepted, and
    /// servers that may [hand over](Endpoint::accepting_hand_over): they have the role of this side.
    ///
    /// # Errors
    /// If the handshake stalls, the certificates do not fit together, the role is not allowed, or there is no common version.
    pub fn accept(
        socket: TcpStream,
        endpoint: &Endpoint,
        allowed: &[Role],
        timeouts: &Timeouts,
    ) -> Result<Link, LinkError> {
        let mut stream =
            TlsStream::server(socket, endpoint.server_config(), "the caller", endpoint.path(None), timeouts.handshake)
                .map_err(|error| error.expecting(|| endpoint.expected_of_callers(allowed), || endpoint.presented()))?;
        let chain = stream.peer_certificates().unwrap_or_default();
        let caller = endpoint.caller(chain);
        let own_key = endpoint.has_own_key(chain);
        stream.set_path(endpoint.path(caller.role));
        let refusal = match caller {
            Caller { role: Some(peer), .. } if own_key && peer != endpoint.role() => LinkError::SameKey { peer },
            Caller { role: Some(peer), vouched, hands_over } if (vouched && allowed.contains(&peer)) || hands_over => {
                return Link::ready(stream, peer, endpoint, timeouts)?.speaking(endpoint.spoken());
            }
            Caller { role: Some(role), vouched: false, .. } => {
                LinkError::NotVouched { role, expected: endpoint.expected_of_callers(&[role]) }
            }
            Caller { role, .. } => LinkError::WrongRole {
                expected: allowed.iter().map(|role| role.name()).collect::<Vec<_>>().join(" or "),
                found: role.map_or("an unknown role", Role::name).to_owned(),
            },
        };
        let mut refused = Link::ready(stream, caller.role.unwrap_or(Role::Client), endpoint, timeouts)?;
        // The caller is told what it presented, and nothing of this side's files.
        let said = match &refusal {
            LinkError::NotVouched { .. } => refusal.told(),
            _ => refusal.to_string(),
        };
        refused.fail(&Failure::new(FailureKind::WrongRole, &said));
        Err(refusal)
    }

    /// Receives a frame of one of these kinds, of which the first is named in errors, or nothing if the other side ended the connection
    /// cleanly between messages.
    ///
    /// # Errors
    /// As for [`Link::receive`].
    pub(crate) fn receive_any(&mut self, kinds: &[FrameKind]) -> Result<Option<Payload>, LinkError> {
        let expected = *kinds.first().ok_or(LinkError::Internal("a link waits for no kind of frame"))?;
        self.begin();
        let Some(header) = self.next_header(expected)? else { return Ok(None) };
        let (kind, length) = self.check_kind(kinds, header)?;
        Ok(Some((kind, Zeroizing::new(self.receive_payload(kind, length)?))))
    }
}
