//! The beginning of a ledger's file: whose it is, its term, and what is known of the other server's ledger.
//!
//! The file begins with a page that names its format and two pages with a place for the head each. A head is written to the place
//! that does not hold the newest one, so a crash in the middle of a write leaves the one before.

use super::checksum;
use crate::messages::{LedgerId, NoRandomness, Standing, TermNonce};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

pub(super) const MAGIC: &[u8; 16] = b"blindroute used\x02";
/// The files of the first version had no head; their records follow these bytes.
pub(super) const FIRST_MAGIC: &[u8; 16] = b"blindroute used\x01";
/// No disk damages more than this in the middle of a write.
const PAGE: usize = 4096;
/// Where the records begin.
pub(super) const START: usize = 3 * PAGE;
/// Bytes of a head.
const HEAD: usize = 8 + 2 * Standing::BYTES + 1 + 8;

/// What a file holds besides its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Counts the writes.
    sequence: u64,
    /// How the ledger stood when the file began, but with the newest term and its nonce.
    pub(super) base: Standing,
    pub(super) other: Option<Standing>,
}

impl Head {
    /// That of a new ledger, which nobody has opened.
    pub(super) fn create(claimed: u64) -> Result<Self, NoRandomness> {
        let base = Standing { ledger: LedgerId::generate()?, term: 0, nonce: TermNonce([0; 16]), claimed };
        Ok(Self { sequence: 0, base, other: None })
    }

    /// With the next term.
    pub(super) fn opened(&self) -> Result<Self, NoRandomness> {
        let base = Standing { term: self.base.term + 1, nonce: TermNonce::generate()?, ..self.base };
        Ok(Self { base, ..self.clone() })
    }

    /// Of the next file, which begins after so many claims.
    pub(super) fn following(&self, claimed: u64) -> Self {
        Self { base: Standing { claimed, ..self.base }, ..self.clone() }
    }

    fn encode(&self) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        let (content, sum) = out.split_at_mut(HEAD - 8);
        content[..8].copy_from_slice(&self.sequence.to_le_bytes());
        content[8..56].copy_from_slice(&self.base.to_bytes());
        if let Some(other) = &self.other {
            content[56] = 1;
            content[57..].copy_from_slice(&other.to_bytes());
        }
        sum.copy_from_slice(&checksum(content).to_le_bytes());
        out
    }

    /// The head of these bytes, if they are one.
    fn decode(bytes: &[u8; HEAD]) -> Option<Self> {
        let standing = |at: usize| bytes[at..].first_chunk().map(Standing::from_bytes);
        let other = if bytes[56] == 0 { None } else { standing(57) };
        let head = Self { sequence: u64::from_le_bytes(*bytes.first_chunk()?), base: standing(8)?, other };
        (head.encode() == *bytes).then_some(head)
    }

    /// The first pages of a new file.
    pub(super) fn pages(&self) -> Vec<u8> {
        let mut out = vec![0; START];
        out[..MAGIC.len()].copy_from_slice(MAGIC);
        let at = self.place();
        out[at..at + HEAD].copy_from_slice(&self.encode());
        out
    }

    fn place(&self) -> usize {
        PAGE * (1 + (self.sequence % 2) as usize)
    }

    /// Writes it as the next head of its file. It is not durable until the file is synced.
    pub(super) fn write(&mut self, file: &mut File) -> io::Result<()> {
        self.sequence += 1;
        file.seek(SeekFrom::Start(self.place() as u64))?;
        file.write_all(&self.encode())
    }

    /// The newest head of a file, or what is damaged.
    pub(super) fn read(file: &mut File) -> io::Result<Result<Self, &'static str>> {
        let mut pages = vec![0; START];
        file.seek(SeekFrom::Start(0))?;
        match file.read_exact(&mut pages) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Err("it is too short")),
            read => read?,
        }
        let Some(rest) = pages[..PAGE].strip_prefix(MAGIC.as_slice()) else {
            return Ok(Err("it is not a ledger, or one of another version"));
        };
        if rest.iter().any(|byte| *byte != 0) {
            return Ok(Err("its first page holds something else"));
        }
        let heads = [PAGE, 2 * PAGE].map(|at| pages[at..].first_chunk().and_then(Self::decode));
        Ok(heads.into_iter().flatten().max_by_key(|head| head.sequence).ok_or("it holds no head that is whole"))
    }
}
