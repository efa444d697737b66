//! The exchange between the two servers over two links, one per direction.
//!
//! An exchange is simultaneous and may be large in both directions. If both sides only wrote, their buffers would fill
//! and neither could continue. So the calling thread writes only what the socket accepts at once. For near servers that
//! is most of the message, which is still in the cache of the thread's core. The rest goes to a writer thread that owns
//! the outgoing link meanwhile, and the calling thread reads the incoming link.

#[cfg(test)]
mod tests;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use blindroute_protocol::wipe_vec;
pub use blindroute_protocol::{Channel, ChannelError};

use crate::frame::FrameKind;
use crate::link::{Fault, Link, LinkError, Sending, Traffic};

/// Messages longer than this are received into the memory of an earlier message that was sent.
const LONG: usize = 16 << 10;

/// How long a channel that is dropped without [`PeerChannel::finish`] waits until its last message is sent.
const LINGER: Duration = Duration::from_secs(5);

struct Job {
    link: Box<Link>,
    sending: Sending,
    payload: Vec<u8>,
}

struct Done {
    link: Box<Link>,
    payload: Vec<u8>,
    result: Result<(), LinkError>,
}

enum Outgoing {
    Idle(Box<Link>),
    Busy,
    Lost,
}

/// A server's channel to its peer: exchanges over two TLS links.
pub struct PeerChannel {
    outgoing: Outgoing,
    incoming: Link,
    sequence: u64,
    exchanging: Duration,
    failed: bool,
    /// The memory of a long message that was sent. The next long message is received into it, which saves the page
    /// faults of a new allocation.
    spare: Vec<u8>,
    jobs: Option<SyncSender<Job>>,
    done: Receiver<Done>,
    writer: Option<JoinHandle<()>>,
    handle: std::net::TcpStream,
    sent: Traffic,
    received: Traffic,
}

