//! What was spent and saved.

use super::{Store, StoreError};
use crate::clock::Moment;
use crate::money::{Amount, Tokens};
use rusqlite::{OptionalExtension as _, Row, RowIndex, params};
use serde::Serialize;

/// The most models that are listed.
const MOST_MODELS: u32 = 200;

/// Which calls a report is of. Days and months are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// Since the record was opened, as far back as single calls are kept.
    Run,
    /// Since midnight.
    Today,
    /// Since the first of the month.
    Month,
    /// All since the record began, or since it was last made to forget.
    All,
}

/// What calls cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spending {
    /// What is spent or reserved, in picodollars.
    pub amount: Amount,
    /// How many calls.
    pub calls: u64,
}

/// What calls of one model cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelSpending {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// What is spent or reserved, in picodollars.
    pub amount: Amount,
    /// How many calls.
    pub calls: u64,
    /// Of the calls, those whose usage is not known and which count as what was reserved for them.
    pub estimated: u64,
    /// The tokens of the calls whose usage is known.
    pub tokens: Tokens,
}

/// What calls of one hour cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HourSpending {
    /// The hour of the day in UTC, from 0.
    pub hour: u8,
    /// What is spent or reserved, in picodollars.
    pub amount: Amount,
    /// How many calls.
    pub calls: u64,
}

/// What routing saved against the reference. See [`savings`](crate::money::savings) for what is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Savings {
    /// How many calls were compared.
    pub compared: u64,
    /// What they cost.
    pub spent: Amount,
    /// What they would have cost at the reference.
    pub reference: Amount,
    /// The difference in picodollars; negative if the reference would have been cheaper.
    pub saved_pico: i64,
    /// Calls that were not compared, since their usage or the reference's prices are not known.
    pub not_compared: Spending,
}

impl Store {
    /// What is spent or reserved, of all calls or of one session. Sessions are known until the end of the month of their last call.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub async fn spent(&self, period: Period, session: Option<&str>) -> Result<Spending, StoreError> {
        Ok(self.sums(period, session).await?.0)
    }

    /// What was saved, of all calls or of one session.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub async fn savings(&self, period: Period, session: Option<&str>) -> Result<Savings, StoreError> {
        Ok(self.sums(period, session).await?.1)
    }

    async fn sums(&self, period: Period, session: Option<&str>) -> Result<(Spending, Savings), StoreError> {
        let now = self.clock().now();
        let key = session.map_or(Vec::new(), |name| self.tag(name).0.to_vec());
        let (span, begins) = match period {
            Period::Run => return self.sums_of_run(key).await,
            Period::Today => (0, now.day().millis()),
            Period::Month => (1, now.month().millis()),
            Period::All => (2, 0),
        };
        self.read(move |connection| {
            let sql = "SELECT spent, calls, compared, compared_spent, reference FROM sums
                       WHERE span = ? AND begins = ? AND session = ?";
            connection
                .prepare_cached(sql)
                .and_then(|mut select| select.query_row(params![span, begins, key], sums).optional())
                .map(Option::unwrap_or_default)
                .map_err(StoreError::sqlite("read sums"))
        })
        .await
    }

    /// The sums of this run's calls. There are no running sums of them, since no limit is of a run.
    async fn sums_of_run(&self, key: Vec<u8>) -> Result<(Spending, Savings), StoreError> {
        let first = self.shared.first;
        self.read(move |connection| {
            let sql = "SELECT coalesce(sum(amount), 0), count(*), count(reference),
                       coalesce(sum(iif(reference IS NULL, 0, amount)), 0), coalesce(sum(reference), 0)
                       FROM spending WHERE id >= ?1 AND (?2 = x'' OR session = ?2)";
            connection
                .prepare_cached(sql)
                .and_then(|mut select| select.query_row(params![first, key], sums))
                .map_err(StoreError::sqlite("read sums"))
        })
        .await
    }

    /// What the calls of each model cost, the dearest first. Calls that are older than the record keeps are not in it.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub async fn by_model(&self, period: Period) -> Result<Vec<ModelSpending>, StoreError> {
        let now = self.clock().now();
        let (since, first) = match period {
            Period::Run => (0, self.shared.first),
            Period::Today => (now.day().millis(), 0),
            Period::Month => (now.month().millis(), 0),
            Period::All => (0, 0),
        };
        self.read(move |connection| {
            let sql = "SELECT provider, model, sum(amount) AS amount, count(*) AS calls, sum(estimated) AS estimated,
                       sum(input) AS input, sum(cached) AS cached, sum(cache_write) AS cache_write, sum(output) AS output
                       FROM spending WHERE at >= ? AND id >= ? GROUP BY provider, model ORDER BY amount DESC, provider, model LIMIT ?";
            connection
                .prepare_cached(sql)
                .and_then(|mut select| select.query_map(params![since, first, MOST_MODELS], model)?.collect())
                .map_err(StoreError::sqlite("read the models' spending"))
        })
        .await
    }

    /// What the calls of each hour of a moment's day cost, for a graph: 24 of them.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub async fn by_hour(&self, moment: Moment) -> Result<Vec<HourSpending>, StoreError> {
        let (begins, ends) = (moment.day().millis(), moment.next_day().millis());
        self.read(move |connection| {
            let mut hours: Vec<HourSpending> =
                (0..24).map(|hour| HourSpending { hour, amount: Amount::ZERO, calls: 0 }).collect();
            let sql = "SELECT (at - ?1) / 3600000 AS hour, sum(amount), count(*) FROM spending
                       WHERE at >= ?1 AND at < ?2 GROUP BY hour";
            let found = connection
                .prepare_cached(sql)
                .and_then(|mut select| {
                    let rows = select.query_map(params![begins, ends], |row| {
                        Ok((row.get::<_, i64>(0)?, amount(row.get(1)?), count(row, 2)?))
                    })?;
                    rows.collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(StoreError::sqlite("read the hours' spending"))?;
            for (hour, spent, calls) in found {
                if let Some(entry) = usize::try_from(hour).ok().and_then(|hour| hours.get_mut(hour)) {
                    (entry.amount, entry.calls) = (spent, calls);
                }
            }
            Ok(hours)
        })
        .await
    }
}

fn amount(pico: i64) -> Amount {
    Amount::from_pico(pico.max(0) as u64)
}

fn count(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|count| count.max(0) as u64)
}

fn sums(row: &Row<'_>) -> rusqlite::Result<(Spending, Savings)> {
    let all = Spending { amount: amount(row.get(0)?), calls: count(row, 1)? };
    let (compared, spent, reference) = (count(row, 2)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?);
    let not_compared = Spending { amount: all.amount.minus(amount(spent)), calls: all.calls.saturating_sub(compared) };
    let saved_pico = reference.saturating_sub(spent);
    Ok((all, Savings { compared, spent: amount(spent), reference: amount(reference), saved_pico, not_compared }))
}

fn model(row: &Row<'_>) -> rusqlite::Result<ModelSpending> {
    Ok(ModelSpending {
        provider: row.get("provider")?,
        model: row.get("model")?,
        amount: amount(row.get("amount")?),
        calls: count(row, "calls")?,
        estimated: count(row, "estimated")?,
        tokens: Tokens {
            input: count(row, "input")?,
            cached: count(row, "cached")?,
            cache_write: count(row, "cache_write")?,
            output: count(row, "output")?,
        },
    })
}
