//! Three operators replace a bundle, one after the other and without a restart, while clients route.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deployment;

use blindroute_placement::{PlacementError, PrivateRouter, Retry, RouteOptions};
use blindroute_routing::bundle::{Bundle, PublicPart};
use blindroute_runtime::Role;
use blindroute_runtime::config::{ClientConfig, Configuration as _};
use deployment::observed::{metrics, observed};
use deployment::{Deployment, run};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PROMPT: &str = "What is the capital of France?";
const SERVICES: [Role; 3] = [Role::Server0, Role::Server1, Role::Dealer];

#[track_caller]
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < until, "waited two minutes for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A second version of the deployment's bundle, whose models have other names, split into the folder `new`.
fn split_new(deployment: &Deployment) {
    let mut parts = Bundle::open(&deployment.at("small.blindroute")).unwrap().bundle.into_parts();
    parts.models.iter_mut().for_each(|model| model.name.push_str("-v13"));
    let path = deployment.at("new.blindroute");
    std::fs::write(&path, Bundle::new(parts).unwrap().write().unwrap()).unwrap();
    let out = deployment.at("new");
    run(&[
        "bundle".as_ref(),
        "split".as_ref(),
        "--bundle".as_ref(),
        path.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ])
    .succeeded();
}

fn edit(deployment: &Deployment, role: Role, change: impl Fn(String) -> String) {
    let path = deployment.at(&format!("{role}.toml"));
    let text = change(std::fs::read_to_string(&path).unwrap());
    // As an editor does, so that nobody reads half of it.
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// Adds the table `[next]`.
fn add_next(deployment: &Deployment, role: Role) {
    let share = role.party().map_or_else(String::new, |party| format!("share = \"new/share{party}.bin\"\n"));
    edit(deployment, role, |text| format!("{text}[next]\nbundle = \"new/public.bin\"\n{share}"));
}

/// The next version takes the place of the first one.
fn finish(deployment: &Deployment, role: Role) {
    edit(deployment, role, |text| text.split("[next]").next().unwrap().replace("\"bundle/", "\"new/"));
}

fn digest(public: &Path) -> String {
    PublicPart::open(public).unwrap().digest.to_string()
}

/// The versions that a party shows to hold.
fn shown(deployment: &Deployment, role: Role) -> BTreeSet<String> {
    let found = metrics(deployment, role);
    let digest = |name: &String| Some(name.strip_prefix("versions{bundle=\"")?.strip_suffix("\"}")?.to_owned());
    found.keys().filter_map(digest).collect()
}

/// What a client was answered: digest of the version and model.
type Answers = Mutex<Vec<Result<(String, String), String>>>;

/// Routes again and again until it is told to stop.
fn keep_routing(router: &PrivateRouter, stop: &AtomicBool, answers: &Answers) {
    while !stop.load(Ordering::SeqCst) {
        let answer = router.route(PROMPT, &RouteOptions::default());
        let answer = answer.map(|report| (report.bundle.digest, report.model)).map_err(|error| error.to_string());
        answers.lock().unwrap().push(answer);
    }
}

#[test]
fn case_25_a_bundle_is_replaced_while_clients_route_and_no_request_fails() {
    let deployment = observed();
    split_new(&deployment);
    let [old, new] = ["bundle", "new"].map(|folder| digest(&deployment.at(folder).join("public.bin")));
    let mut client = ClientConfig::load(&deployment.at("client.toml")).unwrap().config;
    let of_old = PrivateRouter::connect(&client).unwrap().with_patience(Retry::NEVER);
    let config_of_new = ClientConfig { bundle: deployment.at("new/public.bin"), ..client.clone() };
    let of_new = PrivateRouter::connect(&config_of_new).unwrap().with_patience(Retry::NEVER);
    client.next = Some(toml::from_str(&format!("bundle = {:?}", deployment.at("new/public.bin"))).unwrap());
    let both = || PrivateRouter::connect(&client).unwrap().with_patience(Retry::NEVER);
    let of_both = both();
    let _running = [Role::Dealer, Role::Server0, Role::Server1].map(|role| deployment.start(role));
    let [stop_old, stop_both] = [AtomicBool::new(false), AtomicBool::new(false)];
    let [at_old, at_both]: [Answers; 2] = Default::default();
    let more = |answers: &Answers, wanted: usize| {
        let before = answers.lock().unwrap().len();
        wait_for("more answers", || answers.lock().unwrap().len() >= before + wanted);
    };
    let refused = |router: &PrivateRouter| {
        let error: PlacementError = router.route(PROMPT, &RouteOptions::default()).unwrap_err();
        assert!(error.is_not_held() && error.stops_all(), "{error}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| keep_routing(&of_old, &stop_old, &at_old));
        scope.spawn(|| keep_routing(&of_both, &stop_both, &at_both));
        let rolled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // In an order that nobody would advise.
            for role in [Role::Server1, Role::Dealer, Role::Server0] {
                refused(&of_new);
                assert_eq!(shown(&deployment, role), BTreeSet::from([old.clone()]));
                add_next(&deployment, role);
                let holds = format!("version={new}");
                wait_for("a party to read its configuration", || {
                    deployment.log(role).lines().any(|line| line.contains("from now on") && line.contains(&holds))
                });
                assert_eq!(shown(&deployment, role), BTreeSet::from([old.clone(), new.clone()]));
                [&at_old, &at_both].into_iter().for_each(|answers| more(answers, 2));
            }
            let of = of_new.route(PROMPT, &RouteOptions::default()).unwrap();
            assert!(of.bundle.digest == new && of.model.ends_with("-v13"), "{of:?}");
            // The client that knows both turns to the new one; the other goes on.
            wait_for("the new version", || {
                at_both
                    .lock()
                    .unwrap()
                    .last()
                    .is_some_and(|answer| answer.as_ref().is_ok_and(|(digest, _)| *digest == new))
            });
            more(&at_old, 2);
            stop_old.store(true, Ordering::SeqCst);
            for role in SERVICES {
                finish(&deployment, role);
                let dropped = format!("version={old}");
                wait_for("a party to read its configuration", || {
                    deployment.log(role).lines().any(|line| line.contains("no longer holds") && line.contains(&dropped))
                });
                assert_eq!(shown(&deployment, role), BTreeSet::from([new.clone()]));
                more(&at_both, 2);
                refused(&of_old);
            }
            // One that starts now asks for the first version, and takes the next one.
            let late = both().route(PROMPT, &RouteOptions::default()).unwrap();
            assert_eq!(late.bundle.digest, new);
        }));
        [&stop_old, &stop_both].into_iter().for_each(|stop| stop.store(true, Ordering::SeqCst));
        rolled.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    for (answers, versions) in [(&at_old, &[&old][..]), (&at_both, &[&old, &new])] {
        for answer in answers.lock().unwrap().iter() {
            let (digest, model) = answer.as_ref().unwrap_or_else(|error| panic!("a request failed: {error}"));
            assert!(versions.contains(&digest), "{digest}");
            assert_eq!(model.ends_with("-v13"), *digest == new, "{model} of {digest}");
        }
    }
}

