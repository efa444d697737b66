//! A whole deployment that is disturbed by lists of operations, and what has to hold whatever they are.
//!
//! [`list`] makes a list of operations from a seed. [`run`] starts a deployment for it: lanes of real processes of the program
//! `blindroute-operator`, whose operators exchanged manifests, with ledgers in folders, SQLite and Postgres, stored material, and proxies
//! between all parties; a gateway; and clients, which are threads of this process. It runs the list, mends everything, and checks:
//!
//! - each answer is the clear interpreter's, and each call ends in time;
//! - a call fails only if each lane had a fault at that time, or the client was revoked; and a revoked client gets no answer;
//! - no session and no material is used twice, over all ledgers and lives of a party; each session that was served is in the ledgers of
//!   both servers, and what it took in that of the dealer; all that the dealer entered is used, stored or burnt;
//! - a server whose ledger was restored from a copy serves nothing until the operators act;
//! - when all is mended, each lane answers each text;
//! - no party leaves a process behind, or panics; descriptors and memory do not grow; no text is in a log, at level trace, or in a
//!   file of a party.
//!
//! [`shrink`] makes a list that fails shorter. [`load`] measures a deployment without faults.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bundle;
mod check;
mod crew;
mod deployment;
mod draw;
mod driver;
mod gateway;
mod generate;
mod lane;
mod ledger;
pub mod load;
pub mod operation;
mod party;
mod process;
mod proxy;
mod report;
mod roll;
#[path = "../../ledgers/tests/suite/server.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]
mod server;
mod sessions;
mod shim;
mod shrink;
mod states;
mod well;

pub use bundle::{Reference, Text};
pub use check::Checked;
pub use deployment::Settings;
pub use generate::{POSTGRES_LANE, Size, list};
pub use operation::Operation;
pub use process::Resources;
pub use report::{Recovery, Summary};
pub use shrink::shrink;

use std::sync::Arc;

/// Runs a list on a deployment of its own, and checks what has to hold.
///
/// # Errors
/// If the deployment cannot be made. What the list broke is in [`Checked::violations`].
pub fn run(settings: &Settings, reference: &Arc<Reference>, list: &[Operation]) -> anyhow::Result<Checked> {
    driver::Driver::new(settings, reference)?.run(list)
}
