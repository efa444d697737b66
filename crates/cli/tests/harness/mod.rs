//! Runs the real program: bounded in time, killed on drop, in a temporary folder of its own.
// Each test binary uses its part.
#![allow(dead_code, unreachable_pub)]

use blindroute_routing::bundle::{
    Activation, Attention, Bundle, Classifier, ClassifierPool, ClassifierTask, Gain, LinearLayer, Matrix, PublicPart,
};
use blindroute_runtime::{Endpoint, Role};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// The default bundle, as the repository ships it.
pub fn default_bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute")
}

/// One layer of the published encoder with 2ReLU and ReLU, for tests of everything but the choice. Its program depends on how far
/// the servers are from each other.
pub fn small_bundle(folder: &Path) -> PathBuf {
    let published = default_bundle().with_file_name("minilm.blindroute");
    let mut parts = Bundle::open(&published).unwrap().bundle.into_parts();
    parts.layers.truncate(1);
    parts.encoder.layers = 1;
    (parts.encoder.attention, parts.encoder.activation) = (Attention::TwoRelu, Activation::Relu);
    let path = folder.join("small.blindroute");
    std::fs::write(&path, Bundle::new(parts).unwrap().write().unwrap()).unwrap();
    path
}

/// The gain from which texts of task `topic` go on in the open: some of those that tests classify, not all.
const THRESHOLD: f32 = 0.0;

/// Two layers of the default encoder with two exits, and two tasks whose weights mean nothing: `topic`, which has a threshold, and
/// `same` for pairs, which has none.
pub fn pool_bundle(folder: &Path) -> PathBuf {
    pool_bundle_with_labels(folder, ["red", "green", "blue"])
}

/// The same with these labels.
pub fn pool_bundle_with_labels(folder: &Path, labels: [&str; 3]) -> PathBuf {
    pool_bundle_of(&folder.join("pool.blindroute"), labels, 2)
}

/// One layer with one exit, past which texts of task `topic` with these labels go on to a larger encoder.
pub fn small_pool_bundle(folder: &Path, labels: [&str; 3]) -> PathBuf {
    pool_bundle_of(&folder.join("small.blindroute"), labels, 1)
}

/// Writes a pool of one layer or two to this file.
fn pool_bundle_of(path: &Path, labels: [&str; 3], layers: usize) -> PathBuf {
    let mut parts = Bundle::open(&default_bundle()).unwrap().bundle.into_parts();
    parts.layers.truncate(layers);
    parts.encoder.layers = layers;
    let hidden = parts.encoder.hidden;
    let linear = |outputs: usize, seed: usize| {
        let weight = |row: usize, column: usize| ((row * 31 + column * 17 + seed * 7) % 19) as f32 / 40.0 - 0.2;
        LinearLayer { weight: Matrix::from_fn(hidden, outputs, weight), bias: Matrix::from_fn(1, outputs, weight) }
    };
    let classifier = |name: &str, pair| Classifier {
        task: ClassifierTask {
            name: name.to_owned(),
            labels: labels.map(str::to_owned).to_vec(),
            pair,
            capacities: vec![0.5; layers - 1],
            thresholds: if pair { Vec::new() } else { vec![THRESHOLD] },
        },
        heads: (1..=layers).map(|seed| linear(3, seed)).collect(),
        gains: if pair { vec![Gain::Quadratic(linear(4, 3)); layers - 1] } else { vec![Gain::Quadratic(linear(4, 3))] },
    };
    let tasks = vec![classifier("topic", false), classifier("same", true)];
    parts.pool = Some(ClassifierPool { exits: (1..=layers).collect(), tasks });
    std::fs::write(path, Bundle::new(parts).unwrap().write().unwrap()).unwrap();
    path.to_owned()
}

/// Writes a file and gives its path.
pub fn write(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ran {
    /// The whole of stdout as one JSON object.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Each line of stdout as JSON.
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one `error:` line of a run that failed as it should: nothing on stdout, no panic.
    #[track_caller]
    pub fn error(&self) -> &str {
        assert!(self.code.is_some_and(|code| code != 0), "it should fail: {self:?}");
        assert_eq!(self.stdout, "", "a failure prints no result");
        self.error_line()
    }

    /// As [`Ran::error`], whatever stdout holds.
    #[track_caller]
    pub fn error_line(&self) -> &str {
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("RUST_BACKTRACE"), "{}", self.stderr);
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(errors.len(), 1, "one error line: {}", self.stderr);
        errors[0]
    }
}

