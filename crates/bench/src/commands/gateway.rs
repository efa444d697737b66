//! `bench gateway`: what the gateway adds to a call of a provider.

use crate::measure::gateway::calls::{CallsMeasurement, Load, Target, measure};
use crate::measure::gateway::process::{GatewayProcess, READY, Setting};
use crate::measure::gateway::{Form, provider};
use crate::report::{gateway_table, print};
use blindroute_console::placement::PlacementArg;
use blindroute_console::terminal::spinner;
use blindroute_placement::Placement;
use clap::Args;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// Measure what the gateway adds to a call.
///
/// A provider that is a mock answers at once, on this machine, over plain HTTP. Callers with connections that stay open call it directly,
/// through the gateway by a model's name (which takes no route), through the gateway with a route, and through the proxies that --proxy
/// names: in blocks that take turns, so that all see the same machine. Each answer is checked. "Less route" is the time without
/// the route's own, which the gateway says in a header; "added" is that less the same figure of direct calls.
#[derive(Debug, Args)]
pub struct BenchGatewayArgs {
    /// Where the gateway routes: local, head, full; head and full take sessions that were ready, and are filled again beside
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [PlacementArg::Local, PlacementArg::Head, PlacementArg::Full])]
    placement: Vec<PlacementArg>,
    /// Connections that call at the same time
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 8, 32], value_parser = clap::value_parser!(u8).range(1..=32))]
    connections: Vec<u8>,
    /// Calls of each target per setting, rounded up to whole blocks of up to four per connection
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests: u32,
    /// Another proxy that runs already and passes model "mock" on to --upstream-listen; may be repeated
    #[arg(long, value_name = "NAME=URL", value_parser = proxy)]
    proxy: Vec<Target>,
    /// Where the mock provider listens, for other proxies
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    upstream_listen: SocketAddr,
    /// Set a budget, so that each call's money is reserved on the disk before the call is made
    #[arg(long)]
    budget: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// The router bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// The model that the mock and other proxies know.
const MODEL: &str = "mock";

/// Reads `NAME=URL`.
fn proxy(text: &str) -> Result<Target, String> {
    let expected = "expected NAME=http://ADDRESS:PORT";
    let (name, url) = text.split_once('=').ok_or(expected)?;
    let host = url.strip_prefix("http://").ok_or(expected)?.trim_end_matches('/');
    let address = host.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or(expected)?;
    Ok(Target { name: name.to_owned(), address, model: MODEL, routed: false })
}

/// Runs the measurements.
pub(crate) fn run(args: &BenchGatewayArgs) -> anyhow::Result<()> {
    let provider = provider::start(args.upstream_listen)?;
    if !args.json {
        print(false, &(), &gateway_table::heading())?;
    }
    args.placement.iter().try_for_each(|placement| of_placement(args, (*placement).into(), provider))
}

fn of_placement(args: &BenchGatewayArgs, placement: Placement, provider: SocketAddr) -> anyhow::Result<()> {
    let bar = spinner();
    bar.set_message(format!("{}: starting the gateway, with {READY} sessions ready if it takes any", placement.name()));
    let setting = Setting { placement, provider, bundle: args.bundle.as_deref(), budget: args.budget };
    let mut gateway = GatewayProcess::start(&setting)?;
    let target = |name: &str, address, model, routed| Target { name: name.to_owned(), address, model, routed };
    let mut targets = vec![
        target("direct", provider, MODEL, false),
        target("gateway, named", gateway.address, MODEL, false),
        target("gateway, routed", gateway.address, "auto", true),
    ];
    targets.extend(args.proxy.iter().cloned());
    for &connections in &args.connections {
        for form in Form::ALL {
            let load = Load { form, connections: connections.into(), requests: args.requests as usize };
            let progress = |done: usize| {
                bar.set_message(format!("{}, {connections} at once, {}: {done} calls", placement.name(), form.name()));
            };
            for measured in measure(&targets, &mut gateway, load, &progress)? {
                let of_gateway = measured.target.starts_with("gateway");
                let measured =
                    CallsMeasurement { placement: if of_gateway { placement.name() } else { "" }, ..measured };
                bar.suspend(|| print(args.json, &measured, &gateway_table::line(&measured)))?;
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}
