//! A link between two roles that carries frames: mutual TLS, checked lengths, bounded waits, counted bytes.
//!
//! A frame is a kind (u8), a length (u32, little endian) and a payload. Every kind has a largest length, which is
//! checked before anything is allocated. A **long message** (shares, openings) is a first frame that begins with the
//! message's sequence number and total length, followed by continuation frames of up to 1 MiB. The receiver always
//! knows the total length that it expects, and allocates that, never the length that the sender states.

mod accept;
mod connect;
mod error;
mod long;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;
mod version;

use std::net::TcpStream;
use std::time::Duration;

use blindroute_protocol::{reserve_wiped, wipe_vec};
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

pub use error::{Fault, LinkError};
pub(crate) use long::Sending;
pub use traffic::Traffic;

use crate::frame::{FrameHeader, FrameKind, HEADER};
use crate::identity::{Endpoint, Validity, key_digest};
use crate::messages::{Failure, Message};
use crate::role::Role;
use tls::TlsStream;

/// How long a link waits. All waits are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For resolving a name and making a TCP connection to one of its addresses (10 s: a distant machine that has just
    /// started answers in under 3 s).
    pub connect: Duration,
    /// For the whole TLS handshake (10 s, for the same reason).
    pub handshake: Duration,
    /// Without progress in either direction (30 s: longer than any step of a session takes).
    pub stall: Duration,
    /// For one whole message or exchange, even if single bytes keep arriving (300 s).
    pub message: Duration,
    /// How long a server waits for the client's input when all of the session's material is prepared (600 s: sessions
    /// that are prepared in advance rest that long, and hold memory meanwhile).
    pub ready: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            message: Duration::from_secs(300),
            ready: Duration::from_secs(600),
        }
    }
}

/// A connection to another role.
pub struct Link {
    stream: TlsStream,
    peer: Role,
    timeouts: Timeouts,
    /// What both sides speak; none if they have no version in common.
    version: Option<u16>,
    /// The oldest version that this side speaks.
    oldest: u16,
    /// Headers and the first bytes of messages, which may be secret.
    scratch: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer).field("traffic", &self.stream.traffic).finish_non_exhaustive()
    }
}

impl Link {
    /// Calls `peer` at `address` ("host:port") and proves both sides' roles.
    ///
    /// # Errors
    /// If the address cannot be reached, the handshake stalls, or the certificates do not fit together.
    pub fn connect(address: &str, endpoint: &Endpoint, peer: Role, timeouts: &Timeouts) -> Result<Link, LinkError> {
        let unreachable = |source| LinkError::Unreachable { peer, address: address.to_owned(), source };
        let socket = connect::connect(address, timeouts.connect).map_err(unreachable)?;
        let path = endpoint.path(Some(peer));
        if let Some(path) = &path {
            path.round_trip();
        }
        let name = ServerName::try_from(peer.certificate_name())
            .map_err(|_| LinkError::Internal("the certificate name of a role is not a DNS name"))?;
        let config = endpoint.client_config(peer).ok_or(LinkError::Internal("no configuration for a role"))?;
        let mut stream = TlsStream::client(socket, config, name, peer.name(), path, timeouts.handshake)
            .map_err(|error| error.expecting(|| endpoint.expected_of(peer), || endpoint.presented()))?;
        if peer != endpoint.role() && endpoint.has_own_key(stream.peer_certificates().unwrap_or_default()) {
            return Err(LinkError::SameKey { peer });
        }
        // The other side sees this side's certificate only after this side's handshake has ended.
        stream.presented = endpoint.presented();
        Link::ready(stream, peer, endpoint, timeouts)?.speaking(endpoint.spoken())
    }

    fn ready(mut stream: TlsStream, peer: Role, endpoint: &Endpoint, timeouts: &Timeouts) -> Result<Link, LinkError> {
        stream.peer = peer.name();
        stream.keep_alive();
        stream.set_stall(timeouts.stall)?;
        let spoken = endpoint.spoken();
        let (version, oldest) = (spoken.agreed(stream.protocol()), spoken.oldest);
        Ok(Link { stream, peer, timeouts: *timeouts, version, oldest, scratch: Zeroizing::default() })
    }

    /// The role at the other end.
    #[must_use]
    pub fn peer(&self) -> Role {
        self.peer
    }

    /// From when until when the certificate of the other end holds.
    #[must_use]
    pub fn peer_validity(&self) -> Option<Validity> {
        Validity::of(self.stream.peer_certificates()?.first()?)
    }

    /// The digest of the public key that the other end proved to hold.
    #[must_use]
    pub fn peer_key(&self) -> Option<[u8; 32]> {
        key_digest(self.stream.peer_certificates()?.first()?)
    }

