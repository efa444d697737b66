//! How this program starts itself again, for its child processes: a dealer, servers, a gateway.
//!
//! Usually the executable of this process is the program. Inside an interpreter it is not: there, whoever loads the program as a library
//! names the interpreter, and the arguments with which it becomes the program, before any command runs.

use anyhow::Context;
use blindroute_placement::ChildOptions;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program, if it is not the executable of this process.
static PROGRAM: OnceLock<Program> = OnceLock::new();

/// An executable, and the arguments with which it is this program: the program's own arguments follow them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    executable: PathBuf,
    arguments: Vec<OsString>,
}

/// From now on, `executable` with these arguments before its own is this program. A second call changes nothing: a process has one.
pub fn set(executable: impl Into<PathBuf>, arguments: Vec<OsString>) {
    PROGRAM.get_or_init(|| Program { executable: executable.into(), arguments });
}

/// A command that starts this program; the program's arguments are added to it.
///
/// # Errors
/// The path of this process's executable is unknown.
pub fn command() -> anyhow::Result<Command> {
    let program = this()?;
    let mut command = Command::new(program.executable);
    command.args(program.arguments);
    Ok(command)
}

/// Dealer and servers that are this program.
///
/// # Errors
/// The path of this process's executable is unknown.
pub fn children() -> anyhow::Result<ChildOptions> {
    let program = this()?;
    Ok(ChildOptions::new(program.executable).with_leading_arguments(program.arguments))
}

/// The executable that was named in place of this process's, if one was.
pub(crate) fn named() -> Option<&'static Path> {
    PROGRAM.get().map(|program| program.executable.as_path())
}

fn this() -> anyhow::Result<Program> {
    match PROGRAM.get() {
        Some(program) => Ok(program.clone()),
        None => {
            let executable = std::env::current_exe().context("this program's own path")?;
            Ok(Program { executable, arguments: Vec::new() })
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    // One test, since the program of a process is set once.
    #[test]
    fn it_is_this_executable_until_another_is_named() {
        assert_eq!(command().unwrap().get_program(), std::env::current_exe().unwrap());
        assert_eq!(named(), None);
        set("/opt/bin/python3", vec!["-m".into(), "blindroute".into()]);
        set("/opt/bin/other", Vec::new());
        let command = command().unwrap();
        assert_eq!(
            (command.get_program(), named()),
            ("/opt/bin/python3".as_ref(), Some(Path::new("/opt/bin/python3")))
        );
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["-m", "blindroute"]);
    }
}
