//! A deployment's files, made with the program's own commands, and its processes, killed on drop.
// Each test binary uses its part.
#![allow(dead_code, unreachable_pub)]

pub mod observed;

use blindroute_routing::bundle::Bundle;
use blindroute_runtime::Role;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// The one line that says what is wrong.
    #[track_caller]
    pub fn error(&self) -> &str {
        assert!(self.code.is_some_and(|code| code != 0) && !self.stderr.contains("panicked"), "{self:?}");
        self.stderr.lines().find(|line| line.starts_with("error:")).expect("an error line")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

pub fn command<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blindroute-operator"));
    command
        .args(arguments)
        .env_remove("BLINDROUTE_LOG")
        .env_remove("BLINDROUTE_NAMES_KEY")
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end. Its own timeouts bound that.
pub fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Ran {
    let output = command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The default bundle with one layer of its six.
pub fn small_bundle(folder: &Path) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
    let mut parts = Bundle::open(&path).unwrap().bundle.into_parts();
    parts.layers.truncate(1);
    parts.encoder.layers = 1;
    let path = folder.join("small.blindroute");
    std::fs::write(&path, Bundle::new(parts).unwrap().write().unwrap()).unwrap();
    path
}

/// A process that is killed when dropped.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Process {
    /// Sends SIGTERM and waits for the end.
    pub fn stop(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not stop");
    }
}

/// A folder with certificates, a split bundle and a configuration per role.
pub struct Deployment {
    pub home: tempfile::TempDir,
}

impl Deployment {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name).into_os_string();
        let bundle = small_bundle(home.path()).into_os_string();
        run(&["bundle".into(), "split".into(), "--bundle".into(), bundle, "--out".into(), at("bundle")]).succeeded();
        run(&["certificates".into(), "--out".into(), at("certificates")]).succeeded();
        // Held together, so that they differ.
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [zero, one, dealer] =
            listeners.each_ref().map(|listener| format!("\"{}\"", listener.local_addr().unwrap()));
        for role in Role::ALL {
            let own = match role {
                Role::Client => format!("server0 = {zero}\nserver1 = {one}\n"),
                Role::Dealer => format!("listen = {dealer}\nstate = \"state-dealer\"\n"),
                Role::Server0 => format!("party = 0\nlisten = {zero}\ndealer = {dealer}\n"),
                Role::Server1 => format!("party = 1\nlisten = {one}\npeer = {zero}\ndealer = {dealer}\n"),
            };
            let share = role.party().map_or_else(String::new, |party| {
                format!("share = \"bundle/share{party}.bin\"\nstate = \"state-server{party}\"\n")
            });
            let text = format!(
                "{own}{share}bundle = \"bundle/public.bin\"\n[identity]\nauthority = \"certificates/authority.pem\"\n\
                 certificate = \"certificates/{role}.pem\"\nkey = \"certificates/{role}.key\"\n\
                 [timeouts]\nconnect_seconds = 3.0\nhandshake_seconds = 3.0\nstall_seconds = 10.0\n"
            );
            std::fs::write(home.path().join(format!("{role}.toml")), text).unwrap();
        }
        Self { home }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs a command on a role's configuration.
    pub fn with_configuration(&self, command: &str, role: Role, options: &[&str]) -> Ran {
        let configuration = self.at(&format!("{role}.toml"));
        run(&[&[command, "--config", configuration.to_str().unwrap()], options].concat())
    }

    /// Starts a service and waits until it listens. Its log goes to a file.
    pub fn start(&self, role: Role) -> Process {
        start(role, &self.at(&format!("{role}.toml")), &self.at(&format!("{role}.log")))
    }

    pub fn log(&self, role: Role) -> String {
        std::fs::read_to_string(self.at(&format!("{role}.log"))).unwrap_or_default()
    }
}

/// Starts the service of a configuration and waits until it listens. Its log goes to a file.
pub fn start(role: Role, configuration: &Path, log: &Path) -> Process {
    start_at(role, configuration, log, "info")
}

/// The same, with a log of this level.
pub fn start_at(role: Role, configuration: &Path, log: &Path, level: &str) -> Process {
    let mut command = match role.party() {
        Some(party) => command(&["server", "--party", &party.to_string()]),
        None => command(&["dealer"]),
    };
    let to = std::fs::File::create(log).unwrap();
    command.arg("--config").arg(configuration).env("BLINDROUTE_LOG", level).stdout(Stdio::piped()).stderr(to);
    let mut process = Process(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said = std::fs::read_to_string(log).unwrap_or_default();
    assert!(line.contains("\"listening\"") && line.contains(role.name()), "{role}: {line}{said}");
    process
}
