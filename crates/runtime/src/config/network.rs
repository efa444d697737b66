//! The table `[network]` of a configuration: emulated links for measurements.

use std::time::Duration;

use serde::Deserialize;

use crate::scene::Scene;

/// The delay and rate of emulated links between the parties, for measurements on one machine. The configurations of all
/// parties need the same values.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct NetworkConfig {
    /// The delay of every message in one direction.
    pub delay_milliseconds: f64,
    /// The rate in each direction between two machines.
    pub megabits_per_second: f64,
}

impl NetworkConfig {
    /// The scene. Loading checks the values; values that were not checked are clamped.
    #[must_use]
    pub fn scene(&self) -> Scene {
        let delay = Duration::try_from_secs_f64(self.delay_milliseconds.clamp(0.0, 10_000.0) / 1000.0);
        // Only NaN reaches the default.
        Scene { delay: delay.unwrap_or_default(), megabits: self.megabits_per_second.clamp(0.001, 1e6) }
    }

    pub(super) fn problem(&self) -> Option<&'static str> {
        if cfg!(not(target_os = "linux")) {
            return Some("works on Linux only; remove the table");
        }
        let good =
            (0.0..=10_000.0).contains(&self.delay_milliseconds) && (0.001..=1e6).contains(&self.megabits_per_second);
        (!good).then_some("is out of range: expected delay_milliseconds from 0 to 10000 and megabits_per_second from 0.001 to 1000000")
    }
}

impl From<Scene> for NetworkConfig {
    fn from(scene: Scene) -> Self {
        Self { delay_milliseconds: scene.delay.as_secs_f64() * 1000.0, megabits_per_second: scene.megabits }
    }
}

impl std::fmt::Display for NetworkConfig {
    /// The table as it is written in a configuration file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "[network]\ndelay_milliseconds = {:?}", self.delay_milliseconds)?;
        writeln!(f, "megabits_per_second = {:?}", self.megabits_per_second)
    }
}
