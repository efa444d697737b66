//! Pairing: three operators make their keys each on their own, exchange manifests and nothing else, and start.
//!
//! Nobody holds the keys of two roles. A [`Manifest`] says what the others have to know of a role, and is signed by its
//! operator's authority, whose fingerprint the operators compare by telephone.

mod client;
mod configuration;
mod folder;
mod init;
mod manifest;
mod marks;
mod pair;
mod pins;
mod renew;
mod together;

pub use client::{ClientCertificateArgs, ClientConfigArgs};
pub use init::InitArgs;
pub use manifest::Manifest;
pub use pair::PairArgs;
pub use renew::RenewArgs;

use clap::Subcommand;

/// The commands of pairing.
#[derive(Debug, Subcommand)]
pub enum PairingCommand {
    /// Make an operator's own authority, keys, and the manifest for the other operators
    Init(InitArgs),
    /// Check the manifests of the other operators, and write this role's configuration
    Pair(PairArgs),
    /// Make a new certificate, or a new authority beside the old one
    Renew(RenewArgs),
    /// Write the configuration of a client from the manifests of both servers
    ClientConfig(ClientConfigArgs),
    /// Make a client's certificate and key under a server operator's authority
    ClientCertificate(ClientCertificateArgs),
}

/// Runs a command of pairing.
///
/// # Errors
/// If something does not fit, which the error names, or a file cannot be written.
pub fn run(command: &PairingCommand) -> anyhow::Result<()> {
    match command {
        PairingCommand::Init(args) => init::run(args),
        PairingCommand::Pair(args) => pair::run(args),
        PairingCommand::Renew(args) => renew::run(args),
        PairingCommand::ClientConfig(args) => client::configure(args),
        PairingCommand::ClientCertificate(args) => client::certify(args),
    }
}
