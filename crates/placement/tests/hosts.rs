//! Dealer and servers as threads of this process, hosted from configurations.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blindroute_placement::host::{Host, HostError};
use blindroute_placement::{Placement, PrivateRouter, RouteOptions};
use blindroute_routing::bundle::{Bundle, SplitRandomness, split};
use blindroute_runtime::config::{ClientConfig, DealerConfig, IdentityConfig, ServerConfig, TimeoutsConfig};
use blindroute_runtime::{CertificateFolder, Role, Shutdown};
use std::path::Path;
use std::thread::JoinHandle;

fn small_bundle() -> Bundle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
    let mut parts = Bundle::open(&path).unwrap().bundle.into_parts();
    parts.layers.truncate(1);
    parts.encoder.layers = 1;
    Bundle::new(parts).unwrap()
}

/// The folder of a deployment's files.
struct Files(tempfile::TempDir);

impl Files {
    fn of(bundle: &Bundle) -> Self {
        let home = tempfile::tempdir().unwrap();
        let parts = split(bundle, &SplitRandomness::new(&[7; SplitRandomness::BYTES])).unwrap();
        std::fs::write(home.path().join("public.bin"), &parts.public).unwrap();
        for (party, share) in parts.shares.iter().enumerate() {
            std::fs::write(home.path().join(format!("share{party}.bin")), share).unwrap();
        }
        CertificateFolder::generate(&home.path().join("certificates")).unwrap();
        Self(home)
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn identity(&self, role: Role) -> IdentityConfig {
        IdentityConfig {
            authority: self.at("certificates/authority.pem"),
            certificate: self.at(&format!("certificates/{role}.pem")),
            key: self.at(&format!("certificates/{role}.key")),
        }
    }

    fn dealer(&self) -> DealerConfig {
        DealerConfig {
            listen: "127.0.0.1:0".to_owned(),
            identity: self.identity(Role::Dealer),
            bundle: self.at("public.bin"),
            state: self.at("state-dealer"),
            max_sessions: 2,
            max_handshakes: 8,
            exit_with_parent: true,
            timeouts: TimeoutsConfig::default(),
            network: None,
        }
    }

    fn server(&self, party: u8, dealer: &str, peer: Option<&str>) -> ServerConfig {
        ServerConfig {
            party,
            listen: "127.0.0.1:0".to_owned(),
            dealer: dealer.to_owned(),
            peer: peer.map(str::to_owned),
            identity: self.identity([Role::Server0, Role::Server1][usize::from(party)]),
            bundle: self.at("public.bin"),
            share: self.at(&format!("share{party}.bin")),
            state: self.at(&format!("state-server{party}")),
            max_sessions: 2,
            max_sessions_per_client: None,
            max_handshakes: 8,
            measurements: false,
            exit_with_parent: true,
            timeouts: TimeoutsConfig::default(),
            network: None,
        }
    }
}

fn serve(host: Host, shutdown: &Shutdown) -> (String, JoinHandle<Result<(), HostError>>) {
    let (address, shutdown) = (host.address().to_string(), shutdown.clone());
    (address, std::thread::spawn(move || host.run(&shutdown)))
}

#[test]
fn threads_of_one_process_route_a_prompt_and_end_when_told() {
    let bundle = small_bundle();
    let files = Files::of(&bundle);
    let shutdown = Shutdown::new();
    let (dealer, dealing) = serve(Host::dealer(&files.dealer()).unwrap(), &shutdown);
    let (server0, serving0) = serve(Host::server(&files.server(0, &dealer, None)).unwrap(), &shutdown);
    let (server1, serving1) = serve(Host::server(&files.server(1, &dealer, Some(&server0))).unwrap(), &shutdown);
    let client = ClientConfig {
        server0,
        server1,
        identity: files.identity(Role::Client),
        bundle: files.at("public.bin"),
        timeouts: TimeoutsConfig::default(),
        network: None,
    };
    let router = PrivateRouter::connect(&client).unwrap().with_bundle(&bundle).unwrap();
    let choose = |placement| {
        let options = RouteOptions::default().with_placement(placement);
        router.route("What is the capital of France?", &options).unwrap().model
    };
    assert_eq!(choose(Placement::Full), choose(Placement::Local));
    shutdown.trigger("the test is over");
    for thread in [dealing, serving0, serving1] {
        thread.join().unwrap().unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let files = Files::of(&small_bundle());
    let mut config = files.server(0, "127.0.0.1:1", None);
    config.share = files.at("share1.bin");
    let error = Host::server(&config).unwrap_err().to_string();
    assert!(error.contains("share1.bin: it is the share of party 1, expected that of party 0"), "{error}");
    config.bundle = files.at("share1.bin");
    let error = Host::server(&config).unwrap_err().to_string();
    assert!(error.starts_with("public part ") && error.contains("router-public"), "{error}");
}
