//! Real parties, each with others that the test plays, so that it knows what to look for in freed memory.
// Each test binary uses its part.
#![allow(dead_code, unreachable_pub)]

use crate::world::{Numbers, PATIENT};
use blindroute_protocol::{
    Dealer, DealerSeeds, Form, HashKey, Inputs, Meter, Output, Party, Program, Shape, WeightMasks, WeightShares,
};
use blindroute_runtime::messages::{
    ClientHello, EpochId, MaterialGrant, MaterialRequest, Message, ServerReady, SessionId, SessionReport, WireSeed,
};
use blindroute_runtime::session::MATERIAL_BUDGET;
use blindroute_runtime::{
    AuditShare, Catalogue, CertificateFolder, Client, Connection, DealerService, Endpoint, FileLedger, FrameKind,
    HandOverOptions, Link, MaterialReader, MaterialWriter, Role, ServerOptions, ServerService, Service, ServiceOptions,
    SessionError, Shutdown,
};
use blindroute_testkit::freed_memory::{Freed, Secrets, call_this_thread, turn, watched};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;

/// Numbers to square, enough that messages take more than one TLS record.
const COUNT: usize = 5000;
const REQUEST: &[u8] = b"5000";
/// What this test's own threads free is not looked at.
const TEST: &str = "the test";

/// Certificates and ledgers.
struct Home {
    directory: tempfile::TempDir,
    deployment: CertificateFolder,
    catalogue: Arc<Numbers>,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let deployment = CertificateFolder::generate(&directory.path().join("certificates")).unwrap();
        Self { directory, deployment, catalogue: Arc::default() }
    }

    fn endpoint(&self, role: Role) -> Endpoint {
        Endpoint::load(role, &self.deployment.identity(role)).unwrap()
    }

    fn ledger(&self, role: Role) -> Arc<FileLedger> {
        Arc::new(FileLedger::open(&self.directory.path().join(format!("state-{role}"))).unwrap())
    }

    /// Starts a service that calls `handle`.
    fn serve<H>(&self, role: Role, callers: &[Role], handle: H) -> Running
    where
        H: Fn(Connection) -> Result<(), SessionError> + Send + Sync + 'static,
    {
        let mut options = ServiceOptions::new(callers);
        options.timeouts = PATIENT;
        let service = Service::bind("127.0.0.1:0", self.endpoint(role), options).unwrap();
        let (address, shutdown) = (service.address().to_string(), Shutdown::new());
        let flag = shutdown.clone();
        let thread = std::thread::spawn(move || service.run(&flag, handle).unwrap());
        Running { address, shutdown, thread }
    }

    fn server(&self, party: Party, dealer: &str, peer: Option<String>) -> Running {
        let role = [Role::Server0, Role::Server1][party.index()];
        let callers: &[Role] = if party == Party::Zero { &[Role::Client, Role::Server1] } else { &[Role::Client] };
        let (dealer, hand_over) = (dealer.to_owned(), HandOverOptions::default());
        let options = ServerOptions {
            dealer,
            peer,
            timeouts: PATIENT,
            budget: MATERIAL_BUDGET,
            hand_over,
            development: false,
            audit: AuditShare::NONE,
            clients: None,
        };
        // There are no weights.
        let shares = move || match party {
            Party::Zero => Ok(WeightShares::from_seed(&[], &generator(&[0; 32]))),
            Party::One => Ok(WeightShares::complement(&[], &[], &generator(&[0; 32]))?),
        };
        let catalogue = Arc::clone(&self.catalogue);
        let service = ServerService::new(catalogue, party, shares, self.endpoint(role), self.ledger(role), options);
        self.serve(role, callers, move |connection| service.handle(connection))
    }

    fn call(&self, address: &str, from: Role, to: Role) -> Link {
        Link::connect(address, &self.endpoint(from), to, &PATIENT).unwrap()
    }

    fn forms(&self) -> Vec<Form> {
        self.catalogue.program(REQUEST).unwrap().inputs()
    }
}

struct Running {
    address: String,
    shutdown: Shutdown,
    thread: JoinHandle<()>,
}

impl Running {
    fn stop(self) {
        self.shutdown.trigger("the test is over");
        self.thread.join().unwrap();
    }
}

/// The key of a generator from a seed on the wire.
fn generator(seed: &[u8; 32]) -> blindroute_protocol::Seed {
    blindroute_protocol::Seed::new(*seed.first_chunk().unwrap())
}

/// A seed that is known.
fn known(first: u8) -> [u8; 32] {
    std::array::from_fn(|index| first.wrapping_mul(31).wrapping_add((37 * index) as u8))
}

fn numbers() -> Vec<blindroute_protocol::Tensor<f32>> {
    vec![blindroute_protocol::Tensor::new(Shape::new(COUNT, 1, 1), (0..COUNT).map(|x| x as f32).collect())]
}

