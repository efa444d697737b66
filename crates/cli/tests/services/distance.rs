//! Servers that are far from each other, as their operators say or as `--scene` emulates: real processes.

use crate::harness::{Fleet, small_bundle};
use blindroute_placement::{ChildOptions, PrivateRouter, RouteOptions};
use blindroute_protocol::Meter;
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{BundlePlan, NetworkEstimate, SessionRequest, Task};
use blindroute_runtime::{Role, Scene};
use std::sync::Arc;
use std::time::Duration;

const PROMPT: &str = "What is the capital of France?";
const ASKED: Task = Task::route(0, 32);

/// The openings of a route near, and at this distance.
fn openings(plan: BundlePlan, distance: Scene) -> [u64; 2] {
    let (plan, asked) = (Arc::new(plan), SessionRequest::new(ASKED));
    let network = NetworkEstimate { delay: distance.delay, megabits: distance.megabits };
    let chosen = network.tune(&plan, asked).unwrap();
    let [near, far] =
        [asked, chosen].map(|request| Meter::cost(&request.program(&plan).unwrap()).unwrap().openings as u64);
    assert!(far < near, "{chosen:?}");
    [near, far]
}

#[test]
fn an_emulated_network_is_a_distance_between_the_servers() {
    let home = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(&small_bundle(home.path())).unwrap().bundle;
    let scene = Scene { delay: Duration::from_millis(5), megabits: 400.0 };
    let children = ChildOptions::new(env!("CARGO_BIN_EXE_blindroute")).in_scene(Some(scene));
    let router = PrivateRouter::with_children(&bundle, &children, &|_| {}).unwrap();
    let report = router.route(PROMPT, &RouteOptions::default()).unwrap();
    assert_eq!(u64::from(report.openings), openings(BundlePlan::of(&bundle), scene)[1]);
}

#[test]
fn two_operators_say_how_far_their_servers_are_and_the_client_says_nothing() {
    let mut fleet = Fleet::new(10.0);
    fleet.start_all();
    let [near, far] = openings(fleet.public().plan, Scene::WAN);
    let measured = |fleet: &Fleet| fleet.route(PROMPT).json()["openings"].as_u64().unwrap();
    assert_eq!(measured(&fleet), near);

    let move_away = |fleet: &mut Fleet, role| {
        let table = "[between_servers]\ndelay_milliseconds = 20\nmegabits_per_second = 400\n[timeouts]";
        fleet.reconfigure(role, "[timeouts]", table);
        fleet.kill(role);
        fleet.start(role);
    };
    // One has said so, the other has not: an error in good time, and nothing hangs.
    move_away(&mut fleet, Role::Server1);
    for _ in 0..2 {
        let ran = fleet.route(PROMPT);
        let error = ran.error();
        assert!(error.contains("gave up: the two servers chose different programs"), "{error}");
        assert!(
            error.contains("compare the tables [between_servers] and [network] of their configurations"),
            "{error}"
        );
        assert!(error.contains("dealer found that their requests differ"), "before anything is dealt: {error}");
        assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    }
    move_away(&mut fleet, Role::Server0);
    assert_eq!(measured(&fleet), far);
    for role in [Role::Client, Role::Dealer] {
        let text = std::fs::read_to_string(fleet.configuration(role)).unwrap();
        assert!(!text.contains("between_servers"), "{text}");
    }
}