#[test]
fn a_configuration_that_cannot_be_used_changes_nothing_and_is_warned_of() {
    let deployment = Deployment::new();
    split_new(&deployment);
    let client = ClientConfig::load(&deployment.at("client.toml")).unwrap().config;
    let router = PrivateRouter::connect(&client).unwrap().with_patience(Retry::NEVER);
    let _running = [Role::Dealer, Role::Server0, Role::Server1].map(|role| deployment.start(role));
    let works = || router.route(PROMPT, &RouteOptions::default()).unwrap();
    works();
    // The share of the other server; and a field that needs a restart.
    edit(&deployment, Role::Server0, |text| {
        format!("{text}[next]\nbundle = \"new/public.bin\"\nshare = \"new/share1.bin\"\n")
    });
    wait_for("a warning", || deployment.log(Role::Server0).contains("the versions before stay in use"));
    let log = deployment.log(Role::Server0);
    assert!(log.contains("give each server its own share file") && !log.contains("from now on"), "{log}");
    works();
    edit(&deployment, Role::Server0, |text| {
        format!("max_sessions = 3\n{}", text.replace("new/share1.bin", "new/share0.bin"))
    });
    wait_for("the next version", || deployment.log(Role::Server0).contains("from now on"));
    assert!(deployment.log(Role::Server0).contains("the other changes need a restart"));
    works();
}
