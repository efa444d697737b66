//! Answering a call: who calls, and whether it may.

use super::tls::TlsStream;
use super::{Link, LinkError, Timeouts};
use crate::frame::FrameKind;
use crate::identity::{Caller, Endpoint};
use crate::messages::{Failure, FailureKind, Message};
use crate::role::Role;
use std::net::TcpStream;
use zeroize::Zeroizing;

/// A message of one of two kinds.
#[derive(Debug)]
pub(crate) enum OneOf<A, B> {
    /// Of the first.
    First(A),
    /// Of the second.
    Second(B),
}

/// The payload of a frame, and its kind.
type Payload = (FrameKind, Zeroizing<Vec<u8>>);

/// A message of one of three kinds.
#[derive(Debug)]
pub(crate) enum OneOfThree<A, B, C> {
    /// Of the first.
    First(A),
    /// Of the second.
    Second(B),
    /// Of the third.
    Third(C),
}

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

    /// Receives a typed message of one of two kinds, or nothing if the other side ended the connection cleanly between messages.
    ///
    /// # Errors
    /// As for [`Link::receive_message`].
    pub(crate) fn receive_one_of<A: Message, B: Message>(&mut self) -> Result<Option<OneOf<A, B>>, LinkError> {
        let Some((kind, payload)) = self.receive_any(&[A::KIND, B::KIND])? else { return Ok(None) };
        if kind == A::KIND {
            return self.decode(&payload).map(|message| Some(OneOf::First(message)));
        }
        self.decode(&payload).map(|message| Some(OneOf::Second(message)))
    }

    /// The same of three kinds.
    ///
    /// # Errors
    /// As for [`Link::receive_message`].
    pub(crate) fn receive_one_of_three<A: Message, B: Message, C: Message>(
        &mut self,
    ) -> Result<Option<OneOfThree<A, B, C>>, LinkError> {
        let Some((kind, payload)) = self.receive_any(&[A::KIND, B::KIND, C::KIND])? else { return Ok(None) };
        match kind {
            kind if kind == A::KIND => self.decode(&payload).map(|message| Some(OneOfThree::First(message))),
            kind if kind == B::KIND => self.decode(&payload).map(|message| Some(OneOfThree::Second(message))),
            _ => self.decode(&payload).map(|message| Some(OneOfThree::Third(message))),
        }
    }

    fn receive_any(&mut self, kinds: &[FrameKind]) -> Result<Option<Payload>, LinkError> {
        self.begin();
        let first = kinds.first().copied().ok_or(LinkError::Internal("a message of no kind is expected"))?;
        let Some(header) = self.next_header(first)? else { return Ok(None) };
        let (kind, length) = self.check_any(kinds, header)?;
        Ok(Some((kind, Zeroizing::new(self.receive_payload(kind, length)?))))
    }
}