/// A command of the program under test.
pub fn command<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blindroute"));
    command.args(arguments).env_remove("BLINDROUTE_LOG").env_remove("RUST_BACKTRACE");
    command
}

/// Runs it to its end, within `limit`.
#[track_caller]
pub fn run_within(limit: Duration, mut command: Command, stdin: &[u8]) -> Ran {
    let started = Instant::now();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process(command.spawn().unwrap());
    let stdout = collect(process.0.stdout.take().unwrap());
    let stderr = collect(process.0.stderr.take().unwrap());
    let (mut pipe, stdin) = (process.0.stdin.take().unwrap(), stdin.to_vec());
    // A program that does not read its input must not block us.
    std::thread::spawn(move || pipe.write_all(&stdin).ok());
    let status = process.ended(limit);
    let Some(status) = status else {
        drop(process);
        panic!("not done after {limit:?}; it said: {}", stderr.join().unwrap());
    };
    Ran { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), took: started.elapsed() }
}

/// Runs it to its end, within a minute.
#[track_caller]
pub fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Ran {
    run_within(Duration::from_secs(60), command(arguments), b"")
}

fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).ok();
        String::from_utf8(bytes).expect("output is UTF-8")
    })
}

/// A process that is killed when dropped.
pub struct Process(pub Child);

impl Process {
    pub fn ended(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return Some(status),
                None if Instant::now() >= until => return None,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// The first line that it writes to its stdout, which has to be piped; empty if it ends without one.
    pub fn first_line(&mut self, limit: Duration) -> String {
        let (send, line) = std::sync::mpsc::channel();
        let mut stdout = BufReader::new(self.0.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_line(&mut text).ok();
            send.send(text).ok();
        });
        line.recv_timeout(limit).unwrap()
    }

    pub fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Sends a signal to one process.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(sent.success(), "kill -{name} {process}");
}

/// The living children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if status(process).is_some_and(|(state, of)| of == parent && state != 'Z') {
            found.push(process);
        }
    }
    found
}

/// State and parent of a process.
fn status(process: u32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Waits until none of these processes runs any more.
#[track_caller]
pub fn all_gone(processes: &[u32], limit: Duration) {
    wait_for("processes to be gone", limit, || {
        processes.iter().all(|process| status(*process).is_none_or(|(state, _)| state == 'Z'))
    });
}

#[track_caller]
pub fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < until, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Names of what a folder holds.
pub fn entries(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Fails if any file under the folder holds the text.
#[track_caller]
pub fn nowhere_in_files(folder: &Path, text: &str) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files += nowhere_in_files(&path, text);
        } else {
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "{} holds the prompt", path.display());
        }
    }
    files
}

/// The folder, files and processes of a deployment that is configured by hand.
pub struct Fleet {
    pub home: tempfile::TempDir,
    /// Ports of server 0, server 1 and dealer.
    pub ports: [u16; 3],
    running: [Option<(Process, ChildStdin)>; 3],
}

/// Server 0, server 1 and dealer, in the order of [`Fleet::ports`].
pub const SERVICES: [Role; 3] = [Role::Server0, Role::Server1, Role::Dealer];

impl Fleet {
    /// Everything but the processes, made with the program's own commands; `stall` is every party's patience.
    pub fn new(stall: f64) -> Self {
        Self::with(stall, small_bundle)
    }

