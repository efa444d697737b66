//! Child processes: the dealer and the servers of `blindroute route` on one machine.
//!
//! A child is ready when it prints its readiness line. Its standard input is held open and never written. A child that
//! watches it ([`crate::Shutdown::on_end_of`]) ends with its parent, in whatever way the parent ends.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::role::Role;

/// The longest line of a child that is kept, in bytes. Longer lines are split.
const LINE: u64 = 4096;
/// Lines of a child's log that are kept for error texts.
const TAIL: usize = 8;

/// Why a child process cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// It could not be started.
    #[error("cannot start the {role} process {executable}: {source}; check that the file is there and executable", executable = executable.display())]
    Start {
        /// Its role.
        role: Role,
        /// The program.
        executable: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It ended although it should run.
    #[error("the {role} process ended early ({status}); its last lines: {said}")]
    Exited {
        /// Its role.
        role: Role,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        said: String,
    },
    /// It did not become ready in time.
    #[error("the {role} process was not ready within {after:?}; its last lines: {said}")]
    NotReady {
        /// Its role.
        role: Role,
        /// The limit.
        after: Duration,
        /// The last lines of its log.
        said: String,
    },
    /// Its first line is not the readiness line of its role.
    #[error(
        "the first line of the {role} process is not its readiness line; check that it is the same version of blindroute"
    )]
    WrongAnnouncement {
        /// The role it should have.
        role: Role,
    },
}

/// What to start.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    /// The role it will announce.
    pub role: Role,
    /// The program, usually this one.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A child process. Killed and reaped when dropped.
#[derive(Debug)]
pub struct ChildProcess {
    role: Role,
    child: Child,
    stdin: Option<ChildStdin>,
    first_line: Receiver<String>,
    said: Arc<Mutex<VecDeque<String>>>,
    log: Option<JoinHandle<()>>,
}

impl ChildProcess {
    /// Starts a child without waiting for it.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(spec: &ChildSpec) -> Result<ChildProcess, ChildError> {
        let role = spec.role;
        let failed = |source| ChildError::Start { role, executable: spec.executable.clone(), source };
        let mut child = Command::new(&spec.executable)
            .args(&spec.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (announce, first_line) = sync_channel(1);
        let said = Arc::new(Mutex::new(VecDeque::new()));
        // From here on the child is killed if anything fails.
        let mut process = ChildProcess { role, child, stdin, first_line, said: said.clone(), log: None };
        if let Some(stdout) = stdout {
            let name = format!("{role}-stdout");
            std::thread::Builder::new().name(name).spawn(move || read_stdout(stdout, &announce)).map_err(failed)?;
        }
        if let Some(stderr) = stderr {
            let reader = std::thread::Builder::new().name(format!("{role}-stderr"));
            process.log = Some(reader.spawn(move || read_stderr(stderr, role, &said)).map_err(failed)?);
        }
        Ok(process)
    }

    /// Waits for the readiness line and returns the address in it.
    ///
    /// # Errors
    /// If the child ends, prints another line first, or takes longer than `limit`.
    pub fn ready(&mut self, limit: Duration) -> Result<SocketAddr, ChildError> {
        match self.first_line.recv_timeout(limit) {
            Ok(line) => announced(&line, self.role).ok_or(ChildError::WrongAnnouncement { role: self.role }),
            Err(RecvTimeoutError::Timeout) => {
                Err(ChildError::NotReady { role: self.role, after: limit, said: self.said() })
            }
            Err(RecvTimeoutError::Disconnected) => {
                // It closed its output, so it is about to end.
                let status = self.wait(Duration::from_secs(1));
                Err(self.exited(status))
            }
        }
    }

    /// Starts a child and waits until it is ready.
    ///
    /// # Errors
    /// As [`ChildProcess::start`] and [`ChildProcess::ready`].
    pub fn spawn(spec: &ChildSpec, limit: Duration) -> Result<(ChildProcess, SocketAddr), ChildError> {
        let mut process = ChildProcess::start(spec)?;
        let address = process.ready(limit)?;
        Ok((process, address))
    }

