//! The `blindroute-operator` program: what an operator of a server or of the dealer needs, and no more.

use anyhow::Context;
use blindroute_console::allocator::{PROGRAM_ALLOCATOR, ProgramAllocator};
use blindroute_console::{bundles, exit, logging, panics};
use blindroute_operator::bundle::{self, ShowArgs, SplitArgs, VerifyArgs};
use blindroute_operator::certificates::{self, CertificatesArgs};
use blindroute_operator::choices::{self, ChoicesArgs};
use blindroute_operator::client::{self, ClientCommand};
use blindroute_operator::health::{self, HealthArgs};
use blindroute_operator::ledger::{self, LedgerCommand};
use blindroute_operator::pairing::{self, PairingCommand};
use blindroute_operator::serve::{self, DealerArgs, ServerArgs};
use blindroute_routing::bundle::Bundle;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: ProgramAllocator = PROGRAM_ALLOCATOR;

/// Run a party of private LLM routing: server 0, server 1 or the dealer.
#[derive(Debug, Parser)]
#[command(name = "blindroute-operator", version, about, long_about = None, arg_required_else_help = true)]
struct Cli {
    /// Log more: -v for progress of sessions, -vv for everything (stderr)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one of the two servers
    Server(ServerArgs),
    /// Run the dealer
    Dealer(DealerArgs),
    /// Ask the parties that a configuration names whether they answer
    Health(HealthArgs),
    /// Say how often each model was chosen, as far as clients report it
    Choices(ChoicesArgs),
    /// Register clients at a server, revoke and list them
    #[command(subcommand)]
    Client(ClientCommand),
    #[command(flatten)]
    Pairing(PairingCommand),
    /// Say how a server's ledger stands, and accept another one of the other server
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Make certificates for a deployment
    Certificates(CertificatesArgs),
    /// Inspect, check and split router bundles
    #[command(subcommand)]
    Bundle(BundleCommand),
}

#[derive(Debug, Subcommand)]
enum BundleCommand {
    /// Split a bundle into its public part and one share for each server
    Split(SplitArgs),
    /// Say what a bundle holds
    Show(ShowArgs),
    /// Check that bundles, public parts and shares are whole, unaltered and belong together
    Verify(VerifyArgs),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = program().try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    ExitCode::from(match cli {
        Ok(cli) => {
            logging::start(cli.verbose);
            panics::start();
            exit::status(run(&cli.command))
        }
        Err(error) => exit::refuse(&error, program(), &arguments),
    })
}

/// The command line. No bundle is part of this program, so commands that take one need its name.
fn program() -> clap::Command {
    let named = |command: clap::Command| command.mut_arg("bundle", |bundle| bundle.required(true).help("The bundle"));
    let commands = |command: clap::Command| command.mut_subcommand("split", named).mut_subcommand("show", named);
    Cli::command().mut_subcommand("bundle", commands)
}

fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Server(args) => serve::server(args),
        Command::Dealer(args) => serve::dealer(args),
        Command::Health(args) => health::run(args),
        Command::Choices(args) => choices::run(args),
        Command::Client(command) => client::run(command),
        Command::Pairing(command) => pairing::run(command),
        Command::Ledger(command) => ledger::run(command),
        Command::Certificates(args) => certificates::run(args),
        Command::Bundle(BundleCommand::Split(args)) => bundle::split(args, open),
        Command::Bundle(BundleCommand::Show(args)) => bundle::show(args, open),
        Command::Bundle(BundleCommand::Verify(args)) => bundle::verify(args),
    }
}

fn open(path: Option<&Path>) -> anyhow::Result<Bundle> {
    bundles::read(path.context("name the bundle with --bundle FILE")?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::program().debug_assert();
    }
}
