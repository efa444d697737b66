//! A byte pipe between threads: the dealer's stream to a server.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use zeroize::Zeroizing;

/// The end that a dealer writes to.
pub(crate) struct PipeSink {
    sender: SyncSender<Zeroizing<Vec<u8>>>,
    /// Bytes so far.
    pub(crate) sent: usize,
    limit: usize,
    recorded: bool,
    /// What was written, if that is recorded.
    pub(crate) kept: Vec<Vec<u8>>,
}

/// The end that a server reads from.
pub(crate) struct PipeSource {
    receiver: Receiver<Zeroizing<Vec<u8>>>,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
}

/// A pipe that takes `limit` bytes.
pub(crate) fn pipe(limit: usize, recorded: bool) -> (PipeSink, PipeSource) {
    let (sender, receiver) = sync_channel(64);
    (
        PipeSink { sender, sent: 0, limit, recorded, kept: Vec::new() },
        PipeSource { receiver, chunk: Zeroizing::default(), at: 0 },
    )
}

impl Write for PipeSink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        // What the limit still allows goes out, be it part of a record.
        let bytes = &bytes[..bytes.len().min(self.limit - self.sent)];
        if bytes.is_empty() {
            return Err(closed());
        }
        self.sender.send(Zeroizing::new(bytes.to_vec())).map_err(|_| closed())?;
        if self.recorded {
            self.kept.push(bytes.to_vec());
        }
        self.sent += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Read for PipeSource {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.chunk.len() {
            match self.receiver.recv() {
                Ok(chunk) => (self.chunk, self.at) = (chunk, 0),
                Err(_) => return Ok(0),
            }
        }
        let count = out.len().min(self.chunk.len() - self.at);
        out[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
