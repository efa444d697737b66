//! Embeddings in a file: an append-only log, so that what was embedded before an interruption is kept.
//!
//! An entry is named by two digests: of the encoder, and of the prompt's token ids after truncation. So one file serves several
//! encoders and data sets. All integers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic, `blndemb` and a zero byte |
//! | 8 | format version, 1 |
//! | per entry | 4 width n, 4 the inverted bits of n, 32 digest of the encoder, 32 digest of the token ids, 4·n numbers (f32), 8 checksum |
//!
//! The checksum is the beginning of the SHA-256 of the entry before it. The last entry may be incomplete: it is removed when the
//! file is opened. A damaged entry elsewhere, and any file that does not begin like this, is refused and left as it is.
//!
//! The file is locked from opening to dropping. Another process waits.

use crate::{Stop, Stopped};
use blindroute_routing::bundle::{Digest, container};
use sha2::{Digest as _, Sha256};
use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const MAGIC: &[u8; 8] = b"blndemb\0";
/// The version of the format that this program writes, and the only one it reads.
const VERSION: u64 = 1;
/// Width, its inverse, and digests.
const HEAD: usize = 4 + 4 + 32 + 32;
const CHECKSUM: usize = 8;
/// How long another process is waited for before looking whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);
/// The widest embedding. It bounds the memory that an entry takes before its checksum was seen.
const MOST_WIDTH: usize = 1 << 14;

/// Why a file of embeddings cannot be used. The file is left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingFileError {
    /// The file holds something else.
    #[error(
        "{path} is not a file of embeddings and is left as it is: name a file that does not exist yet, or one that --embeddings has made", path = .0.display()
    )]
    Foreign(PathBuf),
    /// The file has the format of another version of the program.
    #[error(
        "{path} is a file of embeddings in another version's format and is left as it is: remove it, or name another file", path = .0.display()
    )]
    Version(PathBuf),
    /// An entry does not match its checksum, and others follow.
    #[error(
        "{path} is damaged at byte {at} and is left as it is: restore the file, or remove it, so that the prompts are embedded again", path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the entry begins.
        at: u64,
    },
    /// The caller stopped the work.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The system reported an error.
    #[error("cannot use {path} for embeddings: {source}; name a file in a folder where you can write", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An open file of embeddings, locked.
#[derive(Debug)]
pub(super) struct EmbeddingFile {
    file: File,
    path: PathBuf,
}

