//! The section container: the format of every blindroute file that holds tensors.
//!
//! A router bundle is one container; the public part and the two share files made from it are containers of other
//! kinds. The container does not know the meaning of its sections. It guarantees that they are complete and unaltered,
//! and that the file holds nothing else.
//!
//! All integers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic, `blndrte` and a zero byte |
//! | 4 | format version, [`VERSION`] |
//! | 1 + n | kind: length and ASCII text, for instance `router-bundle` |
//! | 4 + n | header: length and JSON text (the container does not parse it) |
//! | 4 | number of sections |
//! | per section | 1 + n name, 8 payload length, 32 SHA-256 of the payload |
//! | 32 | SHA-256 of everything above: the [`Digest`] of the file |
//! | rest | the payloads, one after another, with nothing between or after them |
//!
//! The digest covers the table and the table covers the payloads, so the digest commits to every byte of the file, and
//! a reader can check it before it has read the payloads. The same contents always give the same bytes.
//!
//! ```
//! use blindroute_routing::bundle::container::{self, Section};
//!
//! let bytes = container::write("example", b"{}", &[Section { name: "weights", payload: &[1, 2, 3] }])?;
//! let read = container::read(&bytes, "example")?;
//! assert_eq!(read.section("weights")?, [1, 2, 3]);
//! # Ok::<(), blindroute_routing::bundle::container::ContainerError>(())
//! ```

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::digest::Digest;

mod cursor;
#[cfg(test)]
mod tests;

use cursor::Cursor;

/// The version of the format that this program writes, and the only one it reads.
pub const VERSION: u32 = 1;
/// The largest file, 4 GiB, in which the shares of an encoder of 24 layers of width 1,024 fit. It bounds the memory that is used before
/// anything in a file that is read was checked.
pub const MAX_FILE_BYTES: u64 = 1 << 32;
/// The largest header.
pub const MAX_HEADER_BYTES: usize = 1 << 24;
/// The most sections.
pub const MAX_SECTIONS: usize = 1 << 14;

const MAGIC: &[u8; 8] = b"blndrte\0";

/// Why a file cannot be read or written as a container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The file does not start with the mark of blindroute files.
    #[error(
        "this is not a blindroute file (it does not start with the blindroute mark): give the path of a .blindroute file"
    )]
    NotOurs,
    /// The file was written by another version of the format.
    #[error(
        "the file has format version {found}, expected version {expected}: make it again with this program, or use the program that made it"
    )]
    Version {
        /// The version in the file.
        found: u32,
        /// The version this program reads.
        expected: u32,
    },
    /// The file is a blindroute file of another kind.
    #[error("the file is a {found:?}, expected a {expected:?}: give the path of a {expected:?} file")]
    Kind {
        /// The kind in the file.
        found: String,
        /// The kind expected.
        expected: String,
    },
    /// The file ends too early.
    #[error("the file is truncated: {what} needs {needed} more bytes, {left} are left; copy or download it again")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// The number of bytes needed.
        needed: u64,
        /// The number of bytes left.
        left: u64,
    },
    /// There are bytes after the last section.
    #[error(
        "the file has {extra} bytes after its end, expected none: something was appended; copy or download it again"
    )]
    Leftover {
        /// How many.
        extra: u64,
    },
    /// A length is larger than the format allows.
    #[error(
        "the file states {found} for {what}, expected at most {limit}: it is damaged or was not made by blindroute; make it again"
    )]
    Limit {
        /// What the number counts.
        what: &'static str,
        /// The number stated.
        found: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// A name has characters that are not allowed, or a wrong length.
    #[error(
        "the file holds a {what} that is not allowed, expected 1 to 255 printable ASCII characters: it is damaged; copy or download it again"
    )]
    Name {
        /// What the name is for.
        what: &'static str,
    },
    /// Two sections have the same name.
    #[error("the section {name:?} appears twice, expected once: the file was not made by blindroute; make it again")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The digest of the header and the table is not the one stated.
    #[error(
        "the header does not match its digest (stated {stated}, found {found}): the file was altered or damaged; copy or download it again"
    )]
    HeaderDigest {
        /// The digest in the file.
        stated: Digest,
        /// The digest of what is in the file.
        found: Digest,
    },
    /// The digest of one section is not the one stated.
    #[error(
        "the section {name:?} does not match its digest (stated {stated}, found {found}): the file was altered or damaged; copy or download it again"
    )]
    SectionDigest {
        /// The section.
        name: String,
        /// The digest in the table.
        stated: Digest,
        /// The digest of the payload.
        found: Digest,
    },
    /// A required section is missing.
    #[error(
        "the section {name:?} is missing: the file was made by a program that does not know it; make it again with this program"
    )]
    Missing {
        /// The section.
        name: String,
    },
    /// The file could not be read.
    #[error("could not read the file: {0}; check that it is there and may be read")]
    Io(#[from] io::Error),
}

/// A section: bytes with a name.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Its name: 1 to 255 printable ASCII characters, unique in the file.
    pub name: &'a str,
    /// Its contents.
    pub payload: &'a [u8],
}

/// A container that was read. All of its digests matched.
#[derive(Debug)]
pub struct Container<'a> {
    header: &'a [u8],
    sections: Vec<Section<'a>>,
    digest: Digest,
}

