//! The stream of material from the dealer to a server: bytes in frames, followed by their total number.
//!
//! TCP provides the backpressure: the writer waits while the server does not read, up to the stall timeout. The last
//! frame carries the total, so a stream that ends early is an error and is never taken for a complete one.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use crate::frame::FrameKind;
use crate::link::{Link, LinkError};

/// Bytes of one frame: large enough that framing costs almost nothing, small enough that the reader starts early.
const FRAME: usize = 256 << 10;

/// The dealer's end of the stream, an [`io::Write`].
pub struct MaterialWriter {
    link: Link,
    buffer: Zeroizing<Vec<u8>>,
    total: u64,
}

impl MaterialWriter {
    /// A stream over a link on which the grant was sent.
    #[must_use]
    pub fn new(link: Link) -> MaterialWriter {
        MaterialWriter { link, buffer: Zeroizing::new(Vec::with_capacity(FRAME)), total: 0 }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.total
    }

    /// Sends the buffered bytes and the total, and returns the link and the total.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn finish(mut self) -> Result<(Link, u64), LinkError> {
        self.send_buffer()?;
        self.link.send(FrameKind::MaterialEnd, &self.total.to_le_bytes())?;
        Ok((self.link, self.total))
    }

    /// Gives up, and tells the server why.
    pub fn fail(mut self, failure: &crate::messages::Failure) {
        self.link.fail(failure);
    }

    fn send_buffer(&mut self) -> Result<(), LinkError> {
        if !self.buffer.is_empty() {
            let result = self.link.send(FrameKind::Material, &self.buffer);
            self.buffer.clear();
            result?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for MaterialWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MaterialWriter").field("written", &self.total).finish_non_exhaustive()
    }
}

impl Write for MaterialWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = FRAME - self.buffer.len();
        let taken = if self.buffer.is_empty() && bytes.len() >= FRAME {
            self.link.send(FrameKind::Material, &bytes[..FRAME]).map_err(into_io)?;
            FRAME
        } else {
            let taken = room.min(bytes.len());
            self.buffer.extend_from_slice(&bytes[..taken]);
            if self.buffer.len() == FRAME {
                self.send_buffer().map_err(into_io)?;
            }
            taken
        };
        self.total += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_buffer().map_err(into_io)
    }
}

/// A server's end of the stream, an [`io::Read`]. At the end, the number of bytes is checked against the dealer's
/// total.
pub struct MaterialReader {
    link: Link,
    frame: Zeroizing<Vec<u8>>,
    at: usize,
    left_in_frame: usize,
    total: u64,
    ended: bool,
}

impl MaterialReader {
    /// A stream over a link on which the grant was received.
    #[must_use]
    pub fn new(link: Link) -> MaterialReader {
        MaterialReader { link, frame: Zeroizing::default(), at: 0, left_in_frame: 0, total: 0, ended: false }
    }

    /// A handle to the dealer's socket, for shutting it down from another thread.
    ///
    /// # Errors
    /// If the system could not duplicate the handle.
    pub fn socket(&self) -> Result<std::net::TcpStream, LinkError> {
        self.link.socket()
    }

    /// Bytes given to the reader so far.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.total - self.left_in_frame as u64 - (self.frame.len() - self.at) as u64
    }

    /// Checks that everything was read and the dealer sent no more. Returns the link and the total.
    ///
    /// # Errors
    /// If material is left over, or the stream ended early.
    pub fn finish(mut self) -> Result<(Link, u64), LinkError> {
        let (consumed, peer) = (self.consumed(), self.link.peer());
        let wrong = |found| LinkError::WrongLength { peer, kind: "material", expected: consumed, found };
        if self.at < self.frame.len() || self.left_in_frame > 0 {
            return Err(wrong(self.total));
        }
        if !self.ended && self.next_frame()? {
            return Err(wrong(self.total));
        }
        Ok((self.link, self.total))
    }

    /// Starts the next frame. Returns false at the end, after checking the total.
    fn next_frame(&mut self) -> Result<bool, LinkError> {
        match self.link.receive_either(FrameKind::Material, FrameKind::MaterialEnd)? {
            (FrameKind::MaterialEnd, length) => {
                let mut end = Vec::new();
                self.link.receive_part(&mut end, length, FrameKind::MaterialEnd)?;
                let peer = self.link.peer();
                let end: [u8; 8] = end.as_slice().try_into().map_err(|_| LinkError::WrongLength {
                    peer,
                    kind: FrameKind::MaterialEnd.name(),
                    expected: 8,
                    found: length as u64,
                })?;
                let expected = u64::from_le_bytes(end);
                if expected != self.total {
                    return Err(LinkError::WrongLength { peer, kind: "material", expected, found: self.total });
                }
                self.ended = true;
                Ok(false)
            }
            (_, length) => {
                self.left_in_frame = length;
                self.total += length as u64;
                Ok(true)
            }
        }
    }

    /// Receives the next part of the current frame, or starts a new frame.
    fn fill(&mut self) -> Result<(), LinkError> {
        self.frame.clear();
        self.at = 0;
        while self.left_in_frame == 0 && !self.ended {
            self.next_frame()?;
        }
        let count = self.left_in_frame.min(FRAME);
        self.link.receive_part(&mut self.frame, count, FrameKind::Material)?;
        self.left_in_frame -= count;
        Ok(())
    }
}

impl std::fmt::Debug for MaterialReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MaterialReader").field("consumed", &self.consumed()).finish_non_exhaustive()
    }
}

