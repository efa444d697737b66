//! Three operators with an authority each: whose certificates count for which role, and certificates that change while the parties
//! run.
#![allow(clippy::unwrap_used)]

use crate::world::{FOUR, PATIENT, World, numbers, squares, wait_for};
use blindroute_runtime::identity::{Issued, Reloaded};
use blindroute_runtime::{Authority, CertificateFolder, Endpoint, FrameKind, IdentityFiles, Link, LinkError, Role};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);
const OPERATORS: [Role; 3] = [Role::Server0, Role::Server1, Role::Dealer];

/// The files of all parties, in one folder, and the operators' authorities.
struct Operators {
    folder: PathBuf,
    authorities: BTreeMap<Role, Authority>,
}

impl Operators {
    /// Each operator's authority and certificate, and a client's certificate by the operator of server 1.
    fn new(folder: &Path) -> Self {
        let authorities = OPERATORS.map(|role| (role, Authority::generate().unwrap())).into_iter().collect();
        let operators = Self { folder: folder.to_owned(), authorities };
        for role in OPERATORS {
            operators.trust(role, &[&operators.authorities[&role]]);
            operators.give(role, &operators.authorities[&role].issue(role, "x").unwrap());
        }
        operators.give(Role::Client, &operators.authorities[&Role::Server1].issue(Role::Client, "x").unwrap());
        operators
    }

    fn give(&self, role: Role, issued: &Issued) {
        std::fs::write(self.folder.join(format!("{role}.key")), issued.key.as_bytes()).unwrap();
        std::fs::write(self.folder.join(format!("{role}.pem")), &issued.certificate).unwrap();
    }

    /// What all parties have of an operator's authority.
    fn trust(&self, operator: Role, authorities: &[&Authority]) {
        let all: String = authorities.iter().map(|authority| authority.certificate()).collect();
        std::fs::write(self.folder.join(format!("authority-{operator}.pem")), all).unwrap();
    }

    fn files(folder: &Path, role: Role) -> IdentityFiles {
        let authority = |operator: Role| folder.join(format!("authority-{operator}.pem"));
        let mut authorities: BTreeMap<Role, Vec<PathBuf>> = OPERATORS.map(|role| (role, vec![authority(role)])).into();
        authorities.insert(Role::Client, vec![authority(Role::Server0), authority(Role::Server1)]);
        IdentityFiles {
            authority: authority(Role::Dealer),
            authorities,
            certificate: folder.join(format!("{role}.pem")),
            key: folder.join(format!("{role}.key")),
        }
    }

    fn world() -> (Self, World) {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().to_owned();
        let operators = Self::new(&folder);
        let world = World::watching(home, Box::new(move |role| Self::files(&folder, role)));
        (operators, world)
    }

    /// An endpoint with a certificate that is not in the parties' files.
    fn other(&self, role: Role, issued: &Issued) -> Endpoint {
        let (certificate, key) = (self.folder.join("other.pem"), self.folder.join("other.key"));
        std::fs::write(&key, issued.key.as_bytes()).unwrap();
        std::fs::write(&certificate, &issued.certificate).unwrap();
        // It trusts itself, whoever issued it.
        let authority = self.folder.join("other-authority.pem");
        let all: String = self.authorities.values().map(Authority::certificate).collect();
        std::fs::write(&authority, all).unwrap();
        let files = IdentityFiles { certificate, key, ..Self::files(&self.folder, role) };
        let authorities = files
            .authorities
            .iter()
            .map(|(of, paths)| (*of, if *of == role { vec![authority.clone()] } else { paths.clone() }));
        Endpoint::load(role, &IdentityFiles { authorities: authorities.collect(), ..files.clone() }).unwrap()
    }
}

