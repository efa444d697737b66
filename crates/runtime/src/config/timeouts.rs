//! The table `[timeouts]`.

use crate::link::Timeouts;
use crate::service::GRACE;
use serde::Deserialize;
use std::time::Duration;

/// Waits in seconds; each has a default.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct TimeoutsConfig {
    /// For resolving a name and making a TCP connection.
    pub connect_seconds: f64,
    /// For a TLS handshake.
    pub handshake_seconds: f64,
    /// Without progress in either direction.
    pub stall_seconds: f64,
    /// For a whole message.
    pub message_seconds: f64,
    /// Of a server: for the input of a session whose material is all prepared.
    pub ready_seconds: f64,
    /// Of a server and the dealer: for the sessions that run when the process is told to stop.
    pub drain_seconds: f64,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        let Timeouts { connect, handshake, stall, message, ready } = Timeouts::default();
        TimeoutsConfig {
            connect_seconds: connect.as_secs_f64(),
            handshake_seconds: handshake.as_secs_f64(),
            stall_seconds: stall.as_secs_f64(),
            message_seconds: message.as_secs_f64(),
            ready_seconds: ready.as_secs_f64(),
            drain_seconds: GRACE.as_secs_f64(),
        }
    }
}

/// The wait of so many seconds.
fn wait(seconds: f64) -> Duration {
    // Only NaN reaches the default.
    Duration::try_from_secs_f64(seconds.clamp(0.001, 3600.0)).unwrap_or(Timeouts::default().stall)
}

impl TimeoutsConfig {
    /// The timeouts of a link. Loading checks the values; values that were not checked are clamped to between 1 ms and
    /// 1 h.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: wait(self.connect_seconds),
            handshake: wait(self.handshake_seconds),
            stall: wait(self.stall_seconds),
            message: wait(self.message_seconds),
            ready: wait(self.ready_seconds),
        }
    }

    /// How long running sessions may go on when a service is told to stop.
    #[must_use]
    pub fn drain(&self) -> Duration {
        wait(self.drain_seconds)
    }

    pub(super) fn problem(&self) -> Option<&'static str> {
        let Self { connect_seconds, handshake_seconds, stall_seconds, message_seconds, ready_seconds, drain_seconds } =
            *self;
        let links = [connect_seconds, handshake_seconds, stall_seconds, message_seconds];
        let all = [&links[..], &[ready_seconds, drain_seconds]].concat();
        let good = all.iter().all(|seconds| (0.001..=3600.0).contains(seconds));
        (!good).then_some("holds a time out of range: expected 0.001 to 3600 seconds for each")
    }
}