    /// The counters. The clone stays valid when the link is moved to another place.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.stream.traffic.clone()
    }

    /// A handle to the socket, for shutting it down from another thread.
    ///
    /// # Errors
    /// If the system could not duplicate the handle.
    pub fn socket(&self) -> Result<TcpStream, LinkError> {
        self.stream.socket().try_clone().map_err(|source| LinkError::Io {
            peer: self.peer.name(),
            during: "duplicating a socket",
            source,
        })
    }

    /// Changes the stall timeout, for instance while waiting for a client's next session.
    ///
    /// # Errors
    /// If the system refused the timeout.
    pub fn set_stall(&mut self, stall: Duration) -> Result<(), LinkError> {
        self.timeouts.stall = stall;
        self.stream.set_stall(stall)
    }

    /// Waits up to `limit` for the next message to begin, and leaves it unread. Returns false if the other side ended
    /// the connection instead. Afterwards the stall timeout applies again.
    ///
    /// # Errors
    /// If the connection fails, or nothing arrived in time.
    pub fn await_message(&mut self, limit: Duration, kind: FrameKind) -> Result<bool, LinkError> {
        let stall = self.timeouts.stall;
        self.stream.set_stall(limit)?;
        self.stream.set_deadline(None);
        let came = self.stream.await_data(kind.name())?;
        self.stream.set_stall(stall)?;
        Ok(came)
    }

    /// Whether nothing unread has arrived: neither a message nor the end of the connection. Does not wait.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.stream.is_quiet()
    }

    /// Sends one short frame.
    ///
    /// # Errors
    /// If the connection fails; an internal error if the payload is longer than its kind allows.
    pub fn send(&mut self, kind: FrameKind, payload: &[u8]) -> Result<(), LinkError> {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|_| payload.len() <= kind.limit())
            .ok_or(LinkError::Internal("a frame is longer than its kind allows"))?;
        self.begin();
        let inline = payload.len().min(HEADER + (16 << 10));
        self.scratch.clear();
        reserve_wiped(&mut self.scratch, HEADER + inline);
        self.scratch.extend_from_slice(&FrameHeader::encode(kind, length));
        self.scratch.extend_from_slice(&payload[..inline]);
        self.stream.write(&self.scratch, kind.name())?;
        self.stream.write(&payload[inline..], kind.name())?;
        self.stream.flush(kind.name())?;
        self.stream.traffic.add_payload_sent(payload.len());
        self.forget(kind);
        Ok(())
    }

    /// Receives one short frame of the expected kind.
    ///
    /// # Errors
    /// If the connection fails, the frame is of another kind or too long, or the other side reports a failure.
    pub fn receive(&mut self, kind: FrameKind) -> Result<Vec<u8>, LinkError> {
        self.begin();
        let length = self.receive_header(kind)?;
        self.receive_payload(kind, length)
    }

    /// Receives one short frame, or nothing if the other side ended the connection cleanly between messages.
    ///
    /// # Errors
    /// As for [`Link::receive`].
    pub fn receive_or_end(&mut self, kind: FrameKind) -> Result<Option<Vec<u8>>, LinkError> {
        self.begin();
        match self.next_header(kind)? {
            None => Ok(None),
            Some(header) => {
                let length = self.check_header(kind, header)?;
                self.receive_payload(kind, length).map(Some)
            }
        }
    }

    /// Sends a typed message.
    ///
    /// # Errors
    /// As for [`Link::send`].
    pub fn send_message<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
        self.send(M::KIND, &Zeroizing::new(message.encode()))
    }

    /// Receives a typed message.
    ///
    /// # Errors
    /// As for [`Link::receive`], or if the payload does not decode.
    pub fn receive_message<M: Message>(&mut self) -> Result<M, LinkError> {
        let payload = Zeroizing::new(self.receive(M::KIND)?);
        self.decode(&payload)
    }

    /// Receives a typed message, or nothing if the other side ended the connection cleanly between messages.
    ///
    /// # Errors
    /// As for [`Link::receive_message`].
    pub fn receive_message_or_end<M: Message>(&mut self) -> Result<Option<M>, LinkError> {
        match self.receive_or_end(M::KIND)? {
            None => Ok(None),
            Some(payload) => self.decode(&Zeroizing::new(payload)).map(Some),
        }
    }

    /// Tells the other side that this one gives up, then closes the connection. Best effort: the session has ended in
    /// any case.
    pub fn fail(&mut self, failure: &Failure) {
        // Do not wait long for a peer that no longer reads.
        self.stream.set_stall(self.timeouts.stall.min(Duration::from_secs(2))).ok();
        self.send_message(failure).ok();
        self.stream.close();
    }

    /// Ends the connection cleanly.
    pub fn close(mut self) {
        self.end();
    }

    pub(crate) fn end(&mut self) {
        self.stream.close();
    }

    pub(crate) fn decode<M: Message>(&self, payload: &[u8]) -> Result<M, LinkError> {
        M::decode(payload).map_err(|source| LinkError::Malformed { peer: self.peer, kind: M::KIND.name(), source })
    }

    fn begin(&mut self) {
        // The first byte may take up to the stall timeout, which is long for an idle client; then the message's time
        // begins.
        self.stream.set_deadline(Some(self.timeouts.stall + self.timeouts.message));
    }

    fn next_header(&mut self, expected: FrameKind) -> Result<Option<FrameHeader>, LinkError> {
        self.scratch.clear();
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = self.stream.read_exact(&mut scratch, HEADER, expected.name());
        self.scratch = scratch;
        if !read? {
            return Ok(None);
        }
        let bytes: [u8; HEADER] =
            self.scratch.as_slice().try_into().map_err(|_| LinkError::Internal("a frame header has a wrong length"))?;
        Ok(Some(FrameHeader::decode(bytes)))
    }

    /// Reads the next header and returns its checked length.
    pub(crate) fn receive_header(&mut self, expected: FrameKind) -> Result<usize, LinkError> {
        match self.next_header(expected)? {
            Some(header) => self.check_header(expected, header),
            None => Err(LinkError::Closed { peer: self.peer.name(), waiting_for: expected.name() }),
        }
    }

    fn check_header(&mut self, expected: FrameKind, header: FrameHeader) -> Result<usize, LinkError> {
        self.check_kind(&[expected], header).map(|(_, length)| length)
    }

    /// Checks a header against the kinds that may come, of which the first is named in errors.
    fn check_kind(&mut self, kinds: &[FrameKind], header: FrameHeader) -> Result<(FrameKind, usize), LinkError> {
        let length = header.length as usize;
        match FrameKind::from_byte(header.kind) {
            Some(kind) if length > kind.limit() => Err(LinkError::TooLong {
                peer: self.peer,
                kind: kind.name(),
                found: header.length.into(),
                limit: kind.limit() as u64,
            }),
            Some(kind) if kinds.contains(&kind) => Ok((kind, length)),
            Some(FrameKind::Failure) => {
                let payload = self.receive_payload(FrameKind::Failure, length)?;
                let failure: Failure = self.decode(&payload)?;
                Err(LinkError::Failed { peer: self.peer, failure })
            }
            _ => {
                let expected = kinds.first().map_or("no frame", |kind| kind.name());
                Err(LinkError::WrongKind { peer: self.peer, expected, found: header.kind })
            }
        }
    }

    /// Reads the next header, which may be of two kinds. The payload must then be read with [`Link::receive_part`].
    pub(crate) fn receive_either(&mut self, one: FrameKind, other: FrameKind) -> Result<(FrameKind, usize), LinkError> {
        self.begin();
        match self.next_header(one)? {
            Some(header) => self.check_kind(&[one, other], header),
            None => Err(LinkError::Closed { peer: self.peer.name(), waiting_for: one.name() }),
        }
    }

    /// Appends the next `count` bytes of a payload whose header was already read.
    pub(crate) fn receive_part(&mut self, sink: &mut Vec<u8>, count: usize, kind: FrameKind) -> Result<(), LinkError> {
        self.receive_into(sink, count, kind)?;
        self.stream.traffic.add_payload_received(count);
        Ok(())
    }

    fn receive_payload(&mut self, kind: FrameKind, length: usize) -> Result<Vec<u8>, LinkError> {
        let mut payload = Vec::with_capacity(length);
        self.receive_into(&mut payload, length, kind)?;
        self.stream.traffic.add_payload_received(length);
        self.forget(kind);
        Ok(payload)
    }

    /// After a secret message: wipes what this link still holds of it, because the next message may come much later.
    fn forget(&mut self, kind: FrameKind) {
        if kind.is_secret() {
            wipe_vec(&mut self.scratch);
            self.stream.forget();
        }
    }

    fn receive_into(&mut self, sink: &mut Vec<u8>, count: usize, kind: FrameKind) -> Result<(), LinkError> {
        if count > 0 && !self.stream.read_exact(sink, count, kind.name())? {
            return Err(LinkError::Closed { peer: self.peer.name(), waiting_for: kind.name() });
        }
        Ok(())
    }
}
