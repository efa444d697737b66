//! Files of entries of one size, to which entries are appended. Each ends with a checksum, against accidental damage.

use super::ClientsError;
use crate::file_set::replace;
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Bytes of a checksum.
pub(super) const SUM: usize = 8;

/// An entry with its checksum in its last bytes.
pub(super) fn summed<const N: usize>(mut entry: [u8; N]) -> [u8; N] {
    let sum: [u8; 32] = Sha256::digest(&entry[..N - SUM]).into();
    entry[N - SUM..].copy_from_slice(&sum[..SUM]);
    entry
}

/// Gives `take` each entry of a file, which begins with `magic`; there are none if there is no file. What a crash left incomplete at the
/// end was never acted upon.
pub(super) fn load<const N: usize>(
    path: &Path,
    magic: &[u8],
    mut take: impl FnMut(&[u8; N]),
) -> Result<(), ClientsError> {
    let damaged = |reason| ClientsError::Damaged { path: path.to_owned(), reason };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ClientsError::Io { path: path.to_owned(), source }),
    };
    let entries = bytes.strip_prefix(magic).ok_or_else(|| damaged("its beginning is that of another file"))?;
    let (entries, _incomplete) = entries.as_chunks::<N>();
    for (place, entry) in entries.iter().enumerate() {
        if summed(*entry) == *entry {
            take(entry);
        } else if entries[place..].iter().all(|bytes| bytes.iter().all(|byte| *byte == 0)) {
            // A crash of the machine may lengthen the file before the bytes are written.
            break;
        } else {
            return Err(damaged("an entry has a wrong checksum"));
        }
    }
    Ok(())
}

/// Writes a file anew with these entries, and opens it for more. Also returns its length.
pub(super) fn rewrite<const N: usize>(
    path: &Path,
    magic: &[u8],
    entries: impl Iterator<Item = [u8; N]>,
) -> io::Result<(File, u64)> {
    let mut bytes = magic.to_vec();
    entries.for_each(|entry| bytes.extend_from_slice(&entry));
    replace(path, &bytes)?;
    Ok((OpenOptions::new().append(true).open(path)?, bytes.len() as u64))
}
