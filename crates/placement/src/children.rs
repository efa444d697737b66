//! Dealer and servers as child processes.

use crate::error::PlacementError;
use crate::loopback::Settings;
use blindroute_runtime::{ChildProcess, ChildSpec, Role, Scene};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a child may take to start.
const START: Duration = Duration::from_secs(60);
/// It reads its share: how many bytes of the files beside its configuration give it a second more, on a slow and busy machine.
const BYTES_PER_SECOND: u64 = 5_000_000;

/// How to start dealer and servers as child processes.
#[derive(Clone, Debug)]
pub struct ChildOptions {
    executable: PathBuf,
    leading: Vec<OsString>,
    pub(crate) settings: Settings,
}

impl ChildOptions {
    /// Children of this program, which has the commands `server` and `dealer` of `blindroute`. The servers refuse
    /// measurements.
    pub fn new(executable: impl Into<PathBuf>) -> Self {
        Self { executable: executable.into(), leading: Vec::new(), settings: Settings::default() }
    }

    /// The same with these arguments before those of the commands, for a program that an interpreter runs.
    #[must_use]
    pub fn with_leading_arguments(self, leading: Vec<OsString>) -> Self {
        Self { leading, ..self }
    }

    /// The same with emulated links between all parties, for benchmarks.
    #[must_use]
    pub fn in_scene(self, scene: Option<Scene>) -> Self {
        Self { settings: Settings { scene, ..self.settings }, ..self }
    }

    /// The same with servers that serve the measurements `embed` and `select`, for benchmarks: whoever may ask for
    /// embeddings can copy a secret encoder. The children listen on loopback only, and their certificates are this
    /// process's.
    #[must_use]
    pub fn dangerously_serve_measurements(self) -> Self {
        Self { settings: Settings { measurements: true, ..self.settings }, ..self }
    }

    /// The same with servers that serve the scores of a classifier's labels, if `scores` is set.
    #[must_use]
    pub fn serve_scores(self, scores: bool) -> Self {
        Self { settings: Settings { scores, ..self.settings }, ..self }
    }

    /// Starts the child of this role.
    pub(crate) fn spawn(&self, role: Role, config: &Path) -> Result<(ChildProcess, SocketAddr), PlacementError> {
        let mut arguments = self.leading.clone();
        match role.party() {
            Some(party) => arguments.extend(["server".into(), "--party".into(), party.to_string().into()]),
            None => arguments.push("dealer".into()),
        }
        arguments.extend(["--config".into(), config.into()]);
        if tracing::enabled!(tracing::Level::DEBUG) {
            // Whoever wants to see everything wants the children's logs too; they come through this process's.
            arguments.push("-vv".into());
        }
        let spec = ChildSpec { role, executable: self.executable.clone(), arguments };
        Ok(ChildProcess::spawn(&spec, START + reading(config))?)
    }
}

/// How long a child may take to read the files beside its configuration.
fn reading(config: &Path) -> Duration {
    let files = config.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    Duration::from_secs(bytes / BYTES_PER_SECOND)
}

/// Three running child processes: server 0, server 1 and the dealer. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Children(Mutex<[ChildProcess; 3]>);

impl From<[ChildProcess; 3]> for Children {
    fn from(children: [ChildProcess; 3]) -> Self {
        Self(Mutex::new(children))
    }
}

impl Children {
    /// Fails with the child's last words if one has ended, or does within `grace`: a dying process closes its connections a
    /// moment before it can be seen to have ended.
    pub(crate) fn check(&self, grace: Duration) -> Result<(), PlacementError> {
        let until = Instant::now() + grace;
        loop {
            for child in self.lock().iter_mut() {
                child.check()?;
            }
            if Instant::now() >= until {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn processes(&self) -> [u32; 3] {
        self.lock().each_ref().map(ChildProcess::process)
    }

    fn lock(&self) -> MutexGuard<'_, [ChildProcess; 3]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_child_with_a_large_share_may_take_longer_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("server0.toml");
        std::fs::write(&config, b"x").unwrap();
        assert_eq!(reading(&config), Duration::ZERO);
        std::fs::File::create(folder.path().join("share0.bin")).unwrap().set_len(20 * BYTES_PER_SECOND).unwrap();
        assert_eq!(reading(&config), Duration::from_secs(20));
    }
}
