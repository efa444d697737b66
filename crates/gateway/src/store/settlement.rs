//! Reserving and settling in the record.

use super::error::StoreError;
use super::session::SessionTag;
use crate::clock::Moment;
use crate::money::limits::{Exceeded, Limits, Scope, Span};
use crate::money::{Amount, Tokens};
use rusqlite::{Connection, OptionalExtension as _, named_params, params};

/// The most tokens that one call is entered with, so that sums of them stay in range.
const MOST_TOKENS: u64 = 1 << 40;

/// The spans of the sums, as the table knows them.
const DAY: i64 = 0;
const MONTH: i64 = 1;
const EVER: i64 = 2;

/// A call that wants money reserved.
pub(super) struct Asked {
    pub(super) id: i64,
    pub(super) at: Moment,
    pub(super) session: Option<SessionTag>,
    pub(super) model: String,
    pub(super) provider: String,
    pub(super) amount: Amount,
    pub(super) limits: Limits,
}

/// How a reservation ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settlement {
    pub(super) id: i64,
    pub(super) outcome: Outcome,
    /// Whether it has to survive a power failure.
    pub(super) durable: bool,
}

/// What became of a reserved call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its usage is known.
    Spent {
        /// The usage.
        tokens: Tokens,
        /// What it cost.
        amount: Amount,
        /// What it would have cost at the reference, if that is compared.
        reference: Option<Amount>,
    },
    /// Its usage is not known: it counts as all that was reserved.
    Unknown,
    /// It was not made.
    NotMade,
}

/// Reserves an amount, unless a budget would be exceeded.
pub(super) fn reserve(connection: &Connection, asked: &Asked) -> Result<Result<(), Exceeded>, StoreError> {
    let whose = Whose { at: asked.at, session: asked.session };
    for (scope, span, limit) in asked.limits.set() {
        let tag = match (scope, asked.session) {
            (Scope::All, _) => None,
            (Scope::Session, Some(tag)) => Some(tag),
            (Scope::Session, None) => continue,
        };
        let spent = spent_since(connection, span, span.begins(asked.at), tag)?;
        if spent.plus(asked.amount) > limit || spent.plus(asked.amount) == Amount::MAX {
            let resets = span.ends(asked.at);
            return Ok(Err(Exceeded { scope, span, spent, limit, asked: asked.amount, resets }));
        }
    }
    let amount = stored(asked.amount);
    connection
        .prepare_cached(
            "INSERT INTO spending (id, at, session, model, provider, state, reserved, amount, estimated, input, cached,
             cache_write, output) VALUES (:id, :at, :session, :model, :provider, 0, :amount, :amount, 0, 0, 0, 0, 0)",
        )
        .and_then(|mut insert| {
            insert.execute(named_params! {
                ":id": asked.id, ":at": asked.at.millis(), ":session": asked.session.map(|tag| tag.0),
                ":model": asked.model, ":provider": asked.provider, ":amount": amount,
            })
        })
        .map_err(StoreError::sqlite("reserve"))?;
    whose.add(connection, &Change { spent: amount, calls: 1, ..Change::default() })?;
    Ok(Ok(()))
}

/// Settles a reservation, and returns what it was settled at; `None` if it was settled before.
pub(super) fn settle(connection: &Connection, settlement: &Settlement) -> Result<Option<Amount>, StoreError> {
    let found = connection
        .prepare_cached("SELECT at, session, reserved FROM spending WHERE id = ? AND state = 0")
        .and_then(|mut select| {
            let read = select.query_row([settlement.id], |row| {
                Ok((Moment::from_millis(row.get(0)?), row.get::<_, Option<[u8; 16]>>(1)?, row.get::<_, i64>(2)?))
            });
            read.optional()
        })
        .map_err(StoreError::sqlite("find a reservation"))?;
    let Some((at, session, reserved)) = found else { return Ok(None) };
    let whose = Whose { at, session: session.map(SessionTag) };
    let written = StoreError::sqlite("settle a reservation");
    let (tokens, amount, reference) = match settlement.outcome {
        Outcome::NotMade => {
            connection.execute("DELETE FROM spending WHERE id = ?", [settlement.id]).map_err(written)?;
            whose.add(connection, &Change { spent: -reserved, calls: -1, ..Change::default() })?;
            return Ok(Some(Amount::ZERO));
        }
        Outcome::Unknown => (Tokens::default(), reserved, None),
        Outcome::Spent { tokens, amount, reference } => (tokens, stored(amount), reference.map(stored)),
    };
    let count = |tokens: u64| tokens.min(MOST_TOKENS) as i64;
    connection
        .prepare_cached(
            "UPDATE spending SET state = 1, amount = ?, estimated = ?, input = ?, cached = ?, cache_write = ?, output = ?,
             reference = ? WHERE id = ?",
        )
        .and_then(|mut update| {
            update.execute(params![
                amount,
                settlement.outcome == Outcome::Unknown,
                count(tokens.input),
                count(tokens.cached),
                count(tokens.cache_write),
                count(tokens.output),
                reference,
                settlement.id
            ])
        })
        .map_err(written)?;
    let mut change = Change { spent: amount - reserved, ..Change::default() };
    if let Some(reference) = reference {
        change = Change { compared: 1, compared_spent: amount, reference, ..change };
    }
    whose.add(connection, &change)?;
    Ok(Some(Amount::from_pico(amount as u64)))
}

