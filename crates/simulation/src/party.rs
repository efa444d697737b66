//! One party: a process of the program, its log, and its folder.

use crate::ledger::{NAMES, Storage};
use crate::process::{Process, run};
use crate::shim::CONTROLS;
use anyhow::Context;
use blindroute_runtime::messages::NAMES_KEY;
use blindroute_runtime::{Role, SessionId};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How parties are started.
#[derive(Clone, Debug)]
pub(crate) struct Starting {
    /// The program.
    pub(crate) program: PathBuf,
    /// The library that fails for it, if there is one.
    pub(crate) shim: Option<PathBuf>,
    /// What it logs.
    pub(crate) level: &'static str,
}

/// A party, running or not.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) role: Role,
    pub(crate) home: PathBuf,
    pub(crate) storage: Storage,
    /// Sessions of ledgers that were replaced.
    pub(crate) before: HashSet<SessionId>,
    /// Whether its ledger may have met a failing disk.
    pub(crate) spoiled: bool,
    starting: Starting,
    pub(crate) process: Process,
}

impl Party {
    pub(crate) fn new(role: Role, home: PathBuf, storage: Storage, starting: Starting) -> Self {
        let (before, process) = (HashSet::new(), Process::new(role.name()));
        Self { role, home, storage, before, spoiled: false, starting, process }
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.home.join(format!("{}.toml", self.role))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// The folder of its stored material.
    pub(crate) fn store(&self) -> PathBuf {
        self.home.join("store")
    }

    fn controls(&self) -> PathBuf {
        self.home.join("controls")
    }

    /// The file of a control: see [`crate::shim`].
    pub(crate) fn control(&self, name: &str, content: Option<&str>) -> anyhow::Result<()> {
        let file = self.controls().join(name);
        match content {
            Some(content) => {
                std::fs::create_dir_all(self.controls())?;
                std::fs::write(file, content)?;
            }
            None if file.exists() => std::fs::remove_file(file)?,
            None => {}
        }
        Ok(())
    }

    pub(crate) fn has_shim(&self) -> bool {
        self.starting.shim.is_some()
    }

    /// Starts it, and says where it listens.
    pub(crate) fn start(&mut self) -> anyhow::Result<String> {
        if matches!(self.storage, Storage::Sqlite) {
            // A database's folder is the operator's to make.
            std::fs::create_dir_all(self.state())?;
        }
        // A file that can grow no more is an error then, and no signal.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&self.starting.program);
        match self.role.party() {
            Some(party) => command.args(["server", "--party", &party.to_string()]),
            None => command.arg("dealer"),
        };
        command.arg("--config").arg(self.configuration()).env("BLINDROUTE_LOG", self.starting.level);
        command.env(CONTROLS, self.controls()).env(NAMES_KEY, NAMES).env_remove("RUST_BACKTRACE");
        if let Some(shim) = &self.starting.shim {
            command.env("LD_PRELOAD", shim);
        }
        self.process.start(command)
    }

    /// Lets its files grow no more.
    pub(crate) fn fill_disk(&mut self) -> anyhow::Result<()> {
        let Some(process) = self.process.id() else { return Ok(()) };
        run("prlimit", &["--pid", &process.to_string(), "--fsize=0:"])
    }

    /// All sessions that it ever claimed, as far as its ledgers say.
    pub(crate) fn claimed(&self) -> anyhow::Result<HashSet<SessionId>> {
        let now = self.storage.claimed(&self.state()).with_context(|| format!("the ledger of {}", self.role))?;
        Ok(now.into_iter().chain(self.before.iter().copied()).collect())
    }
}

/// Copies a folder with everything in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