/// A party of this test: takes so many calls, and does its part with them.
fn play<T: Send + 'static>(
    home: &Home,
    role: Role,
    callers: &'static [Role],
    calls: usize,
    part: impl FnOnce(Vec<Link>) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, endpoint) = (listener.local_addr().unwrap().to_string(), home.endpoint(role));
    let thread = std::thread::spawn(move || {
        call_this_thread(TEST);
        let mut links: Vec<Link> = (0..calls)
            .map(|_| Link::accept(listener.accept().unwrap().0, &endpoint, callers, &PATIENT).unwrap())
            .collect();
        links.sort_by_key(|link| link.peer().to_string());
        part(links)
    });
    (address, thread)
}

/// What was looked for, and all that was freed meanwhile.
pub struct Search {
    secrets: Secrets,
    freed: Vec<Freed>,
    /// Resolving a stack allocates too: no other test may watch meanwhile.
    _turn: MutexGuard<'static, ()>,
}

impl Search {
    /// How many blocks other threads than this test's freed that held anything.
    pub fn blocks(&self) -> usize {
        self.freed.iter().filter(|block| block.owner != TEST).count()
    }

    /// What is found in blocks that other threads than this test's freed.
    pub fn found(&self) -> Vec<(&'static str, &Freed)> {
        let found = self.secrets.found_in(&self.freed);
        found.into_iter().filter(|(_, block)| block.owner != TEST).collect()
    }
}

/// Keeps what is written through it.
struct Copied<W>(W, Vec<u8>);

impl<W: Write> Write for Copied<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Two servers' session.
pub fn servers() -> Search {
    let turn = turn();
    call_this_thread(TEST);
    let home = Home::new();
    let (seeds, input_seed) = ([known(1), known(2), known(3), known(4)], known(5));
    let input_key = generator(&input_seed);
    let for_one = Inputs::share(&home.forms(), &numbers(), &input_key).unwrap();
    let expected = Output::byte_len(&Meter::outputs(&home.catalogue.program(REQUEST).unwrap()).unwrap());
    let mut secrets = Secrets::default();
    seeds.iter().chain([&known(7), &input_seed]).for_each(|seed| secrets.add("seed", &seed[..16]));
    secrets.add("input share", &for_one);
    assert!(secrets.len() > 1000);

    let ((material, outputs), freed) = watched(|| {
        let catalogue = Arc::clone(&home.catalogue);
        let deal = move |mut links: Vec<Link>| {
            let program = catalogue.program(REQUEST).unwrap();
            for (link, own) in links.iter_mut().zip([[0, 1], [2, 3]]) {
                let request: MaterialRequest = link.receive_message().unwrap();
                let products = (own[0] == 0).then(|| known(7));
                let own = own.map(|index: usize| seeds[index]).into_iter().chain([known(6)]).chain(products);
                let seeds = own.map(WireSeed::new).collect();
                let grant = MaterialGrant { session: request.session, epoch: EpochId([7; 16]), seeds };
                link.send_message(&grant).unwrap();
            }
            let model = WeightMasks::new(&[], &[generator(&seeds[0]), generator(&seeds[2])]);
            let (material, products) = ([generator(&seeds[1]), generator(&seeds[3])], generator(&known(7)));
            let seeds = DealerSeeds { material, products, hash_key: HashKey::new(generator(&known(6)).expose()) };
            let writers: Vec<MaterialWriter> = links.into_iter().map(MaterialWriter::new).collect();
            let [zero, one] = <[MaterialWriter; 2]>::try_from(writers).unwrap();
            let (mut zero, mut one) = (zero, Copied(one, Vec::new()));
            Dealer::run(&program, &model, seeds, [&mut zero, &mut one]).unwrap();
            zero.finish().unwrap();
            one.0.finish().unwrap();
            one.1
        };
        let (dealer, dealing) = play(&home, Role::Dealer, &[Role::Server0, Role::Server1], 2, deal);
        let zero = home.server(Party::Zero, &dealer, None);
        let one = home.server(Party::One, &dealer, Some(zero.address.clone()));
        let mut links = [
            home.call(&zero.address, Role::Client, Role::Server0),
            home.call(&one.address, Role::Client, Role::Server1),
        ];
        let hello = ClientHello {
            version: blindroute_runtime::messages::VERSION,
            session: SessionId::generate().unwrap(),
            deployment: home.catalogue.digest(),
            request: REQUEST.to_vec(),
            continues: None,
            token: None,
        };
        links.iter_mut().for_each(|link| link.send_message(&hello).unwrap());
        for link in &mut links {
            link.receive_message::<ServerReady>().unwrap();
        }
        links[0].send_long(FrameKind::Input, 0, input_key.expose()).unwrap();
        links[1].send_long(FrameKind::Input, 0, &for_one).unwrap();
        let outputs = links.each_mut().map(|link| link.receive_long(FrameKind::Output, 0, expected).unwrap());
        for link in &mut links {
            link.receive_message::<SessionReport>().unwrap();
        }
        links.into_iter().for_each(Link::close);
        zero.stop();
        one.stop();
        (dealing.join().unwrap(), outputs)
    });
    assert_eq!(
        Output::combine(&Meter::outputs(&home.catalogue.program(REQUEST).unwrap()).unwrap(), &outputs[0], &outputs[1])
            .unwrap()
            .values[0][3],
        9.0
    );
    secrets.add("material", &material);
    outputs.iter().for_each(|output| secrets.add("output share", output));
    Search { secrets, freed, _turn: turn }
}

