//! The table `[audit]` of a server.

use crate::session::AuditShare;
use serde::Deserialize;

/// The largest share: more would cost more than it finds.
const LARGEST: f64 = 0.1;

/// How many sessions a server opens to check the dealer. Both servers need the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AuditConfig {
    /// The share of the sessions, from 0 (none) to 0.1.
    pub share: f64,
}

impl AuditConfig {
    /// The share as a server takes it. Loading checks the value.
    #[must_use]
    pub fn share(&self) -> AuditShare {
        AuditShare::new(self.share.min(LARGEST))
    }

    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let good = (0.0..=LARGEST).contains(&self.share);
        (!good).then_some(("audit", "has a share that is out of range: expected 0 (no session) to 0.1"))
    }
}
