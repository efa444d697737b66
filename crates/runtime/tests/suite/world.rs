//! Dealer and servers in this process, over real sockets, with a small program.
// Each test binary uses its part.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unreachable_pub)]

#[path = "world/forwarder.rs"]
mod forwarder;

use blindroute_protocol::{
    Error, Form, Interpreter, Machine, Party, Program, Seed, Shape, Tensor, WeightId, WeightKind, WeightShares,
    WeightSpec,
};
use blindroute_runtime::choices::{Choices, ChoicesOptions};
use blindroute_runtime::clients::Clients;
use blindroute_runtime::messages::{Digest, Spoken};
use blindroute_runtime::session::{FillPlan, MATERIAL_BUDGET, Wanted};
use blindroute_runtime::store::{Hours, Store, StoreFigures, StoreOptions};
use blindroute_runtime::{
    AuditCounts, AuditShare, Catalogue, CertificateFolder, Client, Connection, DealerService, Endpoint, FileLedger,
    HandOverOptions, IdentityFiles, Link, Role, ServerOptions, ServerService, ServerVersion, Service, ServiceError,
    ServiceOptions, SessionError, SessionOutcome, SharesError, Shutdown, Timeouts,
};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use forwarder::Forwarder;

/// Long enough for a loaded machine, unless a test says otherwise.
pub const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    handshake: Duration::from_secs(10),
    stall: Duration::from_secs(20),
    message: Duration::from_secs(60),
    ready: Duration::from_secs(600),
};

/// Squares of a batch of numbers. It may keep the numbers, or take those that were kept.
pub struct Squares {
    count: usize,
    keeps: bool,
    /// Whether each number is scaled by a weight too.
    scaled: bool,
    /// Counts those that live in their party.
    alive: Arc<AtomicUsize>,
}

impl Drop for Squares {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Program for Squares {
    fn weights(&self) -> Vec<WeightSpec> {
        weight_specs(self.scaled)
    }

    fn inputs(&self) -> Vec<Form> {
        vec![Form::new(Shape::new(self.count, 1, 1), 64, 12)]
    }

    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        let x = machine.input::<u64>(0)?;
        let x = machine.open(x)?;
        let square = machine.product(&x, &x)?;
        if self.keeps {
            let x = machine.share_of(&x)?;
            machine.keep(x)?;
        }
        machine.reveal(square, "the client asked for it")?;
        if self.scaled {
            let scaled = machine.scale_columns(&x, WeightId(0))?;
            machine.reveal(scaled, "the client asked for it")?;
        }
        Ok(())
    }
}

/// A request is the count in decimal, then `more` if it continues with numbers that were kept, then `keep` if it keeps them.
#[derive(Default)]
pub struct Numbers {
    /// Programs that live: sessions, at a party.
    pub alive: Arc<AtomicUsize>,
    /// Whether programs have a weight, [`SCALE`].
    pub scaled: bool,
    /// A party waits for it before it makes a program.
    pub gate: Arc<Mutex<()>>,
    /// The version, from 0.
    pub version: u8,
    /// How often a server read its share of this version.
    pub shares_read: Arc<AtomicUsize>,
}

impl Numbers {
    /// A version of programs that have a weight.
    pub fn scaled(version: u8) -> Arc<Self> {
        Arc::new(Self { scaled: true, version, ..Self::default() })
    }

    /// The weight of its programs, if they have one: [`SCALE`], and another one in each further version.
    pub fn scale(&self) -> f32 {
        SCALE + f32::from(self.version)
    }

    /// A server's share of this version.
    pub fn at_server(self: &Arc<Self>, party: Party) -> ServerVersion<Self> {
        ServerVersion::new(Arc::clone(self), self.shares(party))
    }

    fn shares(self: &Arc<Self>, party: Party) -> impl Fn() -> Result<WeightShares, SharesError> + Send + use<> {
        let (specs, own) = (weight_specs(self.scaled), Arc::clone(self));
        move || {
            own.shares_read.fetch_add(1, Ordering::SeqCst);
            let weights: Vec<_> = specs.iter().map(|_| Tensor::new(Shape::row(1), vec![own.scale()])).collect();
            match party {
                Party::Zero => Ok(WeightShares::from_seed(&specs, &Seed::new([0; 16]))),
                Party::One => Ok(WeightShares::complement(&specs, &weights, &Seed::new([0; 16]))?),
            }
        }
    }
}

