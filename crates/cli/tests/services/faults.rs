//! A deployment by hand, as across machines, and everything that its parties may do wrong: each ends in bounded time with an
//! error that says whom to look at, nothing is used twice, and the next session works.

use crate::harness::{self, Fleet, command, run, run_within, wait_for};
use blindroute_placement::BundleCatalogue;
use blindroute_protocol::Tensor;
use blindroute_routing::program::{RouteInputs, SessionRequest, Task};
use blindroute_runtime::messages::{
    ClientHello, Digest, FailureKind, Lane, LedgerId, MaterialGrant, MaterialRequest, ServerReady, SessionOpen,
    Standing, TermNonce,
};
use blindroute_runtime::session::{Catalogue, SessionOutcome};
use blindroute_runtime::{Client, FrameKind, Link, LinkError, Role, SessionError, SessionId, Timeouts};
use blindroute_testkit::{Direction, Proxy, StreamFault};
use std::ffi::OsStr;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PROMPT: &str = "What is the capital of France?";

fn patience(seconds: f64) -> Timeouts {
    let stall = Duration::from_secs_f64(seconds);
    Timeouts { connect: Duration::from_secs(3), handshake: Duration::from_secs(3), stall, ..Timeouts::default() }
}

/// A client in this process, and a task of a bucket with its inputs.
struct Caller {
    client: Client<BundleCatalogue>,
    request: Vec<u8>,
    inputs: Vec<Tensor<f32>>,
}

impl Caller {
    fn at(fleet: &Fleet, addresses: [String; 2], bucket: usize, stall: f64) -> Self {
        let public = fleet.public();
        let catalogue = Arc::new(BundleCatalogue::of(&public));
        let client = Client::new(catalogue, addresses, fleet.endpoint(Role::Client), patience(stall));
        let ids: Vec<u32> = (0..bucket as u32 - 5).map(|place| 1000 + place).collect();
        let inputs = RouteInputs::embed(&public.embedding, &public.encoder, &ids, bucket).unwrap();
        let features = public.plan.routers[0].lexical.map(|lexical| vec![0.25; lexical.width()]);
        let request = BundleCatalogue::encode(SessionRequest::new(Task::route(0, bucket)));
        Self { client, request, inputs: inputs.with_lexical(features).with_lambda(0.1) }
    }

    fn new(fleet: &Fleet, bucket: usize, stall: f64) -> Self {
        Self::at(fleet, [fleet.address(Role::Server0), fleet.address(Role::Server1)], bucket, stall)
    }

    fn run(&self) -> Result<SessionOutcome, SessionError> {
        self.client.run(&self.request, &self.inputs)
    }

    /// Runs, and gives the error's text; it must come within the limit.
    #[track_caller]
    fn fails(&self, limit: Duration) -> String {
        let started = Instant::now();
        let error = self.run().expect_err("it should fail").to_string();
        assert!(started.elapsed() < limit, "{:?}: {error}", started.elapsed());
        error
    }
}

