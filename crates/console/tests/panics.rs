//! What a panic writes. The test starts itself again, since what is looked at is the program's standard error.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blindroute_console::{logging, panics};
use std::process::Command;

const CHILD: &str = "BLINDROUTE_TEST_PANICS";

/// Standard error of a program in which a thread panics over a text, and then the main thread goes on.
fn told(variables: &[(&str, &str)]) -> String {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "the_place_is_told_and_no_text", "--nocapture"]).env(CHILD, "1");
    program.env_remove("RUST_BACKTRACE").env_remove(panics::MESSAGES).envs(variables.iter().copied());
    let output = program.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_place_is_told_and_no_text() {
    if std::env::var_os(CHILD).is_some() {
        logging::start(2);
        panics::start();
        // Not at the border of a letter: the message of this panic quotes the text.
        let text = "canary é".to_owned();
        let panicked = std::thread::spawn(move || text[..8].len()).join();
        assert!(panicked.is_err());
        return;
    }
    let quiet = told(&[]);
    assert!(quiet.contains("panics.rs:") && quiet.contains("please report this"), "{quiet}");
    assert!(!quiet.contains("canary") && !quiet.contains("the functions that were called"), "{quiet}");
    let traced = told(&[("RUST_BACKTRACE", "1")]);
    assert!(traced.contains("the functions that were called") && !traced.contains("canary"), "{traced}");
    // Whoever wants the message gets it, so the text above would have been seen.
    assert!(told(&[(panics::MESSAGES, "1")]).contains("canary"));
}
