//! `blindroute data`: routing data sets, before a router is trained on them.

mod check;
mod import;

/// Make and check the data sets that routers are trained on.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum DataCommand {
    /// Read a public set as its authors publish it, and write it as a data set
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Report on a data set: gaps, repeated prompts, models that no router needs
    Check(check::CheckArgs),
}

/// Runs a data command.
pub(crate) fn run(command: DataCommand) -> anyhow::Result<()> {
    match command {
        DataCommand::Import(command) => import::run(command),
        DataCommand::Check(args) => check::run(&args),
    }
}
