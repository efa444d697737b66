//! What clients have asked for, in a file.
//!
//! An entry is appended before a session begins, and is not waited for: what a crash of the machine loses is what its system
//! had not written yet, so some seconds. A crash of the program loses nothing but how much of a minute's routes were used: the buckets are
//! full when a server starts. The file is written anew, with one entry for each client, when it has become long.

use super::account::{Account, Accounts, Asking, ClientKey, Counts};
use super::records::{self, SUM, summed};
use super::{ClientsError, Refusal};
use crate::file_set::create_private_directory;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

const NAME: &str = "clients.usage";
const MAGIC: &[u8; 16] = b"blindroute asks\x01";
/// Bytes of an entry: the client's key, its counts, checksum.
const ENTRY: usize = 16 + Account::COUNTED + SUM;
/// The length from which on the file is written anew.
const LONG: u64 = 4 << 20;

/// The accounts of all clients.
#[derive(Debug)]
pub struct Usage {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    length: u64,
    accounts: HashMap<ClientKey, Account>,
}

impl Usage {
    /// Opens or creates the file in a folder that no other process uses.
    ///
    /// # Errors
    /// If it is damaged, or the disk fails.
    pub fn open(folder: &Path) -> Result<Self, ClientsError> {
        let path = folder.join(NAME);
        let io = |source| ClientsError::Io { path: path.clone(), source };
        create_private_directory(folder).map_err(io)?;
        let accounts = load(&path)?;
        let (file, length) = rewrite(&path, &accounts).map_err(io)?;
        Ok(Self { path, state: Mutex::new(State { file, length, accounts }) })
    }

    /// Reads the counts in a folder, which a server may be using.
    ///
    /// # Errors
    /// If the file is damaged, or the disk fails.
    pub fn read(folder: &Path) -> Result<UsageRead, ClientsError> {
        load(&folder.join(NAME)).map(UsageRead)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts for Usage {
    fn admit(&self, client: ClientKey, asking: Asking) -> Result<Result<Account, Refusal>, ClientsError> {
        let mut state = self.state();
        let before = state.accounts.get(&client).copied().unwrap_or_default();
        let account = match before.admit(asking) {
            Ok(account) => account,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let io = |source| ClientsError::Io { path: self.path.clone(), source };
        state.file.write_all(&encode((&client, &account))).map_err(io)?;
        state.length += ENTRY as u64;
        state.accounts.insert(client, account);
        if state.length > LONG {
            (state.file, state.length) = rewrite(&self.path, &state.accounts).map_err(io)?;
        }
        Ok(Ok(account))
    }

    fn of(&self, client: ClientKey) -> Result<Account, ClientsError> {
        Ok(self.state().accounts.get(&client).copied().unwrap_or_default())
    }
}

/// Counts that were read, and do not change.
#[derive(Debug)]
pub struct UsageRead(HashMap<ClientKey, Account>);

impl UsageRead {
    /// What a client had asked for.
    #[must_use]
    pub fn of(&self, client: &str, now: SystemTime) -> Counts {
        self.0.get(&ClientKey::of(client)).copied().unwrap_or_default().counts(now)
    }
}

fn encode((client, account): (&ClientKey, &Account)) -> [u8; ENTRY] {
    let mut out = [0; ENTRY];
    out[..16].copy_from_slice(&client.0);
    out[16..ENTRY - SUM].copy_from_slice(&account.to_bytes()[..Account::COUNTED]);
    summed(out)
}

/// The entry of these bytes, whose checksum is right. The bucket is not in it.
fn decode(bytes: &[u8; ENTRY]) -> Option<(ClientKey, Account)> {
    let (client, rest) = bytes.split_first_chunk()?;
    let mut account = [0; Account::BYTES];
    account[..Account::COUNTED].copy_from_slice(rest.get(..Account::COUNTED)?);
    Some((ClientKey(*client), Account::from_bytes(&account)?))
}

/// The last entry of each client.
fn load(path: &Path) -> Result<HashMap<ClientKey, Account>, ClientsError> {
    let mut accounts = HashMap::new();
    records::load(path, MAGIC, |bytes| accounts.extend(decode(bytes)))?;
    Ok(accounts)
}

/// Writes the file with one entry for each client, and opens it for more.
fn rewrite(path: &Path, accounts: &HashMap<ClientKey, Account>) -> io::Result<(File, u64)> {
    records::rewrite(path, MAGIC, accounts.iter().map(encode))
}
