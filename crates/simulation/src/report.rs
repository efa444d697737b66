//! How long lanes took to answer again, and what is told about a list.

use crate::check::Checked;
use crate::crew::{Call, Outcome};
use crate::driver::Event;
use crate::operation::GATEWAY;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// How long after the end of a fault its lane, or the gateway, answered a call that began after it, as clients saw it.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// The kind of fault.
    pub kind: &'static str,
    /// The time. It holds the pause in which clients skip a pair that failed, and the time until somebody asked this lane.
    pub time: Duration,
}

pub(crate) fn recoveries(events: &[Event], calls: &[Call]) -> Vec<Recovery> {
    let mut all = Vec::new();
    for event in events {
        let Some(over) = event.over else { continue };
        let answered = |call: &Call, outcome: &Outcome| match (outcome, event.lane) {
            (Outcome::Answer { lane: by, .. }, Some(lane)) => *by == Some(lane),
            (Outcome::Answer { .. }, None) => call.by_gateway && event.kind == GATEWAY,
            (Outcome::Error { .. }, _) => false,
        };
        let after = calls
            .iter()
            .filter(|call| call.began >= over && call.outcomes.iter().any(|(_, outcome)| answered(call, outcome)));
        if let Some(first) = after.map(|call| call.ended).min() {
            all.push(Recovery { kind: event.kind, time: first - over });
        }
    }
    all
}

/// All lists of a run together.
#[derive(Debug, Default)]
pub struct Summary {
    /// Lists.
    pub lists: usize,
    /// Faults and changes, by kind.
    pub faults: BTreeMap<&'static str, usize>,
    /// Texts that were answered.
    pub answers: usize,
    /// Texts with an error, by code.
    pub errors: BTreeMap<&'static str, usize>,
    /// Sessions: generated, used, still stored, burnt.
    pub sessions: [usize; 4],
    /// Of those that were used, how many took stored material.
    pub from_store: usize,
    /// Of the answers, how many by each version of the bundle.
    pub versions: [usize; 2],
    /// What must not be.
    pub violations: usize,
    recoveries: BTreeMap<&'static str, Vec<Duration>>,
}

impl Summary {
    /// Adds a list.
    pub fn add(&mut self, checked: &Checked) {
        self.lists += 1;
        self.answers += checked.answers;
        self.violations += checked.violations.len();
        for (kind, count) in &checked.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (code, count) in &checked.errors {
            *self.errors.entry(code).or_default() += count;
        }
        self.from_store += checked.from_store;
        self.versions.iter_mut().zip(checked.versions).for_each(|(sum, more)| *sum += more);
        let sessions = [checked.generated, checked.used, checked.stored, checked.burnt];
        self.sessions.iter_mut().zip(sessions).for_each(|(sum, more)| *sum += more);
        for Recovery { kind, time } in &checked.recoveries {
            self.recoveries.entry(kind).or_default().push(*time);
        }
    }

    /// Faults and changes of all kinds.
    #[must_use]
    pub fn all_faults(&self) -> usize {
        self.faults.values().sum()
    }

    /// As a table for people.
    #[must_use]
    pub fn table(&mut self) -> String {
        let ([generated, used, stored, burnt], [first, second]) = (self.sessions, self.versions);
        let mut out = format!(
            "{} lists, {} faults, {} answers ({first} by the first bundle, {second} by the second), {} errors {:?}, {} violations\n\
             sessions: {generated} generated = {used} used ({} from the store) + {stored} stored + {burnt} burnt\n\n| fault | times | recovery: median | longest |\n|---|---|---|---|\n",
            self.lists,
            self.all_faults(),
            self.answers,
            self.errors.values().sum::<usize>(),
            self.errors,
            self.violations,
            self.from_store
        );
        for (kind, count) in &self.faults {
            let times = self.recoveries.entry(kind).or_default();
            times.sort_unstable();
            let seconds =
                |time: Option<&Duration>| time.map_or("–".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
            let (median, longest) = (seconds(times.get(times.len() / 2)), seconds(times.last()));
            // Writing to a text does not fail.
            writeln!(out, "| {kind} | {count} | {median} | {longest} |").ok();
        }
        out
    }
}

impl Checked {
    /// As an object for programs.
    #[must_use]
    pub fn json(&self, seed: u64) -> serde_json::Value {
        let recoveries: Vec<_> = self
            .recoveries
            .iter()
            .map(|recovery| json!({ "kind": recovery.kind, "seconds": recovery.time.as_secs_f64() }))
            .collect();
        json!({
            "seed": seed, "faults": self.faults, "answers": self.answers, "versions": self.versions, "errors": self.errors,
            "stored": self.stored, "from_store": self.from_store,
            "generated": self.generated, "used": self.used, "burnt": self.burnt, "refused": self.refused, "recoveries": recoveries,
            "growth": { "descriptors": self.growth.0, "kib": self.growth.1 },
            "skipped": self.skipped, "violations": self.violations,
        })
    }
}