/// One call: what the caller and the one who answers make of it.
fn call(caller: &Endpoint, answerer: &Endpoint, allowed: &[Role]) -> (Result<(), LinkError>, Result<(), LinkError>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (endpoint, allowed) = (answerer.clone(), allowed.to_vec());
    let answering = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        Link::accept(socket, &endpoint, &allowed, &PATIENT)?.send(FrameKind::ServerReady, b"welcome")
    });
    let called = Link::connect(&address, caller, answerer.role(), &PATIENT)
        .and_then(|mut link| link.receive(FrameKind::ServerReady).map(|_| ()));
    (called, answering.join().unwrap())
}

#[test]
fn case_27_an_authority_vouches_for_the_role_of_its_operator_and_for_no_other() {
    let home = tempfile::tempdir().unwrap();
    let operators = Operators::new(home.path());
    let endpoint = |role| Endpoint::load(role, &Operators::files(home.path(), role)).unwrap();
    let (zero, one, dealer, client) =
        (endpoint(Role::Server0), endpoint(Role::Server1), endpoint(Role::Dealer), endpoint(Role::Client));
    for (caller, answerer) in [(&one, &zero), (&zero, &dealer), (&one, &dealer), (&client, &zero), (&client, &one)] {
        let (called, answered) = call(caller, answerer, &[caller.role()]);
        assert!(called.is_ok() && answered.is_ok(), "{called:?} {answered:?}");
    }
    // A client's certificate may be of either server's operator, and not of the dealer's.
    let issue = |operator: Role, role| operators.authorities[&operator].issue(role, "x").unwrap();
    let (called, _) = call(&operators.other(Role::Client, &issue(Role::Server0, Role::Client)), &zero, &[Role::Client]);
    assert!(called.is_ok(), "{called:?}");
    for (operator, role, answerer) in [
        (Role::Dealer, Role::Client, &zero),
        (Role::Server0, Role::Server1, &dealer),
        (Role::Server1, Role::Server0, &dealer),
        (Role::Dealer, Role::Server1, &zero),
    ] {
        let caller = operators.other(role, &issue(operator, role));
        let (called, answered) = call(&caller, answerer, &[role]);
        let (told, error) = (called.unwrap_err().to_string(), answered.unwrap_err());
        assert!(matches!(error, LinkError::NotVouched { role: found, .. } if found == role), "{error}");
        let says = error.to_string();
        let file = Operators::files(home.path(), role).authorities_of(role)[0].display().to_string();
        assert!(says.contains(role.name()) && says.contains(&file), "{says}");
        assert!(told.contains("another deployment") && !told.contains(&file), "{told}");
    }
    // Called: whoever answers needs a certificate of the authority for that role.
    let impostor = operators.other(Role::Server1, &issue(Role::Server0, Role::Server1));
    let (called, _) = call(&client, &impostor, &[Role::Client]);
    let error = called.unwrap_err().to_string();
    assert!(error.contains("server1") && error.contains("authority-server1.pem"), "{error}");
}