impl std::fmt::Debug for PeerChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerChannel").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl PeerChannel {
    /// A channel that writes to `outgoing` and reads from `incoming`.
    ///
    /// # Errors
    /// If the system has no more threads or handles.
    pub fn new(outgoing: Link, incoming: Link) -> Result<PeerChannel, LinkError> {
        let handle = outgoing.socket()?;
        let (jobs, todo) = sync_channel::<Job>(1);
        let (finished, done) = sync_channel::<Done>(1);
        let writer = std::thread::Builder::new()
            .name("peer-writer".into())
            .spawn(move || {
                while let Ok(Job { mut link, mut sending, payload }) = todo.recv() {
                    let result = link.continue_long(&mut sending, &payload).map(drop);
                    if finished.send(Done { link, payload, result }).is_err() {
                        return;
                    }
                }
            })
            .map_err(|source| LinkError::Io { peer: "the writer thread", during: "its start", source })?;
        Ok(PeerChannel {
            sent: outgoing.traffic(),
            received: incoming.traffic(),
            outgoing: Outgoing::Idle(Box::new(outgoing)),
            incoming,
            sequence: 0,
            exchanging: Duration::ZERO,
            failed: false,
            spare: Vec::new(),
            jobs: Some(jobs),
            done,
            writer: Some(writer),
            handle,
        })
    }

    /// One exchange, with the link's own error.
    ///
    /// Returns when the peer's message has arrived. A long outgoing message may still be being sent; if that fails, the
    /// next exchange or [`PeerChannel::finish`] returns the error.
    ///
    /// # Errors
    /// If the connection fails, or the peer's message has another number or length. After an error the channel cannot
    /// be used any more.
    pub fn exchange_bytes(&mut self, outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, LinkError> {
        if self.failed {
            return Err(LinkError::Internal("a channel was used after it failed"));
        }
        let sequence = self.sequence;
        self.sequence += 1;
        let started = Instant::now();
        let result = self.send(sequence, outgoing).and_then(|()| {
            let buffer = self.buffer(incoming);
            self.incoming.receive_long_into(FrameKind::Exchange, sequence, incoming, buffer)
        });
        self.exchanging += started.elapsed();
        self.failed = result.is_err();
        result
    }

    /// Time inside exchanges so far: sending, and waiting for the peer's messages.
    #[must_use]
    pub fn exchanging(&self) -> Duration {
        self.exchanging
    }

    /// The number of exchanges so far.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.sequence
    }

    /// Counters of the outgoing and the incoming link.
    #[must_use]
    pub fn traffic(&self) -> (Traffic, Traffic) {
        (self.sent.clone(), self.received.clone())
    }

    /// Waits until the last message is sent, and closes both links cleanly.
    ///
    /// # Errors
    /// If the last message could not be sent.
    pub fn finish(mut self) -> Result<(), LinkError> {
        let mut link = self.reclaim()?;
        link.end();
        self.incoming.end();
        Ok(())
    }

    fn send(&mut self, sequence: u64, payload: Vec<u8>) -> Result<(), LinkError> {
        let mut link = self.reclaim()?;
        let mut sending = link.begin_long(FrameKind::Exchange, sequence)?;
        link.set_eager(true)?;
        let all = link.continue_long(&mut sending, &payload);
        link.set_eager(false)?;
        if all? {
            self.outgoing = Outgoing::Idle(link);
            self.keep(payload);
            return Ok(());
        }
        let jobs = self.jobs.as_ref().ok_or(WRITER_GONE)?;
        jobs.send(Job { link, sending, payload }).map_err(|_| WRITER_GONE)?;
        self.outgoing = Outgoing::Busy;
        Ok(())
    }

    /// Keeps the memory of a long message that was sent, if it is the largest so far. Long messages are masked values;
    /// a short message is wiped in any case.
    fn keep(&mut self, mut payload: Vec<u8>) {
        if payload.capacity() <= LONG {
            wipe_vec(&mut payload);
        } else if payload.capacity() > self.spare.capacity() {
            self.spare = payload;
        }
    }

    /// Memory for receiving a message.
    fn buffer(&mut self, length: usize) -> Vec<u8> {
        if length > LONG && self.spare.capacity() >= length {
            let mut buffer = std::mem::take(&mut self.spare);
            buffer.clear();
            buffer
        } else {
            Vec::with_capacity(length)
        }
    }

    /// Takes the outgoing link, after waiting for the writer thread if it still sends.
    fn reclaim(&mut self) -> Result<Box<Link>, LinkError> {
        match std::mem::replace(&mut self.outgoing, Outgoing::Lost) {
            Outgoing::Idle(link) => Ok(link),
            Outgoing::Lost => Err(WRITER_GONE),
            Outgoing::Busy => {
                // The timeouts of the writer's link bound this wait.
                let Done { link, payload, result } = self.done.recv().map_err(|_| WRITER_GONE)?;
                self.keep(payload);
                result.map(|()| link)
            }
        }
    }
}

const WRITER_GONE: LinkError = LinkError::Internal("the writer thread has ended");

impl Channel for PeerChannel {
    fn exchange(&mut self, outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, ChannelError> {
        self.exchange_bytes(outgoing, incoming).map_err(ChannelError::from)
    }
}

impl From<LinkError> for ChannelError {
    fn from(error: LinkError) -> Self {
        match error.fault() {
            Fault::Peer => ChannelError::Peer(error.to_string()),
            _ => ChannelError::Transport(error.to_string()),
        }
    }
}

impl Drop for PeerChannel {
    fn drop(&mut self) {
        // After a success the peer may still need the last message; after a failure it does not.
        let busy = matches!(self.outgoing, Outgoing::Busy);
        if busy && (self.failed || self.done.recv_timeout(LINGER).is_err()) {
            // Ends a writer that waits for a stalled peer.
            self.handle.shutdown(std::net::Shutdown::Both).ok();
        }
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was already reported by its own thread.
            writer.join().ok();
        }
    }
}
