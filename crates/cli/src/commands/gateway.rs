//! `blindroute gateway`: an HTTP server on this machine that applications call instead of an LLM provider.

use super::servers::ServersArgs;
use anyhow::{Context, bail};
use blindroute_console::files::print;
use blindroute_console::terminal;
use blindroute_console::{bundles, program};
use blindroute_gateway::config::{self, Config, Environment, PoolModel, Reload};
use blindroute_gateway::store::{Store, StoreOptions};
use blindroute_gateway::{Gateway, pool_of};
use blindroute_placement::{Placement, PrivateRouter, Retry};
use blindroute_runtime::Shutdown;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Answer applications that speak to an LLM provider.
///
/// It listens on this machine, speaks the dialects of OpenAI and Anthropic, and chooses the model of each new message privately. Without
/// --config, a dealer and two servers run here as child processes, and a model that is built in repeats what it is sent.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct GatewayArgs {
    #[command(subcommand)]
    command: Option<GatewayCommand>,
    /// The configuration (TOML); `blindroute gateway init` writes one. It is followed when it changes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only say what the configuration means, or all that is wrong in it
    #[arg(long, requires = "config")]
    check: bool,
    /// Listen on this address of this machine instead of the configuration's
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// End when standard input does, which a program that started this one holds open
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

#[derive(Debug, Subcommand)]
enum GatewayCommand {
    /// Write a commented configuration
    Init {
        /// Where to write it; not over a file that is there
        #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
        out: PathBuf,
    },
}

/// Runs the gateway until it is told to stop.
pub(crate) fn run(args: &GatewayArgs) -> anyhow::Result<()> {
    if let Some(GatewayCommand::Init { out }) = &args.command {
        return init(out);
    }
    let environment = Environment::process();
    if args.check {
        return check(args, &environment);
    }
    blindroute_runtime::choose_cryptography();
    let first = match &args.config {
        // The models of the pool are known once the bundle is open; what is wrong besides is said before that.
        Some(path) => Config::load(path, &[], &environment)?,
        None => Config::default(),
    };
    let listen = args.listen.unwrap_or(first.listen);
    if !listen.ip().is_loopback() && first.access.token.is_none() {
        bail!(
            "{listen} is reached from other machines: set access.token_env or access.token_file, or listen on 127.0.0.1"
        );
    }
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("signals cannot be handled")?;
    if args.exit_with_parent {
        shutdown.on_end_of(std::io::stdin()).context("standard input cannot be watched")?;
    }
    let bar = terminal::spinner();
    let router = Arc::new(open(&first, &bar)?.with_patience(Retry::within(first.route.deadline)));
    let reload = match &args.config {
        Some(path) => Reload::open(path, pool_of(&router), environment)?,
        None => Reload::fixed(first),
    };
    let reload = Arc::new(reload);
    let config = reload.current();
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("cannot make the folder {}; name another in `data`", config.data.display()))?;
    let options = StoreOptions { keep_days: config.privacy.store_days, ..StoreOptions::default() };
    let store = Store::open(&config.data.join("gateway.sqlite"), options)?;
    let gateway = Arc::new(Gateway::new(reload, Arc::clone(&router), store)?);
    bar.set_message("preparing the first sessions");
    gateway.keep_ready()?;
    bar.finish_and_clear();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no async runtime")?;
    let served = runtime.block_on(serve(gateway, listen, &config, (&shutdown, args.json)));
    // Threads that still wait for servers do not hold the end up: the servers end with this process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn serve(
    gateway: Arc<Gateway>,
    listen: SocketAddr,
    config: &Config,
    (shutdown, json): (&Shutdown, bool),
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen}; another program may: choose another port with --listen")
    })?;
    let address = listener.local_addr().context("the listener has no address")?;
    let end = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&end);
    shutdown.on_trigger(move || told.notify_one());
    print(&if json {
        serde_json::json!({"listening": address.to_string(), "base_url": format!("http://{address}/v1")}).to_string()
    } else {
        ready(address, config)
    })?;
    gateway.serve(listener, async move { end.notified().await }).await.context("the gateway stopped")?;
    Ok(())
}

/// What is said once requests are answered.
fn ready(address: SocketAddr, config: &Config) -> String {
    let models = if config.is_echo() {
        "No provider is configured, so a model that is built in repeats what it is sent. `blindroute gateway init` writes a configuration."
            .to_owned()
    } else {
        let names = config.providers.iter().map(|provider| provider.name.as_str()).collect::<Vec<_>>();
        format!("Providers: {}.", names.join(", "))
    };
    let alias = config.route.aliases.first().map_or("auto", String::as_str);
    format!(
        "http://{address}/v1 is the base_url for OpenAI clients, http://{address} for Anthropic's, and http://{address}/ the page for \
         you.\n{models}\nTry: curl http://{address}/v1/chat/completions -H 'content-type: application/json' \
         -d '{{\"model\":\"{alias}\",\"messages\":[{{\"role\":\"user\",\"content\":\"What is the capital of France?\"}}]}}'"
    )
}

fn init(out: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create_new(out).with_context(|| {
        format!("cannot write {}; it may be there already: name another file with --out", out.display())
    })?;
    file.write_all(config::TEMPLATE.as_bytes())?;
    print(&format!("{}: uncomment and fill in, then `blindroute gateway --config {0} --check`", out.display()))
}

fn check(args: &GatewayArgs, environment: &Environment) -> anyhow::Result<()> {
    let Some(path) = &args.config else { bail!("--check needs --config FILE") };
    // If it cannot be read at all, the check says why.
    let pool = Config::load(path, &[], environment).ok().and_then(|config| pool(&config).ok()).unwrap_or_default();
    let report = config::check(path, &pool, environment)?;
    let text = if args.json { serde_json::to_string(&report)? } else { report.to_string() };
    print(text.trim_end())?;
    if !report.problems.is_empty() {
        bail!("{} has {} problems; see above", path.display(), report.problems.len());
    }
    Ok(())
}

/// The models of the pool of a configuration's router.
fn pool(config: &Config) -> anyhow::Result<Vec<PoolModel>> {
    let route = &config.route;
    Ok(pool_of(&match route.servers.is_empty() {
        true => PrivateRouter::local(&bundles::open(route.bundle.as_deref())?)?,
        // They are not asked for this.
        false => ServersArgs::connect_to(&route.servers, None)?,
    }))
}

/// The router that the configuration names.
fn open(config: &Config, bar: &ProgressBar) -> anyhow::Result<PrivateRouter> {
    let route = &config.route;
    bar.set_message("reading the bundle");
    if !route.servers.is_empty() {
        return ServersArgs::connect_to(&route.servers, route.bundle.as_deref());
    }
    let (bundle, name) = (bundles::open(route.bundle.as_deref())?, bundles::name(route.bundle.as_deref()));
    let children = match route.placement {
        Placement::Local => None,
        Placement::Head | Placement::Full => Some(program::children()?),
    };
    ServersArgs::start(&bundle, name, children, bar)
}
