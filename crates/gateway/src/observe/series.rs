//! The values of all metrics.

use super::family::Family;
use std::collections::BTreeMap;
use std::time::Duration;

/// The upper bounds of the times that are counted together, in microseconds, with how they are written.
pub(super) const BOUNDS: [(u128, &str); 14] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
    (60_000_000, "60"),
];

/// Times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// How many there are up to each bound, of which none is in a bound before.
    pub(super) within: [u64; BOUNDS.len()],
    /// All of them.
    pub(super) count: u64,
    /// Their sum, in nanoseconds.
    pub(super) sum: u128,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A whole number.
    Whole(u128),
    /// Picodollars.
    Pico(u128),
    /// Times.
    Times(Times),
}

/// A value's place: its family and its labels.
pub(super) type Key = (Family, Vec<String>);

/// All values.
#[derive(Debug, Default)]
pub(super) struct Series(pub(super) BTreeMap<Key, Value>);

impl Series {
    pub(super) fn add(&mut self, family: Family, labels: &[&str], count: u64) {
        if let Value::Whole(sum) = self.at(family, labels, || Value::Whole(0)) {
            *sum = sum.saturating_add(u128::from(count));
        }
    }

    pub(super) fn add_pico(&mut self, family: Family, labels: &[&str], pico: u64) {
        if let Value::Pico(sum) = self.at(family, labels, || Value::Pico(0)) {
            *sum = sum.saturating_add(u128::from(pico));
        }
    }

    /// Sets a gauge.
    pub(super) fn set(&mut self, family: Family, labels: &[&str], value: u64) {
        *self.at(family, labels, || Value::Whole(0)) = Value::Whole(u128::from(value));
    }

    /// Takes one away from a gauge.
    pub(super) fn less(&mut self, family: Family) {
        if let Value::Whole(value) = self.at(family, &[], || Value::Whole(0)) {
            *value = value.saturating_sub(1);
        }
    }

    pub(super) fn time(&mut self, family: Family, labels: &[&str], time: Duration) {
        if let Value::Times(times) = self.at(family, labels, || Value::Times(Times::default())) {
            let bound = BOUNDS.iter().position(|(micros, _)| time.as_nanos() <= micros * 1000);
            if let Some(count) = bound.and_then(|bound| times.within.get_mut(bound)) {
                *count += 1;
            }
            times.count += 1;
            times.sum = times.sum.saturating_add(time.as_nanos());
        }
    }

    fn at(&mut self, family: Family, labels: &[&str], none: impl FnOnce() -> Value) -> &mut Value {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.0.entry((family, labels)).or_insert_with(none)
    }
}