    /// Its role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its process number, for [`crate::peak_rss_mib_of`].
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    /// If it ended. The error has its exit status and its last lines.
    pub fn check(&mut self) -> Result<(), ChildError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.exited(Some(status))),
            Err(_) => Err(self.exited(None)),
        }
    }

    /// Asks it to end by closing its standard input, and kills it after `grace`. Returns whether it ended by itself.
    pub fn stop(mut self, grace: Duration) -> bool {
        self.stdin = None;
        self.wait(grace).is_some()
    }

    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(3)),
                _ => return None,
            }
        }
    }

    fn exited(&mut self, status: Option<ExitStatus>) -> ChildError {
        // Wait for the thread that reads the log, but not for long: a grandchild may hold the pipe open.
        let until = Instant::now() + Duration::from_millis(500);
        while self.log.as_ref().is_some_and(|log| !log.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(3));
        }
        let status = status.map_or_else(|| "it closed its output but still runs".to_owned(), |s| s.to_string());
        ChildError::Exited { role: self.role, status, said: self.said() }
    }

    fn said(&self) -> String {
        let lines = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return "none".to_owned();
        }
        lines.iter().map(String::as_str).collect::<Vec<_>>().join(" / ")
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.stdin = None;
        // Both fail only if it has already ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read_stdout(stdout: ChildStdout, announce: &std::sync::mpsc::SyncSender<String>) {
    let mut reader = BufReader::new(stdout);
    if let Some(line) = next_line(&mut reader) {
        announce.send(line).ok();
    }
    // Read whatever else it prints, so that the pipe does not fill and block it.
    io::copy(&mut reader, &mut io::sink()).ok();
}

fn read_stderr(stderr: ChildStderr, role: Role, said: &Mutex<VecDeque<String>>) {
    let mut reader = BufReader::new(stderr);
    while let Some(line) = next_line(&mut reader) {
        tracing::debug!(%role, "{line}");
        let mut lines = said.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// The next line, split at its limit and without control characters; nothing at the end.
fn next_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    match reader.by_ref().take(LINE).read_until(b'\n', &mut line) {
        Ok(count) if count > 0 => {
            let text = String::from_utf8_lossy(&line);
            Some(text.trim_end().chars().filter(|character| !character.is_control()).collect())
        }
        _ => None,
    }
}

/// The address in `{"listening":"127.0.0.1:4000","role":"server0"}`.
fn announced(line: &str, role: Role) -> Option<SocketAddr> {
    let (address, rest) = line.strip_prefix("{\"listening\":\"")?.split_once("\",\"role\":\"")?;
    (rest.strip_suffix("\"}")? == role.name()).then(|| address.parse().ok())?
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> ChildSpec {
        ChildSpec {
            role: Role::Dealer,
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.to_owned().into()],
        }
    }

    fn alive(process: u32) -> bool {
        // A reaped process has no entry.
        std::path::Path::new(&format!("/proc/{process}")).exists()
    }

    const READY: &str = r#"echo '{"listening":"127.0.0.1:4000","role":"dealer"}';"#;

    #[test]
    fn a_child_becomes_ready_and_ends_with_its_input() {
        let (mut child, address) = ChildProcess::spawn(&shell(&format!("{READY} exec cat")), LIMIT).unwrap();
        assert_eq!(address, "127.0.0.1:4000".parse().unwrap());
        child.check().unwrap();
        let process = child.process();
        assert!(alive(process));
        assert!(child.stop(LIMIT), "it had to be killed");
        assert!(!alive(process));
    }

    #[test]
    fn a_child_that_ignores_everything_is_killed() {
        let (child, _) = ChildProcess::spawn(&shell(&format!("{READY} trap '' TERM; exec sleep 60")), LIMIT).unwrap();
        let process = child.process();
        let start = Instant::now();
        assert!(!child.stop(Duration::from_millis(100)));
        assert!(!alive(process) && start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn early_ends_silence_and_wrong_lines_are_different_errors() {
        let error = ChildProcess::spawn(&shell("echo 'the bundle is missing' >&2; exit 3"), LIMIT).unwrap_err();
        assert!(matches!(error, ChildError::Exited { .. }));
        assert!(error.to_string().contains("the bundle is missing") && error.to_string().contains('3'), "{error}");

        let error =
            ChildProcess::spawn(&shell("echo loading >&2; exec sleep 60"), Duration::from_millis(300)).unwrap_err();
        assert!(matches!(&error, ChildError::NotReady { said, .. } if said == "loading"), "{error}");

        for line in
            ["hello", r#"{"listening":"127.0.0.1:4000","role":"server0"}"#, r#"{"listening":"x","role":"dealer"}"#]
        {
            let error = ChildProcess::spawn(&shell(&format!("echo '{line}'; exec cat")), LIMIT).unwrap_err();
            assert!(matches!(error, ChildError::WrongAnnouncement { .. }), "{error}");
        }
        let nowhere = ChildSpec { executable: "/nowhere/at/all".into(), ..shell("") };
        assert!(matches!(ChildProcess::spawn(&nowhere, LIMIT), Err(ChildError::Start { .. })));
    }

    #[test]
    fn a_later_end_is_noticed_with_its_last_lines() {
        let script = format!("{READY} for i in 1 2 3 4 5 6 7 8 9 10; do echo line$i >&2; done; exit 1");
        let (mut child, _) = ChildProcess::spawn(&shell(&script), LIMIT).unwrap();
        let start = Instant::now();
        let error = loop {
            match child.check() {
                Ok(()) => assert!(start.elapsed() < LIMIT),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("line10") && error.contains("line3") && !error.contains("line2"), "{error}");
    }
}