impl Read for MaterialReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.at == self.frame.len() {
            self.fill().map_err(into_io)?;
        }
        let count = out.len().min(self.frame.len() - self.at);
        out[..count].copy_from_slice(&self.frame[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Wraps a link's error in an [`io::Error`]; [`link_error`] unwraps it.
fn into_io(error: LinkError) -> io::Error {
    let kind = match &error {
        LinkError::TimedOut { .. } => io::ErrorKind::TimedOut,
        LinkError::Closed { .. } => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// The link's error inside an error of [`MaterialReader`] or [`MaterialWriter`], if there is one.
#[must_use]
pub fn link_error(error: &io::Error) -> Option<&LinkError> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::link::Timeouts;
    use crate::messages::{Failure, FailureKind};
    use crate::role::Role;
    use crate::testing::{QUICK, linked};

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|i| (i * 13) as u8).collect()
    }

    #[test]
    fn a_stream_arrives_complete_for_all_sizes_of_pieces() {
        for count in [0, 1, FRAME - 1, FRAME, FRAME + 1, 5 * FRAME + 77] {
            let (server, dealer) = linked(Role::Server0, Role::Dealer, Timeouts::default());
            let dealing = thread::spawn(move || {
                let mut writer = MaterialWriter::new(dealer);
                let all = bytes(count);
                let (head, tail) = all.split_at(count / 3);
                for piece in head.chunks(1000) {
                    writer.write_all(piece).unwrap();
                }
                writer.flush().unwrap();
                writer.write_all(tail).unwrap();
                assert_eq!(writer.written(), count as u64);
                writer.finish().unwrap().1
            });
            let mut reader = MaterialReader::new(server);
            let mut got = vec![0; count];
            reader.read_exact(&mut got[..count / 2]).unwrap();
            assert_eq!(reader.consumed(), (count / 2) as u64);
            reader.read_exact(&mut got[count / 2..]).unwrap();
            assert!(got == bytes(count));
            let (mut link, total) = reader.finish().unwrap();
            assert_eq!((total, dealing.join().unwrap()), (count as u64, count as u64));
            assert!(link.receive(FrameKind::Material).is_err());
        }
    }

    #[test]
    fn case_04_a_stream_that_is_truncated_wrong_or_too_long_is_an_error() {
        // The dealer vanishes.
        let (server, dealer) = linked(Role::Server0, Role::Dealer, QUICK);
        let mut writer = MaterialWriter::new(dealer);
        writer.write_all(&[0; 100]).unwrap();
        writer.flush().unwrap();
        drop(writer);
        let mut reader = MaterialReader::new(server);
        let error = reader.read_exact(&mut [0; 200]).unwrap_err();
        assert!(matches!(link_error(&error), Some(LinkError::Closed { .. })), "{error}");

        // The dealer stalls.
        let (server, dealer) = linked(Role::Server0, Role::Dealer, QUICK);
        let error = MaterialReader::new(server).read_exact(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(dealer);

        // The dealer gives up and says so.
        let (server, dealer) = linked(Role::Server0, Role::Dealer, QUICK);
        MaterialWriter::new(dealer).fail(&Failure::new(FailureKind::OtherParty, "server1 vanished"));
        let error = MaterialReader::new(server).read_exact(&mut [0; 1]).unwrap_err();
        assert!(matches!(link_error(&error), Some(LinkError::Failed { .. })), "{error}");

        // The total is wrong; the stream ends early; the stream is longer than what was read.
        let (server, mut dealer) = linked(Role::Server0, Role::Dealer, QUICK);
        dealer.send(FrameKind::Material, &[0; 10]).unwrap();
        dealer.send(FrameKind::MaterialEnd, &11_u64.to_le_bytes()).unwrap();
        let mut reader = MaterialReader::new(server);
        reader.read_exact(&mut [0; 10]).unwrap();
        assert!(matches!(reader.finish(), Err(LinkError::WrongLength { expected: 11, found: 10, .. })));

        for read in [5, 10, 11] {
            let (server, dealer) = linked(Role::Server0, Role::Dealer, QUICK);
            let mut writer = MaterialWriter::new(dealer);
            writer.write_all(&[0; 10]).unwrap();
            writer.finish().unwrap();
            let mut reader = MaterialReader::new(server);
            let whole = reader.read_exact(&mut vec![0; read]).map_err(|e| e.kind());
            match read {
                5 => assert!(matches!(reader.finish(), Err(LinkError::WrongLength { .. }))),
                10 => assert!(reader.finish().is_ok()),
                _ => assert_eq!(whole, Err(io::ErrorKind::UnexpectedEof)),
            }
        }
    }

    /// Run with `cargo test --release -p blindroute-runtime -- --ignored --nocapture speed`.
    #[test]
    #[ignore = "a measurement, not a check"]
    fn speed() {
        let (server, dealer) = linked(Role::Server0, Role::Dealer, Timeouts::default());
        let (piece, count) = (vec![1; 300_000], 3000);
        let dealing = thread::spawn(move || {
            let mut writer = MaterialWriter::new(dealer);
            (0..count).for_each(|_| writer.write_all(&piece).unwrap());
            writer.finish().unwrap().1
        });
        let mut reader = MaterialReader::new(server);
        let start = std::time::Instant::now();
        let mut got = vec![0; 300_000];
        (0..count).for_each(|_| reader.read_exact(&mut got).unwrap());
        let (_, total) = reader.finish().unwrap();
        println!("material: {:.3} GB/s", total as f64 / start.elapsed().as_secs_f64() / 1e9);
        assert_eq!(dealing.join().unwrap(), total);
    }
}
