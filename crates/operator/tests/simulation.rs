//! Lists of operations that disturb a whole deployment of this program, in the short form. The long form runs for hours: see
//! docs/SIMULATION.md.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blindroute_simulation::load::{Callers, load};
use blindroute_simulation::operation::{KINDS, read};
use blindroute_simulation::{Checked, Operation, POSTGRES_LANE, Reference, Settings, Size, list, run};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const TEXTS: usize = 12;
const CLIENTS: usize = 4;
const LANES: usize = 2;

/// One at a time: their calls have deadlines.
static ALONE: Mutex<()> = Mutex::new(());

fn settings() -> Settings {
    let program = Path::new(env!("CARGO_BIN_EXE_blindroute-operator")).to_owned();
    // Cargo builds it for this workspace's tests, but not for those of this package alone.
    let gateway = Some(program.with_file_name("blindroute")).filter(|path| path.is_file());
    if gateway.is_none() {
        eprintln!("SKIPPED: the gateway (build it first: cargo build --bin blindroute)");
    }
    Settings {
        program,
        gateway,
        lanes: LANES,
        clients: CLIENTS,
        level: "trace",
        faults: true,
        max_sessions: 32,
        gateway_routes: 256,
    }
}

#[track_caller]
fn checked(list: &[Operation]) -> Checked {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let reference = Arc::new(Reference::new(TEXTS).unwrap());
    let checked = run(&settings(), &reference, list).unwrap();
    eprintln!("{}", checked.json(0));
    assert!(checked.violations.is_empty(), "{}", checked.violations.join("\n"));
    assert!(
        checked.answers > 0 && checked.used > 0 && checked.generated == checked.used + checked.stored + checked.burnt
    );
    checked
}

fn kept(name: &str) -> Vec<Operation> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulation/seeds").join(name);
    read(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn case_01_parties_that_are_killed_in_their_sessions_use_nothing_twice_and_lose_no_session_that_was_served() {
    let checked = checked(&kept("killed.txt"));
    assert_eq!(checked.faults["kill"], 6);
}

#[test]
fn case_02_servers_with_an_old_state_serve_nobody_until_the_operators_act() {
    let checked = checked(&kept("restored.txt"));
    assert_eq!((checked.faults["restore"], checked.refused), (3, 2), "{checked:?}");
}

#[test]
fn case_40_full_disks_failing_syncs_a_killed_database_and_clocks_that_differ_are_recovered_from() {
    let checked = checked(&kept("disks.txt"));
    assert!(checked.faults["disk"] >= 3, "{checked:?}");
}

#[test]
fn case_41_a_lane_that_every_kind_of_fault_meets_costs_no_answer_of_the_other() {
    let size = Size { lanes: LANES, clients: CLIENTS, texts: TEXTS, only: Some(POSTGRES_LANE) };
    let checked = checked(&list(1, size, 22));
    let happened = KINDS.iter().filter(|kind| checked.faults.contains_key(*kind)).count();
    assert!(happened >= 12, "{:?}", checked.faults);
}

#[test]
fn callers_whom_a_gateway_has_no_room_for_are_told_to_come_again_and_nobody_loses_a_session() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (reference, settings) = (Arc::new(Reference::new(TEXTS).unwrap()), settings());
    let (callers, has_gateway) = (Callers { of_lanes: 4, of_gateway: 12 }, settings.gateway.is_some());
    let told = load(&settings, &reference, callers, Duration::from_secs(12)).unwrap();
    eprintln!("{}", told.json());
    for met in [&told.lanes, &told.gateway] {
        assert_eq!((met.wrong, met.errors.len()), (0, 0), "{met:?}");
    }
    assert!(!told.lanes.times.is_empty() && told.lanes.refused.is_empty());
    assert_eq!([told.gateway.times.is_empty(), told.gateway.refused.is_empty()], [!has_gateway; 2], "{told:?}");
    let answers = told.lanes.times.len() + told.gateway.times.len();
    let [dealt, in_all] = told.sessions;
    // What a gateway keeps ready, and what was under way at the end.
    assert!(answers <= in_all && dealt <= answers + LANES * (callers.of_lanes + callers.of_gateway), "{told:?}");
}