#[test]
fn case_27_no_expired_foreign_and_shared_certificates_are_refused_with_a_reason() {
    let home = tempfile::tempdir().unwrap();
    let operators = Operators::new(home.path());
    let endpoint = |role| Endpoint::load(role, &Operators::files(home.path(), role)).unwrap();
    let (zero, one, client) = (endpoint(Role::Server0), endpoint(Role::Server1), endpoint(Role::Client));

    // Of another authority, which is a self-signed one to this deployment.
    let foreign = CertificateFolder::generate(&home.path().join("foreign")).unwrap();
    let stranger = Endpoint::load(Role::Server1, &foreign.identity(Role::Server1)).unwrap();
    let (called, _) = call(&client, &stranger, &[Role::Client]);
    let error = called.unwrap_err().to_string();
    assert!(error.contains("do not match") && error.contains("authority-server1.pem"), "{error}");
    let caller = IdentityFiles {
        certificate: foreign.identity(Role::Client).certificate,
        key: foreign.identity(Role::Client).key,
        authorities: [(Role::Client, vec![foreign.authority()])]
            .into_iter()
            .chain(OPERATORS.map(|role| (role, Operators::files(home.path(), role).authorities_of(role).to_vec())))
            .collect(),
        ..Operators::files(home.path(), Role::Client)
    };
    let (called, answered) = call(&Endpoint::load(Role::Client, &caller).unwrap(), &zero, &[Role::Client]);
    let (told, error) = (called.unwrap_err().to_string(), answered.unwrap_err().to_string());
    assert!(error.contains("for client by an authority in") && error.contains("authority-server0.pem"), "{error}");
    assert!(told.contains("server0 to trust the authority of") && told.contains("client.pem"), "{told}");

    // The key of the own certificate, under another role's name.
    let key = std::fs::read_to_string(Operators::files(home.path(), Role::Server0).key).unwrap();
    let certificate = operators.authorities[&Role::Server1].renew(Role::Server1, "x", &key).unwrap();
    let shared = Issued { certificate, key: key.into() };
    let (called, answered) = call(&operators.other(Role::Server1, &shared), &zero, &[Role::Server1]);
    assert!(matches!(called.unwrap_err(), LinkError::SameKey { .. }));
    assert!(answered.is_err());

    // Expired long ago, and within the tolerance of ten minutes.
    for (ago, good) in [(Duration::from_secs(300), true), (Duration::from_secs(3600), false)] {
        let until = SystemTime::now() - ago;
        let issued = operators.authorities[&Role::Server1].issue_for(Role::Server1, "x", until - DAY, DAY).unwrap();
        if good {
            let (called, answered) = call(&client, &operators.other(Role::Server1, &issued), &[Role::Client]);
            assert!(called.is_ok() && answered.is_ok(), "{called:?} {answered:?}");
            continue;
        }
        operators.give(Role::Server1, &issued);
        let error =
            Endpoint::load(Role::Server1, &Operators::files(home.path(), Role::Server1)).unwrap_err().to_string();
        assert!(error.contains("expired at") && error.contains("clock here says") && error.contains("UTC"), "{error}");
        // A party that has run since before it expired keeps it, and the others refuse it.
        assert_eq!(one.look_again(), Reloaded::Kept);
    }
    // No certificate at all.
    let (called, answered) = without_certificate(&zero, operators.authorities[&Role::Server0].certificate());
    assert!(called, "the call was answered");
    let error = answered.unwrap_err().to_string();
    assert!(error.contains("presented no certificate") || error.contains("peer sent no certificates"), "{error}");
}

/// Calls with TLS and no certificate. Whether the caller was refused, and what the other side says.
fn without_certificate(answerer: &Endpoint, authority: &str) -> (bool, Result<(), LinkError>) {
    use rustls::pki_types::pem::PemObject as _;
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = answerer.clone();
    let answering = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        Link::accept(socket, &endpoint, &[Role::Client], &PATIENT).map(|_| ())
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("server0.blindroute").unwrap();
    let mut connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    let refused = stream.write_all(b"x").is_err() || stream.read(&mut [0]).is_err();
    (refused, answering.join().unwrap())
}

