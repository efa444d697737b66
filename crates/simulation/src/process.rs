//! A process of a program that says where it listens, and its log.

use crate::bundle::CANARY;
use anyhow::{Context, bail};
use blindroute_runtime::rss_kib_of;
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a process may take to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many lines of a log are kept.
const TAIL: usize = 400;

/// What the log of a party, or of a gateway, said in all of its lives.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The sessions that a server served, or that the dealer dealt, in this order.
    pub(crate) finished: Vec<String>,
    /// Of sessions that took stored material, the session under which that was dealt.
    pub(crate) stored: HashMap<String, String>,
    /// How often it began to hold a version of the bundle while it ran, and how often it dropped one.
    pub(crate) versions: [usize; 2],
    /// Lines with a text.
    pub(crate) canaries: usize,
    /// Lines of panics.
    pub(crate) panics: Vec<String>,
    tail: VecDeque<String>,
}

impl Log {
    fn take(&mut self, line: String) {
        self.finished.extend(["served session=", "dealt session="].iter().filter_map(|mark| name_after(&line, mark)));
        if let Some(session) = name_after(&line, "uses stored material session=") {
            self.stored.extend(name_after(&line, " stored=").map(|stored| (session, stored)));
        }
        for (count, said) in self.versions.iter_mut().zip(["of the bundle from now on", "no longer holds this version"])
        {
            *count += usize::from(line.contains(said));
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

    pub(crate) fn last_lines(&self, count: usize) -> String {
        let skipped = self.tail.len().saturating_sub(count);
        self.tail.iter().skip(skipped).map(|line| format!("{line}\n")).collect()
    }
}

/// The name of a session after a mark.
fn name_after(line: &str, mark: &str) -> Option<String> {
    let (_, rest) = line.split_once(mark)?;
    Some(rest.chars().take_while(char::is_ascii_hexdigit).collect())
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Open files and sockets.
    pub descriptors: usize,
    /// Resident memory.
    pub resident_kib: u64,
}

/// A program that runs, or does not, with the log of all of its lives.
#[derive(Debug)]
pub(crate) struct Process {
    /// As messages name it.
    name: &'static str,
    log: Arc<Mutex<Log>>,
    running: Option<Running>,
}

impl Process {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, log: Arc::default(), running: None }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts what this command says, and gives the address where it listens.
    pub(crate) fn start(&mut self, command: Command) -> anyhow::Result<String> {
        let (running, address) = Running::start(command, &self.log, self.name)?;
        self.running = Some(running);
        Ok(address)
    }

    /// Its number, if it runs.
    pub(crate) fn id(&mut self) -> Option<u32> {
        self.running.as_mut()?.process()
    }

    /// Ends it at once, and reads the rest of its log.
    pub(crate) fn kill(&mut self) {
        drop(self.running.take());
    }

    /// Asks it to end, and gives the exit status; nothing if it did not run.
    pub(crate) fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        self.running.take().map(|running| running.stop(self.name)).transpose()
    }

    pub(crate) fn resources(&mut self) -> anyhow::Result<Resources> {
        let process = self.id().with_context(|| format!("{} has ended: {}", self.name, self.log().last_lines(5)))?;
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd"))?.count();
        Ok(Resources { descriptors, resident_kib: rss_kib_of(process).unwrap_or_default() })
    }
}

/// A process that runs. It is ended when this is dropped, and its log has been read to the end then.
#[derive(Debug)]
struct Running {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        self.reader.take().map(JoinHandle::join);
    }
}

impl Running {
    /// Starts what this command says, whose log is added to `log`. Also gives the address that it says.
    fn start(mut command: Command, log: &Arc<Mutex<Log>>, name: &str) -> anyhow::Result<(Self, String)> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let kept = Arc::clone(log);
        let reader = std::thread::spawn(move || {
            let Some(stderr) = stderr else { return };
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                kept.lock().unwrap_or_else(PoisonError::into_inner).take(line);
            }
        });
        let running = Self { child, reader: Some(reader) };
        let (said, says) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line));
            said.send(line).ok();
        });
        let line = says.recv_timeout(PATIENCE).unwrap_or_default();
        let said: Option<serde_json::Value> = serde_json::from_str(&line).ok();
        if let Some(address) = said.as_ref().and_then(|said| said["listening"].as_str()) {
            return Ok((running, address.to_owned()));
        }
        drop(running);
        let logged = log.lock().unwrap_or_else(PoisonError::into_inner).last_lines(3);
        bail!("{name} does not listen: it said {line:?}, and logged {logged}")
    }

    /// Its number, if it has not ended by itself.
    fn process(&mut self) -> Option<u32> {
        matches!(self.child.try_wait(), Ok(None)).then(|| self.child.id())
    }

    /// Asks it to end, and gives the exit status.
    fn stop(mut self, name: &str) -> anyhow::Result<i32> {
        signal(self.child.id(), "TERM")?;
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break Some(status);
            }
            if Instant::now() > until {
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let status = status.with_context(|| format!("{name} does not end within {PATIENCE:?}"))?;
        // A signal has no status.
        Ok(status.code().unwrap_or(-1))
    }
}

pub(crate) fn signal(process: u32, name: &str) -> anyhow::Result<()> {
    run("kill", &[&format!("-{name}"), &process.to_string()])
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(program).args(arguments).status().with_context(|| format!("cannot run {program}"))?;
    anyhow::ensure!(status.success(), "{program} {arguments:?} failed");
    Ok(())
}
