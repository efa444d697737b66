//! Which model answered which call, and why.

use super::session::SessionTag;
use super::worker::CAPACITY;
use super::{Store, StoreError, write};
use crate::clock::Moment;
use rusqlite::{Connection, Row, named_params, params};
use serde::Serialize;
use tokio::sync::mpsc::error::TrySendError;

/// The most decisions that are read at once.
const MOST_READ: u32 = 1000;

/// Why a call went to its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// It was routed, at the beginning of a conversation.
    Routed,
    /// The conversation could not change its model, for example within a tool loop.
    Pinned,
    /// Routing named another model, but the switch did not pay.
    Kept,
    /// Routing named another model, and the switch paid.
    Switched,
    /// The client named the model.
    Named,
    /// The model before it in the ranking could not answer.
    Fallback,
    /// Routing failed, and the default model answered.
    Default,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Routed, Self::Pinned, Self::Kept, Self::Switched, Self::Named, Self::Fallback, Self::Default];

    /// Its name, as in the record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::Pinned => "pinned",
            Self::Kept => "kept",
            Self::Switched => "switched",
            Self::Named => "named",
            Self::Fallback => "fallback",
            Self::Default => "default",
        }
    }
}

/// A decision with its costs. Its texts are names from the configuration, never a client's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The model that was called.
    pub model: String,
    /// The conversation's model before, if it had one.
    pub previous: Option<String>,
    /// Why this model.
    pub why: Why,
    /// What of the routing ran on the client's machine.
    pub placement: String,
    /// What routed.
    pub router: String,
    /// Milliseconds that the call waited for a session.
    pub waited_ms: u32,
    /// Milliseconds of the online phase.
    pub online_ms: u32,
    /// Milliseconds at the provider.
    pub upstream_ms: u32,
    /// Milliseconds altogether.
    pub total_ms: u32,
    /// Openings of the online phase.
    pub openings: u32,
    /// Bytes of the client in the online phase, both ways.
    pub bytes: u64,
    /// The pair of servers that routed, if any did.
    pub pair: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
}

/// A decision as the record has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// When it was recorded.
    pub at: Moment,
    /// Its session, if it had one.
    pub session: Option<SessionTag>,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
}

impl Store {
    /// Records a decision, without waiting until it is written.
    ///
    /// # Errors
    /// If more is waiting than the queue holds, the decision is left out. No money depends on decisions.
    pub fn record(&self, session: Option<&str>, decision: Decision) -> Result<(), StoreError> {
        let recorded = Recorded { at: self.clock().now(), session: session.map(|name| self.tag(name)), decision };
        let keep_days = self.shared.options.keep_days;
        let (job, _) = write(false, move |connection| insert(connection, &recorded, keep_days));
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Full { capacity: CAPACITY },
            TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// The last decisions, the latest first: so many, but at most 1000.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub async fn recent(&self, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        let failed = || StoreError::sqlite("read decisions");
        self.read(move |connection| {
            let mut select = connection
                .prepare_cached("SELECT * FROM decisions ORDER BY at DESC, id DESC LIMIT ?")
                .map_err(failed())?;
            let rows = select.query_map([limit.min(MOST_READ)], recorded).map_err(failed())?;
            rows.collect::<rusqlite::Result<_>>().map_err(failed())
        })
        .await
    }
}

fn insert(connection: &Connection, recorded: &Recorded, keep_days: u32) -> Result<(), StoreError> {
    let last: Option<i64> = connection
        .query_row("SELECT at FROM decisions ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
        .or_else(|error| if error == rusqlite::Error::QueryReturnedNoRows { Ok(None) } else { Err(error) })
        .map_err(StoreError::sqlite("read the last decision"))?;
    // With the first decision of a day.
    if last.is_some_and(|last| Moment::from_millis(last).day() < recorded.at.day()) {
        prune(connection, recorded.at, keep_days)?;
    }
    let Decision { model, previous, why, placement, router, .. } = &recorded.decision;
    let decision = &recorded.decision;
    let bytes = i64::try_from(decision.bytes).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT INTO decisions (at, session, model, previous, why, placement, router, waited_ms, online_ms, upstream_ms,
             total_ms, openings, bytes, pair, status) VALUES (:at, :session, :model, :previous, :why, :placement, :router,
             :waited, :online, :upstream, :total, :openings, :bytes, :pair, :status)",
        )
        .and_then(|mut insert| {
            insert.execute(named_params! {
                ":at": recorded.at.millis(), ":session": recorded.session.map(|tag| tag.0), ":model": model,
                ":previous": previous, ":why": why.name(), ":placement": placement, ":router": router,
                ":waited": decision.waited_ms, ":online": decision.online_ms, ":upstream": decision.upstream_ms,
                ":total": decision.total_ms, ":openings": decision.openings, ":bytes": bytes, ":pair": decision.pair,
                ":status": decision.status,
            })
        })
        .map(|_rows| ())
        .map_err(StoreError::sqlite("record a decision"))
}

fn recorded(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let why: String = row.get("why")?;
    let decision = Decision {
        model: row.get("model")?,
        previous: row.get("previous")?,
        // A name that this version does not know was written by no version that it reads.
        why: Why::ALL.into_iter().find(|known| known.name() == why).unwrap_or(Why::Default),
        placement: row.get("placement")?,
        router: row.get("router")?,
        waited_ms: row.get("waited_ms")?,
        online_ms: row.get("online_ms")?,
        upstream_ms: row.get("upstream_ms")?,
        total_ms: row.get("total_ms")?,
        openings: row.get("openings")?,
        bytes: row.get::<_, i64>("bytes")?.unsigned_abs(),
        pair: row.get("pair")?,
        status: row.get("status")?,
    };
    let session: Option<[u8; 16]> = row.get("session")?;
    Ok(Recorded { at: Moment::from_millis(row.get("at")?), session: session.map(SessionTag), decision })
}

/// Deletes what is older than so many days: decisions, settled calls, and the sums of days and of sessions that are over.
pub(super) fn prune(connection: &Connection, now: Moment, keep_days: u32) -> Result<(), StoreError> {
    let oldest = now.days_before(keep_days).millis();
    let prune =
        |sql, bound: i64| connection.execute(sql, params![bound]).map_err(StoreError::sqlite("delete what is old"));
    prune("DELETE FROM decisions WHERE at < ?", oldest)?;
    prune("DELETE FROM spending WHERE at < ? AND state = 1", oldest)?;
    prune("DELETE FROM sums WHERE span = 0 AND begins < ?", oldest.min(now.day().millis()))?;
    // A session whose month is over begins anew.
    prune("DELETE FROM sums WHERE session != x'' AND span = 0 AND begins < ?", now.day().millis())?;
    prune("DELETE FROM sums WHERE session != x'' AND span = 1 AND begins < ?", now.month().millis())?;
    connection
        .execute(
            "DELETE FROM sums WHERE session != x'' AND span = 2 AND session NOT IN
             (SELECT session FROM sums WHERE session != x'' AND span = 1)",
            [],
        )
        .map(|_rows| ())
        .map_err(StoreError::sqlite("delete what is old"))
}
