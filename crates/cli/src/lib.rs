//! The `blindroute` program as a library: route prompts privately, run the servers, make and measure routers.
//!
//! The program is [`main`] and an allocator. The Python package runs the same function in an interpreter, and says before how that
//! becomes the program again for child processes ([`blindroute_console::program::set`]).
//!
//! ```
//! assert_eq!(blindroute_cli::main(vec!["blindroute".into(), "--version".into()]), 0);
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod commands;

use blindroute_bench::BenchCommand;
use blindroute_console::{exit, logging, panics};
use blindroute_operator::client::{self, ClientCommand};
use blindroute_operator::ledger::{self, LedgerCommand};
use blindroute_operator::pairing::{self, PairingCommand};
use blindroute_operator::{certificates, choices, health, serve};
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The exit status of a program that panicked, as Rust has it.
const PANICKED: u8 = 101;

/// Private LLM routing: two servers choose the model, and never see the prompt.
#[derive(Debug, Parser)]
#[command(name = "blindroute", version, about, long_about = None, arg_required_else_help = true)]
struct Cli {
    /// Log more: -v for progress of sessions, -vv for everything (stderr)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Choose a model for a prompt, privately
    Route(commands::route::RouteArgs),
    /// Find the label of a text, privately
    Classify(commands::classify::ClassifyArgs),
    /// Answer applications that speak to an LLM provider: choose each model privately, and call it with your key
    Gateway(commands::gateway::GatewayArgs),
    /// Say which part of the way from here to the models is broken, and what to do
    Doctor(commands::doctor::DoctorArgs),
    /// Run one of the two servers
    Server(serve::ServerArgs),
    /// Run the dealer
    Dealer(serve::DealerArgs),
    /// Ask the parties that a configuration names whether they answer
    Health(health::HealthArgs),
    /// Make, inspect and split router bundles
    #[command(subcommand)]
    Bundle(commands::bundle::BundleCommand),
    /// Make and check the data sets that routers are trained on
    #[command(subcommand)]
    Data(commands::data::DataCommand),
    /// Train a router from a table of the models' scores per prompt, and put it into a bundle
    Train(commands::train::TrainArgs),
    /// Measure models' descriptors through an endpoint, for CSCR
    Fingerprint(commands::fingerprint::FingerprintArgs),
    /// Teach a cheaper encoder to give a teacher's embeddings
    Distil(commands::distil::DistilArgs),
    /// Measure a bundle's routers on a data set, beside baselines and with intervals
    Eval(commands::eval::EvalArgs),
    /// Measure a pool of classifiers on labelled texts: accuracy and cost of routing, in the clear and under MPC
    EvalPool(commands::eval_pool::EvalPoolArgs),
    /// Route a data set privately, and compare with the clear interpreter
    Agreement(commands::agreement::AgreementArgs),
    /// Find the weight of cost that brings your own prompts to a target
    Calibrate(commands::calibrate::CalibrateArgs),
    /// Compare an encoder's similarities with people's judgement
    Similarity(commands::similarity::SimilarityArgs),
    /// Say what a route or a classification costs, without running it
    Explain(commands::explain::ExplainArgs),
    /// Say which of several pairs of servers should hold which models
    Plan(commands::plan::PlanArgs),
    #[command(flatten)]
    Pairing(PairingCommand),
    /// Make certificates for a deployment
    Certificates(certificates::CertificatesArgs),
    /// Say how often each model was chosen, as far as clients report it
    Choices(choices::ChoicesArgs),
    /// Register clients at a server, revoke and list them
    #[command(subcommand)]
    Client(ClientCommand),
    /// Say how a server's ledger stands, and accept another one of the other server
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Measure, and check the answer against the clear interpreter
    #[command(subcommand)]
    Bench(BenchCommand),
}

/// Runs the program with these arguments, of which the first is its name, and returns the exit status of the process. It takes over the
/// process's signals, log and messages of panics. A command that a signal stops may end the process itself.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> u8 {
    let status = match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            logging::start(cli.verbose);
            panics::start();
            // Its hook has said where. A caller in another language would print the message.
            catch_unwind(AssertUnwindSafe(|| exit::status(run(cli.command)))).unwrap_or(PANICKED)
        }
        Err(error) => exit::refuse(&error, Cli::command(), &arguments),
    };
    // What ends now need not be a Rust program, which writes the rest of its output itself. Whoever closed it does not want it.
    std::io::stdout().flush().ok();
    status
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Route(args) => commands::route::run(&args),
        Command::Classify(args) => commands::classify::run(&args),
        Command::Gateway(args) => commands::gateway::run(&args),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Server(args) => serve::server(&args),
        Command::Dealer(args) => serve::dealer(&args),
        Command::Health(args) => health::run(&args),
        Command::Bundle(command) => commands::bundle::run(command),
        Command::Train(args) => commands::train::run(args),
        Command::Fingerprint(args) => commands::fingerprint::run(&args),
        Command::Distil(args) => commands::distil::run(&args),
        Command::Calibrate(args) => commands::calibrate::run(&args),
        Command::Similarity(args) => commands::similarity::run(&args),
        Command::Eval(args) => commands::eval::run(&args),
        Command::EvalPool(args) => commands::eval_pool::run(&args),
        Command::Agreement(args) => commands::agreement::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Plan(args) => commands::plan::run(&args),
        Command::Data(command) => commands::data::run(command),
        Command::Pairing(command) => pairing::run(&command),
        Command::Certificates(args) => certificates::run(&args),
        Command::Choices(args) => choices::run(&args),
        Command::Client(command) => client::run(&command),
        Command::Ledger(command) => ledger::run(&command),
        Command::Bench(command) => blindroute_bench::run(command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