/// The models of which choices are counted.
pub const MODELS: [&str; 4] = ["small", "medium", "large", "huge"];

/// The weight of programs that have one.
pub const SCALE: f32 = 3.0;

fn weight_specs(scaled: bool) -> Vec<WeightSpec> {
    scaled.then(|| WeightSpec::new("scale", WeightKind::Scale(1), 12)).into_iter().collect()
}

fn words(request: &[u8]) -> Vec<&str> {
    std::str::from_utf8(request).map(|text| text.split(' ').collect()).unwrap_or_default()
}

impl Catalogue for Numbers {
    type Program = Squares;

    fn digest(&self) -> Digest {
        Digest([7 + self.version; 32])
    }

    fn weights(&self) -> Vec<WeightSpec> {
        weight_specs(self.scaled)
    }

    fn program(&self, request: &[u8]) -> Result<Squares, String> {
        drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
        let words = words(request);
        let count = words.first().and_then(|count| count.parse().ok()).ok_or("not a count")?;
        self.alive.fetch_add(1, Ordering::SeqCst);
        let keeps = words.contains(&"keep");
        Ok(Squares { count, keeps, scaled: self.scaled, alive: Arc::clone(&self.alive) })
    }

    fn choices(&self) -> Vec<String> {
        MODELS.map(str::to_owned).to_vec()
    }

    fn continues(&self, request: &[u8]) -> bool {
        words(request).contains(&"more")
    }

    fn follows(&self, before: &[u8], request: &[u8]) -> bool {
        words(before).contains(&"keep") && self.continues(request)
    }
}

/// A service on a thread of this process.
struct Running {
    shutdown: Shutdown,
    thread: JoinHandle<Result<(), ServiceError>>,
    /// Keeps a server's store filled.
    filling: Option<JoinHandle<()>>,
}

/// To whom a server hands over, by its certificates and position.
type HandsOver = Box<dyn Fn(&Endpoint, Party) -> HandOverOptions + Send + Sync>;
/// Answers a server in place of a dealer.
pub type PlayedDealer = Arc<dyn Fn(Connection) -> Result<(), SessionError> + Send + Sync>;

/// Each role's files.
type Identity = Box<dyn Fn(Role) -> IdentityFiles + Send + Sync>;

pub struct World {
    home: tempfile::TempDir,
    identity: Identity,
    /// How often the services look at their files, if they do.
    watched: Option<Duration>,
    timeouts: Timeouts,
    budget: usize,
    limits: fn(&mut ServiceOptions),
    pub hand_over: HandsOver,
    /// The authorities whose servers may hand over.
    pub accepts: Vec<PathBuf>,
    /// Whom the servers answer.
    pub clients: [Option<Arc<Clients>>; 2],
    /// When the servers reveal the choices that they count, if they do.
    pub choices: Option<[ChoicesOptions; 2]>,
    /// Their counts.
    pub counting: [Option<Arc<Choices>>; 2],
    pub audit: [AuditShare; 2],
    /// The most bytes of the servers' stores, if they have some.
    pub store_bytes: [Option<u64>; 2],
    pub stores: [Weak<Store>; 2],
    /// When the stores are filled.
    pub hours: Option<Hours>,
    /// How many sessions of [`FOUR`] are to be stored.
    pub wanted: Arc<AtomicUsize>,
    /// What the servers' audits have found.
    pub audits: [Option<Arc<AuditCounts>>; 2],
    /// A dealer that the test plays.
    pub dealer: Option<PlayedDealer>,
    /// Server 0, server 1, dealer.
    pub catalogues: [Arc<Numbers>; 3],
    addresses: [String; 3],
    /// What server 1's lanes to server 0 go through.
    pub lanes: Forwarder,
    running: [Option<Running>; 3],
    servers: [Option<Arc<ServerService<Numbers>>>; 2],
    dealing: Option<Arc<DealerService<Numbers>>>,
    /// The versions of the messages that they speak.
    pub spoken: [Spoken; 3],
    /// Who they are.
    pub endpoints: [Option<Endpoint>; 3],
}

const ROLES: [Role; 3] = [Role::Server0, Role::Server1, Role::Dealer];

