//! Connected links for this crate's tests.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::time::Duration;

use crate::{CertificateFolder, Endpoint, Link, Role, Scene, Timeouts};

pub(crate) const QUICK: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    handshake: Duration::from_secs(2),
    stall: Duration::from_millis(400),
    message: Duration::from_secs(5),
    ready: Duration::from_secs(5),
};

/// One deployment for all tests: making keys takes longer than most of them.
pub(crate) fn endpoint(role: Role) -> Endpoint {
    static ALL: OnceLock<Vec<Endpoint>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let deployment = CertificateFolder::generate(home.path()).unwrap();
        Role::ALL.iter().map(|role| Endpoint::load(*role, &deployment.identity(*role)).unwrap()).collect()
    });
    all.iter().find(|endpoint| endpoint.role() == role).unwrap().clone()
}

/// Two ends of a TLS link over loopback: the caller's and the answerer's.
pub(crate) fn linked(caller: Role, answerer: Role, timeouts: Timeouts) -> (Link, Link) {
    linked_in(caller, answerer, timeouts, [None; 2])
}

/// As [`linked`], each side in a scene.
pub(crate) fn linked_in(caller: Role, answerer: Role, timeouts: Timeouts, scenes: [Option<Scene>; 2]) -> (Link, Link) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepting = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        Link::accept(socket, &endpoint(answerer).in_scene(scenes[1]), &[caller], &timeouts).unwrap()
    });
    let link = Link::connect(&address, &endpoint(caller).in_scene(scenes[0]), answerer, &timeouts).unwrap();
    (link, accepting.join().unwrap())
}