/// A dealer's session.
pub fn dealer() -> Search {
    let turn = turn();
    call_this_thread(TEST);
    let home = Home::new();
    let mut secrets = Secrets::default();
    let ((), freed) = watched(|| {
        let service = DealerService::new(Arc::clone(&home.catalogue), home.ledger(Role::Dealer), PATIENT.stall);
        let dealer =
            home.serve(Role::Dealer, &[Role::Server0, Role::Server1], move |connection| service.handle(connection));
        let session = SessionId::generate().unwrap();
        let mut links = [Role::Server0, Role::Server1].map(|role| home.call(&dealer.address, role, Role::Dealer));
        for (party, link) in (0..).zip(&mut links) {
            let (deployment, request) = (home.catalogue.digest(), REQUEST.to_vec());
            link.send_message(&MaterialRequest {
                version: blindroute_runtime::messages::VERSION,
                session,
                party,
                deployment,
                request,
            })
            .unwrap();
        }
        for mut link in links {
            let grant: MaterialGrant = link.receive_message().unwrap();
            grant.seeds.iter().for_each(|seed| secrets.add("seed", seed.expose()));
            let (mut reader, mut bytes) = (MaterialReader::new(link), Vec::new());
            reader.read_to_end(&mut bytes).unwrap();
            secrets.add("material", &bytes);
            reader.finish().unwrap().0.close();
        }
        dealer.stop();
    });
    assert!(secrets.len() > 1000, "{} windows", secrets.len());
    Search { secrets, freed, _turn: turn }
}

/// A client's session.
pub fn client() -> Search {
    let turn = turn();
    call_this_thread(TEST);
    let home = Home::new();
    let expected = Inputs::byte_len(&home.forms());
    let outputs = [known(8), known(9)].map(|seed| {
        let mut bytes = Vec::new();
        (0..COUNT / 4).for_each(|index| {
            bytes.extend(seed.map(|byte| byte.wrapping_mul(index as u8 | 1).wrapping_add((index >> 8) as u8)));
        });
        bytes
    });
    let (inputs, freed) = watched(|| {
        let play = |index: usize, role| {
            let output = outputs[index].clone();
            let part = move |mut links: Vec<Link>| {
                let link = &mut links[0];
                let hello: ClientHello = link.receive_message().unwrap();
                let session = hello.session;
                let (epoch, waits_micros) = (EpochId([7; 16]), 60_000_000);
                link.send_message(&ServerReady {
                    session,
                    epoch,
                    offline_micros: 1,
                    waits_micros,
                    rests: true,
                    development: false,
                })
                .unwrap();
                let input = link.receive_long(FrameKind::Input, 0, [16, expected][index]).unwrap();
                link.send_long(FrameKind::Output, 0, &output).unwrap();
                link.send_message(&report(session)).unwrap();
                input
            };
            play(&home, role, &[Role::Client], 1, part)
        };
        let (zero, one) = (play(0, Role::Server0), play(1, Role::Server1));
        let client = {
            let (catalogue, endpoint) = (Arc::clone(&home.catalogue), home.endpoint(Role::Client));
            Client::new(catalogue, [zero.0, one.0], endpoint, PATIENT)
        };
        // Not by this test's name.
        std::thread::spawn(move || client.run(REQUEST, &numbers()).map(drop)).join().unwrap().unwrap();
        [zero.1.join().unwrap(), one.1.join().unwrap()]
    });
    let mut secrets = Secrets::default();
    inputs.iter().for_each(|input| secrets.add("input share", input));
    outputs.iter().for_each(|output| secrets.add("output share", output));
    assert!(secrets.len() > 1000, "{} windows", secrets.len());
    Search { secrets, freed, _turn: turn }
}

/// The loading of a private key.
pub fn key() -> Search {
    let turn = turn();
    call_this_thread(TEST);
    let home = Home::new();
    let files = home.deployment.identity(Role::Server0);
    let key = std::fs::read(&files.key).unwrap();
    let lines = key.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"-----"));
    let mut secrets = Secrets::default();
    secrets.add("key", &key[28..]);
    lines.for_each(|line| secrets.add("line of the key", line));
    let load = |path: &Path| {
        assert!(path.exists());
        call_this_thread("");
        drop(Endpoint::load(Role::Server0, &files).unwrap());
        call_this_thread(TEST);
    };
    let ((), freed) = watched(|| load(&files.key));
    Search { secrets, freed, _turn: turn }
}

/// A report of zeros.
fn report(session: SessionId) -> SessionReport {
    let mut bytes = session.0.to_vec();
    bytes.extend([0; 8 + 8 + 4 + 8 + 8 + 8]);
    SessionReport::decode(&bytes).unwrap()
}
