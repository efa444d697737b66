//! `blindroute doctor`: which part of the way is broken, and what to do.

mod here;
mod network;
mod pair;
mod provider;
mod report;

use anyhow::{Context as _, bail};
use blindroute_console::files::print;
use blindroute_console::terminal::plain_line;
use blindroute_gateway::config::{Config, ConfigError, Environment};
use blindroute_gateway::upstream::Manner;
use blindroute_placement::Placement;
use clap::Args;
use report::{Report, Trouble};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Say which part of the way from here to the models is broken, and what to do.
///
/// Each line is one check: ok, warning, failed, or skipped because a check before it failed. Providers are asked for their list of
/// models, which costs nothing; of servers a session is prepared, and no prompt is sent. Without a configuration, a dealer and two
/// servers are started here and one prompt is routed. The exit status is 1 if a check failed.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The gateway's configuration (TOML)
    #[arg(long, value_name = "FILE", conflicts_with = "client")]
    config: Option<PathBuf>,
    /// Check only the servers of this client configuration (TOML). Give it once for each pair of servers
    #[arg(long, value_name = "FILE")]
    client: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Makes all checks and prints them.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    blindroute_runtime::choose_cryptography();
    let mut report = Report::default();
    match &args.config {
        Some(path) => gateway(&mut report, path)?,
        None if args.client.is_empty() => {
            let config = Config::default();
            here::check(&mut report, &config);
            here::embedded(&mut report, &config);
        }
        None => args.client.iter().for_each(|path| pair::check(&mut report, path)),
    }
    show(&report, args.json)?;
    let (failed, all) = (report.failed(), report.checks.len());
    if failed > 0 {
        bail!("checks that failed: {failed} of {all}; see above");
    }
    Ok(())
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Shown<'a> {
        healthy: bool,
        checks: &'a [report::Check],
    }
    if json {
        return print(&serde_json::to_string(&Shown { healthy: report.failed() == 0, checks: &report.checks })?);
    }
    let lines: Vec<String> = report.checks.iter().map(|check| plain_line(&check.to_string()).into_owned()).collect();
    print(&lines.join("\n"))
}

/// Checks all that a gateway's configuration names.
fn gateway(report: &mut Report, path: &Path) -> anyhow::Result<()> {
    let config = match Config::load(path, &[], &Environment::process()) {
        Ok(config) => config,
        Err(error) => {
            broken(report, &error);
            report.skip("gateway", &["port", "data folder", "record"], "the configuration cannot be used");
            report.skip("gateway", &["providers", "servers"], "the configuration cannot be used");
            return Ok(());
        }
    };
    let (providers, pairs) = (config.providers.len(), config.route.servers.len());
    let read = format!("read; providers: {providers}, pairs of servers: {pairs}");
    report.enter("gateway: configuration".to_owned(), Ok((read, ())));
    here::check(report, &config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    let manner = Manner::of(&config);
    config.providers.iter().for_each(|provider| provider::check(report, provider, &manner, &runtime));
    config.route.servers.iter().for_each(|path| pair::check(report, path));
    if config.route.servers.is_empty() && config.route.placement != Placement::Local {
        here::embedded(report, &config);
    }
    Ok(())
}

/// Each thing that is wrong in the configuration.
fn broken(report: &mut Report, error: &ConfigError) {
    let name = || "gateway: configuration".to_owned();
    if error.problems().is_empty() {
        report.enter::<()>(name(), Err(Trouble::said(error)));
    }
    for problem in error.problems() {
        report.enter::<()>(name(), Err(Trouble::said(problem)));
    }
}
