//! The emulated network of a measurement.

use std::time::Duration;

use serde::Deserialize;

use crate::scene::Scene;

/// Links between the parties as slow as these: for measurements on one machine. All parties' configurations need the
/// same.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct NetworkConfig {
    /// One way, for every message.
    pub delay_milliseconds: f64,
    /// Each direction between two machines.
    pub megabits_per_second: f64,
}

impl NetworkConfig {
    /// What links do. Call after loading, which checks the values; others are clamped.
    #[must_use]
    pub fn scene(&self) -> Scene {
        let delay = Duration::try_from_secs_f64(self.delay_milliseconds.clamp(0.0, 10_000.0) / 1000.0);
        // Only a value that is no number is left over.
        Scene { delay: delay.unwrap_or_default(), megabits: self.megabits_per_second.clamp(0.001, 1e6) }
    }

    pub(super) fn problem(&self) -> Option<&'static str> {
        if cfg!(not(target_os = "linux")) {
            return Some("can be emulated on Linux only; remove the table");
        }
        let good =
            (0.0..=10_000.0).contains(&self.delay_milliseconds) && (0.001..=1e6).contains(&self.megabits_per_second);
        (!good).then_some("must have delay_milliseconds from 0 to 10000 and megabits_per_second from 0.001 to 1000000")
    }
}

impl From<Scene> for NetworkConfig {
    fn from(scene: Scene) -> Self {
        Self { delay_milliseconds: scene.delay.as_secs_f64() * 1000.0, megabits_per_second: scene.megabits }
    }
}

impl std::fmt::Display for NetworkConfig {
    /// The table of a configuration file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "[network]\ndelay_milliseconds = {:?}", self.delay_milliseconds)?;
        writeln!(f, "megabits_per_second = {:?}", self.megabits_per_second)
    }
}
