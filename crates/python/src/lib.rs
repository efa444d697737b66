//! The engine of the Python package: module `blindroute._engine`.
//!
//! It only converts. What it calls is in the crates below it, and what users call is in the folder `python` of this repository, which
//! gives these classes and functions their types, defaults and documentation. Large tables cross as bytes, reports as JSON.
//!
//! Work that waits or computes for long runs with the interpreter released (`interrupt`), and nothing runs in a process that was
//! forked from one in which the engine had begun (`process`).
#![deny(missing_docs)]

mod answer;
mod bundle;
mod cancel;
mod command;
mod export;
mod fault;
mod interrupt;
mod lab;
mod messages;
mod options;
mod process;
mod router;

use blindroute_console::allocator::{PROGRAM_ALLOCATOR, ProgramAllocator};

// Of this library only: what the interpreter allocates is its own affair.
#[global_allocator]
static ALLOCATOR: ProgramAllocator = PROGRAM_ALLOCATOR;

/// The compiled part of the package `blindroute`; not for direct use.
#[pyo3::pymodule]
mod _engine {
    #[pymodule_export]
    use super::answer::PyAnswer;
    #[pymodule_export]
    use super::bundle::PyBundle;
    #[pymodule_export]
    use super::cancel::PyCancel;
    #[pymodule_export]
    use super::command::command;
    #[pymodule_export]
    use super::export::{PyRule, rule_linear, rule_mlp, rule_neighbours, rule_routellm_mf, with_router};
    #[pymodule_export]
    use super::lab::calibration::{calibrate, check_calibration, read_calibration};
    #[pymodule_export]
    use super::lab::data::PyDataSet;
    #[pymodule_export]
    use super::lab::evaluation::{PyEvaluation, evaluate};
    #[pymodule_export]
    use super::lab::training::train;
    #[pymodule_export]
    use super::messages::routed_text;
    #[pymodule_export]
    use super::process::log;
    #[pymodule_export]
    use super::router::PyRouter;

    /// The version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