    /// The same with another bundle, made in the folder.
    pub fn with(stall: f64, make: impl Fn(&Path) -> PathBuf) -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name).into_os_string();
        let bundle = make(home.path()).into_os_string();
        let split = run(&["bundle".into(), "split".into(), "--bundle".into(), bundle, "--out".into(), at("bundle")]);
        assert_eq!(split.code, Some(0), "{}", split.stderr);
        let made = run(&["certificates".into(), "--out".into(), at("certificates")]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        // Held together, so that they differ.
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners.map(|listener| listener.local_addr().unwrap().port());
        let fleet = Self { home, ports, running: [None, None, None] };
        for role in Role::ALL {
            fleet.write_configuration(role, stall);
        }
        fleet
    }

    fn write_configuration(&self, role: Role, stall: f64) {
        let [zero, one, dealer] = self.ports.map(|port| format!("\"127.0.0.1:{port}\""));
        let own = match role {
            Role::Client => format!("server0 = {zero}\nserver1 = {one}\n"),
            Role::Dealer => format!("listen = {dealer}\n"),
            Role::Server0 => format!("party = 0\nlisten = {zero}\ndealer = {dealer}\nshare = \"bundle/share0.bin\"\n"),
            Role::Server1 => {
                format!("party = 1\nlisten = {one}\npeer = {zero}\ndealer = {dealer}\nshare = \"bundle/share1.bin\"\n")
            }
        };
        let service = if role == Role::Client {
            String::new()
        } else {
            // They follow this test's process, should it be killed.
            format!("state = \"state-{role}\"\nexit_with_parent = true\n")
        };
        let text = format!(
            "{own}{service}bundle = \"bundle/public.bin\"\n[identity]\nauthority = \"certificates/authority.pem\"\n\
             certificate = \"certificates/{role}.pem\"\nkey = \"certificates/{role}.key\"\n\
             [timeouts]\nconnect_seconds = 3.0\nhandshake_seconds = 3.0\nstall_seconds = {stall:?}\n"
        );
        std::fs::write(self.configuration(role), text).unwrap();
    }

    pub fn configuration(&self, role: Role) -> PathBuf {
        self.home.path().join(format!("{role}.toml"))
    }

    /// Replaces text in a party's configuration.
    pub fn reconfigure(&self, role: Role, from: &str, to: &str) {
        let path = self.configuration(role);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// The command that runs a service.
    pub fn service(&self, role: Role) -> Command {
        let configuration = self.configuration(role).into_os_string();
        match role.party() {
            Some(party) => command(&[
                "server".into(),
                "--party".into(),
                party.to_string().into(),
                "--config".into(),
                configuration,
            ]),
            None => command(&["dealer".into(), "--config".into(), configuration]),
        }
    }

    /// Starts a service and waits until it listens. Its log goes to a file beside its configuration.
    pub fn start(&mut self, role: Role) {
        let log = self.home.path().join(format!("{role}.log"));
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.service(role);
        command.arg("-vv").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = Process(command.spawn().unwrap());
        let stdin = process.0.stdin.take().unwrap();
        let line = process.first_line(Duration::from_secs(30));
        assert!(line.contains("\"listening\""), "{role} does not listen; its log: {}", self.log(role));
        self.running[index(role)] = Some((process, stdin));
    }

    pub fn start_all(&mut self) {
        [Role::Dealer, Role::Server0, Role::Server1].into_iter().for_each(|role| self.start(role));
    }

    pub fn process(&self, role: Role) -> &Process {
        &self.running[index(role)].as_ref().expect("it runs").0
    }

    /// Kills a service as a crash would.
    pub fn kill(&mut self, role: Role) {
        self.running[index(role)] = None;
    }

    pub fn log(&self, role: Role) -> String {
        std::fs::read_to_string(self.home.path().join(format!("{role}.log"))).unwrap_or_default()
    }

    /// Bytes of a service's ledger: they grow when a session is entered.
    pub fn ledger(&self, role: Role) -> u64 {
        let path = self.home.path().join(format!("state-{role}/sessions.ledger"));
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    }

    /// `route` with this deployment's servers, in one try.
    pub fn route(&self, prompt: &str) -> Ran {
        let configuration = self.configuration(Role::Client);
        let options: [&OsStr; 5] =
            ["--json".as_ref(), "--retry".as_ref(), "0".as_ref(), "--config".as_ref(), configuration.as_ref()];
        run(&[&["route".as_ref(), prompt.as_ref()], options.as_slice()].concat())
    }

    pub fn public(&self) -> PublicPart {
        PublicPart::open(&self.home.path().join("bundle/public.bin")).unwrap()
    }

    /// What a party proves itself with.
    pub fn endpoint(&self, role: Role) -> Endpoint {
        let deployment = blindroute_runtime::CertificateFolder::open(&self.home.path().join("certificates"));
        Endpoint::load(role, &deployment.identity(role)).unwrap()
    }

    pub fn address(&self, role: Role) -> String {
        format!("127.0.0.1:{}", self.ports[index(role)])
    }
}

fn index(role: Role) -> usize {
    SERVICES.iter().position(|service| *service == role).expect("a service")
}
