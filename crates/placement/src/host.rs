//! Hosting a party: a program, or a thread of one, that is a server or the dealer.
//!
//! A [`Host`] is a party that has read its files and listens. It leaves the process alone: it handles no signal, writes to no
//! standard stream and keeps nothing global. Whoever runs it gives it a [`Shutdown`] to end it by, so several hosts can run
//! as threads of one process. [`Host::server`] and [`Host::dealer`] take a configuration; [`Host::server_of`] and
//! [`Host::dealer_of`] take parts that are already loaded, such as certificates and shares that lie in memory.

mod configured;
mod error;
mod follow;
mod observed;
mod share;
mod stored;
mod versions;

use crate::catalogue::BundleCatalogue;
use blindroute_protocol::Party;
use blindroute_routing::bundle::PublicPart;
use blindroute_routing::program::NetworkEstimate;
use blindroute_runtime::choices::Choices;
use blindroute_runtime::clients::Register;
use blindroute_runtime::config::{DealerConfig, Rolling, ServerConfig};
use blindroute_runtime::identity::WATCH;
use blindroute_runtime::session::MATERIAL_BUDGET;
use blindroute_runtime::store::Store;
use blindroute_runtime::{
    Connection, DealerService, Endpoint, Ledger, LedgerError, Role, ServerOptions, ServerService, Service,
    ServiceError, ServiceOptions, SessionError, Shutdown, Tally,
};
pub use configured::endpoint;
use configured::{choices, clients, hand_over, public_part, warn_of_development, watched};
pub use error::HostError;
use follow::{Look, Named, follow, keep_looking};
pub use observed::Observed;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use versions::{Serving, Shares};

/// Where a party listens, as whom, and how much it takes on.
#[derive(Clone, Debug)]
pub struct Listen {
    /// "host:port"; port 0 takes a free one.
    pub address: String,
    /// The party's certificates. The role in them decides who may call.
    pub endpoint: Endpoint,
    /// Its limits. The allowed callers are set by the [`Host`].
    pub limits: ServiceOptions,
}

/// What a server consists of.
pub struct ServerParts<'a> {
    /// The public part of the split bundle.
    pub public: &'a PublicPart,
    /// Reads this server's weight shares. It is called for each set-up of the weights, so that the packed weights are the only
    /// copy held, and must refuse shares that are not those of the public part (see [`ShareFile`](blindroute_routing::bundle::ShareFile)).
    pub shares: Shares,
    /// Which sessions were entered before.
    pub ledger: Arc<dyn Ledger>,
    /// Where the dealer and the other server are.
    pub options: ServerOptions,
    /// Whether the measurements `embed` and `select` are served, which is dangerous: see
    /// [`BundleCatalogue::dangerously_serve_measurements`].
    pub measurements: bool,
    /// Whether the scores of a classifier's labels are served: see [`BundleCatalogue::serve_scores`].
    pub scores: bool,
    /// What it counts of the choices that clients report; nothing if it is `None`.
    pub choices: Option<Arc<Choices>>,
    /// How far the other server is, for which this one chooses its programs; near if it is `None`. Both servers need the
    /// same value.
    pub between_servers: Option<NetworkEstimate>,
}

impl std::fmt::Debug for ServerParts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerParts").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Answers one connection.
type Handler = Box<dyn Fn(Connection) -> Result<(), SessionError> + Send + Sync>;

type WarmUp = Box<dyn FnOnce() + Send>;

/// What a party does by itself while it runs, until it is stopped.
type Background = Box<dyn FnOnce(Shutdown) + Send>;

/// Begins to follow a configuration file.
type Follow = Box<dyn FnOnce(PathBuf) -> Look + Send>;

/// A server or a dealer that listens and answers nobody yet.
pub struct Host {
    service: Service,
    handler: Handler,
    /// To begin with, beside the first calls.
    warm_up: Option<WarmUp>,
    background: Vec<Background>,
    /// How its configuration is followed, if it has one.
    follow: Option<Follow>,
    /// The looks at its configuration, if it is followed.
    look: Option<Look>,
    observed: Observed,
}