#[test]
fn certificates_and_authorities_change_while_sessions_run() {
    let (mut operators, world) = Operators::world();
    let long = world.client();
    let runs = || {
        squares(&long.run(FOUR, &numbers(3.0)).unwrap().output, 3.0);
        squares(&world.client().run(FOUR, &numbers(5.0)).unwrap().output, 5.0);
    };
    // A session that was prepared before the changes, and is used after them.
    let ready = world.client().prepare(FOUR).unwrap();
    runs();
    let shown = || world.link(1).peer_validity().unwrap().until;
    let all = || world.endpoints.iter().flatten();

    // Another certificate and key: one file after the other, as an operator writes them.
    let issued =
        operators.authorities[&Role::Server1].issue_for(Role::Server1, "x", SystemTime::now(), 100 * DAY).unwrap();
    let before = shown();
    std::fs::write(operators.folder.join("server1.pem"), &issued.certificate).unwrap();
    assert_eq!(world.endpoints[1].as_ref().unwrap().look_again(), Reloaded::Kept);
    assert_eq!(shown(), before, "half of a change is none");
    runs();
    std::fs::write(operators.folder.join("server1.key"), issued.key.as_bytes()).unwrap();
    wait_for("the new certificate", || shown() != before);
    runs();

    // Another authority: everybody trusts it beside the old one, then the certificate changes, then the old one goes.
    let new = Authority::generate().unwrap();
    operators.trust(Role::Server1, &[&new, &operators.authorities[&Role::Server1]]);
    all().for_each(|endpoint| assert_ne!(endpoint.look_again(), Reloaded::Kept));
    runs();
    let before = shown();
    operators.give(Role::Server1, &new.issue_for(Role::Server1, "x", SystemTime::now(), 50 * DAY).unwrap());
    wait_for("the certificate of the new authority", || shown() != before);
    runs();
    let late = operators.authorities[&Role::Server1].issue(Role::Server1, "x").unwrap();
    let late = operators.other(Role::Server1, &late);
    operators.authorities.insert(Role::Server1, new);
    // The client's certificate is of that authority too.
    operators.give(Role::Client, &operators.authorities[&Role::Server1].issue(Role::Client, "x").unwrap());
    operators.trust(Role::Server1, &[&operators.authorities[&Role::Server1]]);
    all().for_each(|endpoint| assert_ne!(endpoint.look_again(), Reloaded::Kept));
    runs();
    squares(&ready.run(long.share(FOUR, &numbers(7.0)).unwrap()).unwrap().output, 7.0);

    // Now nothing of the old authority counts.
    let refused = Link::connect(world.address(0), &late, Role::Server0, &PATIENT)
        .and_then(|mut link| link.receive(FrameKind::ServerReady));
    assert!(matches!(refused.unwrap_err(), LinkError::Certificate { .. }));
}

#[test]
fn files_that_cannot_be_used_leave_what_was_read_before() {
    let home = tempfile::tempdir().unwrap();
    let operators = Operators::new(home.path());
    let load = |role| Endpoint::load(role, &Operators::files(home.path(), role)).unwrap();
    let (zero, client) = (load(Role::Server0), load(Role::Client));
    let good = std::fs::read(home.path().join("server0.pem")).unwrap();
    let works = || call(&client, &zero, &[Role::Client]).0.is_ok();
    assert_eq!(zero.look_again(), Reloaded::Unchanged);
    for broken in [&b""[..], &good[..good.len() / 2], &std::fs::read(home.path().join("dealer.pem")).unwrap()] {
        std::fs::write(home.path().join("server0.pem"), broken).unwrap();
        assert!(zero.look_again() == Reloaded::Kept && works());
    }
    std::fs::remove_file(home.path().join("server0.pem")).unwrap();
    assert!(zero.look_again() == Reloaded::Kept && works());
    operators.give(Role::Server0, &operators.authorities[&Role::Server0].issue(Role::Server0, "x").unwrap());
    assert!(zero.look_again() == Reloaded::Replaced && works());
    // When they end: the own certificate, and every authority.
    let mut dated: Vec<(&str, Role)> = zero.dated().iter().map(|dated| (dated.what, dated.role)).collect();
    dated.sort_unstable();
    let mut expected: Vec<(&str, Role)> = OPERATORS.map(|role| ("authority", role)).into();
    // The client's authorities are those of the servers.
    expected[0] = ("authority", Role::Client);
    expected[1] = ("authority", Role::Client);
    expected.push(("certificate", Role::Server0));
    expected.sort_unstable();
    assert_eq!(dated, expected);
    let days = |dated: &blindroute_runtime::Dated| dated.validity.days_left(SystemTime::now());
    assert!(zero.dated().iter().all(|dated| days(dated) >= 396));
}
