//! The table `[choices]` of a server.

use crate::choices::{ChoicesOptions, LEAST_REPORTS, MOST_REPORTS};
use serde::Deserialize;
use std::time::Duration;

/// Whether a server counts the choices that clients report, and when the counts are revealed.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct ChoicesConfig {
    /// How many reports must be added up before their counts are revealed: 100 to 4096, fewer only with `development = true`.
    pub minimum: u64,
    /// How long reports are added up at least, in hours. That of server 1 applies.
    pub every_hours: f64,
}

impl Default for ChoicesConfig {
    fn default() -> Self {
        Self { minimum: LEAST_REPORTS, every_hours: 24.0 }
    }
}

impl ChoicesConfig {
    /// As a server takes it. Loading checks the values.
    #[must_use]
    pub fn options(&self) -> ChoicesOptions {
        let after = Duration::try_from_secs_f64(self.every_hours * 3600.0).unwrap_or(Duration::MAX);
        ChoicesOptions { minimum: self.minimum, after }
    }

    pub(super) fn problem(&self, development: bool) -> Option<(&'static str, &'static str)> {
        let least = if development { 1 } else { LEAST_REPORTS };
        if !(least..=MOST_REPORTS).contains(&self.minimum) {
            let problem = "has a minimum that is out of range: expected 100 to 4096 reports; fewer tell too much of single \
                           clients, and are only for `development = true`";
            return Some(("choices", problem));
        }
        let good = (0.0..=8760.0).contains(&self.every_hours);
        (!good).then_some(("choices", "has every_hours that are out of range: expected 0 to 8760"))
    }
}
