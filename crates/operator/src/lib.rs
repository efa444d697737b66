//! The operators' commands: run a server or the dealer, make certificates, look at and check the files of a deployment, and
//! ask whether the other parties answer.
//!
//! The program `blindroute-operator` has these commands and no others; `blindroute` has them among its own. Each command is a
//! type that clap reads and a function that runs it:
//!
//! ```
//! use blindroute_operator::certificates::{self, CertificatesArgs};
//! use clap::Parser;
//!
//! #[derive(Parser)]
//! struct Program {
//!     #[command(flatten)]
//!     certificates: CertificatesArgs,
//! }
//!
//! # fn main() -> anyhow::Result<()> {
//! # let home = tempfile::tempdir()?;
//! # let folder = home.path().join("certificates");
//! let program = Program::parse_from(["program", "--out", folder.to_str().unwrap_or_default()]);
//! certificates::run(&program.certificates)?;
//! assert!(folder.join("server0.pem").is_file());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod bundle;
pub mod certificates;
pub mod choices;
pub mod client;
pub mod health;
pub mod ledger;
pub mod observe;
pub mod pairing;
pub mod serve;