/// A party's ledger, or why it cannot be used.
pub type OpenedLedger = Result<Arc<dyn Ledger>, LedgerError>;

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Host {
    /// A server with the files and limits of its configuration, and with its ledger: usually a [`blindroute_runtime::FileLedger`] in the
    /// folder `state`. The ledger is opened once the other files are known to be good, since that alone changes something.
    ///
    /// # Errors
    /// The public part, share, certificates or ledger cannot be used, or the address cannot be listened on.
    pub fn server(config: &ServerConfig, ledger: impl FnOnce() -> OpenedLedger) -> Result<Self, HostError> {
        warn_of_development(config.development);
        let named = Named::by(config);
        let public = public_part(&config.bundle)?;
        let shares = versions::shares(config, &config.share, &public)?;
        let endpoint = endpoint(config.role(), &config.identity, config.network)?;
        let accepted = config.accept_hand_over.iter().map(|from| from.authority.as_deref());
        let endpoint = watched(endpoint.accepting_hand_over(accepted)?, config.exit_with_parent);
        let timeouts = config.timeouts.timeouts();
        let hand_over = hand_over(config, &endpoint)?;
        config.clients.as_deref().map(Register::load).transpose()?;
        let (choices, ledger) = (choices(config)?, ledger()?);
        let options = ServerOptions {
            dealer: config.dealer.clone(),
            peer: config.peer.clone(),
            timeouts,
            budget: MATERIAL_BUDGET,
            hand_over,
            clients: clients(config, &ledger)?.map(Arc::new),
            audit: config.audit.share(),
            development: config.development,
        };
        let mut limits = ServiceOptions::new(&[]);
        limits.max_sessions = config.max_sessions;
        limits.max_sessions_per_client = config.sessions_per_client();
        limits.max_handshakes = config.max_handshakes;
        limits.timeouts = timeouts;
        limits.grace = config.timeouts.drain();
        if config.exit_with_parent {
            serve_parent_only(&mut limits);
        }
        let between_servers = config.distance().map(|network| {
            let distance = network.scene();
            tracing::info!(%distance, "programs are chosen for this distance of the other server");
            NetworkEstimate { delay: distance.delay, megabits: distance.megabits }
        });
        let (measurements, scores) = (config.measurements, config.scores);
        let store = config.store.as_ref().map(|store| Store::open(&store.options(), config.role())).transpose()?;
        let parts =
            ServerParts { public: &public, shares, ledger, options, measurements, scores, choices, between_servers };
        let serving = parts.serving();
        let listen = Listen { address: config.listen.clone(), endpoint, limits };
        let (mut host, server) = Self::serving(parts, listen, store)?;
        if let Some(store) = &config.store {
            let plan = stored::plan(store.clone(), &serving.catalogue(&public))?;
            let server = Arc::clone(&server);
            host.background.push(Box::new(move |shutdown| server.keep_filled(&plan, &shutdown)));
        }
        drop(public);
        if config.next.is_some() {
            versions::hold_at_server(&server, serving, config)?;
        }
        Ok(host.followed_by(config, named, move |config| versions::hold_at_server(&server, serving, config)))
    }

    /// The server of these parts. Its position is that of the certificates' role.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn server_of(parts: ServerParts<'_>, listen: Listen) -> Result<Self, HostError> {
        Self::serving(parts, listen, None).map(|(host, _)| host)
    }

    fn serving(
        parts: ServerParts<'_>,
        listen: Listen,
        store: Option<Arc<Store>>,
    ) -> Result<(Self, Arc<ServerService<BundleCatalogue>>), HostError> {
        let catalogue = parts.serving().catalogue(parts.public);
        let ServerParts { shares, ledger, options, choices, .. } = parts;
        let (party, callers): (_, &[Role]) = match listen.endpoint.role() {
            Role::Server0 => (Party::Zero, &[Role::Client, Role::Server1]),
            _ => (Party::One, &[Role::Client]),
        };
        let (clients, seen) = (options.clients.clone(), Observed::before(&listen, ledger));
        let (ledger, tally) = (Arc::clone(&seen.ledger), Arc::clone(&seen.tally));
        let server = ServerService::new(catalogue, party, shares, listen.endpoint.clone(), ledger, options);
        let server = server.counting(tally).with_choices(choices.clone());
        let stored = store.clone();
        let server = Arc::new(match store {
            Some(store) => server.storing(store),
            None => server,
        });
        // Weak: what shows a party does not keep its weights.
        let held = Arc::downgrade(&server);
        let versions = Arc::new(move || held.upgrade().map(|server| server.held()).unwrap_or_default());
        let observed = Observed { audits: Some(server.audits()), clients, choices, store: stored, versions, ..seen };
        let service = listen.bind(callers, &observed.tally)?;
        let (answering, closing) = (Arc::clone(&server), Arc::clone(&server));
        let counts = observed.choices.is_some() && party == Party::One;
        let mut host = Self::answering(service, observed, move |connection| answering.handle(connection), None);
        if counts {
            host.background.push(Box::new(move |shutdown| {
                while !shutdown.wait(WATCH) {
                    closing.reveal_choices(SystemTime::now());
                }
            }));
        }
        Ok((host, server))
    }

    /// The dealer with the files and limits of its configuration, and with its ledger, as for [`Host::server`].
    ///
    /// # Errors
    /// The public part, certificates or ledger cannot be used, or the address cannot be listened on.
    pub fn dealer(config: &DealerConfig, ledger: impl FnOnce() -> OpenedLedger) -> Result<Self, HostError> {
        warn_of_development(config.development);
        let named = Named::by(config);
        let public = public_part(&config.bundle)?;
        let endpoint = watched(endpoint(Role::Dealer, &config.identity, config.network)?, config.exit_with_parent);
        let mut limits = ServiceOptions::new(&[]);
        limits.max_sessions = config.max_sessions;
        // Only servers call.
        limits.max_sessions_per_client = config.max_sessions;
        limits.max_handshakes = config.max_handshakes;
        limits.timeouts = config.timeouts.timeouts();
        limits.grace = config.timeouts.drain();
        if config.exit_with_parent {
            serve_parent_only(&mut limits);
        }
        let listen = Listen { address: config.listen.clone(), endpoint, limits };
        let (host, dealer) = Self::dealing(&public, ledger()?, listen)?;
        drop(public);
        if config.next.is_some() {
            versions::hold_at_dealer(&dealer, config)?;
        }
        Ok(host.followed_by(config, named, move |config| versions::hold_at_dealer(&dealer, config)))
    }

    /// The dealer of these parts.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn dealer_of(public: &PublicPart, ledger: Arc<dyn Ledger>, listen: Listen) -> Result<Self, HostError> {
        Self::dealing(public, ledger, listen).map(|(host, _)| host)
    }

    fn dealing(
        public: &PublicPart,
        ledger: Arc<dyn Ledger>,
        listen: Listen,
    ) -> Result<(Self, Arc<DealerService<BundleCatalogue>>), HostError> {
        let stall = listen.limits.timeouts.stall;
        let observed = Observed::before(&listen, ledger);
        let dealer = DealerService::new(versions::dealers(public), Arc::clone(&observed.ledger), stall);
        let dealer = Arc::new(dealer.counting(Arc::clone(&observed.tally)));
        let held = Arc::downgrade(&dealer);
        let versions = Arc::new(move || held.upgrade().map(|dealer| dealer.held()).unwrap_or_default());
        let observed = Observed { versions, ..observed };
        let service = listen.bind(&[Role::Server0, Role::Server1], &observed.tally)?;
        let (answering, warming) = (Arc::clone(&dealer), Arc::clone(&dealer));
        let warm_up = move || versions::warm_up(&warming);
        let handle = move |connection| answering.handle(connection);
        Ok((Self::answering(service, observed, handle, Some(Box::new(warm_up))), dealer))
    }

    /// A party whose configuration can be followed.
    fn followed_by<C: Rolling + Send + 'static>(
        mut self,
        config: &C,
        named: Named,
        apply: impl Fn(&C) -> Result<(), HostError> + Send + 'static,
    ) -> Self {
        let config = config.clone();
        self.follow = Some(Box::new(move |path| follow(path, config, named, Box::new(apply))));
        self
    }

    /// While it runs, looks every two seconds at the file of its configuration, and at those of the bundle's versions in it. When one
    /// changes, the party holds the versions that the configuration names from then on: sessions under way go on, new ones find
    /// what is there. If something does not fit, it warns and keeps what it has. Nothing else of the configuration is read again.
    #[must_use]
    pub fn following(mut self, configuration: &Path) -> Self {
        self.look = self.follow.take().map(|follow| follow(configuration.to_owned()));
        self
    }

    /// A party that stops as soon as another process has taken its ledger over.
    fn answering(
        service: Service,
        observed: Observed,
        handle: impl Fn(Connection) -> Result<(), SessionError> + Send + Sync + 'static,
        warm_up: Option<WarmUp>,
    ) -> Self {
        let told = Arc::clone(&observed.fenced);
        let handler: Handler = Box::new(move |connection| {
            let shutdown = connection.shutdown.clone();
            let handled = handle(connection);
            if let Err(SessionError::Ledger(error)) = &handled
                && let Some(error) = error.that_ends_the_party()
            {
                // Only the first is kept.
                told.set(error).ok();
                shutdown.trigger("another process opened the ledger");
            }
            handled
        });
        Self { service, handler, warm_up, background: Vec::new(), follow: None, look: None, observed }
    }

    /// What the party shows of itself, also while it runs.
    #[must_use]
    pub fn observed(&self) -> Observed {
        self.observed.clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// Writes the line by which a parent process learns the address: `{"listening":"127.0.0.1:4000","role":"server0"}`.
    ///
    /// # Errors
    /// The writer failed.
    pub fn announce(&self, out: impl Write) -> Result<(), HostError> {
        Ok(self.service.announce(out)?)
    }

    /// Answers calls until `shutdown` is triggered, then waits for running sessions up to the grace period of its limits.
    ///
    /// # Errors
    /// The service failed, or another process has taken the ledger over.
    pub fn run(self, shutdown: &Shutdown) -> Result<(), HostError> {
        if let Some(warm_up) = self.warm_up {
            std::thread::spawn(warm_up);
        }
        for background in self.background {
            let shutdown = shutdown.clone();
            std::thread::spawn(move || background(shutdown));
        }
        // The thread that looks ends when this is dropped.
        let (running, stop) = std::sync::mpsc::channel::<()>();
        if let Some(look) = self.look {
            std::thread::spawn(move || keep_looking(look, &stop, WATCH));
        }
        self.service.run(shutdown, self.handler)?;
        drop(running);
        let fenced = self.observed.fenced.get().and_then(LedgerError::that_ends_the_party);
        fenced.map_or(Ok(()), |fenced| Err(fenced.into()))
    }
}

impl ServerParts<'_> {
    fn serving(&self) -> Serving {
        let Self { measurements, scores, between_servers, .. } = *self;
        Serving { measurements, scores, between_servers }
    }
}

impl Listen {
    fn bind(mut self, callers: &[Role], tally: &Arc<Tally>) -> Result<Service, ServiceError> {
        self.limits.allowed = callers.to_vec();
        self.limits.tally = Arc::clone(tally);
        Service::bind(&self.address, self.endpoint, self.limits)
    }
}

/// The parent process is the only client: once it is gone, or stops the service, nobody waits for a session's end.
fn serve_parent_only(limits: &mut ServiceOptions) {
    limits.grace = Duration::ZERO;
    limits.max_sessions_per_client = limits.max_sessions;
}
