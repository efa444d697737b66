//! The connection that holds a ledger, and its statements.

use super::PostgresTarget;
use crate::row::{FORGET_EVERY, FORGET_STEP, number, opened, overview};
use blindroute_runtime::ledger::{LedgerError, Overview, Standing};
use blindroute_runtime::messages::SessionId;
use postgres::error::SqlState;
use postgres::{Client, GenericClient, Row};
use std::time::Duration;

/// How often a process that opens a ledger asks for its lock: the server may take a moment to see that a process has ended.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Statements and locks of the server end in time, so that the thread is free for the next session.
const LIMITS: &str =
    "SET statement_timeout = '15s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s'";
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS blindroute_ledgers (
        name text PRIMARY KEY, ledger bytea NOT NULL, term bigint NOT NULL, nonce bytea NOT NULL, claimed bigint NOT NULL, other bytea
    );
    CREATE TABLE IF NOT EXISTS blindroute_claims (
        name text NOT NULL, session bytea NOT NULL, number bigint NOT NULL, PRIMARY KEY (name, session)
    );
    CREATE INDEX IF NOT EXISTS blindroute_claims_number ON blindroute_claims (name, number);
    CREATE TABLE IF NOT EXISTS blindroute_clients (
        role text NOT NULL, client bytea NOT NULL, account bytea NOT NULL, PRIMARY KEY (role, client)
    )";
/// The number of the advisory lock under which tables are created.
const SCHEMA_LOCK: i64 = 0x626c_726c;
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('blindroute ledger ' || $1::text, 0))";
const READ: &str = "SELECT ledger, term, nonce, claimed, other FROM blindroute_ledgers WHERE name = $1";
const OPEN: &str = "
    INSERT INTO blindroute_ledgers (name, ledger, term, nonce, claimed) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (name) DO UPDATE SET term = excluded.term, nonce = excluded.nonce";
/// Counts and enters a session, if the term is still ours. Whoever raises the term waits for it, or is waited for.
const CLAIM: &str = "
    WITH counted AS (
        UPDATE blindroute_ledgers SET claimed = claimed + 1, other = coalesce($5, other)
        WHERE name = $1 AND term = $2 AND nonce = $3 RETURNING claimed
    )
    INSERT INTO blindroute_claims (name, session, number) SELECT $1::text, $4::bytea, claimed FROM counted RETURNING number";
const OURS: &str = "SELECT 1 FROM blindroute_ledgers WHERE name = $1 AND term = $2 AND nonce = $3";
const FORGET: &str = "
    DELETE FROM blindroute_claims WHERE name = $1 AND session IN
    (SELECT session FROM blindroute_claims WHERE name = $1 AND number <= $2 ORDER BY number LIMIT $3)";

/// What holds a ledger.
pub(super) struct Holder {
    target: PostgresTarget,
    name: String,
    shown: String,
    kept: u64,
    /// As it was opened.
    standing: Standing,
    /// `None` after it broke.
    client: Option<Client>,
    fenced: bool,
}

impl Holder {
    pub(super) fn open(
        target: PostgresTarget,
        name: &str,
        shown: &str,
        kept: u64,
    ) -> Result<(Self, Overview), LedgerError> {
        let mut client = connect(&target, shown)?;
        let mut held = lock(&mut client, name, shown)?;
        for _ in 1..TRIES {
            if held {
                break;
            }
            std::thread::sleep(PAUSE);
            held = lock(&mut client, name, shown)?;
        }
        if !held {
            return Err(LedgerError::Locked(shown.to_owned()));
        }
        let now = raise(&mut client, name, shown)?;
        let (name, shown, client) = (name.to_owned(), shown.to_owned(), Some(client));
        Ok((Self { target, name, shown, kept, standing: now.standing, client, fenced: false }, now))
    }

