//! The program `blindroute`, which the package has as a command.

use crate::process::enter;
use blindroute_console::program;
use pyo3::prelude::*;
use std::ffi::OsString;

/// Runs the program with these arguments in this process, and returns its exit status. `program` are the words that start it again: an
/// executable, and arguments that go before the program's. It takes over signals and the log, so it is not for use beside other work.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, arguments: Vec<OsString>, program: Vec<OsString>) -> PyResult<u8> {
    enter(py)?;
    let mut words = program.into_iter();
    if let Some(executable) = words.next() {
        program::set(executable, words.collect());
    }
    let arguments = std::iter::once("blindroute".into()).chain(arguments).collect();
    Ok(py.detach(|| blindroute_cli::main(arguments)))
}