impl<'a> Container<'a> {
    /// The header, as written.
    pub fn header(&self) -> &'a [u8] {
        self.header
    }

    /// The sections, in file order.
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// The payload of the section of this name.
    pub fn section(&self, name: &str) -> Result<&'a [u8], ContainerError> {
        self.sections
            .iter()
            .find(|section| section.name == name)
            .map(|section| section.payload)
            .ok_or_else(|| ContainerError::Missing { name: name.to_owned() })
    }

    /// The digest of the whole file.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// The bytes of a container. `kind` and the names must be 1 to 255 printable ASCII characters, and the names unique.
pub fn write(kind: &str, header: &[u8], sections: &[Section<'_>]) -> Result<Vec<u8>, ContainerError> {
    limit("the header's bytes", header.len() as u64, MAX_HEADER_BYTES as u64)?;
    limit("the number of sections", sections.len() as u64, MAX_SECTIONS as u64)?;
    let payloads: u64 = sections.iter().map(|section| section.payload.len() as u64).sum();
    limit("the bytes of all sections", payloads, MAX_FILE_BYTES)?;

    let mut bytes = Vec::new();
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    push_name(&mut bytes, kind, "kind")?;
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    for section in sections {
        push_name(&mut bytes, section.name, "section name")?;
        bytes.extend_from_slice(&(section.payload.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&sha256(section.payload));
    }
    let digest = sha256(&bytes);
    bytes.extend_from_slice(&digest);
    bytes.reserve_exact(payloads as usize);
    for section in sections {
        bytes.extend_from_slice(section.payload);
    }
    refuse_duplicates(sections)?;
    limit("the file's bytes", bytes.len() as u64, MAX_FILE_BYTES)?;
    Ok(bytes)
}

/// Reads a container of the given kind, and checks all of its lengths and digests. Nothing is copied.
pub fn read<'a>(bytes: &'a [u8], kind: &str) -> Result<Container<'a>, ContainerError> {
    limit("the file's bytes", bytes.len() as u64, MAX_FILE_BYTES)?;
    let mut cursor = Cursor::new(bytes);
    if bytes.get(..MAGIC.len()) != Some(MAGIC.as_slice()) {
        return Err(ContainerError::NotOurs);
    }
    cursor.take(MAGIC.len() as u64, "the mark")?;
    let version = cursor.u32("the version")?;
    if version != VERSION {
        return Err(ContainerError::Version { found: version, expected: VERSION });
    }
    let found = cursor.name("kind")?;
    if found != kind {
        return Err(ContainerError::Kind { found: found.to_owned(), expected: kind.to_owned() });
    }
    let header_bytes = u64::from(cursor.u32("the header's length")?);
    limit("the header's bytes", header_bytes, MAX_HEADER_BYTES as u64)?;
    let header = cursor.take(header_bytes, "the header")?;
    let count = u64::from(cursor.u32("the number of sections")?);
    limit("the number of sections", count, MAX_SECTIONS as u64)?;
    // Grows with the entries that are read. The stated count does not reserve memory.
    let mut table = Vec::new();
    for _ in 0..count {
        let name = cursor.name("section name")?;
        let length = cursor.u64("a section's length")?;
        limit("a section's bytes", length, MAX_FILE_BYTES)?;
        table.push((name, length, Digest::from(cursor.array::<32>("a section's digest")?)));
    }
    let digest = Digest::from(sha256(cursor.consumed()));
    let stated = Digest::from(cursor.array::<32>("the header's digest")?);
    if stated != digest {
        return Err(ContainerError::HeaderDigest { stated, found: digest });
    }

    let mut sections = Vec::with_capacity(table.len());
    for &(name, length, _) in &table {
        sections.push(Section { name, payload: cursor.take(length, "a section")? });
    }
    if cursor.left() > 0 {
        return Err(ContainerError::Leftover { extra: cursor.left() });
    }
    refuse_duplicates(&sections)?;
    for (section, &(name, _, stated)) in sections.iter().zip(&table) {
        let found = Digest::from(sha256(section.payload));
        if found != stated {
            return Err(ContainerError::SectionDigest { name: name.to_owned(), stated, found });
        }
    }
    Ok(Container { header, sections, digest })
}

/// The bytes of a file of at most [`MAX_FILE_BYTES`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, ContainerError> {
    read_bytes(&File::open(path)?)
}

/// The bytes of an open file from its current position, at most [`MAX_FILE_BYTES`].
pub fn read_bytes(file: &File) -> Result<Vec<u8>, ContainerError> {
    // Reserves room for all of it: a growing buffer would leave copies in freed memory, and the file may be a share.
    let size = file.metadata()?.len().min(MAX_FILE_BYTES);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    limit("the file's bytes", bytes.len() as u64, MAX_FILE_BYTES)?;
    Ok(bytes)
}

fn limit(what: &'static str, found: u64, limit: u64) -> Result<(), ContainerError> {
    if found > limit { Err(ContainerError::Limit { what, found, limit }) } else { Ok(()) }
}

fn refuse_duplicates(sections: &[Section<'_>]) -> Result<(), ContainerError> {
    let mut names: Vec<&str> = sections.iter().map(|section| section.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ContainerError::Duplicate { name: pair[0].to_owned() }),
        None => Ok(()),
    }
}

fn push_name(bytes: &mut Vec<u8>, name: &str, what: &'static str) -> Result<(), ContainerError> {
    let length = u8::try_from(name.len()).map_err(|_| ContainerError::Name { what })?;
    if !is_name(name.as_bytes()) {
        return Err(ContainerError::Name { what });
    }
    bytes.push(length);
    bytes.extend_from_slice(name.as_bytes());
    Ok(())
}

fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
