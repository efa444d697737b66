//! A service in a process of its own: readiness, TLS, and the three ways it ends without an orphan.
//!
//! Not a libtest harness: the same binary is the child (`--serve`), and the parent that dies (`--die`).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use blindroute_runtime::{
    CertificateFolder, ChildProcess, ChildSpec, Connection, Endpoint, FrameKind, Link, LinkError, Role, Service,
    ServiceOptions, Shutdown, Timeouts,
};

const LIMIT: Duration = Duration::from_secs(10);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--serve", home] => serve(Path::new(home)),
        ["--die", home] => die(Path::new(home)),
        _ if cfg!(unix) => {
            let home = tempfile::tempdir().unwrap();
            let deployment = CertificateFolder::generate(home.path()).unwrap();
            ends_with_its_input(&deployment, home.path());
            ends_on_a_signal(home.path());
            stays_when_told_to_ignore_a_hangup(home.path());
            follows_a_killed_parent(home.path());
            println!("process: ok");
        }
        _ => {}
    }
}

fn specification(home: &Path) -> ChildSpec {
    ChildSpec {
        role: Role::Server0,
        executable: std::env::current_exe().unwrap(),
        arguments: vec!["--serve".into(), home.into()],
    }
}

fn serve(home: &Path) {
    let identity = CertificateFolder::open(home).identity(Role::Server0);
    let endpoint = Endpoint::load(Role::Server0, &identity).unwrap();
    let service = Service::bind("127.0.0.1:0", endpoint, ServiceOptions::new(&[Role::Client])).unwrap();
    let shutdown = Shutdown::new();
    shutdown.on_signals().unwrap();
    shutdown.on_end_of(std::io::stdin()).unwrap();
    service.announce(std::io::stdout()).unwrap();
    service
        .run(&shutdown, |mut connection: Connection| -> Result<(), LinkError> {
            while let Some(message) = connection.link.receive_or_end(FrameKind::ClientHello)? {
                connection.link.send(FrameKind::ServerReady, &message)?;
            }
            Ok(())
        })
        .unwrap();
}

/// Starts a child, names it, and waits to be killed.
fn die(home: &Path) {
    let (child, address) = ChildProcess::spawn(&specification(home), LIMIT).unwrap();
    // Ourselves in the form of a readiness line, so that the test can use the same reader; the child's number on
    // the standard error.
    eprintln!("{}", child.process());
    println!("{{\"listening\":\"{address}\",\"role\":\"server0\"}}");
    std::thread::sleep(Duration::from_secs(60));
}

fn ends_with_its_input(deployment: &CertificateFolder, home: &Path) {
    let (child, address) = ChildProcess::spawn(&specification(home), LIMIT).unwrap();
    let endpoint = Endpoint::load(Role::Client, &deployment.identity(Role::Client)).unwrap();
    let mut link = Link::connect(&address.to_string(), &endpoint, Role::Server0, &Timeouts::default()).unwrap();
    link.send(FrameKind::ClientHello, b"hello").unwrap();
    assert_eq!(link.receive(FrameKind::ServerReady).unwrap(), b"hello");
    #[cfg(target_os = "linux")]
    assert!(blindroute_runtime::peak_rss_mib_of(child.process()).is_some_and(|mib| mib < 200));
    link.close();
    assert!(child.stop(LIMIT), "the service had to be killed");
}

fn ends_on_a_signal(home: &Path) {
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        if signal == "HUP" && Shutdown::ignores_hangups() {
            continue;
        }
        let (mut child, _) = ChildProcess::spawn(&specification(home), LIMIT).unwrap();
        send(signal, child.process());
        let start = Instant::now();
        let error = loop {
            match child.check() {
                Ok(()) => assert!(start.elapsed() < LIMIT, "SIG{signal} was ignored"),
                Err(error) => break error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(error.contains("exit status: 0"), "SIG{signal}: {error}");
    }
}

/// Under `nohup`, whoever started it wants it to outlive its terminal.
fn stays_when_told_to_ignore_a_hangup(home: &Path) {
    let (program, mut specification) = (std::env::current_exe().unwrap(), specification(home));
    specification.executable = "/bin/sh".into();
    let script = "trap '' HUP; exec \"$0\" --serve \"$1\"";
    specification.arguments = vec!["-c".into(), script.into(), program.into(), home.into()];
    let (mut child, _) = ChildProcess::spawn(&specification, LIMIT).unwrap();
    if Path::new("/proc/self/status").exists() {
        send("HUP", child.process());
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            child.check().unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    // It listens still: to its input's end.
    assert!(child.stop(LIMIT), "the service had to be killed");
}

fn follows_a_killed_parent(home: &Path) {
    let parent = Command::new(std::env::current_exe().unwrap())
        .arg("--die")
        .arg(home)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let mut parent = parent.unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(parent.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let grandchild: u32 = line.trim().parse().unwrap();
    assert!(alive(grandchild));
    // No chance to clean up.
    parent.kill().unwrap();
    parent.wait().unwrap();
    let start = Instant::now();
    while alive(grandchild) {
        assert!(start.elapsed() < LIMIT, "process {grandchild} is an orphan");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn send(signal: &str, process: u32) {
    assert!(Command::new("kill").arg(format!("-{signal}")).arg(process.to_string()).status().unwrap().success());
}

/// Running, and not merely waiting to be reaped by whoever inherited it.
fn alive(process: u32) -> bool {
    let stat = format!("/proc/{process}/stat");
    let state = if Path::new("/proc/self/stat").exists() {
        // "1234 (name) S ...": nothing if the process is gone.
        let stat = std::fs::read_to_string(stat).unwrap_or_default();
        stat.rsplit_once(") ").map(|(_, state)| state.to_owned()).unwrap_or_default()
    } else {
        let listed = Command::new("ps").args(["-o", "stat=", "-p", &process.to_string()]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    };
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}