    /// Claims a session. After an error of the database the connection is not used again.
    pub(super) fn claim(&mut self, session: SessionId, other: Option<&Standing>) -> Result<Standing, LedgerError> {
        let other = other.map(Standing::to_bytes);
        let (name, standing) = (self.name.clone(), self.standing);
        let claimed = self.with_client("claim a session", |client| {
            let ours: [&(dyn postgres::types::ToSql + Sync); 5] = [
                &name,
                &number(standing.term),
                &standing.nonce.0.as_slice(),
                &session.0.as_slice(),
                &other.as_ref().map(<[u8; Standing::BYTES]>::as_slice),
            ];
            match client.query_opt(CLAIM, &ours) {
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(Err(())),
                claimed => claimed.map(|row| Ok(row.map(|row| row.get::<_, i64>(0)))),
            }
        })?;
        let claimed = claimed.map_err(|()| LedgerError::AlreadyUsed(session))?.ok_or_else(|| self.fence())?;
        let claimed = u64::try_from(claimed).unwrap_or_default();
        if claimed.is_multiple_of(FORGET_EVERY) {
            self.forget(claimed.saturating_sub(self.kept));
        }
        Ok(Standing { claimed, ..standing })
    }

    /// Whether the term is still ours.
    pub(super) fn check(&mut self) -> Result<(), LedgerError> {
        let (name, standing) = (self.name.clone(), self.standing);
        let ours = self.with_client("look at its term", |client| {
            let ours: [&(dyn postgres::types::ToSql + Sync); 3] =
                [&name, &number(standing.term), &standing.nonce.0.as_slice()];
            client.query_opt(OURS, &ours)
        })?;
        if ours.is_some() { Ok(()) } else { Err(self.fence()) }
    }

    pub(super) fn entries(&mut self) -> Result<u64, LedgerError> {
        let name = self.name.clone();
        let counted = self.with_client("count its claims", |client| {
            client.query_one("SELECT count(*) FROM blindroute_claims WHERE name = $1", &[&name])
        })?;
        Ok(u64::try_from(counted.get::<_, i64>(0)).unwrap_or_default())
    }

    pub(super) fn forget_other(&mut self) -> Result<(), LedgerError> {
        let name = self.name.clone();
        let forgotten = self.with_client("forget the other server's ledger", |client| {
            client.execute("UPDATE blindroute_ledgers SET other = NULL WHERE name = $1", &[&name])
        });
        forgotten.map(drop)
    }

    /// Forgets some of the claims up to this number, the oldest first. The claim before it is durable, so a failure is only logged.
    fn forget(&mut self, last: u64) {
        let name = self.name.clone();
        let forgotten = self.with_client("forget old claims", |client| {
            client.execute(FORGET, &[&name, &number(last), &i64::from(FORGET_STEP)])
        });
        if let Err(error) = forgotten {
            tracing::warn!(%error, "old claims stay for now");
        }
    }

