//! `blindroute server` and `blindroute dealer`: the two operators' commands, and the children of `route`.

use anyhow::Context;
use blindroute_placement::BundleCatalogue;
use blindroute_protocol::Party;
use blindroute_routing::bundle::{BundleError, ExpectedShare, PublicPart, ShareFile};
use blindroute_runtime::config::{
    Configuration, DealerConfig, IdentityConfig, NetworkConfig, ServerConfig, TimeoutsConfig,
};
use blindroute_runtime::session::MATERIAL_BUDGET;
use blindroute_runtime::{
    Catalogue, Connection, DealerService, Endpoint, Ledger, Role, ServerOptions, ServerService, Service,
    ServiceOptions, SessionError, SharesError, Shutdown,
};
use clap::Args;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Run one of the two servers.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Position of this server; its share file must be of the same
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=1))]
    party: u8,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Run the dealer.
#[derive(Debug, Args)]
pub(crate) struct DealerArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// What servers and dealer have in common.
struct Host<'a> {
    role: Role,
    listen: &'a str,
    identity: &'a IdentityConfig,
    timeouts: &'a TimeoutsConfig,
    network: Option<NetworkConfig>,
    max_sessions: usize,
    max_sessions_per_client: usize,
    max_handshakes: usize,
    exit_with_parent: bool,
}

impl Host<'_> {
    fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let scene = self.network.map(|network| network.scene());
        if let Some(scene) = scene {
            tracing::warn!(role = %self.role, %scene, "links are emulated, for measurements: everything waits longer");
        }
        Ok(Endpoint::load(self.role, &self.identity.files())?.in_scene(scene))
    }

    /// Listens, announces itself on stdout, and serves until told to stop.
    fn run<H>(&self, endpoint: Endpoint, callers: &[Role], handler: H) -> anyhow::Result<()>
    where
        H: Fn(Connection) -> Result<(), SessionError> + Send + Sync + 'static,
    {
        let mut options = ServiceOptions::new(callers);
        options.max_sessions = self.max_sessions;
        options.max_sessions_per_client = self.max_sessions_per_client;
        options.max_handshakes = self.max_handshakes;
        options.timeouts = self.timeouts.timeouts();
        if self.exit_with_parent {
            // The parent is the only client: once it is gone, or stops us, nobody waits for a session's end.
            options.grace = std::time::Duration::ZERO;
            options.max_sessions_per_client = self.max_sessions;
        }
        let service = Service::bind(self.listen, endpoint, options)?;
        let shutdown = Shutdown::new();
        shutdown.on_signals().context("signals cannot be handled")?;
        if self.exit_with_parent {
            shutdown.on_end_of(std::io::stdin()).context("standard input cannot be watched")?;
        }
        service.announce(std::io::stdout())?;
        Ok(service.run(&shutdown, handler)?)
    }
}

/// Runs a server until it is stopped.
pub(crate) fn server(args: &ServerArgs) -> anyhow::Result<()> {
    let config = ServerConfig::load(&args.config)?.config;
    if config.party != args.party {
        anyhow::bail!(
            "--party is {}, the configuration says {}; start the server with the configuration of its position",
            args.party,
            config.party
        );
    }
    let public =
        PublicPart::open(&config.bundle).with_context(|| format!("public part {}", config.bundle.display()))?;
    let party = Party::from_index(usize::from(config.party)).context("party")?;
    let expected = public.expected_share(party);
    let (share, file) =
        ShareFile::hold(&config.share, &expected).with_context(|| format!("share {}", config.share.display()))?;
    let role = config.role();
    let host = Host {
        role,
        listen: &config.listen,
        identity: &config.identity,
        timeouts: &config.timeouts,
        network: config.network,
        max_sessions: config.max_sessions,
        max_sessions_per_client: config.sessions_per_client(),
        max_handshakes: config.max_handshakes,
        exit_with_parent: config.exit_with_parent,
    };
    let endpoint = host.endpoint()?;
    let catalogue = Arc::new(BundleCatalogue::of(&public).with_measurements(config.measurements));
    let ledger = Ledger::open(&config.state)?;
    let options = ServerOptions {
        dealer: config.dealer.clone(),
        peer: config.peer.clone(),
        timeouts: config.timeouts.timeouts(),
        budget: MATERIAL_BUDGET,
    };
    let specs = catalogue.weights();
    share.weights(&specs).context("the share file")?;
    let path = config.share.clone();
    // The file is read again for each set-up of the model: the packed weights are the only copy held. It is the file that
    // was checked here, whatever its name stands for by then (the parent of a child removes the name after the start),
    // and it is compared each time, for it may have been written to.
    drop(share);
    let shares = move || Ok(read_again(&path, &file, &expected)?.weights(&specs)?);
    let service = ServerService::new(catalogue, party, shares, endpoint.clone(), ledger, options);
    let callers: &[Role] = if party == Party::Zero { &[Role::Client, Role::Server1] } else { &[Role::Client] };
    host.run(endpoint, callers, move |connection| service.handle(connection))
}

/// The share as it was when this server started, or nothing. A file that was spoilt may have been put back under its name.
fn read_again(path: &Path, file: &File, expected: &ExpectedShare) -> Result<ShareFile, SharesError> {
    let read = ShareFile::read_from(file, expected);
    let read = if read.is_err() && path.exists() { ShareFile::open(path, expected) } else { read };
    read.map_err(|error| {
        let text = format!("{}: {error}", path.display());
        match error {
            BundleError::OtherParty { .. } | BundleError::OtherSplit { .. } | BundleError::OtherShare { .. } => {
                SharesError::Changed(format!(
                    "{text}. Put the file back, or stop all parties and start them with one split"
                ))
            }
            _ => SharesError::Unreadable(text),
        }
    })
}

/// Runs the dealer until it is stopped.
pub(crate) fn dealer(args: &DealerArgs) -> anyhow::Result<()> {
    let config = DealerConfig::load(&args.config)?.config;
    let public =
        PublicPart::open(&config.bundle).with_context(|| format!("public part {}", config.bundle.display()))?;
    let host = Host {
        role: Role::Dealer,
        listen: &config.listen,
        identity: &config.identity,
        timeouts: &config.timeouts,
        network: config.network,
        max_sessions: config.max_sessions,
        // Only servers call.
        max_sessions_per_client: config.max_sessions,
        max_handshakes: config.max_handshakes,
        exit_with_parent: config.exit_with_parent,
    };
    let endpoint = host.endpoint()?;
    let ledger = Ledger::open(&config.state)?;
    let patience = config.timeouts.timeouts().stall;
    let service = Arc::new(DealerService::new(Arc::new(BundleCatalogue::of(&public)), ledger, patience));
    let warming = Arc::clone(&service);
    std::thread::spawn(move || {
        if let Err(error) = warming.warm_up() {
            tracing::warn!(%error, "the model's mask could not be made yet");
        }
    });
    host.run(endpoint, &[Role::Server0, Role::Server1], move |connection| service.handle(connection))
}
