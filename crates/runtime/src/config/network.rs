//! The tables `[network]` and `[between_servers]` of a configuration: emulated links for measurements, and how far a server
//! is from the other one.

use std::time::Duration;

use serde::Deserialize;

use super::ServerConfig;
use crate::scene::Scene;

/// The delay and rate of links: in `[network]` of links that are emulated, for measurements on one machine, for which the
/// configurations of all parties need the same values; in `[between_servers]` of the real link between the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct NetworkConfig {
    /// The delay of a message in one direction.
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

    fn problem(&self) -> Option<&'static str> {
        let good =
            (0.0..=10_000.0).contains(&self.delay_milliseconds) && (0.001..=1e6).contains(&self.megabits_per_second);
        (!good).then_some("is out of range: expected delay_milliseconds from 0 to 10000 and megabits_per_second from 0.001 to 1000000")
    }
}

impl ServerConfig {
    /// How far the other server is: what `[between_servers]` says, or else the emulated network. Without either, the servers
    /// are near each other.
    #[must_use]
    pub fn distance(&self) -> Option<NetworkConfig> {
        self.between_servers.or(self.network)
    }
}

/// What is wrong with an emulated network.
pub(super) fn emulated(network: Option<&NetworkConfig>) -> Option<(&'static str, &'static str)> {
    let linux_only = cfg!(not(target_os = "linux")).then_some("works on Linux only; remove the table");
    network.and_then(|network| linux_only.or(network.problem())).map(|problem| ("network", problem))
}

/// What is wrong with the distance between the servers.
pub(super) fn between_servers(network: Option<&NetworkConfig>) -> Option<(&'static str, &'static str)> {
    network.and_then(NetworkConfig::problem).map(|problem| ("between_servers", problem))
}

impl From<Scene> for NetworkConfig {
    fn from(scene: Scene) -> Self {
        Self { delay_milliseconds: scene.delay.as_secs_f64() * 1000.0, megabits_per_second: scene.megabits }
    }
}

impl std::fmt::Display for NetworkConfig {
    /// The table of an emulated network, as it is written in a configuration file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "[network]\ndelay_milliseconds = {:?}", self.delay_milliseconds)?;
        writeln!(f, "megabits_per_second = {:?}", self.megabits_per_second)
    }
}
