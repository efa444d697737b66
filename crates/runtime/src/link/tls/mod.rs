//! A blocking TLS stream over rustls's unbuffered state machine.
//!
//! With the unbuffered interface one read from the socket brings many records and one write carries many. The buffered
//! interface reads 4 KiB at a time, which costs more than half the throughput of long messages.

mod state_machine;
mod write;

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blindroute_protocol::{reserve_wiped, wipe, wipe_vec};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ServerConfig};

use super::error::LinkError;
use super::traffic::Traffic;
use crate::scene::{self, Path, SEGMENT_HEADER};
use state_machine::{Destination, Outgoing, TlsConnection, TlsStep};
use write::OUTGOING;
pub(super) use write::PIECE;

/// Bytes read from the socket at once at most: several records.
const INCOMING: usize = 256 << 10;
/// The largest TLS record on the wire.
const RECORD: usize = 5 + 16384 + 256;
/// How long a read polls the socket before the thread sleeps. Most messages of an exchange arrive within this time, and
/// sleeping and being woken would take about as long. Between two polls the thread yields the core to others.
const POLLING: Duration = Duration::from_micros(100);

/// Reads what has arrived, or waits for it up to the socket's timeout.
fn read(mut socket: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        let until = Instant::now() + POLLING;
        loop {
            match rustix::net::recv(socket, &mut *bytes, rustix::net::RecvFlags::DONTWAIT) {
                Ok((_, count)) => return Ok(count),
                Err(Errno::AGAIN) if Instant::now() < until => std::thread::yield_now(),
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    socket.read(bytes)
}

/// A blocking TLS stream with deadlines and counters.
pub(super) struct TlsStream {
    socket: TcpStream,
    connection: TlsConnection,
    incoming: Vec<u8>,
    start: usize,
    end: usize,
    rest: Vec<u8>,
    rest_at: usize,
    outgoing: Outgoing,
    /// How many of the outgoing bytes, and of the header before them, the socket has accepted.
    taken: usize,
    header: Option<[u8; SEGMENT_HEADER]>,
    /// Whether a write returns when the socket accepts no more bytes, see [`TlsStream::set_eager`].
    eager: bool,
    closed: bool,
    pub(super) peer: &'static str,
    /// What the other side has to trust, for an error.
    pub(super) presented: String,
    stall: Duration,
    deadline: Option<(Instant, Duration)>,
    pub(super) traffic: Traffic,
    /// The emulated link to the other side, if there is one.
    path: Option<Path>,
    /// Bytes that have arrived over the emulated link and were not read yet.
    arrived: usize,
}

impl TlsStream {
    pub(super) fn client(
        socket: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        peer: &'static str,
        path: Option<Path>,
        handshake: Duration,
    ) -> Result<TlsStream, LinkError> {
        let connection = UnbufferedClientConnection::new(config, name).map_err(|e| LinkError::from_tls(e, peer))?;
        TlsStream::handshake(socket, TlsConnection::Client(Box::new(connection)), peer, path, handshake)
    }

    pub(super) fn server(
        socket: TcpStream,
        config: Arc<ServerConfig>,
        peer: &'static str,
        path: Option<Path>,
        handshake: Duration,
    ) -> Result<TlsStream, LinkError> {
        let connection = UnbufferedServerConnection::new(config).map_err(|e| LinkError::from_tls(e, peer))?;
        TlsStream::handshake(socket, TlsConnection::Server(Box::new(connection)), peer, path, handshake)
    }

    fn handshake(
        socket: TcpStream,
        connection: TlsConnection,
        peer: &'static str,
        path: Option<Path>,
        limit: Duration,
    ) -> Result<TlsStream, LinkError> {
        let mut stream = TlsStream {
            socket,
            connection,
            incoming: vec![0; INCOMING],
            start: 0,
            end: 0,
            rest: Vec::new(),
            rest_at: 0,
            outgoing: Outgoing::with_capacity(OUTGOING + PIECE + 4096),
            taken: 0,
            header: None,
            eager: false,
            closed: false,
            peer,
            presented: String::new(),
            stall: limit,
            deadline: None,
            traffic: Traffic::default(),
            path,
            arrived: 0,
        };
        stream.socket.set_nodelay(true).map_err(|e| stream.io_error(e, "the TLS handshake"))?;
        stream.set_stall(limit)?;
        stream.deadline = Some((Instant::now() + limit, limit));
        let mut nothing = Vec::new();
        loop {
            match stream.step(&mut nothing, 0) {
                Ok(TlsStep::Again | TlsStep::Data) => {}
                Ok(TlsStep::Transmit) => stream.flush("the TLS handshake")?,
                Ok(TlsStep::Ready) if !stream.connection.common().is_handshaking() => break,
                Ok(TlsStep::Ready | TlsStep::Blocked) => stream.fill("the TLS handshake")?,
                Ok(TlsStep::Closed) => return Err(LinkError::Closed { peer, waiting_for: "the TLS handshake" }),
                Err(error) => {
                    stream.send_alert();
                    return Err(error);
                }
            }
        }
        stream.deadline = None;
        Ok(stream)
    }

    /// Sets the longest wait of one read or write of the socket.
    pub(super) fn set_stall(&mut self, stall: Duration) -> Result<(), LinkError> {
        self.stall = stall;
        let result =
            self.socket.set_read_timeout(Some(stall)).and_then(|()| self.socket.set_write_timeout(Some(stall)));
        result.map_err(|e| self.io_error(e, "setting timeouts"))
    }

    /// Sets the longest wait for a whole message, counted from now.
    pub(super) fn set_deadline(&mut self, limit: Option<Duration>) {
        self.deadline = limit.map(|limit| (Instant::now() + limit, limit));
    }

    /// Sets the emulated link to the other side, once its role is known.
    pub(super) fn set_path(&mut self, path: Option<Path>) {
        self.path = path;
    }

    /// The name of the protocol that both sides offered.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.connection.common().alpn_protocol()
    }

    /// The certificate that the other side proved to hold, with its chain.
    pub(super) fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.connection.common().peer_certificates()
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Appends exactly `count` decrypted bytes to `sink`. Returns false if the stream ended cleanly before the first
    /// byte.
    pub(super) fn read_exact(
        &mut self,
        sink: &mut Vec<u8>,
        count: usize,
        during: &'static str,
    ) -> Result<bool, LinkError> {
        reserve_wiped(sink, count);
        let goal = sink.len() + count;
        let before = sink.len();
        if self.rest_at < self.rest.len() {
            let upto = self.rest.len().min(self.rest_at + count);
            sink.extend_from_slice(&self.rest[self.rest_at..upto]);
            self.rest_at = upto;
            if self.rest_at == self.rest.len() {
                self.rest.clear();
                self.rest_at = 0;
            }
        }
        while sink.len() < goal {
            if self.closed {
                return if sink.len() == before {
                    Ok(false)
                } else {
                    Err(LinkError::Closed { peer: self.peer, waiting_for: during })
                };
            }
            let wanted = goal - sink.len();
            match self.step(sink, wanted)? {
                TlsStep::Again | TlsStep::Data => {}
                TlsStep::Transmit => self.flush(during)?,
                TlsStep::Ready | TlsStep::Blocked => self.fill(during)?,
                TlsStep::Closed => self.closed = true,
            }
        }
        Ok(true)
    }

    /// Waits for decrypted bytes without taking any. Returns false if the stream ended cleanly instead.
    pub(super) fn await_data(&mut self, during: &'static str) -> Result<bool, LinkError> {
        let mut nothing = Vec::new();
        while self.rest_at == self.rest.len() {
            if self.closed {
                return Ok(false);
            }
            match self.step(&mut nothing, 0)? {
                TlsStep::Again | TlsStep::Data => {}
                TlsStep::Transmit => self.flush(during)?,
                TlsStep::Ready | TlsStep::Blocked => self.fill(during)?,
                TlsStep::Closed => self.closed = true,
            }
        }
        Ok(true)
    }

    /// Wipes the bytes that were already read. They were decrypted in place and would stay until others overwrite them.
    pub(super) fn forget(&mut self) {
        wipe(&mut self.incoming[..self.start]);
        wipe(&mut self.incoming[self.end..]);
        if self.rest.is_empty() {
            wipe_vec(&mut self.rest);
        } else {
            wipe(&mut self.rest[..self.rest_at]);
        }
    }

    /// Whether the receive buffers hold these bytes.
    #[cfg(test)]
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        [&self.incoming, &self.rest].iter().any(|held| held.windows(bytes.len()).any(|window| window == bytes))
    }

    /// Whether nothing waits to be read, here or in the socket: neither bytes nor the end of the stream.
    pub(super) fn is_quiet(&self) -> bool {
        if self.closed || self.rest_at < self.rest.len() || self.start < self.end {
            return false;
        }
        let peeked = self.socket.set_nonblocking(true).and_then(|()| self.socket.peek(&mut [0]));
        let blocking = self.socket.set_nonblocking(false).is_ok();
        blocking && matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Turns on TCP keep-alive. A machine that vanished is then noticed within a minute although nothing is sent, and
    /// routers between the machines do not drop an idle connection. Best effort: every wait is bounded without it.
    pub(super) fn keep_alive(&self) {
        #[cfg(target_os = "linux")]
        {
            use rustix::net::sockopt;
            let asked = sockopt::set_socket_keepalive(&self.socket, true)
                .and_then(|()| sockopt::set_tcp_keepidle(&self.socket, Duration::from_secs(30)))
                .and_then(|()| sockopt::set_tcp_keepintvl(&self.socket, Duration::from_secs(10)))
                .and_then(|()| sockopt::set_tcp_keepcnt(&self.socket, 3));
            if let Err(error) = asked {
                tracing::debug!(peer = self.peer, %error, "no keep-alive on this connection");
            }
        }
    }

    /// One step of the state machine over the bytes received so far.
    fn step(&mut self, sink: &mut Vec<u8>, wanted: usize) -> Result<TlsStep, LinkError> {
        let buffer = &mut self.incoming[self.start..self.end];
        let mut to = Destination { sink, wanted, rest: &mut self.rest };
        let (discard, step) = self.connection.step(buffer, &mut self.outgoing, &mut to);
        self.start = (self.start + discard).min(self.end);
        step.map_err(|e| LinkError::from_tls(e, self.peer).expecting(String::new, || self.presented.clone()))
    }

    /// Reads from the socket once.
    fn fill(&mut self, during: &'static str) -> Result<(), LinkError> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.incoming.len() - self.end < RECORD {
            self.incoming.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.incoming.len() {
            return Err(LinkError::Tls {
                peer: self.peer,
                source: rustls::Error::General("a TLS message larger than the receive buffer".into()),
            });
        }
        if self.path.is_some() && self.arrived == 0 {
            self.await_segment(during)?;
        }
        let room = self.incoming.len() - self.end;
        let room = if self.path.is_some() { room.min(self.arrived) } else { room };
        loop {
            match read(&self.socket, &mut self.incoming[self.end..self.end + room]) {
                // The TCP stream ended without a TLS close: something broke the connection.
                Ok(0) => return Err(LinkError::Closed { peer: self.peer, waiting_for: during }),
                Ok(count) => {
                    self.end += count;
                    self.arrived = self.arrived.saturating_sub(count);
                    self.traffic.add_wire_received(count);
                    return self.check_deadline(during);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => self.check_deadline(during)?,
                Err(e) => return Err(self.io_error(e, during)),
            }
        }
    }

    /// On an emulated link: waits until the next bytes would have arrived. They stay in the socket.
    fn await_segment(&mut self, during: &'static str) -> Result<(), LinkError> {
        let mut header = [0; SEGMENT_HEADER];
        let mut at = 0;
        while at < SEGMENT_HEADER {
            match read(&self.socket, &mut header[at..]) {
                Ok(0) => return Err(LinkError::Closed { peer: self.peer, waiting_for: during }),
                Ok(count) => at += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.io_error(e, during)),
            }
            self.check_deadline(during)?;
        }
        let (count, arrival) = scene::parse_segment(&header).ok_or(LinkError::NoScene { peer: self.peer })?;
        // The other side states the time of arrival, which is accepted only up to the stall timeout.
        let limit = u64::try_from(self.stall.as_nanos()).unwrap_or(u64::MAX);
        if arrival.saturating_sub(scene::now()) > limit {
            return Err(LinkError::TimedOut { peer: self.peer, waiting_for: during, after: self.stall });
        }
        scene::sleep_until(arrival);
        self.arrived = count;
        self.check_deadline(during)
    }

    fn check_deadline(&self, during: &'static str) -> Result<(), LinkError> {
        match self.deadline {
            Some((at, after)) if Instant::now() > at => {
                Err(LinkError::TimedOut { peer: self.peer, waiting_for: during, after })
            }
            _ => Ok(()),
        }
    }

    /// After a failed handshake: sends the TLS alert that says why. Best effort.
    ///
    /// Takes one step only, which yields the queued alert. A second step would parse the rejected bytes again.
    fn send_alert(&mut self) {
        if matches!(self.step(&mut Vec::new(), 0), Ok(TlsStep::Again)) && self.flush("a TLS alert").is_ok() {
            self.linger();
        }
    }

    /// Reads for a moment what the other side still sends. Closing a socket with unread bytes would reset the
    /// connection, and the alert could be lost.
    fn linger(&mut self) {
        self.socket.shutdown(std::net::Shutdown::Write).ok();
        self.socket.set_read_timeout(Some(Duration::from_millis(300))).ok();
        for _ in 0..8 {
            if !matches!(self.socket.read(&mut self.incoming), Ok(count) if count > 0) {
                return;
            }
        }
    }

    fn io_error(&self, source: io::Error, during: &'static str) -> LinkError {
        LinkError::from_io(source, self.peer, during, self.stall)
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        wipe(&mut self.incoming);
        wipe_vec(&mut self.rest);
    }
}