impl EmbeddingFile {
    /// Opens or creates the file. If another process has it, calls `on_wait` once and waits until that ends or `stop` asks to.
    pub(super) fn open(path: &Path, on_wait: impl FnOnce(), stop: &Stop) -> Result<Self, EmbeddingFileError> {
        let io = |source| EmbeddingFileError::Io { path: path.to_owned(), source };
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        let mut on_wait = Some(on_wait);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if let Some(on_wait) = on_wait.take() {
                        on_wait();
                    }
                    stop.check()?;
                    thread::sleep(PATIENCE);
                }
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
        }
        let mut opened = Self { file, path: path.to_owned() };
        opened.begin()?;
        Ok(opened)
    }

    /// Checks the header, or writes it into a file that is empty or holds only a part of it.
    fn begin(&mut self) -> Result<(), EmbeddingFileError> {
        let expected = header();
        let mut found = Vec::with_capacity(expected.len());
        (&self.file).take(expected.len() as u64).read_to_end(&mut found).map_err(|source| self.io(source))?;
        if found == expected {
            return Ok(());
        }
        if expected.starts_with(&found) {
            let written = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(&expected));
            return written.map_err(|source| self.io(source));
        }
        if found.starts_with(MAGIC) || self.is_container() {
            return Err(EmbeddingFileError::Version(self.path.clone()));
        }
        Err(EmbeddingFileError::Foreign(self.path.clone()))
    }

    /// Whether the file is what earlier versions kept embeddings in.
    fn is_container(&self) -> bool {
        let bytes = container::read_file(&self.path).unwrap_or_default();
        container::read(&bytes, "embeddings").is_ok()
    }

    /// Calls `on_entry` with the digest of the token ids and the embedding of each of the encoder's entries of this width. An
    /// incomplete last entry is removed; the number of its bytes is returned.
    pub(super) fn read(
        &mut self,
        encoder: &Digest,
        width: usize,
        mut on_entry: impl FnMut(&Digest, &[u8]),
    ) -> Result<u64, EmbeddingFileError> {
        let io = |source| EmbeddingFileError::Io { path: self.path.clone(), source };
        let length = self.file.metadata().map_err(io)?.len();
        let mut at = header().len() as u64;
        self.file.seek(SeekFrom::Start(at)).map_err(io)?;
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        let mut entry = Vec::new();
        let whole = loop {
            let left = length - at;
            if left < HEAD as u64 {
                break true;
            }
            entry.resize(HEAD, 0);
            reader.read_exact(&mut entry).map_err(io)?;
            let number = |start: usize| entry[start..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            let found = number(0) as usize;
            // A damaged width must not look like an entry that goes on beyond the end.
            if !(1..=MOST_WIDTH).contains(&found) || number(0) != !number(4) {
                break false;
            }
            let bytes = HEAD + 4 * found + CHECKSUM;
            if left < bytes as u64 {
                break true;
            }
            entry.resize(bytes, 0);
            reader.read_exact(&mut entry[HEAD..]).map_err(io)?;
            let (stated, checksum) = entry.split_at(bytes - CHECKSUM);
            if checksum != self::checksum(stated) {
                break left == bytes as u64;
            }
            let (head, values) = stated.split_at(HEAD);
            let digest = |start: usize| head[start..].first_chunk::<32>().map(|bytes| Digest::from(*bytes));
            if let (Some(of), Some(tokens)) = (digest(8), digest(40))
                && of == *encoder
                && found == width
            {
                on_entry(&tokens, values);
            }
            at += bytes as u64;
        };
        // A crash of the machine may leave zeros where the last entries should be.
        if !whole && !self.is_zero_from(at)? {
            return Err(EmbeddingFileError::Damaged { path: self.path.clone(), at });
        }
        if at < length {
            self.file.set_len(at).map_err(io)?;
        }
        Ok(length - at)
    }

    fn is_zero_from(&self, at: u64) -> Result<bool, EmbeddingFileError> {
        let io = |source| EmbeddingFileError::Io { path: self.path.clone(), source };
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        for byte in BufReader::with_capacity(1 << 16, file).bytes() {
            if byte.map_err(io)? != 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds embeddings, each with the digest of its token ids. They are on disk when it returns.
    pub(super) fn append(&mut self, encoder: &Digest, entries: &[(Digest, &[f32])]) -> Result<(), EmbeddingFileError> {
        let mut bytes = Vec::new();
        for (tokens, values) in entries {
            let start = bytes.len();
            let width = values.len() as u32;
            bytes.extend([width, !width].map(u32::to_le_bytes).concat());
            bytes.extend(encoder.as_bytes());
            bytes.extend(tokens.as_bytes());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            bytes.extend(checksum(&bytes[start..]));
        }
        let written = self.file.seek(SeekFrom::End(0)).and_then(|_| self.file.write_all(&bytes));
        written.and_then(|()| self.file.sync_data()).map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> EmbeddingFileError {
        EmbeddingFileError::Io { path: self.path.clone(), source }
    }
}

fn header() -> [u8; 16] {
    let mut header = [0; 16];
    header[..8].copy_from_slice(MAGIC);
    header[8..].copy_from_slice(&VERSION.to_le_bytes());
    header
}

fn checksum(entry: &[u8]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::digest(entry).into();
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODER: [u8; 32] = [7; 32];

    fn entry(index: u8) -> (Digest, [f32; 3]) {
        (Digest::from([index; 32]), [f32::from(index), -1.5, 0.25])
    }

    fn append(path: &Path, encoder: [u8; 32], indices: std::ops::Range<u8>) {
        let mut file = EmbeddingFile::open(path, || (), &Stop::never()).unwrap();
        for index in indices {
            let (tokens, values) = entry(index);
            file.append(&encoder.into(), &[(tokens, &values)]).unwrap();
        }
    }

    /// The first bytes of the digests that are found, and the bytes removed.
    fn found(path: &Path, encoder: [u8; 32]) -> Result<(Vec<u8>, u64), EmbeddingFileError> {
        let mut file = EmbeddingFile::open(path, || (), &Stop::never()).unwrap();
        let mut found = Vec::new();
        let removed = file.read(&encoder.into(), 3, |tokens, values| {
            let index = tokens.as_bytes()[0];
            let expected: Vec<u8> = entry(index).1.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(values, expected);
            found.push(index);
        })?;
        Ok((found, removed))
    }

    #[test]
    fn a_file_that_ends_at_any_byte_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embeddings");
        append(&path, ENCODER, 0..3);
        let whole = std::fs::read(&path).unwrap();
        let each = (whole.len() - 16) / 3;
        assert_eq!(each, HEAD + 12 + CHECKSUM);
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let complete = length.saturating_sub(16) / each;
            let (before, removed) = found(&path, ENCODER).unwrap();
            assert_eq!(before, (0..complete as u8).collect::<Vec<_>>(), "{length} bytes");
            assert_eq!(removed as usize, length.saturating_sub(16) % each, "{length} bytes");
            append(&path, ENCODER, complete as u8..3);
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{length} bytes");
        }
    }

    #[test]
    fn zeros_at_the_end_are_removed_and_other_damage_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embeddings");
        append(&path, ENCODER, 0..3);
        let whole = std::fs::read(&path).unwrap();
        let each = (whole.len() - 16) / 3;
        std::fs::write(&path, [&whole[..], &[0; 500]].concat()).unwrap();
        assert_eq!(found(&path, ENCODER).unwrap(), (vec![0, 1, 2], 500));
        for at in 16..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            std::fs::write(&path, &damaged).unwrap();
            let entry = (at - 16) / each;
            match found(&path, ENCODER) {
                // The last entry may have been written in part.
                Ok((found, removed)) => {
                    assert_eq!((found, removed as usize), (vec![0, 1], each), "byte {at}");
                }
                Err(error) => {
                    let says = format!("damaged at byte {}", 16 + entry * each);
                    assert!(error.to_string().contains(&says), "byte {at}: {error}");
                    assert_eq!(std::fs::read(&path).unwrap(), damaged, "byte {at}");
                }
            }
        }
    }

    #[test]
    fn encoders_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embeddings");
        append(&path, ENCODER, 0..2);
        append(&path, [8; 32], 1..3);
        assert_eq!(found(&path, ENCODER).unwrap(), (vec![0, 1], 0));
        assert_eq!(found(&path, [8; 32]).unwrap(), (vec![1, 2], 0));
        assert_eq!(found(&path, [9; 32]).unwrap(), (vec![], 0));
    }

    #[test]
    fn other_files_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let container = |kind: &str| container::write(kind, b"", &[]).unwrap();
        let mut later = header().to_vec();
        later[8] = 9;
        for (bytes, says) in [
            (b"notes".to_vec(), "not a file of embeddings"),
            (vec![0; 16], "not a file of embeddings"),
            (vec![b'x'; 1000], "not a file of embeddings"),
            (container("router-bundle"), "not a file of embeddings"),
            (container("embeddings"), "another version"),
            (later, "another version"),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            let error = EmbeddingFile::open(&path, || (), &Stop::never()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        let error =
            EmbeddingFile::open(&folder.path().join("missing/file"), || (), &Stop::never()).unwrap_err().to_string();
        assert!(error.contains("folder where you can write"), "{error}");
    }

    #[test]
    fn a_second_user_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embeddings");
        let mut first = EmbeddingFile::open(&path, || panic!("nobody has it"), &Stop::never()).unwrap();
        std::thread::scope(|scope| {
            let (waits, waiting) = std::sync::mpsc::channel();
            let second = scope.spawn(|| {
                let path = path.clone();
                let mut file = EmbeddingFile::open(&path, move || waits.send(()).unwrap(), &Stop::never()).unwrap();
                let mut found = 0;
                file.read(&ENCODER.into(), 3, |_, _| found += 1).unwrap();
                found
            });
            waiting.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
            let (tokens, values) = entry(5);
            first.append(&ENCODER.into(), &[(tokens, &values)]).unwrap();
            drop(first);
            assert_eq!(second.join().unwrap(), 1);
        });
    }
}