impl World {
    pub fn start(timeouts: Timeouts) -> Self {
        Self::with_budget(timeouts, MATERIAL_BUDGET)
    }

    /// Servers that hold so many bytes of a session's material.
    pub fn with_budget(timeouts: Timeouts, budget: usize) -> Self {
        Self::with(timeouts, budget, |_| {})
    }

    /// Services with limits of their own.
    pub fn with_limits(timeouts: Timeouts, limits: fn(&mut ServiceOptions)) -> Self {
        Self::with(timeouts, MATERIAL_BUDGET, limits)
    }

    fn with(timeouts: Timeouts, budget: usize, limits: fn(&mut ServiceOptions)) -> Self {
        let mut world = Self::stopped(timeouts, budget, limits);
        world.run_all();
        world
    }

    pub fn run_all(&mut self) {
        [2, 0, 1].into_iter().for_each(|index| self.run(index));
    }

    /// One that does not run yet.
    pub fn stopped(timeouts: Timeouts, budget: usize, limits: fn(&mut ServiceOptions)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let deployment = CertificateFolder::generate(&home.path().join("certificates")).unwrap();
        Self::of(home, Box::new(move |role| deployment.identity(role)), (timeouts, budget, limits), None)
    }

    /// Parties with certificates of their own, which they read again when they change.
    pub fn watching(home: tempfile::TempDir, identity: Identity) -> Self {
        let mut world = Self::of(home, identity, (PATIENT, MATERIAL_BUDGET, |_| {}), Some(Duration::from_millis(20)));
        world.run_all();
        world
    }

    fn of(
        home: tempfile::TempDir,
        identity: Identity,
        (timeouts, budget, limits): (Timeouts, usize, fn(&mut ServiceOptions)),
        watched: Option<Duration>,
    ) -> Self {
        Self {
            home,
            identity,
            watched,
            timeouts,
            budget,
            limits,
            hand_over: Box::new(|_, _| HandOverOptions::default()),
            accepts: Vec::new(),
            clients: [None, None],
            choices: None,
            counting: [None, None],
            audit: [AuditShare::NONE; 2],
            store_bytes: [None; 2],
            stores: Default::default(),
            hours: None,
            wanted: Arc::default(),
            audits: [None, None],
            dealer: None,
            catalogues: Default::default(),
            addresses: ["127.0.0.1:0"; 3].map(str::to_owned),
            lanes: Forwarder::start(),
            running: [None, None, None],
            servers: [None, None],
            dealing: None,
            spoken: [Spoken::OURS; 3],
            endpoints: [None, None, None],
        }
    }

    pub fn endpoint(&self, role: Role) -> Endpoint {
        Endpoint::load(role, &(self.identity)(role)).unwrap()
    }

    /// The authority of the certificates.
    pub fn authority(&self) -> PathBuf {
        (self.identity)(Role::Client).authority
    }

