//! The `blindroute` program: route prompts privately, run the servers, make and measure routers.

mod bundles;
mod commands;
mod logging;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

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
    /// Run one of the two servers
    Server(commands::serve::ServerArgs),
    /// Run the dealer
    Dealer(commands::serve::DealerArgs),
    /// Make, inspect and split router bundles
    #[command(subcommand)]
    Bundle(commands::bundle::BundleCommand),
    /// Make certificates for a deployment
    Certificates(commands::certificates::CertificatesArgs),
    /// Measure, and check the answer against the clear interpreter
    #[command(subcommand)]
    Bench(commands::bench::BenchCommand),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbose);
    let result = match cli.command {
        Command::Route(args) => commands::route::run(&args),
        Command::Server(args) => commands::serve::server(&args),
        Command::Dealer(args) => commands::serve::dealer(&args),
        Command::Bundle(command) => commands::bundle::run(command),
        Command::Certificates(args) => commands::certificates::run(&args),
        Command::Bench(command) => commands::bench::run(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The whole chain in one line; none of our errors holds a prompt, a share or a key.
            eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, without a cause that its effect already quotes.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_chain_says_nothing_twice() {
        let error = anyhow::anyhow!("disk full").context("cannot write: disk full").context("no bundle");
        assert_eq!(chain(&error), "no bundle: cannot write: disk full");
    }
}
