//! One party: a process of the program, its log, and its folder.

use crate::bundle::CANARY;
use crate::ledger::{NAMES, Storage};
use crate::shim::CONTROLS;
use anyhow::{Context, bail};
use blindroute_runtime::messages::NAMES_KEY;
use blindroute_runtime::{Role, rss_kib_of};
use std::collections::{HashSet, VecDeque};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a party may take to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many lines of a log are kept.
const TAIL: usize = 400;

/// What a party's log said in all of its lives.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The sessions that a server served, or that the dealer dealt, in this order.
    pub(crate) finished: Vec<String>,
    /// Lines with a text.
    pub(crate) canaries: usize,
    /// Lines of panics.
    pub(crate) panics: Vec<String>,
    tail: VecDeque<String>,
}

impl Log {
    fn take(&mut self, line: String) {
        for mark in ["served session=", "dealt session="] {
            if let Some((_, rest)) = line.split_once(mark) {
                self.finished.push(rest.chars().take_while(char::is_ascii_hexdigit).collect());
            }
        }
        self.canaries += usize::from(line.contains(CANARY));
        if line.contains("panicked") {
            self.panics.push(line.clone());
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Open files and sockets.
    pub descriptors: usize,
    /// Resident memory.
    pub resident_kib: u64,
}

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
    pub(crate) before: HashSet<String>,
    /// Whether its ledger may have met a failing disk.
    pub(crate) spoiled: bool,
    starting: Starting,
    log: Arc<Mutex<Log>>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    reader: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Party {
    pub(crate) fn new(role: Role, home: PathBuf, storage: Storage, starting: Starting) -> Self {
        let (log, before) = (Arc::default(), HashSet::new());
        Self { role, home, storage, before, spoiled: false, starting, log, running: None }
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.home.join(format!("{}.toml", self.role))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.join("state")
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

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn last_lines(&self, count: usize) -> String {
        let log = self.log();
        let skipped = log.tail.len().saturating_sub(count);
        log.tail.iter().skip(skipped).map(|line| format!("{line}\n")).collect()
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
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let log = Arc::clone(&self.log);
        let reader = std::thread::spawn(move || {
            let lines = BufReader::new(stderr.into_iter().next().map_or_else(empty, |stderr| Box::new(stderr) as _));
            for line in lines.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                log.lock().unwrap_or_else(PoisonError::into_inner).take(line);
            }
        });
        let running = Running { child, reader };
        let (said, says) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line));
            said.send(line).ok();
        });
        let line = says.recv_timeout(PATIENCE).unwrap_or_default();
        let said: Option<serde_json::Value> = serde_json::from_str(&line).ok();
        let Some(address) = said.as_ref().and_then(|said| said["listening"].as_str()) else {
            end(running);
            bail!("{} does not listen: it said {line:?}, and logged {}", self.role, self.last_lines(3));
        };
        self.running = Some(running);
        Ok(address.to_owned())
    }

    pub(crate) fn process(&mut self) -> Option<u32> {
        let running = self.running.as_mut()?;
        matches!(running.child.try_wait(), Ok(None)).then(|| running.child.id())
    }

    /// Ends it at once, and reads the rest of its log.
    pub(crate) fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            end(running);
        }
    }

    /// Asks it to end, and gives the exit status; nothing if it did not run.
    pub(crate) fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        let Some(mut running) = self.running.take() else { return Ok(None) };
        signal(running.child.id(), "TERM")?;
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = running.child.try_wait()? {
                break Some(status);
            }
            if Instant::now() > until {
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        end(running);
        let status = status.with_context(|| format!("{} does not end within {PATIENCE:?}", self.role))?;
        // A signal has no status.
        Ok(Some(status.code().unwrap_or(-1)))
    }

    /// Lets its files grow no more.
    pub(crate) fn fill_disk(&mut self) -> anyhow::Result<()> {
        let Some(process) = self.process() else { return Ok(()) };
        run("prlimit", &["--pid", &process.to_string(), "--fsize=0:"])
    }

    pub(crate) fn resources(&mut self) -> anyhow::Result<Resources> {
        let process = self.process().with_context(|| format!("{} has ended: {}", self.role, self.last_lines(5)))?;
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd"))?.count();
        Ok(Resources { descriptors, resident_kib: rss_kib_of(process).unwrap_or_default() })
    }

    /// All sessions that it ever claimed, as far as its ledgers say.
    pub(crate) fn claimed(&self) -> anyhow::Result<HashSet<String>> {
        let now = self.storage.claimed(&self.state()).with_context(|| format!("the ledger of {}", self.role))?;
        Ok(now.into_iter().chain(self.before.iter().cloned()).collect())
    }
}

fn empty() -> Box<dyn std::io::Read + Send> {
    Box::new(std::io::empty())
}

fn end(mut running: Running) {
    running.child.kill().ok();
    running.child.wait().ok();
    let reader = std::mem::replace(&mut running.reader, std::thread::spawn(|| ()));
    reader.join().ok();
}

pub(crate) fn signal(process: u32, name: &str) -> anyhow::Result<()> {
    run("kill", &[&format!("-{name}"), &process.to_string()])
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(program).args(arguments).status().with_context(|| format!("cannot run {program}"))?;
    anyhow::ensure!(status.success(), "{program} {arguments:?} failed");
    Ok(())
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