    /// Starts a service, at the address that it had before if it had one.
    pub fn run(&mut self, index: usize) {
        let role = ROLES[index];
        let (endpoint, catalogue) = (self.endpoint(role), Arc::clone(&self.catalogues[index]));
        let endpoint = endpoint.speaking(self.spoken[index]).unwrap();
        let accepts = self.accepts.iter().map(|path| Some(path.as_path()));
        let endpoint = if index < 2 { endpoint.accepting_hand_over(accepts).unwrap() } else { endpoint };
        let endpoint = match self.watched {
            Some(every) => endpoint.watching(every),
            None => endpoint,
        };
        let callers: &[Role] = match index {
            0 => &[Role::Client, Role::Server1],
            1 => &[Role::Client],
            _ => &[Role::Server0, Role::Server1],
        };
        self.endpoints[index] = Some(endpoint.clone());
        let mut options = ServiceOptions::new(callers);
        (options.timeouts, options.max_sessions, options.max_sessions_per_client) = (self.timeouts, 32, 32);
        (self.limits)(&mut options);
        // Whatever waits for it to pass is far from prompt.
        options.grace = Duration::from_secs(50);
        let service = Service::bind(&self.addresses[index], endpoint.clone(), options).unwrap();
        self.addresses[index] = service.address().to_string();
        if index == 0 {
            *self.lanes.target.lock().unwrap() = self.addresses[0].clone();
        }
        let ledger = Arc::new(FileLedger::open(&self.state(index)).unwrap());
        let shutdown = Shutdown::new();
        let flag = shutdown.clone();
        let mut filling = None;
        let thread = if let Some(party) = Party::from_index(index) {
            let options = ServerOptions {
                dealer: self.addresses[2].clone(),
                peer: (index == 1).then(|| self.lanes.address.clone()),
                timeouts: self.timeouts,
                budget: self.budget,
                hand_over: (self.hand_over)(&endpoint, party),
                clients: self.clients[index].clone(),
                audit: self.audit[index],
                development: false,
            };
            let shares = catalogue.shares(party);
            let server = ServerService::new(catalogue, party, shares, endpoint, ledger, options);
            let folder = self.state(index).join("choices");
            self.counting[index] = self
                .choices
                .map(|options| Arc::new(Choices::open(&folder, options[index], self.timeouts.stall).unwrap()));
            let server = server.with_choices(self.counting[index].clone());
            let server = match self.store_bytes[index] {
                Some(bytes) => {
                    let (folder, key) = (self.store_folder(index), self.home.path().join(format!("store-{index}.key")));
                    let store = Store::open(&StoreOptions { folder, key, bytes }, role).unwrap();
                    self.stores[index] = Arc::downgrade(&store);
                    Arc::new(server.storing(store))
                }
                None => Arc::new(server),
            };
            if self.store_bytes[index].is_some() {
                filling = Some(self.keep_filled(Arc::clone(&server), shutdown.clone()));
            }
            self.audits[index] = Some(server.audits());
            self.servers[index] = Some(Arc::clone(&server));
            std::thread::spawn(move || service.run(&flag, move |connection| server.handle(connection)))
        } else if let Some(dealer) = self.dealer.clone() {
            std::thread::spawn(move || service.run(&flag, move |connection| dealer(connection)))
        } else {
            let dealer = Arc::new(DealerService::new(catalogue, ledger, self.timeouts.stall));
            self.dealing = Some(Arc::clone(&dealer));
            std::thread::spawn(move || service.run(&flag, move |connection| dealer.handle(connection)))
        };
        self.running[index] = Some(Running { shutdown, thread, filling });
    }

    fn keep_filled(&self, server: Arc<ServerService<Numbers>>, shutdown: Shutdown) -> JoinHandle<()> {
        let wanted = Arc::clone(&self.wanted);
        let plan = FillPlan {
            wanted: Box::new(move |_: &Numbers| {
                vec![Wanted { request: FOUR.to_vec(), count: wanted.load(Ordering::SeqCst) }]
            }),
            hours: self.hours,
        };
        std::thread::spawn(move || server.keep_filled(&plan, &shutdown))
    }

    /// The folder of a server's store.
    pub fn store_folder(&self, index: usize) -> PathBuf {
        self.home.path().join(format!("store-{}", ROLES[index]))
    }

    /// The figures of a server's store.
    pub fn stored(&self, index: usize) -> StoreFigures {
        self.stores[index].upgrade().unwrap().figures()
    }

    /// Has both servers store as many sessions, and no more after that.
    pub fn fill(&self, count: usize) {
        self.wanted.store(count, Ordering::SeqCst);
        wait_for("the stores to be filled", || {
            [0, 1].iter().all(|index| self.stored(*index).sessions as usize == count)
        });
        self.wanted.store(0, Ordering::SeqCst);
    }

    /// Has a party hold these versions from now on.
    pub fn hold(&self, index: usize, versions: &[&Arc<Numbers>]) {
        let digests: Vec<Digest> = versions.iter().map(|version| version.digest()).collect();
        match Party::from_index(index) {
            Some(party) => {
                let new = versions.iter().map(|version| version.at_server(party)).collect();
                self.servers[index].as_ref().unwrap().hold(&digests, new);
                assert_eq!(self.servers[index].as_ref().unwrap().held().len(), versions.len());
            }
            None => {
                let new = versions.iter().map(|version| Arc::clone(version)).collect();
                self.dealing.as_ref().unwrap().hold(&digests, new);
                assert_eq!(self.dealing.as_ref().unwrap().held().len(), versions.len());
            }
        }
    }

    /// Has server 1 close the batches of reports that can be closed.
    pub fn reveal_choices(&self) {
        self.servers[1].as_ref().unwrap().reveal_choices(std::time::SystemTime::now());
    }

