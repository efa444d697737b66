//! The sending half of a TLS stream: encrypting into a buffer, and writing the buffer to the socket.

use std::io::{self, IoSlice, Write as _};

use super::TlsStream;
use crate::link::LinkError;
use crate::scene::SEGMENT_HEADER;

/// Plaintext encrypted in one call.
pub(in crate::link) const PIECE: usize = 64 << 10;
/// Encrypted bytes collected before they are written to the socket.
pub(super) const OUTGOING: usize = 64 << 10;

impl TlsStream {
    /// Encrypts `data`. Full buffers are written to the socket; the rest waits for [`TlsStream::flush`].
    pub(in crate::link) fn write(&mut self, data: &[u8], during: &'static str) -> Result<(), LinkError> {
        for piece in data.chunks(PIECE) {
            if self.encrypt(piece)? {
                self.flush(during)?;
            }
        }
        Ok(())
    }

    /// Encrypts up to [`PIECE`] bytes. Returns whether the buffer is full and must be written before more is encrypted.
    pub(in crate::link) fn encrypt(&mut self, piece: &[u8]) -> Result<bool, LinkError> {
        self.connection.encrypt(piece, &mut self.outgoing).map_err(|e| LinkError::from_tls(e, self.peer))?;
        Ok(self.outgoing.filled().len() >= OUTGOING)
    }

    /// Writes everything encrypted so far to the socket.
    pub(in crate::link) fn flush(&mut self, during: &'static str) -> Result<(), LinkError> {
        if self.push(during)? { Ok(()) } else { Err(LinkError::Internal("an eager stream was flushed")) }
    }

    /// An eager stream writes only what the socket accepts at once; [`TlsStream::push`] returns whether that was all.
    /// Do not read from a stream while it is eager.
    pub(in crate::link) fn set_eager(&mut self, eager: bool) -> Result<(), LinkError> {
        self.socket.set_nonblocking(eager).map_err(|e| self.io_error(e, "setting its mode"))?;
        self.eager = eager;
        Ok(())
    }

    /// Writes what was encrypted so far to the socket. Returns false if the socket of an eager stream accepts no more.
    pub(in crate::link) fn push(&mut self, during: &'static str) -> Result<bool, LinkError> {
        let count = self.outgoing.filled().len();
        if count == 0 {
            return Ok(true);
        }
        if let (None, Some(path)) = (&self.header, &self.path) {
            // On an emulated link a header states when these bytes arrive.
            let length = u32::try_from(count).map_err(|_| LinkError::Internal("a write longer than 4 GiB"))?;
            self.header = Some(path.segment(length));
        }
        let header = self.header.as_ref().map_or(&[][..], <[u8; SEGMENT_HEADER]>::as_slice);
        while self.taken < header.len() + count {
            let written = match self.taken.checked_sub(header.len()) {
                Some(at) => self.socket.write(&self.outgoing.filled()[at..]),
                None => {
                    let rest = IoSlice::new(&header[self.taken..]);
                    self.socket.write_vectored(&[rest, IoSlice::new(self.outgoing.filled())])
                }
            };
            match written {
                Ok(0) => return Err(LinkError::Closed { peer: self.peer, waiting_for: during }),
                Ok(count) => self.taken += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if self.eager && e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(self.io_error(e, during)),
            }
            self.check_deadline(during)?;
        }
        self.traffic.add_wire_sent(count);
        self.outgoing.clear();
        (self.taken, self.header) = (0, None);
        Ok(true)
    }

    /// Tells the other side that nothing more is sent. Best effort.
    pub(in crate::link) fn close(&mut self) {
        self.connection.close(&mut self.outgoing);
        if self.flush("closing").is_ok() {
            self.socket.shutdown(std::net::Shutdown::Write).ok();
        }
    }
}
