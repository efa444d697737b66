//! The commands that the documents show are commands of this program.

use blindroute_testkit::documents::{commands, markdown_files};
use std::process::Command;

/// The arguments of a command line that runs this program, or of `blindroute-operator`, whose commands this program has too.
fn arguments(words: &[String]) -> Option<&[String]> {
    match words {
        [program, arguments @ ..] if program == "blindroute" || program == "blindroute-operator" => Some(arguments),
        [cargo, run, rest @ ..] if cargo == "cargo" && run == "run" && !rest.iter().any(|word| word == "--example") => {
            rest.iter().position(|word| word == "--").map(|at| &rest[at + 1..])
        }
        _ => None,
    }
}

/// Whether the program knows all commands and options of these arguments. With `--help` last, it reads all before it and
/// runs nothing; what a command needs besides is not asked for.
fn understood(arguments: &[String]) -> Result<(), String> {
    let ran = Command::new(env!("CARGO_BIN_EXE_blindroute")).args(arguments).arg("--help").output().unwrap();
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ran.stderr).into_owned()) }
}

#[test]
fn every_command_in_the_documents_is_understood() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for file in markdown_files().unwrap() {
        for mut words in commands(&std::fs::read_to_string(&file).unwrap()) {
            // "..." stands for more of the same; what a shell variable stands for is not known here.
            words.retain(|word| word != "...");
            if words.iter().any(|word| word.contains('$')) {
                continue;
            }
            if let Some(arguments) = arguments(&words) {
                checked += 1;
                if let Err(error) = understood(arguments) {
                    wrong.push(format!("{}: {}\n{error}", file.display(), words.join(" ")));
                }
            }
        }
    }
    assert!(checked > 10, "only {checked} commands were found");
    assert!(wrong.is_empty(), "{} commands are not understood:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_no_command_has_is_noticed() {
    for wrong in [["route", "--no-such-option"], ["no-such-command", "x"], ["route", "--lambda=many"]] {
        assert!(understood(&wrong.map(str::to_owned)).is_err(), "{wrong:?}");
    }
}
