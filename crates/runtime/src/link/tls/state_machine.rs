//! rustls's unbuffered TLS state machine, one step at a time, for either side of a connection.

use blindroute_protocol::reserve_wiped;
use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

/// Either side of a TLS connection.
pub(super) enum TlsConnection {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// The result of one step of the state machine.
pub(super) enum TlsStep {
    /// Something changed; step again.
    Again,
    /// Application data was delivered.
    Data,
    /// Encoded bytes must be written now.
    Transmit,
    /// Nothing to do without more bytes; application data may be encrypted.
    Ready,
    /// Nothing to do without more bytes.
    Blocked,
    /// The other side closed cleanly.
    Closed,
}

/// Where decrypted bytes go: the first `wanted` into `sink`, and later ones into `rest`.
pub(super) struct Destination<'a> {
    pub(super) sink: &'a mut Vec<u8>,
    pub(super) wanted: usize,
    pub(super) rest: &'a mut Vec<u8>,
}

impl Destination<'_> {
    fn deliver(&mut self, payload: &[u8]) {
        let (now, later) = payload.split_at(self.wanted.min(payload.len()));
        self.sink.extend_from_slice(now);
        self.wanted -= now.len();
        reserve_wiped(self.rest, later.len());
        self.rest.extend_from_slice(later);
    }
}

// What calls the library is never inlined, so that a stack names this module also without debug information: from that
// `tests/freed.rs` tells the library's copies of a record from ours.
impl TlsConnection {
    pub(super) fn common(&self) -> &CommonState {
        match self {
            TlsConnection::Client(connection) => connection,
            TlsConnection::Server(connection) => connection,
        }
    }

    /// One step over the bytes received so far. Returns how many of them are used up, and the result.
    #[inline(never)]
    pub(super) fn step(
        &mut self,
        received: &mut [u8],
        outgoing: &mut Outgoing,
        to: &mut Destination<'_>,
    ) -> (usize, Result<TlsStep, rustls::Error>) {
        match self {
            TlsConnection::Client(c) => advance(c.process_tls_records(received), outgoing, to),
            TlsConnection::Server(c) => advance(c.process_tls_records(received), outgoing, to),
        }
    }

    /// Encrypts a piece and appends it to `outgoing`.
    #[inline(never)]
    pub(super) fn encrypt(&mut self, piece: &[u8], outgoing: &mut Outgoing) -> Result<(), rustls::Error> {
        // Several rounds, because pending handshake bytes (a key update) are sent first.
        for _ in 0..16 {
            let room = outgoing.room();
            let encrypted = match self {
                TlsConnection::Client(c) => encrypt(c.process_tls_records(&mut []), piece, room),
                TlsConnection::Server(c) => encrypt(c.process_tls_records(&mut []), piece, room),
            };
            match encrypted? {
                Encrypted::Done(count) => {
                    outgoing.length += count;
                    return Ok(());
                }
                Encrypted::Pending(count) => outgoing.length += count,
                Encrypted::NeedRoom(more) => outgoing.grow(more),
            }
        }
        Err(rustls::Error::General("the TLS connection did not become ready to send".into()))
    }

    /// Encrypts the TLS message that closes the connection.
    #[inline(never)]
    pub(super) fn close(&mut self, outgoing: &mut Outgoing) {
        outgoing.grow(256);
        let room = outgoing.room();
        outgoing.length += match self {
            TlsConnection::Client(c) => queue_close(c.process_tls_records(&mut []), room),
            TlsConnection::Server(c) => queue_close(c.process_tls_records(&mut []), room),
        };
    }
}

/// Encrypted bytes that wait to be written: a buffer that is zeroed once and reused.
#[derive(Default)]
pub(super) struct Outgoing {
    buffer: Vec<u8>,
    length: usize,
}

impl Outgoing {
    pub(super) fn with_capacity(capacity: usize) -> Outgoing {
        Outgoing { buffer: vec![0; capacity], length: 0 }
    }

    pub(super) fn filled(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.length..]
    }

    /// Makes room for `more` bytes.
    fn grow(&mut self, more: usize) {
        if self.buffer.len() - self.length < more {
            self.buffer.resize(self.length + more, 0);
        }
    }
}

fn advance<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Outgoing,
    to: &mut Destination<'_>,
) -> (usize, Result<TlsStep, rustls::Error>) {
    let mut discard = status.discard;
    let step = status.state.and_then(|state| {
        Ok(match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    to.deliver(record.payload);
                }
                TlsStep::Data
            }
            ConnectionState::EncodeTlsData(mut data) => {
                outgoing.length += loop {
                    match data.encode(outgoing.room()) {
                        Ok(count) => break count,
                        Err(EncodeError::InsufficientSize(need)) => outgoing.grow(need.required_size),
                        Err(EncodeError::AlreadyEncoded) => break 0,
                    }
                };
                TlsStep::Again
            }
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                TlsStep::Transmit
            }
            ConnectionState::WriteTraffic(_) => TlsStep::Ready,
            ConnectionState::PeerClosed | ConnectionState::Closed => TlsStep::Closed,
            ConnectionState::BlockedHandshake => TlsStep::Blocked,
            _ => return Err(rustls::Error::General("an unexpected TLS state".into())),
        })
    });
    (discard, step)
}

enum Encrypted {
    Done(usize),
    Pending(usize),
    NeedRoom(usize),
}

fn encrypt<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    piece: &[u8],
    buffer: &mut [u8],
) -> Result<Encrypted, rustls::Error> {
    Ok(match status.state? {
        ConnectionState::WriteTraffic(mut traffic) => match traffic.encrypt(piece, buffer) {
            Ok(count) => Encrypted::Done(count),
            Err(EncryptError::InsufficientSize(need)) => Encrypted::NeedRoom(need.required_size),
            Err(EncryptError::EncryptExhausted) => {
                return Err(rustls::Error::General("the TLS keys of this connection are used up".into()));
            }
        },
        ConnectionState::EncodeTlsData(mut data) => match data.encode(buffer) {
            Ok(count) => Encrypted::Pending(count),
            Err(EncodeError::InsufficientSize(need)) => Encrypted::NeedRoom(need.required_size),
            Err(EncodeError::AlreadyEncoded) => Encrypted::Pending(0),
        },
        ConnectionState::TransmitTlsData(data) => {
            // The bytes wait in the outgoing buffer and are written before anything that is encrypted later.
            data.done();
            Encrypted::Pending(0)
        }
        ConnectionState::PeerClosed => Encrypted::Pending(0),
        _ => return Err(rustls::Error::General("the TLS connection cannot send now".into())),
    })
}

fn queue_close<Data>(status: UnbufferedStatus<'_, '_, Data>, buffer: &mut [u8]) -> usize {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => traffic.queue_close_notify(buffer).unwrap_or(0),
        _ => 0,
    }
}
