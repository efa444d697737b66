//! Dealer and servers as threads of this process, hosted from configurations.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blindroute_placement::host::{Host, HostError};
use blindroute_placement::{Placement, PlacementError, PrivateRouter, RouteOptions, SessionRequest, Task};
use blindroute_protocol::{Meter, Tuning};
use blindroute_routing::bundle::{Activation, Attention, Bundle, SplitRandomness, split};
use blindroute_routing::program::{BundlePlan, NetworkEstimate};
use blindroute_runtime::config::{
    ClientConfig, DealerConfig, IdentityConfig, NetworkConfig, ServerConfig, TimeoutsConfig,
};
use blindroute_runtime::{CertificateFolder, Role, Scene, Shutdown};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One layer of the published encoder with 2ReLU and ReLU, whose program depends on the distance between the servers.
fn small_bundle() -> Bundle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/minilm.blindroute");
    let mut parts = Bundle::open(&path).unwrap().bundle.into_parts();
    parts.layers.truncate(1);
    parts.encoder.layers = 1;
    (parts.encoder.attention, parts.encoder.activation) = (Attention::TwoRelu, Activation::Relu);
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
            scores: false,
            exit_with_parent: true,
            timeouts: TimeoutsConfig::default(),
            network: None,
            between_servers: None,
        }
    }
}

/// The parties of a deployment as threads, and a client's configuration, which says nothing of the network.
struct Running {
    shutdown: Shutdown,
    threads: Vec<JoinHandle<Result<(), HostError>>>,
    client: ClientConfig,
}

impl Running {
    /// `change` is made to the configuration of each server.
    fn start(files: &Files, change: impl Fn(&mut ServerConfig)) -> Self {
        let shutdown = Shutdown::new();
        let server = |party, dealer: &str, peer| {
            let mut config = files.server(party, dealer, peer);
            change(&mut config);
            serve(Host::server(&config).unwrap(), &shutdown)
        };
        let (dealer, dealing) = serve(Host::dealer(&files.dealer()).unwrap(), &shutdown);
        let (server0, serving0) = server(0, &dealer, None);
        let (server1, serving1) = server(1, &dealer, Some(&server0));
        let client = ClientConfig {
            server0,
            server1,
            identity: files.identity(Role::Client),
            bundle: files.at("public.bin"),
            timeouts: TimeoutsConfig::default(),
            network: None,
        };
        Self { shutdown, threads: vec![dealing, serving0, serving1], client }
    }

    fn stop(self) {
        self.shutdown.trigger("the test is over");
        for thread in self.threads {
            thread.join().unwrap().unwrap();
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
    let running = Running::start(&files, |_| {});
    let router = PrivateRouter::connect(&running.client).unwrap().with_bundle(&bundle).unwrap();
    let choose = |placement| {
        let options = RouteOptions::default().with_placement(placement);
        router.route("What is the capital of France?", &options).unwrap().model
    };
    assert_eq!(choose(Placement::Full), choose(Placement::Local));
    running.stop();
}

const PROMPT: &str = "What is the capital of France?";
const TASK: Task = Task::Route { router: 0, bucket: 32 };

/// Runs the task with a request of one's own: the openings that a server reports.
fn openings_of(router: &PrivateRouter, request: SessionRequest) -> Result<u32, PlacementError> {
    let ids = router.tokens(PROMPT)?.ids;
    let inputs = router.route_inputs(0, &ids, 32, 0.1)?;
    Ok(router.private(request, &inputs)?.servers[0].openings)
}

#[test]
fn the_distance_between_the_servers_decides_how_many_openings_a_session_takes() {
    let bundle = small_bundle();
    let files = Files::of(&bundle);
    let plan = Arc::new(BundlePlan::of(&bundle));
    let cost = |tuning| Meter::cost(&SessionRequest::new(TASK).with_tuning(tuning).program(&plan).unwrap()).unwrap();
    let choice = |distance: Scene| {
        let network = NetworkEstimate { delay: distance.delay, megabits: distance.megabits };
        network.tune(&plan, SessionRequest::new(TASK)).unwrap().tuning.unwrap()
    };
    let far = choice(Scene::WAN);
    assert!(cost(far).openings < cost(Tuning::Near).openings, "{far:?}");
    let mut chosen = Vec::new();
    for (distance, tuning) in [(None, Tuning::Near), (Some(Scene::LAN), choice(Scene::LAN)), (Some(Scene::WAN), far)] {
        let running = Running::start(&files, |server| server.between_servers = distance.map(NetworkConfig::from));
        let router = PrivateRouter::connect(&running.client).unwrap();
        let report = router.route(PROMPT, &RouteOptions::default()).unwrap();
        assert_eq!(report.openings as usize, cost(tuning).openings, "{distance:?}");
        // A request that names a tuning gets it, near and far.
        for forced in [Tuning::Near, Tuning::Far] {
            let request = SessionRequest::new(TASK).with_tuning(forced);
            assert_eq!(openings_of(&router, request).unwrap() as usize, cost(forced).openings, "{distance:?}");
        }
        chosen.push(report.model);
        drop(router);
        running.stop();
    }
    assert!(chosen.iter().all(|model| *model == chosen[0]), "{chosen:?}");
}

#[test]
fn servers_that_disagree_about_their_distance_are_told_to_compare_their_configurations() {
    let files = Files::of(&small_bundle());
    let running = Running::start(&files, |server| {
        server.between_servers = (server.party == 0).then_some(NetworkConfig::from(Scene::WAN));
    });
    let router = PrivateRouter::connect(&running.client).unwrap();
    let started = Instant::now();
    let error = router.route(PROMPT, &RouteOptions::default()).unwrap_err();
    // It is not tried again: it would fail until an operator changes something.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(error.stops_all(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("chose different programs") && text.contains("compare the tables [between_servers]"),
        "{text}"
    );
    // What leaves nothing to choose works.
    assert!(openings_of(&router, SessionRequest::new(TASK).with_tuning(Tuning::Near)).is_ok());
    drop(router);
    running.stop();
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
