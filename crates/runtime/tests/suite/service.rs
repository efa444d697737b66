//! Services over real loopback sockets: limits, contained panics, graceful end.
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use blindroute_runtime::messages::FailureKind;
use blindroute_runtime::{
    CertificateFolder, Connection, Endpoint, FrameKind, Link, LinkError, Role, Service, ServiceError, ServiceOptions,
    Shutdown, Timeouts,
};

const QUICK: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    handshake: Duration::from_secs(2),
    stall: Duration::from_secs(2),
    message: Duration::from_secs(5),
    ready: Duration::from_secs(5),
};

struct World {
    _home: tempfile::TempDir,
    deployment: CertificateFolder,
    address: String,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), ServiceError>>,
}

impl World {
    fn start(
        change: impl FnOnce(&mut ServiceOptions),
        handler: impl Fn(Connection) -> Result<(), LinkError> + Send + Sync + 'static,
    ) -> World {
        let home = tempfile::tempdir().unwrap();
        let deployment = CertificateFolder::generate(home.path()).unwrap();
        let endpoint = Endpoint::load(Role::Server0, &deployment.identity(Role::Server0)).unwrap();
        let mut options = ServiceOptions::new(&[Role::Client, Role::Server1]);
        options.timeouts = QUICK;
        options.grace = Duration::from_millis(300);
        change(&mut options);
        let service = Service::bind("127.0.0.1:0", endpoint, options).unwrap();
        let address = service.address().to_string();
        let mut line = Vec::new();
        service.announce(&mut line).unwrap();
        assert_eq!(line, format!("{{\"listening\":\"{address}\",\"role\":\"server0\"}}\n").into_bytes());
        let shutdown = Shutdown::new();
        let flag = shutdown.clone();
        let running = std::thread::spawn(move || service.run(&flag, handler));
        World { _home: home, deployment, address, shutdown, running }
    }

    fn call(&self, role: Role) -> Link {
        let endpoint = Endpoint::load(role, &self.deployment.identity(role)).unwrap();
        Link::connect(&self.address, &endpoint, Role::Server0, &QUICK).unwrap()
    }

    fn stop(self) -> Duration {
        let start = Instant::now();
        self.shutdown.trigger("the test is over");
        self.running.join().unwrap().unwrap();
        start.elapsed()
    }
}

fn echo(mut connection: Connection) -> Result<(), LinkError> {
    while let Some(message) = connection.link.receive_or_end(FrameKind::ClientHello)? {
        assert!(message != b"panic", "the handler was told to panic");
        connection.link.send(FrameKind::ServerReady, &message)?;
    }
    Ok(())
}

#[test]
fn a_panic_ends_one_session_and_the_service_goes_on() {
    let world = World::start(|_| {}, echo);
    let mut bad = world.call(Role::Client);
    let mut good = world.call(Role::Server1);
    bad.send(FrameKind::ClientHello, b"panic").unwrap();
    assert!(matches!(bad.receive(FrameKind::ServerReady), Err(LinkError::Closed { .. })));
    for round in 0..3_u8 {
        good.send(FrameKind::ClientHello, &[round]).unwrap();
        assert_eq!(good.receive(FrameKind::ServerReady).unwrap(), [round]);
    }
    let mut again = world.call(Role::Client);
    again.send(FrameKind::ClientHello, b"x").unwrap();
    assert_eq!(again.receive(FrameKind::ServerReady).unwrap(), b"x");
    good.close();
    again.close();
    assert!(world.stop() < Duration::from_millis(250));
}

#[test]
fn a_role_over_its_limit_is_told_so_and_others_still_enter() {
    let world = World::start(|options| options.max_sessions = 1, echo);
    let mut held: Vec<Link> = (0..2).map(|_| world.call(Role::Client)).collect();
    for link in &mut held {
        link.send(FrameKind::ClientHello, b"here").unwrap();
        link.receive(FrameKind::ServerReady).unwrap();
    }
    let error = world.call(Role::Client).receive(FrameKind::ServerReady).unwrap_err();
    assert!(matches!(&error, LinkError::Failed { failure, .. } if failure.kind == FailureKind::Busy), "{error}");
    let mut other = world.call(Role::Server1);
    other.send(FrameKind::ClientHello, b"x").unwrap();
    assert_eq!(other.receive(FrameKind::ServerReady).unwrap(), b"x");
    // A place that is left can be taken.
    held.pop().unwrap().close();
    let start = Instant::now();
    loop {
        let mut link = world.call(Role::Client);
        let entered = link.send(FrameKind::ClientHello, b"y").is_ok() && link.receive(FrameKind::ServerReady).is_ok();
        if entered {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    world.stop();
}

#[test]
fn stopping_closes_sessions_that_do_not_end() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let world = World::start(
        |options| options.timeouts.stall = Duration::from_secs(20),
        move |connection| {
            let result = echo(connection);
            count.fetch_add(1, Ordering::SeqCst);
            result
        },
    );
    let mut link = world.call(Role::Client);
    link.send(FrameKind::ClientHello, b"x").unwrap();
    link.receive(FrameKind::ServerReady).unwrap();
    // A caller that never finishes its handshake is disconnected as well.
    let silent = TcpStream::connect(&world.address).unwrap();
    assert!(world.stop() < Duration::from_secs(2));
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert!(link.receive(FrameKind::ServerReady).is_err());
    drop(silent);
}

#[test]
fn an_address_in_use_is_explained() {
    let world = World::start(|_| {}, echo);
    let endpoint = Endpoint::load(Role::Dealer, &world.deployment.identity(Role::Dealer)).unwrap();
    let error = Service::bind(&world.address, endpoint, ServiceOptions::new(&[])).unwrap_err().to_string();
    assert!(error.contains(&world.address) && error.contains("free port"), "{error}");
    world.stop();
}

#[test]
fn a_service_that_drains_finishes_sessions_with_the_other_parties_and_takes_no_client() {
    let world = World::start(|options| options.grace = Duration::from_secs(60), echo);
    let mut running = world.call(Role::Client);
    running.send(FrameKind::ClientHello, b"x").unwrap();
    assert_eq!(running.receive(FrameKind::ServerReady).unwrap(), b"x");
    world.shutdown.trigger("the test drains it");
    let error = world.call(Role::Client).receive(FrameKind::ServerReady).unwrap_err();
    assert!(matches!(&error, LinkError::Failed { failure, .. } if failure.kind == FailureKind::Stopping), "{error}");
    let mut lane = world.call(Role::Server1);
    for link in [&mut lane, &mut running] {
        link.send(FrameKind::ClientHello, b"y").unwrap();
        assert_eq!(link.receive(FrameKind::ServerReady).unwrap(), b"y");
    }
    assert!(!world.running.is_finished(), "it waits for what runs");
    lane.close();
    running.close();
    assert!(world.stop() < Duration::from_secs(20), "nothing runs any more");
}
