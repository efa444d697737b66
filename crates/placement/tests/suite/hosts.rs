//! Dealer and servers as threads of this process, hosted from configurations.

use crate::deployment::{Files, Running, ledger, serve};
use blindroute_placement::host::Host;
use blindroute_placement::{Placement, PlacementError, PrivateRouter, RouteOptions, SessionRequest, Task};
use blindroute_protocol::{Meter, Tuning};
use blindroute_routing::bundle::{Activation, Attention, Bundle};
use blindroute_routing::program::{BundlePlan, NetworkEstimate};
use blindroute_runtime::clients::Accounts;
use blindroute_runtime::config::NetworkConfig;
use blindroute_runtime::{Claim, Ledger, LedgerError, Retry, Role, Scene, SessionId, Shutdown, Standing};
use std::path::Path;
use std::sync::Arc;
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
const TASK: Task = Task::route(0, 32);

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
    let error = Host::server(&config, || Ok(ledger(&config.state))).unwrap_err().to_string();
    assert!(error.contains("share1.bin: it is the share of party 1, expected that of party 0"), "{error}");
    config.bundle = files.at("share1.bin");
    let error = Host::server(&config, || Ok(ledger(&config.state))).unwrap_err().to_string();
    assert!(error.starts_with("public part ") && error.contains("router-public"), "{error}");
    assert!(!config.state.exists(), "no ledger is opened before the other files are known to be good");
}

/// A ledger that another process has opened.
#[derive(Debug)]
struct Taken(Arc<dyn Ledger>);

impl Ledger for Taken {
    fn claim(&self, _: SessionId, _: Option<&Standing>) -> Result<Claim, LedgerError> {
        Err(LedgerError::Fenced { ledger: "server0".to_owned(), ours: 1 })
    }
    fn check(&self) -> Result<(), LedgerError> {
        Err(LedgerError::Fenced { ledger: "server0".to_owned(), ours: 1 })
    }
    fn standing(&self) -> Standing {
        self.0.standing()
    }
    fn other(&self) -> Option<Standing> {
        self.0.other()
    }
    fn entries(&self) -> Result<u64, LedgerError> {
        self.0.entries()
    }
    fn forget_other(&self) -> Result<(), LedgerError> {
        self.0.forget_other()
    }
    fn accounts(self: Arc<Self>, role: Role) -> Option<Arc<dyn Accounts>> {
        Arc::clone(&self.0).accounts(role)
    }
}

#[test]
fn a_server_whose_ledger_was_taken_over_stops_with_an_error() {
    let files = Files::of(&small_bundle());
    let (shutdown, alone) = (Shutdown::new(), Shutdown::new());
    let config = files.dealer();
    let (dealer, dealing) = serve(Host::dealer(&config, || Ok(ledger(&config.state))).unwrap(), &shutdown);
    let config = files.server(0, &dealer, None);
    let taken = Arc::new(Taken(ledger(&config.state)));
    let (server0, stopping) = serve(Host::server(&config, || Ok(taken)).unwrap(), &alone);
    let config = files.server(1, &dealer, Some(&server0));
    let (server1, serving) = serve(Host::server(&config, || Ok(ledger(&config.state))).unwrap(), &shutdown);
    let router = PrivateRouter::connect(&files.client([&server0, &server1])).unwrap().with_patience(Retry::NEVER);
    router.route(PROMPT, &RouteOptions::default()).unwrap_err();
    let error = stopping.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("another process opened the ledger server0") && alone.is_set(), "{error}");
    drop(router);
    shutdown.trigger("the test is over");
    [dealing, serving].into_iter().for_each(|thread| thread.join().unwrap().unwrap());
}