    /// Stops a service, and says how long that took.
    pub fn stop(&mut self, index: usize) -> Duration {
        // Otherwise its ledger stays open.
        match index {
            2 => self.dealing = None,
            _ => (self.servers[index], self.counting[index]) = (None, None),
        }
        let started = Instant::now();
        let Running { shutdown, thread, filling } = self.running[index].take().expect("it runs");
        shutdown.trigger("the test stops it");
        thread.join().unwrap().unwrap();
        filling.into_iter().for_each(|filling| filling.join().unwrap());
        started.elapsed()
    }

    /// Stops the services, and starts them again at their addresses.
    pub fn restart(&mut self) {
        for index in [0, 1, 2] {
            self.stop(index);
        }
        self.run_all();
    }

    pub fn client(&self) -> Client<Numbers> {
        self.client_with(Arc::default())
    }

    pub fn client_with(&self, catalogue: Arc<Numbers>) -> Client<Numbers> {
        self.client_at(catalogue, [self.addresses[0].clone(), self.addresses[1].clone()])
    }

    /// A client of another address than this machine's usual one.
    #[cfg(target_os = "linux")]
    pub fn client_from(&self, source: std::net::Ipv4Addr) -> Client<Numbers> {
        let through = [0, 1].map(|index| {
            let forwarder = Forwarder::from_source(Some(source));
            *forwarder.target.lock().unwrap() = self.addresses[index].clone();
            forwarder.address
        });
        self.client_at(Arc::default(), through)
    }

    /// A client of a program that speaks these versions of the messages.
    pub fn client_speaking(&self, spoken: Spoken) -> Client<Numbers> {
        let endpoint = self.endpoint(Role::Client).speaking(spoken).unwrap();
        let addresses = [self.addresses[0].clone(), self.addresses[1].clone()];
        Client::new(Arc::default(), addresses, endpoint, self.timeouts)
    }

    /// Where a service listens.
    pub fn address(&self, index: usize) -> &str {
        &self.addresses[index]
    }

    /// A link of a client, to say to one server what no honest client says.
    pub fn link(&self, index: usize) -> Link {
        Link::connect(&self.addresses[index], &self.endpoint(Role::Client), ROLES[index], &self.timeouts).unwrap()
    }

    fn client_at(&self, catalogue: Arc<Numbers>, addresses: [String; 2]) -> Client<Numbers> {
        Client::new(catalogue, addresses, self.endpoint(Role::Client), self.timeouts)
    }

    /// Sessions that live at the servers.
    pub fn sessions(&self) -> [usize; 2] {
        [0, 1].map(|index| self.catalogues[index].alive.load(Ordering::SeqCst))
    }

    /// The folder of a service's ledger.
    pub fn state(&self, index: usize) -> PathBuf {
        self.home.path().join(format!("state-{}", ROLES[index]))
    }

    /// Bytes of a service's ledger.
    pub fn ledger(&self, index: usize) -> u64 {
        let path = self.home.path().join(format!("state-{}/sessions.ledger", ROLES[index]));
        std::fs::metadata(path).unwrap().len()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for running in self.running.iter().flatten() {
            running.shutdown.trigger("the test is over");
        }
    }
}

pub const FOUR: &[u8] = b"4";

pub fn numbers(first: f32) -> Vec<Tensor<f32>> {
    vec![Tensor::new(Shape::new(4, 1, 1), vec![first, 2.0, -3.0, 4.0])]
}

#[track_caller]
pub fn squares(output: &blindroute_protocol::Output, first: f64) {
    assert_eq!(output.values, [vec![first * first, 4.0, 9.0, 16.0]]);
}

#[track_caller]
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < until, "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// That a session of [`Numbers::scaled`] squared and scaled these numbers.
#[track_caller]
pub fn right(outcome: &SessionOutcome, first: f32) {
    let numbers = [first, 2.0, -3.0, 4.0];
    let [squares, scaled] = outcome.output.values.as_slice() else { panic!("{:?}", outcome.output) };
    for (index, number) in numbers.into_iter().enumerate() {
        assert_eq!(squares[index], f64::from(number * number));
        assert!((scaled[index] - f64::from(number * SCALE)).abs() < 0.01, "{scaled:?}");
    }
}
