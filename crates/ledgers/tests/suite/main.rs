//! One suite for all ledgers: in a folder, in SQLite and in Postgres.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod claims;
mod faults;
mod places;
mod restored;
mod server;
mod takeover;

use blindroute_runtime::messages::{LedgerId, SessionId, TermNonce};
use blindroute_runtime::{Ledger, LedgerError, Standing};

fn session(number: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SessionId(bytes)
}

/// That of another server's ledger.
fn other(claimed: u64) -> Standing {
    Standing { ledger: LedgerId([7; 16]), term: 4, nonce: TermNonce([8; 16]), claimed }
}

fn claim(ledger: &dyn Ledger, number: u64) -> u64 {
    ledger.claim(session(number), None).unwrap().standing().claimed
}

fn is_used(ledger: &dyn Ledger, number: u64) -> bool {
    matches!(ledger.claim(session(number), None), Err(LedgerError::AlreadyUsed(id)) if id == session(number))
}
