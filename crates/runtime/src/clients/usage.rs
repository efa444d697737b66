//! What clients have asked for, in a file.
//!
//! An entry is appended before a session begins, and is not waited for: what a crash of the machine loses is what its system
//! had not written yet, so some seconds. A crash of the program loses nothing. The file is written anew, with one entry
//! for each client, when it has become long.

use super::records::{self, SUM, summed};
use super::{Asked, ClientsError};
use crate::file_set::create_private_directory;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const NAME: &str = "clients.usage";
const MAGIC: &[u8; 16] = b"blindroute asks\x01";
/// Bytes of an entry: half a digest of the name, the day, routes of that day, routes ever, thousandths of bits ever, checksum.
const ENTRY: usize = 16 + 4 + 8 + 8 + 8 + SUM;
/// The length from which on the file is written anew.
const LONG: u64 = 4 << 20;
const DAY: u64 = 24 * 3600;

/// What one client has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Routes of this day (UTC).
    pub today: u64,
    /// Routes since the beginning.
    pub ever: u64,
    /// The most bits that its answers can have told about the router.
    pub bits: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    client: [u8; 16],
    day: u32,
    today: u64,
    ever: u64,
    millibits: u64,
}

/// The counts of all clients.
#[derive(Debug)]
pub struct Usage {
    path: PathBuf,
    file: File,
    length: u64,
    counted: HashMap<[u8; 16], Entry>,
}

impl Usage {
    /// Opens or creates the file in a folder.
    ///
    /// # Errors
    /// If it is damaged, or the disk fails.
    pub fn open(folder: &Path) -> Result<Self, ClientsError> {
        let path = folder.join(NAME);
        let io = |source| ClientsError::Io { path: path.clone(), source };
        create_private_directory(folder).map_err(io)?;
        let counted = load(&path)?;
        let (file, length) = rewrite(&path, &counted).map_err(io)?;
        Ok(Self { path, file, length, counted })
    }

    /// Reads the counts in a folder, which a server may be using.
    ///
    /// # Errors
    /// If the file is damaged, or the disk fails.
    pub fn read(folder: &Path) -> Result<UsageRead, ClientsError> {
        let path = folder.join(NAME);
        load(&path).map(UsageRead)
    }

    /// What a client has asked for.
    #[must_use]
    pub fn of(&self, client: &str, now: SystemTime) -> Counts {
        counts(&self.counted, client, now)
    }

    /// Counts what a client asks for, and returns what it has asked for then.
    ///
    /// # Errors
    /// If the disk fails.
    pub(super) fn add(&mut self, client: &str, asked: Asked, now: SystemTime) -> Result<Counts, ClientsError> {
        let (key, day) = (key(client), day(now));
        let before = self.counted.get(&key).copied();
        let Entry { today, ever, millibits, .. } =
            before.unwrap_or(Entry { client: key, day, today: 0, ever: 0, millibits: 0 });
        let today = if before.is_some_and(|before| before.day == day) { today } else { 0 };
        let routes = u64::from(asked.routes);
        let entry = Entry {
            client: key,
            day,
            today: today.saturating_add(routes),
            ever: ever.saturating_add(routes),
            // Rounded up: the bound stays one.
            millibits: millibits.saturating_add((asked.bits * 1e3).ceil() as u64),
        };
        let io = |source| ClientsError::Io { path: self.path.clone(), source };
        self.file.write_all(&entry.encode()).map_err(io)?;
        self.length += ENTRY as u64;
        self.counted.insert(key, entry);
        if self.length > LONG {
            (self.file, self.length) = rewrite(&self.path, &self.counted).map_err(io)?;
        }
        Ok(self.of(client, now))
    }
}

/// Counts that were read, and do not change.
#[derive(Debug)]
pub struct UsageRead(HashMap<[u8; 16], Entry>);

impl UsageRead {
    /// What a client had asked for.
    #[must_use]
    pub fn of(&self, client: &str, now: SystemTime) -> Counts {
        counts(&self.0, client, now)
    }
}

fn counts(counted: &HashMap<[u8; 16], Entry>, client: &str, now: SystemTime) -> Counts {
    let Some(entry) = counted.get(&key(client)) else { return Counts::default() };
    let today = if entry.day == day(now) { entry.today } else { 0 };
    Counts { today, ever: entry.ever, bits: entry.millibits as f64 / 1e3 }
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..16].copy_from_slice(&self.client);
        out[16..20].copy_from_slice(&self.day.to_le_bytes());
        out[20..28].copy_from_slice(&self.today.to_le_bytes());
        out[28..36].copy_from_slice(&self.ever.to_le_bytes());
        out[36..44].copy_from_slice(&self.millibits.to_le_bytes());
        summed(out)
    }

    /// The entry of these bytes, whose checksum is right.
    fn decode(bytes: &[u8; ENTRY]) -> Option<Self> {
        let number = |at: usize| bytes[at..].first_chunk().map(|chunk| u64::from_le_bytes(*chunk));
        Some(Self {
            client: *bytes.first_chunk()?,
            day: bytes[16..].first_chunk().map(|chunk| u32::from_le_bytes(*chunk))?,
            today: number(20)?,
            ever: number(28)?,
            millibits: number(36)?,
        })
    }
}

/// What stands for a client's name.
fn key(client: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(client.as_bytes()).into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

/// The number of the day, counted from 1970.
pub(super) fn day(now: SystemTime) -> u32 {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    u32::try_from(seconds / DAY).unwrap_or(u32::MAX)
}

/// The last entry of each client.
fn load(path: &Path) -> Result<HashMap<[u8; 16], Entry>, ClientsError> {
    let mut counted = HashMap::new();
    records::load(path, MAGIC, |bytes| {
        if let Some(entry) = Entry::decode(bytes) {
            counted.insert(entry.client, entry);
        }
    })?;
    Ok(counted)
}

/// Writes the file with one entry for each client, and opens it for more.
fn rewrite(path: &Path, counted: &HashMap<[u8; 16], Entry>) -> io::Result<(File, u64)> {
    records::rewrite(path, MAGIC, counted.values().map(Entry::encode))
}
