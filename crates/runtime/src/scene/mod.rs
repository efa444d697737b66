//! SceneNetwork scenes: a stated delay and rate on every byte between processes of one machine, for measurements.
//!
//! A process that has a scene puts a header of 16 bytes before each write to a socket: how many bytes follow, and when
//! they are to arrive. They arrive when the link has sent them and the delay is over; the link sends at its rate, one
//! write after the other. The receiver leaves them in the socket until then. So the sender is never held up (but by a
//! full socket, as on a real link), nothing is copied, and no thread is added. Without a scene there is no header and no
//! wait.
//!
//! The rate is that of one direction between two machines: all connections of a process to processes of one role share
//! it. What counts is TLS's bytes, handshakes included. TCP's own handshake takes a round trip; its headers, its slow
//! start, loss and jitter are not emulated. All parties of a deployment must have a scene, or none.

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

/// Bytes before each write to a socket: a mark, the count of bytes that follow, and the time of their arrival.
pub(crate) const SEGMENT_HEADER: usize = 16;
/// Tells a header from TLS, which begins with a byte from 20 to 24.
const MARK: [u8; 4] = *b"lag\0";

/// A delay and a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    /// One way.
    pub delay: Duration,
    /// Megabits a second, each direction between two machines.
    pub megabits: f64,
}

impl Scene {
    /// One room: 0.1 ms one way, 10 Gbit/s.
    pub const LAN: Scene = Scene { delay: Duration::from_micros(100), megabits: 10_000.0 };
    /// Two regions: 20 ms one way, 400 Mbit/s.
    pub const WAN: Scene = Scene { delay: Duration::from_millis(20), megabits: 400.0 };

    /// The wire time of some bytes.
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

/// A name that is no scene.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scene {0:?}; the scenes are loopback, lan and wan")]
pub struct UnknownScene(String);

/// A scene's name: `loopback` has neither delay nor rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SceneName {
    /// What the machine does.
    #[default]
    Loopback,
    /// [`Scene::LAN`].
    Lan,
    /// [`Scene::WAN`].
    Wan,
}

impl SceneName {
    /// All of them.
    pub const ALL: [SceneName; 3] = [SceneName::Loopback, SceneName::Lan, SceneName::Wan];

    /// As in options and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SceneName::Loopback => "loopback",
            SceneName::Lan => "lan",
            SceneName::Wan => "wan",
        }
    }

    /// What is emulated; nothing on loopback.
    #[must_use]
    pub const fn scene(self) -> Option<Scene> {
        match self {
            SceneName::Loopback => None,
            SceneName::Lan => Some(Scene::LAN),
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
    /// For each role: when the link to its machine will have sent what it was given, in nanoseconds of the clock.
    free: [Arc<AtomicU64>; Role::ALL.len()],
}

impl SceneNetwork {
    pub(crate) fn new(scene: Scene) -> SceneNetwork {
        SceneNetwork { scene, free: Default::default() }
    }

    /// The way to a role's machine; to a caller not yet known, one of its own.
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
    /// Waits as long as TCP's handshake would take.
    pub(crate) fn round_trip(&self) {
        sleep_until(now() + 2 * nanoseconds(self.scene.delay));
    }

    /// The header of a write of this many bytes, made now.
    pub(crate) fn segment(&self, bytes: u32) -> [u8; SEGMENT_HEADER] {
        let arrival = self.send(now(), bytes as usize);
        let mut header = [0; SEGMENT_HEADER];
        header[..4].copy_from_slice(&MARK);
        header[4..8].copy_from_slice(&bytes.to_le_bytes());
        header[8..].copy_from_slice(&arrival.to_le_bytes());
        header
    }

    /// When bytes given to the link at a time arrive: behind all that it was given before.
    fn send(&self, at: u64, bytes: usize) -> u64 {
        let wire = nanoseconds(self.scene.serialisation(bytes));
        let sent = |free: u64| free.max(at) + wire;
        let before = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| Some(sent(free)));
        // The closure never refuses, so both sides hold the value before.
        sent(before.unwrap_or_else(|free| free)) + nanoseconds(self.scene.delay)
    }
}

/// Count and arrival of a header; nothing if it is none.
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
