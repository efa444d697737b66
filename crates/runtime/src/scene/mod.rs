//! Network scenes: a given delay and rate for every byte between processes of one machine, for measurements.
//!
//! A process with a scene writes a header of 16 bytes before each write to a socket. The header states how many bytes
//! follow and when they arrive: when the emulated link has sent them, one write after another at its rate, and the
//! delay has passed. The receiver leaves the bytes in the socket until then. So the sender never waits (except for a
//! full socket, as on a real link), nothing is copied, and no thread is added. Without a scene there is no header and
//! no wait.
//!
//! The rate is that of one direction between two machines. All connections of a process to processes of one role share
//! it. The bytes of TLS count, including its handshakes. TCP's handshake takes one round trip; TCP's headers, slow
//! start, loss and jitter are not emulated. Either all parties of a deployment have a scene, or none has one.

#[cfg(target_os = "linux")]
mod clock;
#[cfg(not(target_os = "linux"))]
#[path = "no_clock.rs"]
mod clock;
#[cfg(test)]
mod tests;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::role::Role;

pub(crate) use clock::{now, sleep_until};

/// Bytes of the header before each write: a mark, the number of bytes that follow, and their time of arrival.
pub(crate) const SEGMENT_HEADER: usize = 16;
/// The mark. It differs from TLS, which begins with a byte from 20 to 24.
const MARK: [u8; 4] = *b"lag\0";

/// The delay and rate of emulated links.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    /// The delay in one direction.
    pub delay: Duration,
    /// Megabits per second in each direction between two machines.
    pub megabits: f64,
}

impl Scene {
    /// A local network: 0.1 ms one way, 10 Gbit/s.
    pub const LAN: Scene = Scene { delay: Duration::from_micros(100), megabits: 10_000.0 };
    /// Two clouds in one city: 0.5 ms one way, 1 Gbit/s.
    pub const METRO: Scene = Scene { delay: Duration::from_micros(500), megabits: 1000.0 };
    /// Two regions: 20 ms one way, 400 Mbit/s.
    pub const WAN: Scene = Scene { delay: Duration::from_millis(20), megabits: 400.0 };

    /// The time that a link takes to send this many bytes.
    #[must_use]
    pub fn serialisation(&self, bytes: usize) -> Duration {
        Duration::from_nanos((bytes as f64 * 8000.0 / self.megabits) as u64)
    }
}

impl std::fmt::Display for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} one way, {} Mbit/s", self.delay, self.megabits)
    }
}

/// A text that is not the name of a scene.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scene {0:?}: expected loopback, lan, metro or wan")]
pub struct UnknownScene(String);

/// The name of a scene. `loopback` emulates nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SceneName {
    /// The loopback of the machine, without emulation.
    #[default]
    Loopback,
    /// [`Scene::LAN`].
    Lan,
    /// [`Scene::METRO`].
    Metro,
    /// [`Scene::WAN`].
    Wan,
}

impl SceneName {
    /// All of them.
    pub const ALL: [SceneName; 4] = [SceneName::Loopback, SceneName::Lan, SceneName::Metro, SceneName::Wan];

    /// The name in options and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SceneName::Loopback => "loopback",
            SceneName::Lan => "lan",
            SceneName::Metro => "metro",
            SceneName::Wan => "wan",
        }
    }

    /// The emulated links; nothing for loopback.
    #[must_use]
    pub const fn scene(self) -> Option<Scene> {
        match self {
            SceneName::Loopback => None,
            SceneName::Lan => Some(Scene::LAN),
            SceneName::Metro => Some(Scene::METRO),
            SceneName::Wan => Some(Scene::WAN),
        }
    }
}

impl FromStr for SceneName {
    type Err = UnknownScene;

    fn from_str(text: &str) -> Result<Self, UnknownScene> {
        let known = SceneName::ALL.into_iter().find(|scene| scene.name() == text);
        known.ok_or_else(|| UnknownScene(text.to_owned()))
    }
}

impl std::fmt::Display for SceneName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The emulated links of one process. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct SceneNetwork {
    scene: Scene,
    /// For each role: the time at which the link to its machine has sent everything so far, in nanoseconds of the
    /// clock.
    free: [Arc<AtomicU64>; Role::ALL.len()],
}

impl SceneNetwork {
    pub(crate) fn new(scene: Scene) -> SceneNetwork {
        SceneNetwork { scene, free: Default::default() }
    }

    /// The link to a role's machine. A caller whose role is not yet known gets a link of its own.
    pub(crate) fn path(&self, peer: Option<Role>) -> Path {
        let index = peer.and_then(|peer| Role::ALL.iter().position(|role| *role == peer));
        let free = index.map_or_else(Arc::default, |index| self.free[index].clone());
        Path { scene: self.scene, free }
    }
}

/// One direction of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    scene: Scene,
    free: Arc<AtomicU64>,
}

impl Path {
    /// Waits for the time of TCP's handshake.
    pub(crate) fn round_trip(&self) {
        sleep_until(now() + 2 * nanoseconds(self.scene.delay));
    }

    /// The header for a write of this many bytes at this moment.
    pub(crate) fn segment(&self, bytes: u32) -> [u8; SEGMENT_HEADER] {
        let arrival = self.send(now(), bytes as usize);
        let mut header = [0; SEGMENT_HEADER];
        header[..4].copy_from_slice(&MARK);
        header[4..8].copy_from_slice(&bytes.to_le_bytes());
        header[8..].copy_from_slice(&arrival.to_le_bytes());
        header
    }

    /// The time of arrival of bytes that are given to the link at time `at`: after all bytes that it was given before.
    fn send(&self, at: u64, bytes: usize) -> u64 {
        let wire = nanoseconds(self.scene.serialisation(bytes));
        let sent = |free: u64| free.max(at) + wire;
        let before = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| Some(sent(free)));
        // The closure always returns a value, so both variants hold the earlier value.
        sent(before.unwrap_or_else(|free| free)) + nanoseconds(self.scene.delay)
    }
}

/// The number of bytes and the time of arrival in a header; nothing if the bytes are not a header.
pub(crate) fn parse_segment(header: &[u8; SEGMENT_HEADER]) -> Option<(usize, u64)> {
    let (mark, rest) = header.split_first_chunk::<4>()?;
    let (count, arrival) = rest.split_first_chunk::<4>()?;
    let arrival: [u8; 8] = arrival.try_into().ok()?;
    let count = u32::from_le_bytes(*count) as usize;
    (*mark == MARK && count > 0).then_some((count, u64::from_le_bytes(arrival)))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}