#[test]
fn absent_parties_are_named() {
    let mut fleet = Fleet::new(4.0);
    let refused = |fleet: &Fleet, says: &[&str]| {
        let ran = fleet.route(PROMPT);
        let error = ran.error().to_owned();
        assert!(ran.took < Duration::from_secs(15), "{:?}", ran.took);
        for part in says {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
        error
    };
    refused(&fleet, &["cannot reach server0", &fleet.address(Role::Server0), "check that it runs"]);
    fleet.start(Role::Server0);
    refused(&fleet, &["cannot reach server1"]);
    fleet.start(Role::Server1);
    let told = refused(&fleet, &["gave up", "cannot reach dealer", "log says more", "session "]);
    assert!(!told.contains(&fleet.address(Role::Dealer)), "{told}");
    fleet.start(Role::Dealer);
    assert!(fleet.route(PROMPT).json()["openings"].as_u64() > Some(0));

    // Server 1 looks for server 0 where nobody is.
    fleet.kill(Role::Server1);
    fleet.reconfigure(Role::Server1, &format!("peer = \"{}\"", fleet.address(Role::Server0)), "peer = \"127.0.0.1:1\"");
    fleet.start(Role::Server1);
    let told = refused(&fleet, &["server1 gave up", "cannot reach server0", "log says more"]);
    assert!(!told.contains("127.0.0.1:1"), "{told}");
}

#[test]
fn parties_that_die_in_a_session_are_noticed_and_may_come_back() {
    let mut fleet = Fleet::new(10.0);
    fleet.start_all();
    let limit = Duration::from_secs(15);
    let mut long = Caller::new(&fleet, 256, 10.0);
    for (role, names) in [(Role::Server1, "server1"), (Role::Server0, "server0"), (Role::Dealer, "dealer")] {
        let ledger = fleet.ledger(role);
        let session = std::thread::spawn(move || {
            let error = long.fails(limit);
            (long, error)
        });
        wait_for("the session to begin", limit, || fleet.ledger(role) > ledger);
        fleet.kill(role);
        let (caller, error) = session.join().unwrap();
        long = caller;
        assert!(error.contains(names), "{role}: {error}");
        fleet.start(role);
        long.run().unwrap_or_else(|error| panic!("after {role} came back: {error}"));
    }
    // Between sessions: the client's kept links are dead, which is nobody's failure.
    for role in harness::SERVICES {
        fleet.kill(role);
        fleet.start(role);
    }
    long.run().unwrap();
    // A client that stays away longer than anyone's patience, too.
    drop(long);
    assert!(fleet.route(PROMPT).json()["model"].is_string());
}

#[test]
fn case_23_stalled_parties_are_given_up_on() {
    let stall = 1.5;
    let mut fleet = Fleet::new(stall);
    fleet.start_all();
    let caller = Caller::new(&fleet, 32, stall);
    caller.run().unwrap();
    for (role, names) in [(Role::Server0, "server0"), (Role::Server1, "server1"), (Role::Dealer, "dealer")] {
        fleet.process(role).signal("STOP");
        let error = caller.fails(Duration::from_secs(12));
        assert!(
            error.contains(names) && (error.contains("stalled") || error.contains("did not come")),
            "{role}: {error}"
        );
        fleet.process(role).signal("CONT");
        caller.run().unwrap_or_else(|error| panic!("after {role} went on: {error}"));
    }
    // A client that rests longer than the servers' patience is let go, and is served when it is back.
    std::thread::sleep(Duration::from_secs_f64(stall + 0.5));
    caller.run().unwrap();
    assert!(!fleet.log(Role::Server0).contains("client stalled"), "{}", fleet.log(Role::Server0));
}

#[test]
fn streams_that_are_cut_stalled_or_damaged_fail_one_session() {
    let stall = 1.5;
    let mut fleet = Fleet::new(stall);
    fleet.start_all();
    let target = |role: Role| fleet.address(role).parse().unwrap();
    for (after, fault) in [
        (3_000, StreamFault::Cut),
        (3_000, StreamFault::Stall),
        (3_000, StreamFault::Corrupt),
        (60_000, StreamFault::Cut),
        (60_000, StreamFault::Corrupt),
        (60_000, StreamFault::Stall),
    ] {
        // Toward server 1 goes the input, 99 kB of it.
        let proxy = Proxy::start(target(Role::Server1), Some((Direction::Forward, after, fault))).unwrap();
        let caller = Caller::at(&fleet, [fleet.address(Role::Server0), proxy.address().to_string()], 32, stall);
        let error = caller.fails(Duration::from_secs(12));
        assert!(error.contains("server"), "{after} {fault:?}: {error}");
    }
    let proxy = Proxy::start(target(Role::Server0), Some((Direction::Backward, 600, StreamFault::Corrupt))).unwrap();
    Caller::at(&fleet, [proxy.address().to_string(), fleet.address(Role::Server1)], 32, stall)
        .fails(Duration::from_secs(12));
    Caller::new(&fleet, 32, stall).run().unwrap();

    // Between the servers, and from the dealer: server 1 calls both through a proxy.
    for (role, direction, after) in [
        (Role::Server0, Direction::Backward, 400_000),
        (Role::Server0, Direction::Forward, 5_000_000),
        (Role::Dealer, Direction::Backward, 900_000),
    ] {
        let key = if role == Role::Dealer { "dealer" } else { "peer" };
        let address = fleet.address(role);
        let caller = Caller::new(&fleet, 32, stall);
        caller.run().unwrap();
        for fault in [StreamFault::Cut, StreamFault::Corrupt] {
            let proxy = Proxy::start(address.parse().unwrap(), Some((direction, after, fault))).unwrap();
            fleet.kill(Role::Server1);
            fleet.reconfigure(
                Role::Server1,
                &format!("{key} = \"{address}\""),
                &format!("{key} = \"{}\"", proxy.address()),
            );
            fleet.start(Role::Server1);
            let error = caller.fails(Duration::from_secs(12));
            assert!(error.contains("gave up") || error.contains("closed"), "{role} {direction:?} {fault:?}: {error}");
            fleet.reconfigure(
                Role::Server1,
                &format!("{key} = \"{}\"", proxy.address()),
                &format!("{key} = \"{address}\""),
            );
        }
        fleet.kill(Role::Server1);
        fleet.start(Role::Server1);
        caller.run().unwrap();
    }
}

/// Callers of each service whose certificates are right.
const CALLERS: [(Role, Role); 5] = [
    (Role::Client, Role::Server0),
    (Role::Server1, Role::Server0),
    (Role::Client, Role::Server1),
    (Role::Server0, Role::Dealer),
    (Role::Server1, Role::Dealer),
];

#[test]
fn garbage_at_every_port_does_not_disturb_the_next_session() {
    let mut fleet = Fleet::new(3.0);
    fleet.start_all();
    let caller = Caller::new(&fleet, 32, 3.0);
    caller.run().unwrap();
    // No TLS: noise, an HTTP request, half a hello, silence.
    let noise: Vec<u8> = (0..100_000u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut silent = Vec::new();
    for role in harness::SERVICES {
        for bytes in [noise.as_slice(), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0", b""] {
            let mut socket = TcpStream::connect(fleet.address(role)).unwrap();
            // It may be refused half-way.
            socket.write_all(bytes).ok();
            silent.push(socket);
        }
    }
    // The right certificate, the wrong frames: of every kind, empty, short, as long as the kind allows.
    let kinds: Vec<FrameKind> = (0..=255).filter_map(FrameKind::from_byte).collect();
    let timeouts = patience(3.0);
    for (from, to) in CALLERS {
        let endpoint = fleet.endpoint(from);
        for kind in &kinds {
            for length in [0, 1, 7, kind.limit()] {
                let mut link = Link::connect(&fleet.address(to), &endpoint, to, &timeouts).unwrap();
                link.send(*kind, &noise[..length.min(noise.len())]).ok();
                if length == 7 {
                    // Whatever it says, it says it soon and not with a panic.
                    let error = link.receive(FrameKind::Continuation).unwrap_err();
                    assert!(!error.to_string().contains("internal error"), "{from} to {to}, {kind}: {error}");
                }
            }
        }
    }
    caller.run().unwrap();
    for role in harness::SERVICES {
        assert!(!fleet.log(role).contains("panicked"), "{}", fleet.log(role));
    }
    // A hello that fits no program, or another deployment.
    let hello = |deployment: Digest, request: &[u8]| ClientHello {
        version: blindroute_runtime::messages::VERSION,
        session: SessionId::generate().unwrap(),
        deployment,
        request: request.to_vec(),
        continues: None,
        token: None,
    };
    let digest = BundleCatalogue::of(&fleet.public()).digest();
    for (message, kind, says) in [
        (hello(digest, b"{\"task\":\"route\",\"router\":0,\"bucket\":33}"), FailureKind::BadRequest, "33"),
        (hello(digest, b"{\"task\":\"route\",\"router\":9,\"bucket\":32}"), FailureKind::BadRequest, "9"),
        (hello(digest, &noise[..30_000]), FailureKind::BadRequest, "not a task"),
        (hello(Digest([7; 32]), b""), FailureKind::DigestMismatch, "both servers and the dealer"),
    ] {
        let mut link =
            Link::connect(&fleet.address(Role::Server0), &fleet.endpoint(Role::Client), Role::Server0, &timeouts)
                .unwrap();
        link.send_message(&message).unwrap();
        match link.receive_message::<ServerReady>() {
            Err(LinkError::Failed { failure, .. }) if failure.kind == kind => {
                assert!(failure.to_string().contains(says), "{failure}");
            }
            other => panic!("{kind:?}: {other:?}"),
        }
    }
    caller.run().unwrap();
}

#[test]
fn certificates_of_other_roles_and_other_deployments_are_refused() {
    let mut fleet = Fleet::new(3.0);
    fleet.start_all();
    let timeouts = patience(3.0);
    for (from, to) in [
        (Role::Dealer, Role::Server0),
        (Role::Server0, Role::Server1),
        (Role::Dealer, Role::Server1),
        (Role::Client, Role::Dealer),
    ] {
        let mut link = Link::connect(&fleet.address(to), &fleet.endpoint(from), to, &timeouts).unwrap();
        match link.receive(FrameKind::ServerReady) {
            Err(LinkError::Failed { failure, .. }) => assert_eq!(failure.kind, FailureKind::WrongRole),
            other => panic!("{from} to {to}: {other:?}"),
        }
    }
    // Calling one server where the other is due.
    let error = Link::connect(&fleet.address(Role::Server1), &fleet.endpoint(Role::Client), Role::Server0, &timeouts);
    assert!(matches!(error, Err(LinkError::Certificate { .. })), "{error:?}");
    // Certificates made by another authority.
    let strangers = fleet.home.path().join("strangers");
    assert_eq!(run(&["certificates".as_ref(), "--out".as_ref(), strangers.as_os_str()]).code, Some(0));
    fleet.reconfigure(Role::Client, "certificates/", "strangers/");
    let ran = fleet.route(PROMPT);
    assert!(ran.error().contains("by an authority in") && ran.error().contains("strangers"), "{}", ran.stderr);
}

#[test]
fn case_04_shares_of_two_splits_or_one_position_are_refused() {
    let mut fleet = Fleet::new(4.0);
    let other = fleet.home.path().join("other");
    let small = fleet.home.path().join("small.blindroute");
    let arguments: [&OsStr; 6] =
        ["bundle".as_ref(), "split".as_ref(), "--bundle".as_ref(), small.as_ref(), "--out".as_ref(), other.as_ref()];
    assert_eq!(run(&arguments).code, Some(0));
    fleet.start(Role::Dealer);
    fleet.start(Role::Server0);
    // The other server's share; a share of another split; the public part of another split.
    for (from, to, says) in [
        ("bundle/share1", "bundle/share0", "give each server its own share file"),
        ("bundle/share1", "other/share1", "different splits"),
        ("bundle/public", "other/public", "different splits"),
    ] {
        fleet.reconfigure(Role::Server1, from, to);
        let ran = run_within(Duration::from_secs(20), fleet.service(Role::Server1), b"");
        assert!(ran.error().contains(says), "{}", ran.stderr);
        fleet.reconfigure(Role::Server1, to, from);
    }
    // Another split altogether: it starts, and refuses the first session.
    fleet.reconfigure(Role::Server1, "\"bundle/", "\"other/");
    fleet.start(Role::Server1);
    let ran = fleet.route(PROMPT);
    let error = ran.error();
    assert!(error.contains("server1 gave up: it does not hold this version"), "{error}");
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    fleet.kill(Role::Server1);

    // Forged: a server 1 that says it holds position 0's share. The dealer notices, and so does server 0.
    let catalogue = BundleCatalogue::of(&fleet.public());
    let digest = catalogue.digest();
    let request = BundleCatalogue::encode(SessionRequest::new(Task::route(0, 32)));
    let request = catalogue.resolve(&request).unwrap();
    let timeouts = patience(4.0);
    let endpoint = fleet.endpoint(Role::Server1);
    let connect = |role: Role| Link::connect(&fleet.address(role), &endpoint, role, &timeouts).unwrap();
    let session = SessionId::generate().unwrap();
    let ask = |party| MaterialRequest {
        version: blindroute_runtime::messages::VERSION,
        session,
        party,
        deployment: digest,
        request: request.clone(),
    };
    let mut dealer = connect(Role::Dealer);
    dealer.send_message(&ask(0)).unwrap();
    let error = dealer.receive_message::<MaterialGrant>().unwrap_err().to_string();
    assert!(error.contains("share of position 0"), "{error}");

    let mut client =
        Link::connect(&fleet.address(Role::Server0), &fleet.endpoint(Role::Client), Role::Server0, &timeouts).unwrap();
    client
        .send_message(&ClientHello {
            version: blindroute_runtime::messages::VERSION,
            session,
            deployment: digest,
            request: request.clone(),
            continues: None,
            token: None,
        })
        .unwrap();
    let mut dealer = connect(Role::Dealer);
    dealer.send_message(&ask(1)).unwrap();
    let grant: MaterialGrant = dealer.receive_message().unwrap();
    let mut lane = connect(Role::Server0);
    let open = SessionOpen {
        version: blindroute_runtime::messages::VERSION,
        session,
        party: 0,
        lane: Lane::ToServer0,
        deployment: digest,
        epoch: grant.epoch,
        request: Digest([0; 32]),
        audit: 0,
        standing: Standing { ledger: LedgerId([1; 16]), term: 1, nonce: TermNonce([2; 16]), claimed: 1 },
    };
    lane.send_message(&open).unwrap();
    let error = lane.receive_message::<SessionOpen>().unwrap_err().to_string();
    assert!(error.contains("share of position 0"), "{error}");
    let error = client.receive_message::<ServerReady>().unwrap_err().to_string();
    assert!(error.contains("share of position 0"), "{error}");

    // The right server 1 comes, and all is well.
    fleet.reconfigure(Role::Server1, "\"other/", "\"bundle/");
    fleet.start(Role::Server1);
    assert!(fleet.route(PROMPT).json()["model"].is_string());
}

#[test]
fn a_session_is_used_once_whatever_crashes() {
    let mut fleet = Fleet::new(4.0);
    fleet.start_all();
    let digest = BundleCatalogue::of(&fleet.public()).digest();
    let request = BundleCatalogue::encode(SessionRequest::new(Task::head(0)));
    let timeouts = patience(8.0);
    let client = fleet.endpoint(Role::Client);
    let connect = |fleet: &Fleet, role: Role| Link::connect(&fleet.address(role), &client, role, &timeouts).unwrap();
    let begin = |fleet: &Fleet, session| {
        let mut links = [connect(fleet, Role::Server0), connect(fleet, Role::Server1)];
        for link in &mut links {
            link.send_message(&ClientHello {
                version: blindroute_runtime::messages::VERSION,
                session,
                deployment: digest,
                request: request.clone(),
                continues: None,
                token: None,
            })
            .unwrap();
        }
        links
    };
    let reused = |link: &mut Link| match link.receive_message::<ServerReady>() {
        Err(LinkError::Failed { failure, .. }) => {
            assert_eq!(failure.kind, FailureKind::SessionReused);
            assert!(failure.to_string().contains("start a new"), "{failure}");
        }
        other => panic!("a session was used twice: {other:?}"),
    };
    // As far as ready: material has been dealt and prepared. Then every process is killed.
    let session = SessionId::generate().unwrap();
    let mut links = begin(&fleet, session);
    links.iter_mut().for_each(|link| assert_eq!(link.receive_message::<ServerReady>().unwrap().session, session));
    // A replay while it is under way, and one after the crash.
    begin(&fleet, session).iter_mut().for_each(reused);
    for role in harness::SERVICES {
        fleet.kill(role);
    }
    fleet.start_all();
    begin(&fleet, session).iter_mut().for_each(reused);

    // The dealer keeps its own book: servers that lost theirs get no second deal.
    for role in [Role::Server0, Role::Server1] {
        fleet.kill(role);
        std::fs::remove_dir_all(fleet.home.path().join(format!("state-{role}"))).unwrap();
        fleet.start(role);
    }
    for mut link in begin(&fleet, session) {
        let error = link.receive_message::<ServerReady>().unwrap_err().to_string();
        assert!(error.contains("used before") || error.contains("session failed"), "{error}");
    }
    // New sessions work, and a failed one is consumed as well.
    let consumed = SessionId::generate().unwrap();
    drop(begin(&fleet, consumed));
    let ledger = fleet.ledger(Role::Server1);
    assert!(fleet.route(PROMPT).json()["model"].is_string());
    assert!(fleet.ledger(Role::Server1) > ledger || ledger == 0);
    begin(&fleet, consumed).iter_mut().for_each(reused);

    // One state directory serves one process; a damaged one serves none.
    let second = run_within(Duration::from_secs(20), fleet.service(Role::Server0), b"");
    assert!(second.error().contains("its own state directory"), "{}", second.stderr);
    fleet.kill(Role::Server0);
    let path = fleet.home.path().join("state-server0/sessions.ledger");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = run_within(Duration::from_secs(20), fleet.service(Role::Server0), b"");
    assert!(damaged.error().contains("is damaged") && damaged.error().contains("set up a new deployment"));
}

#[test]
fn a_full_service_says_so_and_a_stopped_one_ends_its_sessions() {
    let mut fleet = Fleet::new(4.0);
    fleet.reconfigure(Role::Server0, "party = 0", "party = 0\nmax_sessions = 1");
    fleet.start_all();
    let endpoint = fleet.endpoint(Role::Client);
    let address = fleet.address(Role::Server0);
    let call = || Link::connect(&address, &endpoint, Role::Server0, &patience(4.0)).unwrap();
    let held = [call(), call()];
    std::thread::sleep(Duration::from_millis(200));
    let error = call().receive(FrameKind::ServerReady).unwrap_err().to_string();
    assert!(error.contains("limit of sessions"), "{error}");
    drop(held);
    std::thread::sleep(Duration::from_millis(200));
    assert!(fleet.route(PROMPT).json()["model"].is_string());
    // A signal ends a service though a client holds a link to it.
    let _held = call();
    fleet.process(Role::Server0).signal("TERM");
    let process = fleet.process(Role::Server0).0.id();
    harness::all_gone(&[process], Duration::from_secs(8));
    let version = command(&["--version"]).output().unwrap();
    assert!(version.status.success());
}
