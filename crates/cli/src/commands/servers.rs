//! Which servers a command asks, and how long it tries.

use blindroute_console::bundles;
use blindroute_placement::{ChildOptions, Patience, PrivateRouter, Retry, Waiting};
use blindroute_routing::bundle::Bundle;
use blindroute_runtime::ClientConfig;
use blindroute_runtime::config::Configuration;
use clap::Args;
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The options of commands that ask servers.
#[derive(Debug, Args)]
pub(super) struct ServersArgs {
    /// How long to try again while no session can be prepared, because a server is unreachable, restarting or full. Nothing
    /// of a prompt or text has been sent by then. 0 gives up at once
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=86_400))]
    retry: u32,
    /// Use the servers of this client configuration (TOML). Give it once for each pair of servers (a dealer with its two servers):
    /// the sessions are spread over all pairs, which must hold the same model, and a pair that fails is skipped for a while
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
}

impl ServersArgs {
    /// How long to try again. The spinner says so; without a terminal, the log does.
    pub(super) fn patience(&self, bar: &ProgressBar) -> Patience {
        let bar = bar.clone();
        let notice = move |waiting: &Waiting<'_>| {
            bar.set_message(format!("no session can be prepared; trying again for {} s", waiting.left.as_secs()));
        };
        Patience { retry: Retry::within(Duration::from_secs(self.retry.into())), notice: Some(Arc::new(notice)) }
    }

    /// A router of the servers that the client configurations name, with this bundle in the clear if one is named; none without a
    /// configuration.
    pub(super) fn connect(&self, bundle: Option<&Path>) -> anyhow::Result<Option<PrivateRouter>> {
        if self.config.is_empty() { Ok(None) } else { Self::connect_to(&self.config, bundle).map(Some) }
    }

    /// A router of this bundle on this machine: with these children, or without any in the clear.
    pub(super) fn start(
        bundle: &Bundle,
        name: String,
        children: Option<ChildOptions>,
        bar: &ProgressBar,
    ) -> anyhow::Result<PrivateRouter> {
        let router = match children {
            None => PrivateRouter::local(bundle)?,
            Some(children) => {
                PrivateRouter::with_children(bundle, &children, &|step| bar.set_message(step.to_owned()))?
            }
        };
        Ok(router.named(name))
    }

    /// A router of the servers that these client configurations name.
    pub(super) fn connect_to(configs: &[PathBuf], bundle: Option<&Path>) -> anyhow::Result<PrivateRouter> {
        let load = |path: &PathBuf| ClientConfig::load(path).map(|loaded| loaded.config);
        let configs = configs.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let bundle = bundle.map(bundles::read).transpose()?;
        let router = PrivateRouter::connect_all(&configs)?;
        Ok(match bundle {
            Some(bundle) => router.with_bundle(&bundle)?,
            None => router,
        })
    }
}
