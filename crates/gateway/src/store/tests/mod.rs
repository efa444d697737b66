//! Tests of the record and of the budgets over it.
#![allow(clippy::unwrap_used)]

mod budgets;
mod crash;
mod decisions;
mod files;
mod forget;
mod sums;

use super::{Period, Store, StoreOptions};
use crate::clock::{Clock, Moment};
use crate::money::budget::{Budget, BudgetError, Call, Reservation};
use crate::money::limits::{Exceeded, Limits, SpanLimits};
use crate::money::{Amount, Prices, Tokens};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// 2026-01-15 12:00 UTC.
const NOON: i64 = 1_768_478_400_000;

const HOUR: i64 = 3_600_000;

/// One picodollar a token, whatever it is.
const PICO: Prices = Prices {
    input: Amount::from_pico(1),
    cached: Amount::from_pico(1),
    cache_write: Amount::from_pico(1),
    output: Amount::from_pico(1),
};

/// A folder for a record, and its clock.
struct World {
    folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), now: Arc::new(AtomicI64::new(NOON)) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    fn options(&self) -> StoreOptions {
        let now = Arc::clone(&self.now);
        let clock = Clock::from_fn(move || Moment::from_millis(now.load(Ordering::SeqCst)));
        StoreOptions { keep_days: 30, clock }
    }

    fn open(&self) -> Store {
        Store::open(&self.path(), self.options()).unwrap()
    }

    fn at(&self, millis: i64) {
        self.now.store(millis, Ordering::SeqCst);
    }
}

/// A call whose most is so many picodollars.
fn call(pico: u64) -> Call<'static> {
    Call { session: None, model: "model", provider: "provider", prices: Some(PICO), input: pico, max_output: 0 }
}

fn input(tokens: u64) -> Tokens {
    Tokens { input: tokens, ..Tokens::default() }
}

fn daily(pico: u64) -> Limits {
    Limits { all: SpanLimits { day: Some(Amount::from_pico(pico)), month: None }, ..Limits::default() }
}

fn exceeded(result: Result<Reservation, BudgetError>) -> Exceeded {
    match result {
        Err(BudgetError::Exceeded(exceeded)) => exceeded,
        other => panic!("expected an exceeded budget, found {other:?}"),
    }
}

async fn spent(store: &Store, period: Period) -> (u64, u64) {
    let spending = store.spent(period, None).await.unwrap();
    (spending.amount.pico(), spending.calls)
}

/// Waits until all that was left to the thread so far is written.
async fn written(store: &Store) {
    Budget::new(store.clone(), Limits::default()).reserve(call(0)).await.unwrap().release().await.unwrap();
}
