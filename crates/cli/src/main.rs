//! The `blindroute` program: route prompts privately, run the servers, make and measure routers.

mod bundles;
mod commands;
mod logging;
mod terminal;

use blindroute_ring::WipingAllocator;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Prepared material is allocated in one thread and freed in another, in pieces of megabytes: the system's allocator
/// keeps nearly twice the memory for it. Small blocks are wiped when they are freed: they may be copies of secrets that
/// libraries make.
#[global_allocator]
static ALLOCATOR: WipingAllocator<mimalloc::MiMalloc> = WipingAllocator::new(mimalloc::MiMalloc);

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
    /// Make and check the data sets that routers are trained on
    #[command(subcommand)]
    Data(commands::data::DataCommand),
    /// Train a router from a table of who answered what how well, and put it into a bundle
    Train(commands::train::TrainArgs),
    /// Measure models' descriptors through an endpoint, for CSCR
    Fingerprint(commands::fingerprint::FingerprintArgs),
    /// Teach a cheaper encoder to give a teacher's embeddings
    Distil(commands::distil::DistilArgs),
    /// Measure a bundle's routers on a data set, beside baselines and with intervals
    Eval(commands::eval::EvalArgs),
    /// Route a data set privately, and compare with the clear interpreter
    Agreement(commands::agreement::AgreementArgs),
    /// Find the weight of cost that brings your own prompts to a target
    Calibrate(commands::calibrate::CalibrateArgs),
    /// Compare an encoder's similarities with people's
    Similarity(commands::similarity::SimilarityArgs),
    /// Make certificates for a deployment
    Certificates(commands::certificates::CertificatesArgs),
    /// Measure, and check the answer against the clear interpreter
    #[command(subcommand)]
    Bench(commands::bench::BenchCommand),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    logging::start(cli.verbose);
    let result = match cli.command {
        Command::Route(args) => commands::route::run(&args),
        Command::Server(args) => commands::serve::server(&args),
        Command::Dealer(args) => commands::serve::dealer(&args),
        Command::Bundle(command) => commands::bundle::run(command),
        Command::Train(args) => commands::train::run(args),
        Command::Fingerprint(args) => commands::fingerprint::run(&args),
        Command::Distil(args) => commands::distil::run(&args),
        Command::Calibrate(args) => commands::calibrate::run(&args),
        Command::Similarity(args) => commands::similarity::run(&args),
        Command::Eval(args) => commands::eval::run(&args),
        Command::Agreement(args) => commands::agreement::run(&args),
        Command::Data(command) => commands::data::run(command),
        Command::Certificates(args) => commands::certificates::run(&args),
        Command::Bench(command) => commands::bench::run(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(error) if broken_pipe(&error) => ExitCode::FAILURE,
        Err(error) => {
            // The whole chain in one line; none of our errors holds a prompt, a share or a key.
            terminal::say(&format!("error: {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Help, the version, or what is wrong with the command line. A word too many may be a piece of a prompt: it is not
/// repeated.
fn refuse(error: &clap::Error) -> ExitCode {
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::UnknownArgument => Some(word),
        _ => None,
    };
    let command = commands_of(std::env::args_os().skip(1));
    let routes = command == "route";
    let hint = match word {
        Some(word) if routes && word.starts_with('-') && word.contains(char::is_whitespace) => {
            "a prompt that begins with a dash would be taken for an option; put -- before it".to_owned()
        }
        Some(word) if routes && !word.starts_with('-') => {
            "there are more words than one prompt; put the prompt in quotes, one prompt a call, or use --input"
                .to_owned()
        }
        Some(word) if !command.is_empty() && !word.starts_with('-') => {
            format!(
                "{command} takes no word without an option: name files by their options, as a bundle by --bundle FILE"
            )
        }
        _ => {
            // Help goes to stdout, errors to stderr; a failure to print either has nowhere to go.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    terminal::say(&format!("error: {hint}; see `blindroute {command} --help`"));
    ExitCode::from(2)
}

/// The command among the arguments, as `bundle show`.
fn commands_of(arguments: impl Iterator<Item = std::ffi::OsString>) -> String {
    let mut command = Cli::command();
    let mut path: Vec<String> = Vec::new();
    for argument in arguments {
        let name = argument.to_string_lossy();
        match command.find_subcommand(name.as_ref()).cloned() {
            Some(found) => {
                path.push(found.get_name().to_owned());
                command = found;
            }
            None if name.starts_with('-') && path.is_empty() => {}
            None => break,
        }
    }
    path.join(" ")
}

/// Did writing our output fail because its reader is gone?
fn broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
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
        Cli::command().debug_assert();
    }

    #[test]
    fn a_chain_says_nothing_twice() {
        let error = anyhow::anyhow!("disk full").context("cannot write: disk full").context("no bundle");
        assert_eq!(chain(&error), "no bundle: cannot write: disk full");
    }
}
