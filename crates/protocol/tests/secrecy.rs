//! No branch and no address depends on a secret, in the compiled code: the parties run under Valgrind's Memcheck, with their
//! secrets marked (`marks`), by the portable kernels and by those that Valgrind's processor has (AVX2).
//!
//! The tests that are not ignored start this program again under Valgrind, on one of the others. Without Valgrind they say so and check
//! nothing. In a release build: `cargo test --release -p blindroute-protocol --test secrecy`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "protocols/common/mod.rs"]
mod common;

use blindroute_protocol::gates::{self, SignWindow, Target};
use blindroute_protocol::{Meter, Output, Tuning, marks};
use blindroute_testkit::{TestWorld, generator};
use common::{Everything, body, everything, everything_inputs, everything_weights};
use std::process::{Command, Stdio};

/// Memcheck's exit status if it reported anything.
const REPORTED: i32 = 9;

/// What a test that ran under Valgrind says at its end.
const DONE: &str = "all of it ran under Valgrind";

body!(Tuned { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u32>(5)?;
    let x = machine.open(x)?;
    let window = SignWindow { range: 8, digits: 3 };
    let positive = gates::relu::<I, u32, u32>(machine, &x, window, Target { bits: 28, fraction: 4 })?;
    machine.reveal(positive, "a test")?;
    Everything.run(machine)
});

/// The two servers' messages to the client, after a session in which all secrets of all parties were marked.
fn session(tuning: Tuning, size: usize) -> ([Vec<u8>; 2], Vec<blindroute_protocol::OutputSpec>) {
    let mut all = everything(size);
    all.inputs.push(all.inputs[4]);
    let program = common::Gate { weights: all.weights, inputs: all.inputs, body: Tuned { tuning } };
    let (weights, mut inputs) = (everything_weights(size), everything_inputs(size, generator(3)));
    inputs.push(inputs[4].clone());
    let parties = TestWorld::seeded(8).marked().run_parties(&program, &weights, &inputs).unwrap();
    let outputs = parties.servers.map(|server| server.unwrap().output.bytes().to_vec());
    (outputs, Meter::outputs(&program).unwrap())
}

#[test]
#[ignore = "runs under Valgrind, started by another test"]
fn inside_every_operation() {
    assert!(marks::watched(), "this runs under Valgrind");
    for tuning in Tuning::ALL {
        // Fewer elements than a vector has, and more than a plane of bits has in one word.
        for size in [3, 70] {
            let ([zero, one], specs) = session(tuning, size);
            let before = marks::reports();
            let output = Output::combine(&specs, &zero, &one).unwrap();
            assert!(!output.values.is_empty());
            assert_eq!(before, marks::reports(), "the client's side branches on its answer");
        }
    }
    println!("{DONE}");
}

#[test]
#[ignore = "runs under Valgrind, started by another test"]
fn inside_a_branch_on_what_a_session_ends_with() {
    let ([zero, _], _) = session(Tuning::ALL[0], 3);
    if zero[0] & 1 == 1 {
        println!("a bit is one");
    }
    println!("{DONE}");
}

#[test]
#[ignore = "runs under Valgrind, started by another test"]
fn inside_an_index_from_what_a_session_ends_with() {
    let ([zero, _], _) = session(Tuning::ALL[0], 3);
    let table: Vec<u8> = (0..=255).collect();
    std::hint::black_box(table[usize::from(zero[0])]);
    println!("{DONE}");
}

/// Runs a test of this program under Memcheck by a kernel. Returns its exit status and what it said; nothing without Valgrind.
fn under_memcheck(test: &str, kernel: Option<&str>) -> Option<(Option<i32>, String)> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("skipped: there is no valgrind here");
        return None;
    }
    let mut command = Command::new("valgrind");
    command.args(["--tool=memcheck", "--leak-check=no", "--num-callers=24", &format!("--error-exitcode={REPORTED}")]);
    command.arg(std::env::current_exe().unwrap()).args([
        "--exact",
        test,
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    match kernel {
        Some(kernel) => command.env("BLINDROUTE_KERNEL", kernel),
        None => command.env_remove("BLINDROUTE_KERNEL"),
    };
    let ran = command.stdin(Stdio::null()).output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(said.contains(DONE), "{said}");
    Some((ran.status.code(), said))
}

#[test]
fn case_33_no_branch_or_address_depends_on_a_secret() {
    for kernel in [Some("portable"), None] {
        if let Some((status, said)) = under_memcheck("inside_every_operation", kernel) {
            assert_eq!(status, Some(0), "{kernel:?}: {said}");
        }
    }
}

#[test]
fn case_33_a_branch_on_a_share_and_an_index_from_one_are_found() {
    for (test, report) in [
        ("inside_a_branch_on_what_a_session_ends_with", "Conditional jump or move depends on uninitialised value"),
        ("inside_an_index_from_what_a_session_ends_with", "Use of uninitialised value"),
    ] {
        if let Some((status, said)) = under_memcheck(test, None) {
            assert_eq!(status, Some(REPORTED), "{said}");
            assert!(said.contains(report), "{said}");
        }
    }
}
