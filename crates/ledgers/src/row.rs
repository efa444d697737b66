//! A ledger's row in a database, and how many claims are forgotten.

use blindroute_runtime::LedgerError;
use blindroute_runtime::clients::{Account, ClientsError};
use blindroute_runtime::ledger::{Overview, Standing};
use blindroute_runtime::messages::{LedgerId, TermNonce};

/// Every how many claims old ones are forgotten.
pub(crate) const FORGET_EVERY: u64 = 64;
/// How many are forgotten then at most. It is more than come in between, so a database that holds too many gets smaller.
pub(crate) const FORGET_STEP: u32 = 128;

/// The columns ledger, term, nonce, claimed and other.
pub(crate) type Row = (Vec<u8>, i64, Vec<u8>, i64, Option<Vec<u8>>);

/// What the columns say; an error names `ledger`.
pub(crate) fn overview(row: Row, ledger: &str) -> Result<Overview, LedgerError> {
    let (id, term, nonce, claimed, other) = row;
    let read = || {
        let standing = Standing {
            ledger: LedgerId(id.try_into().ok()?),
            term: term.try_into().ok()?,
            nonce: TermNonce(nonce.try_into().ok()?),
            claimed: claimed.try_into().ok()?,
        };
        let other = match other {
            Some(bytes) => Some(Standing::from_bytes(bytes.as_slice().try_into().ok()?)),
            None => None,
        };
        Some(Overview { standing, other })
    };
    read().ok_or_else(|| LedgerError::Unsuitable {
        ledger: ledger.to_owned(),
        problem: "its row was changed by something else than this program; set this party up anew (docs/OPERATOR.md, Ledgers)".to_owned(),
    })
}

/// The standing of a ledger that is opened: with the next term, or of a new ledger.
pub(crate) fn opened(before: Option<&Overview>) -> Result<Overview, LedgerError> {
    let nonce = TermNonce::generate()?;
    Ok(match before {
        Some(Overview { standing, other }) => {
            Overview { standing: Standing { term: standing.term + 1, nonce, ..*standing }, other: *other }
        }
        None => {
            let standing = Standing { ledger: LedgerId::generate()?, term: 1, nonce, claimed: 0 };
            Overview { standing, other: None }
        }
    })
}

/// The account of a client that these bytes are; an error names `ledger`. It is all zero of one that has none so far.
pub(crate) fn account(bytes: Option<&[u8]>, ledger: &str) -> Result<Account, LedgerError> {
    let Some(bytes) = bytes else { return Ok(Account::default()) };
    Account::from_bytes(bytes).ok_or_else(|| LedgerError::Unsuitable {
        ledger: ledger.to_owned(),
        problem: "a client's account was changed by something else than this program; remove its row to begin it anew"
            .to_owned(),
    })
}

/// What fails while clients are counted.
pub(crate) fn of_accounts(error: LedgerError) -> ClientsError {
    ClientsError::Accounts(Box::new(error))
}

/// A number as databases store it. Terms and claims never get so many that it does not fit.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
