//! Programs of different versions of the messages: neighbours work together, and others are told what to do, over real TLS.
#![allow(clippy::unwrap_used)]

use crate::world::{FOUR, PATIENT, World, numbers, squares};
use blindroute_runtime::messages::{Failure, FailureKind, Spoken, VERSION};
use blindroute_runtime::session::MATERIAL_BUDGET;
use blindroute_runtime::{CertificateFolder, Endpoint, FrameKind, Link, LinkError, Message as _, Role};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

const OLD: Spoken = Spoken { oldest: VERSION, newest: VERSION };
/// A later program, which speaks the version before its own too.
const NEW: Spoken = Spoken { oldest: VERSION, newest: VERSION + 1 };
/// One after it.
const NEXT: Spoken = Spoken { oldest: VERSION + 1, newest: VERSION + 2 };

/// Server 0, server 1, dealer.
fn world(spoken: [Spoken; 3]) -> World {
    let mut world = World::stopped(PATIENT, MATERIAL_BUDGET, |_| {});
    world.spoken = spoken;
    world.run_all();
    world
}

#[test]
fn parties_that_are_upgraded_one_after_the_other_work_together() {
    // In the order that operators keep to, and with a client that came first or last.
    for spoken in [[OLD; 3], [OLD, OLD, NEW], [NEW, OLD, NEW], [NEW; 3]] {
        let world = world(spoken);
        for client in [OLD, NEW] {
            squares(&world.client_speaking(client).run(FOUR, &numbers(3.0)).unwrap().output, 3.0);
        }
        for (index, party) in spoken.iter().take(2).enumerate() {
            let call = |spoken: Spoken| {
                let client = world.endpoint(Role::Client).speaking(spoken).unwrap();
                let role = [Role::Server0, Role::Server1][index];
                Link::connect(world.address(index), &client, role, &PATIENT).unwrap().version()
            };
            assert_eq!((call(OLD), call(NEW)), (VERSION, party.newest));
        }
    }
}

#[test]
fn a_party_that_was_left_behind_is_named() {
    // Both servers and the client would run a session of a version that the dealer does not know.
    let error = world([NEW, NEW, OLD]).client_speaking(NEW).run(FOUR, &numbers(3.0)).unwrap_err();
    assert!(!error.is_temporary(), "{error}");
    let said = error.to_string();
    let expected = format!("dealer speaks version {VERSION}, expected version {} for this session", VERSION + 1);
    assert!(said.contains(&expected) && said.contains("update the older program"), "{said}");
    // A session that all parties can run goes on.
    squares(&world([NEW, NEW, OLD]).client_speaking(OLD).run(FOUR, &numbers(3.0)).unwrap().output, 3.0);
    // Two versions further, nothing does; a client and a server are told what a server knows.
    for (spoken, party) in [([OLD, OLD, NEXT], "dealer"), ([OLD, NEXT, NEW], "server1")] {
        let error = world(spoken).client_speaking(OLD).run(FOUR, &numbers(3.0)).unwrap_err();
        assert!(!error.is_temporary(), "{error}");
        let said = error.to_string();
        let expected = format!("{party} speaks versions {} to {}", NEXT.oldest, NEXT.newest);
        assert!(said.contains(&expected) && said.contains("update the older program"), "{said}");
    }
}

fn home() -> (tempfile::TempDir, CertificateFolder) {
    let home = tempfile::tempdir().unwrap();
    let folder = CertificateFolder::generate(&home.path().join("certificates")).unwrap();
    (home, folder)
}

/// Answers one call as a server.
fn answering(endpoint: Endpoint) -> (String, std::thread::JoinHandle<Result<Link, LinkError>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = move || Link::accept(listener.accept().unwrap().0, &endpoint, &[Role::Client], &PATIENT);
    (address, std::thread::spawn(answer))
}

#[test]
fn both_sides_hear_which_versions_the_other_speaks() {
    let (_home, folder) = home();
    let endpoint = |role, spoken| Endpoint::load(role, &folder.identity(role)).unwrap().speaking(spoken).unwrap();
    for (answers, calls) in [(OLD, NEXT), (NEXT, OLD)] {
        let (address, answer) = answering(endpoint(Role::Server0, answers));
        let called = Link::connect(&address, &endpoint(Role::Client, calls), Role::Server0, &PATIENT);
        let errors = [called.unwrap_err(), answer.join().unwrap().unwrap_err()];
        for (error, peer, theirs, ours) in
            [(&errors[0], "server0", answers, calls), (&errors[1], "client", calls, answers)]
        {
            let says = format!("{peer} speaks {theirs} of the messages, expected {ours}: update the older program");
            assert!(error.to_string().starts_with(&says), "{error}");
        }
    }
    // Who has no certificate of the deployment is refused for that.
    let (_elsewhere, strangers) = self::home();
    let stranger = Endpoint::load(Role::Client, &strangers.identity(Role::Client)).unwrap().speaking(NEXT).unwrap();
    let (address, answer) = answering(endpoint(Role::Server0, OLD));
    let refused = Link::connect(&address, &stranger, Role::Server0, &PATIENT).unwrap_err();
    assert!(matches!(refused, LinkError::Certificate { .. }), "{refused}");
    assert!(matches!(answer.join().unwrap(), Err(LinkError::Certificate { .. })));
}

/// The certificate and key of a role, as a program takes them that does not offer names of versions.
fn plain(folder: &Path, role: Role) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let read = |name: String| folder.join("certificates").join(name);
    let chain = CertificateDer::pem_file_iter(read(format!("{role}.pem"))).unwrap().map(Result::unwrap).collect();
    (chain, PrivateKeyDer::from_pem_file(read(format!("{role}.key"))).unwrap())
}

/// A frame of a message, as programs have sent it at all times.
fn frame(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
    [&[kind as u8], &(payload.len() as u32).to_le_bytes()[..], payload].concat()
}

#[test]
fn programs_from_before_versions_were_agreed_on_are_refused_in_words() {
    let (home, folder) = home();
    let endpoint = |role| Endpoint::load(role, &folder.identity(role)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authority = home.path().join("certificates/authority.pem");
    // An old client says hello in version 9, and reads why it is refused.
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let (chain, key) = plain(home.path(), Role::Client);
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let (address, answer) = answering(endpoint(Role::Server0));
    let name = ServerName::try_from("server0.blindroute").unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    stream.write_all(&frame(FrameKind::ClientHello, &[&[9, 0], &[0; 53][..]].concat())).unwrap();
    let said = Failure::new(FailureKind::OtherVersion, &OLD.to_string());
    let (mut read, expected) = (Vec::new(), frame(FrameKind::Failure, &said.encode()));
    stream.read_to_end(&mut read).ok();
    assert_eq!(read, expected);
    let error = answer.join().unwrap().unwrap_err();
    assert!(error.to_string().starts_with("client speaks none that it names, so an older version, of"), "{error}");
    // An old server closes the connection on what it does not understand.
    let (chain, key) = plain(home.path(), Role::Server0);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let old = std::thread::spawn(move || {
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut socket = listener.accept().unwrap().0;
        let mut stream = rustls::Stream::new(&mut connection, &mut socket);
        let mut heard = vec![0; 5];
        stream.read_exact(&mut heard).unwrap();
        heard
    });
    let error = Link::connect(&address, &endpoint(Role::Client), Role::Server0, &PATIENT).unwrap_err();
    assert!(error.to_string().starts_with("server0 speaks none that it names, so an older version, of"), "{error}");
    assert_eq!(
        old.join().unwrap()[0],
        FrameKind::Failure as u8,
        "nothing else is sent to a party of an unknown version"
    );
}
