//! Reading from a slice with every length checked.

use super::{ContainerError, is_name};

/// A position in a slice. Each read names what it reads, for the error.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    pub(super) fn consumed(&self) -> &'a [u8] {
        &self.bytes[..self.at]
    }

    pub(super) fn take(&mut self, needed: u64, what: &'static str) -> Result<&'a [u8], ContainerError> {
        let left = self.left();
        if needed > left {
            return Err(ContainerError::Truncated { what, needed, left });
        }
        // `needed` is at most the length of a slice, so it fits.
        let taken = &self.bytes[self.at..self.at + needed as usize];
        self.at += needed as usize;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ContainerError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, what)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, ContainerError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, ContainerError> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(super) fn name(&mut self, what: &'static str) -> Result<&'a str, ContainerError> {
        let [length] = self.array(what)?;
        let bytes = self.take(u64::from(length), what)?;
        if !is_name(bytes) {
            return Err(ContainerError::Name { what });
        }
        std::str::from_utf8(bytes).map_err(|_| ContainerError::Name { what })
    }
}