    /// Runs statements on the connection, which is made again if it broke, and given up if they fail.
    pub(super) fn with_client<T>(
        &mut self,
        during: &'static str,
        run: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, LedgerError> {
        if self.fenced {
            return Err(self.fence());
        }
        let mut client = match self.client.take() {
            Some(client) if !client.is_closed() => client,
            _ => self.reconnect()?,
        };
        let done = run(&mut client).map_err(|error| failure(&self.shown, during, error))?;
        self.client = Some(client);
        Ok(done)
    }

    /// A new connection that holds the lock, unless another process has opened the ledger meanwhile.
    fn reconnect(&mut self) -> Result<Client, LedgerError> {
        let mut client = connect(&self.target, &self.shown)?;
        let held = lock(&mut client, &self.name, &self.shown)?;
        let found = read(&mut client, &self.name, &self.shown)?.map(|found| found.standing);
        let Standing { ledger, term, nonce, .. } = self.standing;
        if found.is_none_or(|found| (found.ledger, found.term, found.nonce) != (ledger, term, nonce)) {
            return Err(self.fence());
        }
        if !held {
            // Another process is about to open the ledger, or the server has not noticed that our last connection broke.
            let problem = "its lock is held by another connection: wait a moment, or stop the other process".to_owned();
            return Err(LedgerError::Unsuitable { ledger: self.shown.clone(), problem });
        }
        tracing::warn!(
            ledger = self.shown,
            "the connection to the ledger was made again, and nobody has opened it meanwhile"
        );
        Ok(client)
    }

    fn fence(&mut self) -> LedgerError {
        self.fenced = true;
        self.client = None;
        LedgerError::Fenced { ledger: self.shown.clone(), ours: self.standing.term }
    }
}

/// What a ledger says about itself.
pub(super) fn look(target: &PostgresTarget, name: &str, shown: &str) -> Result<Option<Overview>, LedgerError> {
    let mut client = target.connect(shown)?;
    let found = client.query_one("SELECT to_regclass('blindroute_ledgers') IS NOT NULL", &[]);
    if found.map_err(|error| failure(shown, "look for it", error))?.get(0) {
        read(&mut client, name, shown)
    } else {
        Ok(None)
    }
}

/// A connection whose commits are durable.
fn connect(target: &PostgresTarget, shown: &str) -> Result<Client, LedgerError> {
    let mut client = target.connect(shown)?;
    let failed = |error| failure(shown, "prepare the connection", error);
    client.batch_execute(LIMITS).map_err(failed)?;
    for (setting, expected) in [("fsync", &["on"][..]), ("synchronous_commit", &["on", "remote_apply"])] {
        let row = client.query_one("SELECT current_setting($1)", &[&setting]).map_err(failed)?;
        let found: String = row.get(0);
        if !expected.contains(&found.as_str()) {
            let problem = format!(
                "{setting} is {found}, expected {}: a claim would be lost in a power failure; change it in the server's configuration, \
                 or for this user",
                expected.join(" or ")
            );
            return Err(LedgerError::Unsuitable { ledger: shown.to_owned(), problem });
        }
    }
    Ok(client)
}

/// Tries to take the lock of a ledger for this connection.
fn lock(client: &mut Client, name: &str, shown: &str) -> Result<bool, LedgerError> {
    let row = client.query_one(LOCK, &[&name]).map_err(|error| failure(shown, "take its lock", error))?;
    Ok(row.get(0))
}

/// Raises the term, in a ledger that is created if it is missing.
fn raise(client: &mut Client, name: &str, shown: &str) -> Result<Overview, LedgerError> {
    let failed = |error| failure(shown, "open it", error);
    let mut all = client.transaction().map_err(failed)?;
    all.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).map_err(failed)?;
    all.batch_execute(SCHEMA).map_err(failed)?;
    // Claims of a process whose connection broke come before this or not at all.
    all.execute("SELECT 1 FROM blindroute_ledgers WHERE name = $1 FOR UPDATE", &[&name]).map_err(failed)?;
    let before = read(&mut all, name, shown)?;
    let now = opened(before.as_ref())?;
    let Standing { ledger, term, nonce, claimed } = now.standing;
    let columns: [&(dyn postgres::types::ToSql + Sync); 5] =
        [&name, &ledger.0.as_slice(), &number(term), &nonce.0.as_slice(), &number(claimed)];
    all.execute(OPEN, &columns).map_err(failed)?;
    all.commit().map_err(failed)?;
    Ok(now)
}

fn read(client: &mut impl GenericClient, name: &str, shown: &str) -> Result<Option<Overview>, LedgerError> {
    let found = client.query_opt(READ, &[&name]).map_err(|error| failure(shown, "read its row", error))?;
    let columns = |row: Row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
    found.map(|row| overview(columns(row), shown)).transpose()
}

pub(super) fn failure(shown: &str, during: &'static str, error: postgres::Error) -> LedgerError {
    LedgerError::Database { ledger: shown.to_owned(), during, source: Box::new(error) }
}
