//! Lists of operations that disturb a whole deployment of this program, in the short form. The long form runs for hours: see
//! docs/SIMULATION.md.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blindroute_simulation::operation::KINDS;
use blindroute_simulation::{Checked, Operation, POSTGRES_LANE, Reference, Settings, Size, list, run};
use std::sync::Arc;

const TEXTS: usize = 12;

fn settings() -> Settings {
    let program = env!("CARGO_BIN_EXE_blindroute-operator").into();
    Settings { program, lanes: 2, clients: 4, level: "trace", faults: true, max_sessions: 32 }
}

fn size(only: Option<usize>) -> Size {
    Size { lanes: 2, clients: 4, texts: TEXTS, only }
}

#[track_caller]
fn checked(list: &[Operation]) -> Checked {
    let reference = Arc::new(Reference::new(TEXTS).unwrap());
    let checked = run(&settings(), &reference, list).unwrap();
    eprintln!("{}", checked.json(0));
    assert!(checked.violations.is_empty(), "{}", checked.violations.join("\n"));
    assert!(checked.answers > 0 && checked.used > 0 && checked.generated >= checked.used);
    checked
}

#[test]
fn case_41_a_lane_that_every_kind_of_fault_meets_costs_no_answer_and_nothing_is_used_twice() {
    let list = list(1, size(Some(POSTGRES_LANE)), 20);
    let checked = checked(&list);
    let happened = KINDS.iter().filter(|kind| checked.faults.contains_key(*kind)).count();
    assert!(happened >= 10, "{:?}", checked.faults);
}

#[test]
fn case_40_faults_in_every_lane_end_in_clear_errors_and_all_lanes_recover() {
    checked(&list(2, size(None), 12));
}