/// Settles what a process left that ended, and returns how many reservations that were. The sums have them already.
pub(super) fn settle_abandoned(connection: &Connection) -> Result<usize, StoreError> {
    connection
        .execute("UPDATE spending SET state = 1, estimated = 1 WHERE state = 0", [])
        .map_err(StoreError::sqlite("settle what was reserved before"))
}

/// What is spent or reserved since a span began. A sum of a later span counts too: a clock that was set back gives no money again.
pub(super) fn spent_since(
    connection: &Connection,
    span: Span,
    begins: Moment,
    session: Option<SessionTag>,
) -> Result<Amount, StoreError> {
    let span = match span {
        Span::Day => DAY,
        Span::Month => MONTH,
    };
    let key = session.map_or(Vec::new(), |tag| tag.0.to_vec());
    let sum = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let sums = connection
        .prepare_cached("SELECT spent FROM sums WHERE span = ? AND begins >= ? AND session = ?")
        .and_then(|mut select| {
            select.query_map(params![span, begins.millis(), key], sum)?.collect::<rusqlite::Result<Vec<i64>>>()
        })
        .map_err(StoreError::sqlite("read what is spent"))?;
    Ok(sums.into_iter().fold(Amount::ZERO, |all, one| all.plus(Amount::from_pico(one.max(0) as u64))))
}

/// An amount as the file holds it. The largest amount fits.
fn stored(amount: Amount) -> i64 {
    amount.pico() as i64
}

/// The sums that a call belongs to.
struct Whose {
    at: Moment,
    session: Option<SessionTag>,
}

/// What is added to sums.
#[derive(Default)]
struct Change {
    spent: i64,
    calls: i64,
    compared: i64,
    compared_spent: i64,
    reference: i64,
}

impl Whose {
    /// Adds to the sums of the call's day, of its month and of ever, for all calls and for the session.
    fn add(&self, connection: &Connection, change: &Change) -> Result<(), StoreError> {
        let spans = [(DAY, self.at.day().millis()), (MONTH, self.at.month().millis()), (EVER, 0)];
        let sessions = [Some(Vec::new()), self.session.map(|tag| tag.0.to_vec())];
        for session in sessions.iter().flatten() {
            for (span, begins) in spans {
                // What would be beyond SQLite's whole numbers stays the largest of them.
                connection
                    .prepare_cached(
                        "INSERT INTO sums VALUES (:span, :begins, :session, max(:spent, 0), max(:calls, 0), :compared, :compared_spent,
                         :reference) ON CONFLICT DO UPDATE SET
                         spent = iif(:spent > 0 AND spent > 9223372036854775807 - :spent, 9223372036854775807, max(spent + :spent, 0)),
                         calls = max(calls + :calls, 0), compared = compared + :compared,
                         compared_spent = iif(compared_spent > 9223372036854775807 - :compared_spent, 9223372036854775807,
                             compared_spent + :compared_spent),
                         reference = iif(reference > 9223372036854775807 - :reference, 9223372036854775807, reference + :reference)",
                    )
                    .and_then(|mut upsert| {
                        upsert.execute(named_params! {
                            ":span": span, ":begins": begins, ":session": session, ":spent": change.spent,
                            ":calls": change.calls, ":compared": change.compared,
                            ":compared_spent": change.compared_spent, ":reference": change.reference,
                        })
                    })
                    .map_err(StoreError::sqlite("add to what is spent"))?;
            }
        }
        Ok(())
    }
}
