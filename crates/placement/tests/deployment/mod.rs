//! A deployment whose dealer and servers are threads of this process.
// Each test binary uses its part.
#![allow(dead_code, unreachable_pub)]

use blindroute_placement::host::{Host, HostError};
use blindroute_routing::bundle::{Bundle, SplitRandomness, split};
use blindroute_runtime::config::{
    AuditConfig, ClientConfig, DealerConfig, IdentityConfig, ServerConfig, TimeoutsConfig,
};
use blindroute_runtime::{CertificateFolder, FileLedger, Role, Shutdown};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// The folder of a deployment's files.
pub struct Files(tempfile::TempDir);

impl Files {
    pub fn of(bundle: &Bundle) -> Self {
        Self::split(bundle, 7)
    }

    /// Another `seed` is another split.
    pub fn split(bundle: &Bundle, seed: u8) -> Self {
        let home = tempfile::tempdir().unwrap();
        let parts = split(bundle, &SplitRandomness::new(&[seed; SplitRandomness::BYTES])).unwrap();
        std::fs::write(home.path().join("public.bin"), &parts.public).unwrap();
        for (party, share) in parts.shares.iter().enumerate() {
            std::fs::write(home.path().join(format!("share{party}.bin")), share).unwrap();
        }
        CertificateFolder::generate(&home.path().join("certificates")).unwrap();
        Self(home)
    }

    pub fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub fn identity(&self, role: Role) -> IdentityConfig {
        IdentityConfig {
            authorities: Default::default(),
            authority: self.at("certificates/authority.pem"),
            certificate: self.at(&format!("certificates/{role}.pem")),
            key: self.at(&format!("certificates/{role}.key")),
        }
    }

    pub fn client(&self, servers: [&str; 2]) -> ClientConfig {
        let [server0, server1] = servers.map(str::to_owned);
        ClientConfig {
            name: None,
            server0,
            server1,
            identity: self.identity(Role::Client),
            secret: None,
            passes: None,
            bundle: self.at("public.bin"),
            next: None,
            report_choices: false,
            report_within_seconds: 300.0,
            timeouts: TimeoutsConfig::default(),
            network: None,
        }
    }

    pub fn dealer(&self) -> DealerConfig {
        DealerConfig {
            development: false,
            listen: "127.0.0.1:0".to_owned(),
            identity: self.identity(Role::Dealer),
            bundle: self.at("public.bin"),
            next: None,
            state: self.at("state-dealer"),
            max_sessions: 2,
            ledger: None,
            max_handshakes: 8,
            exit_with_parent: true,
            observe: None,
            timeouts: TimeoutsConfig::default(),
            network: None,
        }
    }

    pub fn server(&self, party: u8, dealer: &str, peer: Option<&str>) -> ServerConfig {
        ServerConfig {
            development: false,
            sealing_key: None,
            party,
            listen: "127.0.0.1:0".to_owned(),
            dealer: dealer.to_owned(),
            peer: peer.map(str::to_owned),
            identity: self.identity([Role::Server0, Role::Server1][usize::from(party)]),
            bundle: self.at("public.bin"),
            next: None,
            share: self.at(&format!("share{party}.bin")),
            state: self.at(&format!("state-server{party}")),
            max_sessions: 2,
            max_sessions_per_client: None,
            max_handshakes: 8,
            measurements: false,
            scores: false,
            exit_with_parent: true,
            observe: None,
            timeouts: TimeoutsConfig::default(),
            network: None,
            between_servers: None,
            hand_over: Vec::new(),
            accept_hand_over: Vec::new(),
            store: None,
            audit: AuditConfig::default(),
            choices: None,
            clients: None,
            passes: false,
            ledger: None,
        }
    }
}

/// The parties of a deployment as threads, and a client's configuration, which says nothing of the network.
pub struct Running {
    shutdown: Shutdown,
    threads: Vec<JoinHandle<Result<(), HostError>>>,
    pub client: ClientConfig,
}

impl Running {
    /// `change` is made to the configuration of each server.
    pub fn start(files: &Files, change: impl Fn(&mut ServerConfig)) -> Self {
        let shutdown = Shutdown::new();
        let server = |party, dealer: &str, peer| {
            let mut config = files.server(party, dealer, peer);
            change(&mut config);
            serve(Host::server(&config, || Ok(ledger(&config.state))).unwrap(), &shutdown)
        };
        let config = files.dealer();
        let (dealer, dealing) = serve(Host::dealer(&config, || Ok(ledger(&config.state))).unwrap(), &shutdown);
        let (server0, serving0) = server(0, &dealer, None);
        let (server1, serving1) = server(1, &dealer, Some(&server0));
        let client = files.client([&server0, &server1]);
        Self { shutdown, threads: vec![dealing, serving0, serving1], client }
    }

    /// Ends the parties.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    pub fn stop(self) {
        self.shutdown.trigger("the test is over");
        for thread in self.threads {
            thread.join().unwrap().unwrap();
        }
    }
}

pub fn ledger(state: &Path) -> Arc<FileLedger> {
    Arc::new(FileLedger::open(state).unwrap())
}

pub fn serve(host: Host, shutdown: &Shutdown) -> (String, JoinHandle<Result<(), HostError>>) {
    let (address, shutdown) = (host.address().to_string(), shutdown.clone());
    (address, std::thread::spawn(move || host.run(&shutdown)))
}
