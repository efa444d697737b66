//! Forgetting.

use super::worker::Job;
use super::{Store, StoreError, answered};
use crate::clock::Moment;
use rusqlite::{Connection, TransactionBehavior, params};
use std::sync::{Arc, PoisonError};
use tokio::sync::oneshot;

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Forgotten {
    /// How many calls were deleted.
    pub calls: usize,
    /// How many decisions were deleted.
    pub decisions: usize,
    /// How many calls are still going on. They are kept without the names of their models, until the next time.
    pub open: usize,
}

impl Store {
    /// Deletes all calls, decisions, savings and past sums, and writes the file anew without them. What stays is what budgets
    /// need: how much was spent on this day and in this month, of all calls and of each session under its key, and the reservations of
    /// calls that are going on. The sum of ever begins anew.
    ///
    /// # Errors
    /// If the file cannot be written. What was not deleted then is still there.
    pub async fn forget(&self) -> Result<Forgotten, StoreError> {
        let (reply, answer) = oneshot::channel();
        let (now, reader) = (self.clock().now(), Arc::clone(&self.shared.reader));
        let job = Job::Alone(Box::new(move |connection| {
            // A report that is being read would hold the old pages.
            let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let forgotten = forget(connection, now);
            drop(reader);
            // Whoever asked may be gone.
            let _ = reply.send(forgotten);
        }));
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered(answer).await
    }
}

fn forget(connection: &mut Connection, now: Moment) -> Result<Forgotten, StoreError> {
    let failed = || StoreError::sqlite("forget");
    let all = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed())?;
    let run = |sql: &str| all.execute(sql, []).map_err(failed());
    let decisions = run("DELETE FROM decisions")?;
    let calls = run("DELETE FROM spending WHERE state = 1")?;
    let open = run("UPDATE spending SET model = '', provider = ''")?;
    // A day or month that lies ahead, since the clock was set back, limits as well.
    all.execute(
        "DELETE FROM sums WHERE span = 0 AND begins < ? OR span = 1 AND begins < ? OR span = 2",
        params![now.day().millis(), now.month().millis()],
    )
    .map_err(failed())?;
    run("UPDATE sums SET calls = 0, compared = 0, compared_spent = 0, reference = 0")?;
    run("INSERT INTO sums SELECT 2, 0, x'', sum(amount), count(*), 0, 0, 0 FROM spending HAVING count(*) > 0")?;
    all.commit().map_err(failed())?;
    // Pages that are free, and what waits in SQLite's log, still hold what was deleted.
    connection.execute_batch("VACUUM").map_err(failed())?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed())?;
    if busy != 0 {
        let reason = "another program reads the file, so its log still holds what was deleted; end it and forget again";
        return Err(StoreError::Sqlite { doing: "forget", reason: reason.to_owned() });
    }
    Ok(Forgotten { calls, decisions, open })
}
