//! A stream of bytes in encrypted chunks (AES-256-GCM; the nonces of STREAM, Hoang, Reyhanitabar, Rogaway and Vizár, CRYPTO 2015):
//! a chunk that is altered, missing, added, repeated or in another place does not open.
//!
//! Each stream has a key of its own. The nonce of a chunk is its number and whether it is the last one. What the stream belongs to is
//! the associated data of every chunk.

use crate::messages::{NoRandomness, WireSeed};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Error};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Bytes of a chunk before encryption.
pub(super) const CHUNK: usize = 64 << 10;
/// Bytes that encryption adds to a chunk.
pub(super) const TAG: usize = 16;
/// Bytes of a nonce.
pub(super) const NONCE: usize = 12;

/// A key of AES-256-GCM. It is wiped on drop and never printed.
pub(super) struct StreamKey(WireSeed);

impl StreamKey {
    /// Wraps the bytes of a key.
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        Self(WireSeed::new(*bytes))
    }

    /// A fresh one from the operating system's randomness.
    pub(super) fn generate() -> Result<Self, NoRandomness> {
        WireSeed::generate().map(Self)
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    fn cipher(&self) -> Box<Aes256Gcm> {
        Box::new(Aes256Gcm::new(self.expose().into()))
    }

    /// Encrypts in place, under a nonce that this key meets once. Appends the tag.
    pub(super) fn seal(&self, nonce: [u8; NONCE], bound: &[u8], bytes: &mut Vec<u8>) -> Result<(), Error> {
        seal(&self.cipher(), nonce, bound, bytes)
    }

    /// Decrypts in place, and removes the tag.
    pub(super) fn open(&self, nonce: [u8; NONCE], bound: &[u8], bytes: &mut Vec<u8>) -> Result<(), Error> {
        open(&self.cipher(), nonce, bound, bytes)
    }
}

fn seal(cipher: &Aes256Gcm, nonce: [u8; NONCE], bound: &[u8], bytes: &mut Vec<u8>) -> Result<(), Error> {
    let tag = cipher.encrypt_inout_detached(&nonce.into(), bound, bytes.as_mut_slice().into())?;
    bytes.extend_from_slice(&tag);
    Ok(())
}

fn open(cipher: &Aes256Gcm, nonce: [u8; NONCE], bound: &[u8], bytes: &mut Vec<u8>) -> Result<(), Error> {
    let length = bytes.len().checked_sub(TAG).ok_or(Error)?;
    let tag: [u8; TAG] = bytes[length..].try_into().map_err(|_| Error)?;
    bytes.truncate(length);
    cipher.decrypt_inout_detached(&nonce.into(), bound, bytes.as_mut_slice().into(), &tag.into())
}

/// How long the encrypted stream of so many bytes is. There is always a last chunk, also of no bytes.
pub(super) fn sealed_length(length: u64) -> u64 {
    length + TAG as u64 * length.div_ceil(CHUNK as u64).max(1)
}

/// The cipher of a stream, and the number of its next chunk.
struct Chunks {
    cipher: Box<Aes256Gcm>,
    bound: Vec<u8>,
    next: u64,
}

impl Chunks {
    fn new(key: &StreamKey, bound: Vec<u8>) -> Self {
        Self { cipher: key.cipher(), bound, next: 0 }
    }

    fn nonce(&mut self, last: bool) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[..8].copy_from_slice(&self.next.to_le_bytes());
        nonce[NONCE - 1] = u8::from(last);
        self.next += 1;
        nonce
    }
}

/// Encrypts what is written to it.
pub(super) struct SealedWriter<W> {
    inner: W,
    chunks: Chunks,
    buffer: Zeroizing<Vec<u8>>,
    length: u64,
}

impl<W: Write> SealedWriter<W> {
    /// A stream under a key that no other stream has, bound to what it belongs to.
    pub(super) fn new(inner: W, key: &StreamKey, bound: Vec<u8>) -> Self {
        let buffer = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
        Self { inner, chunks: Chunks::new(key, bound), buffer, length: 0 }
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.chunks.nonce(last);
        seal(&self.chunks.cipher, nonce, &self.chunks.bound, &mut self.buffer)
            .map_err(|_| io::Error::other("a chunk cannot be encrypted"))?;
        self.inner.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Where the chunks go.
    pub(super) fn inner_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Writes the last chunk. Returns the inner writer, and how many bytes were encrypted.
    pub(super) fn finish(mut self) -> io::Result<(W, u64)> {
        self.put(true)?;
        Ok((self.inner, self.length))
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Only once more comes is it known that a full chunk is not the last one.
        if self.buffer.len() == CHUNK && !bytes.is_empty() {
            self.put(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        self.length += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Decrypts a stream of a known length.
pub(super) struct SealedReader<R> {
    inner: R,
    chunks: Chunks,
    buffer: Zeroizing<Vec<u8>>,
    at: usize,
    /// Encrypted bytes that were not read yet.
    left: u64,
}

impl<R: Read> SealedReader<R> {
    /// The stream of so many bytes that was sealed under this key and bound to this.
    pub(super) fn new(inner: R, key: &StreamKey, bound: Vec<u8>, length: u64) -> Self {
        let buffer = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
        Self { inner, chunks: Chunks::new(key, bound), buffer, at: 0, left: sealed_length(length) }
    }

    fn fill(&mut self) -> io::Result<()> {
        let whole = (CHUNK + TAG) as u64;
        let (count, last) = (self.left.min(whole), self.left <= whole);
        self.buffer.clear();
        self.at = 0;
        self.buffer.resize(count as usize, 0);
        self.inner.read_exact(&mut self.buffer)?;
        self.left -= count;
        let nonce = self.chunks.nonce(last);
        open(&self.chunks.cipher, nonce, &self.chunks.bound, &mut self.buffer).map_err(|_| {
            self.buffer.clear();
            io::Error::new(io::ErrorKind::InvalidData, "a chunk of stored material was altered")
        })
    }

    /// Whether all of it was read. The last chunk is checked for that, also if it is empty.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        if self.at == self.buffer.len() && self.left > 0 {
            self.fill()?;
        }
        Ok(self.at == self.buffer.len() && self.left == 0)
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.is_at_end()? {
            return Ok(0);
        }
        let count = out.len().min(self.buffer.len() - self.at);
        out[..count].copy_from_slice(&self.buffer[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
