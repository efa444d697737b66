//! A server's side of a session.

use super::lanes::LaneKey;
use super::opening;
use super::{Catalogue, SessionError, SharesError, generator_seed};
use crate::channel::PeerChannel;
use crate::identity::Endpoint;
use crate::ledger::Ledger;
use crate::link::{Kind, Link, LinkError, Timeouts};
use crate::material::MaterialReader;
use crate::messages::{
    ClientHello, Digest, EpochId, Lane, MaterialGrant, MaterialRequest, ServerReady, SessionId, SessionOpen,
    SessionReport,
};
use crate::peak_rss_mib;
use crate::rendezvous::Rendezvous;
use crate::role::Role;
use crate::service::{Connection, Interrupted, Rest, Resting};
use blindroute_protocol::{
    Cost, HashKey, Inputs, MaterialQueue, Online, OutputShare, Party, Prepare, Program, QueueReader, QueueWriter, Seed,
    ServerWeights, WeightShares, WeightSpec, ZeroSeed,
};
use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Where a server finds the others.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The dealer, "host:port".
    pub dealer: String,
    /// The other server, for server 1, which calls it.
    pub peer: Option<String>,
    /// Waits.
    pub timeouts: Timeouts,
    /// Bytes of a session's material to hold prepared, usually [`super::MATERIAL_BUDGET`].
    pub budget: usize,
}

/// One of the two servers.
pub struct ServerService<C> {
    catalogue: Arc<C>,
    weights: Vec<WeightSpec>,
    shares: Mutex<SharesSource>,
    party: Party,
    pub(super) endpoint: Endpoint,
    ledger: Ledger,
    pub(super) options: ServerOptions,
    pub(super) lanes: Rendezvous<LaneKey, (Link, SessionOpen)>,
    /// The model as set up in the dealer's current epoch.
    model: Mutex<Option<(EpochId, Arc<ServerWeights>)>>,
}

/// Reads this server's weight shares again for each set-up, so that they are not held twice.
type SharesSource = Box<dyn Fn() -> Result<WeightShares, SharesError> + Send>;

impl<C> std::fmt::Debug for ServerService<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerService({:?})", self.party)
    }
}

/// Lanes that wait at once at most: four for each session of the largest `max_sessions`, as the service has it.
const LANES: usize = 4096;

/// A session's links and seeds.
struct Session {
    id: SessionId,
    channel: PeerChannel,
    /// The dealer's connection, to end a wait for material that nobody wants any more.
    dealer: TcpStream,
    /// Of the material, and of its hashes.
    seeds: (Seed, Seed),
    model: Arc<ServerWeights>,
    epoch: EpochId,
}

impl<C: Catalogue> ServerService<C> {
    /// A server for one model, whose weight shares `shares` reads. It is called for each set-up, and must refuse shares
    /// that are not those of the catalogue's digest: the dealer's mask of the weights is the same in all set-ups of an
    /// epoch, and the difference of two maskings would show the difference of the weights.
    pub fn new(
        catalogue: Arc<C>,
        party: Party,
        shares: impl Fn() -> Result<WeightShares, SharesError> + Send + 'static,
        endpoint: Endpoint,
        ledger: Ledger,
        options: ServerOptions,
    ) -> Self {
        // Server 1 waits for the answer up to the stall timeout: half of it, so that it hears why there is none.
        // Their number is that of server 1's connections, which the service limits.
        let lanes = Rendezvous::new(LANES, options.timeouts.stall / 2);
        let weights = catalogue.weights();
        let shares = Mutex::new(Box::new(shares) as SharesSource);
        Self { catalogue, weights, shares, party, endpoint, ledger, options, lanes, model: Mutex::new(None) }
    }

    /// Answers a client, session after session on one link, or takes a lane of the other server.
    ///
    /// # Errors
    /// Whatever ends the connection; the caller is told.
    pub fn handle(&self, connection: Connection) -> Result<(), SessionError> {
        let Connection { mut link, resting, .. } = connection;
        if link.peer() != Role::Client {
            // A caller that leaves at once only asked whether this server answers.
            let Some(open) = link.receive_message_or_end::<SessionOpen>()? else { return Ok(()) };
            let session = open.session;
            let offered = self.lanes.offer_and_wait(LaneKey(session, open.lane), (link, open));
            return offered
                .or_else(|((mut link, _), error)| super::dealer::tell(&mut link, Some(session), error.into()));
        }
        let mut sessions = 0u64;
        loop {
            let hello = match resting.wait(Rest::Idle, || link.receive_message_or_end::<ClientHello>()) {
                Ok(Ok(Some(hello))) => hello,
                Ok(Ok(None)) => return Ok(()),
                Err(_) => {
                    link.close();
                    return Ok(());
                }
                Ok(Err(LinkError::TimedOut { .. } | LinkError::Closed { .. })) if sessions > 0 => {
                    tracing::debug!("a client that rests or left is let go; its next session calls again");
                    link.close();
                    return Ok(());
                }
                Ok(Err(error)) => return super::dealer::tell(&mut link, None, error.into()),
            };
            match self.session(&mut link, &hello, &resting) {
                Ok(()) => sessions += 1,
                Err(SessionError::Unused) => {
                    tracing::debug!(session = %hello.session, "a client left its session unused; its material is gone");
                    link.close();
                    return Ok(());
                }
                Err(error) => return super::dealer::tell(&mut link, Some(hello.session), error),
            }
        }
    }

    fn session(&self, client: &mut Link, hello: &ClientHello, resting: &Resting) -> Result<(), SessionError> {
        let started = Instant::now();
        let ours = self.catalogue.digest();
        if hello.model != ours {
            let (ours, theirs) = (ours.to_string(), hello.model.to_string());
            return Err(SessionError::DigestMismatch { with: "client", ours, theirs });
        }
        let program = self.catalogue.program(&hello.request).map_err(SessionError::Request)?;
        // Burnt before anything of the session is used: a crash from here on costs the session, never secrecy.
        self.ledger.consume(hello.session)?;
        let (mut session, zeros, material) = self.open(hello)?;
        let (writer, reader) = MaterialQueue::bounded(self.options.budget);
        let (model, seeds) = (Arc::clone(&session.model), session.seeds.clone());
        let progress = Arc::new(Progress::default());
        let material = Counted { reader: material, progress: Arc::clone(&progress) };
        std::thread::scope(|scope| {
            let (model, program) = (&model, &program);
            let prepare = move || prepare(program, model, &seeds, material, writer);
            std::thread::Builder::new()
                .name("prepare".into())
                .spawn_scoped(scope, prepare)
                .map_err(SessionError::Thread)?;
            let result = self.serve((client, resting), (&mut session, zeros), program, &reader, &progress, started);
            // The preparing thread ends when its queue has no reader, or when the dealer it waits for is cut off.
            drop(reader);
            if result.is_err() {
                session.dealer.shutdown(std::net::Shutdown::Both).ok();
            }
            result
        })?;
        Ok(session.channel.finish()?)
    }

    /// From ready to report.
    fn serve(
        &self,
        (client, resting): (&mut Link, &Resting),
        (session, zeros): (&mut Session, ZeroSeed),
        program: &C::Program,
        reader: &QueueReader,
        progress: &Progress,
        started: Instant,
    ) -> Result<(), SessionError> {
        reader.wait_ready()?;
        let offline_micros = started.elapsed().as_micros() as u64;
        // With all prepared, the dealer is done with this session and nobody but the client is waited for. Otherwise
        // the dealer waits for room, no longer than for a stall.
        let rests = progress.prepared.load(Ordering::Acquire);
        let waits = if rests { self.options.timeouts.ready } else { self.options.timeouts.stall };
        let waits_micros = waits.as_micros() as u64;
        let ready = ServerReady { session: session.id, epoch: session.epoch, offline_micros, waits_micros, rests };
        client.send_message(&ready)?;
        await_input(client, resting, waits)?;
        let inputs = self.inputs(client, &program.inputs())?;
        let (started, exchanged) = (Instant::now(), session.channel.exchanging());
        let (output, cost) = Online::run(program, &session.model, inputs, reader, zeros, &mut session.channel)?;
        let spent = Spent { online: started.elapsed(), exchanging: session.channel.exchanging() - exchanged };
        self.report(
            client,
            session.id,
            &output,
            Cost { material_bytes: progress.received.load(Ordering::Relaxed) as usize, ..cost },
            spent,
        )
    }

    fn inputs(&self, client: &mut Link, forms: &[blindroute_protocol::Form]) -> Result<Inputs, SessionError> {
        match self.party {
            Party::Zero => {
                let bytes = Zeroizing::new(client.receive_long(Kind::Input, 0, 16)?);
                let seed = bytes.first_chunk().ok_or(LinkError::Internal("a seed of another length"))?;
                Ok(Inputs::from_seed(forms, &Seed::new(*seed)))
            }
            Party::One => {
                let bytes = Zeroizing::new(client.receive_long(Kind::Input, 0, Inputs::byte_len(forms))?);
                Ok(Inputs::from_bytes(forms, &bytes)?)
            }
        }
    }

    fn report(
        &self,
        client: &mut Link,
        session: SessionId,
        output: &OutputShare,
        cost: Cost,
        spent: Spent,
    ) -> Result<(), SessionError> {
        client.send_long(Kind::Output, 0, output.bytes())?;
        let bytes = cost.opening_bytes as u64;
        let online_micros = spent.online.as_micros() as u64;
        let report = SessionReport {
            session,
            online_micros,
            exchange_micros: spent.exchanging.as_micros() as u64,
            openings: u32::try_from(cost.openings).unwrap_or(u32::MAX),
            bytes_sent: bytes,
            bytes_received: bytes,
            material_bytes: cost.material_bytes as u64,
        };
        client.send_message(&report)?;
        // For the operator only: it is the process's, so it tells of other clients' sessions.
        let peak_mib = peak_rss_mib();
        tracing::info!(%session, online_ms = online_micros / 1000, openings = cost.openings, bytes, peak_mib, "served");
        Ok(())
    }

    /// Dealer, peer and model of a session, and the seed that the two servers agree on.
    fn open(&self, hello: &ClientHello) -> Result<(Session, ZeroSeed, MaterialReader), SessionError> {
        let timeouts = &self.options.timeouts;
        let mut dealer = Link::connect(&self.options.dealer, &self.endpoint, Role::Dealer, timeouts)?;
        dealer.send_message(&MaterialRequest {
            session: hello.session,
            party: self.party.index() as u8,
            model: hello.model,
            request: hello.request.clone(),
        })?;
        let grant: MaterialGrant = dealer.receive_message()?;
        if grant.session != hello.session {
            return Err(SessionError::Disagreement("identity"));
        }
        let [mask, material, hash_key] = grant.seeds.as_slice() else {
            return Err(SessionError::Grant { expected: 3, found: grant.seeds.len() });
        };
        let open = |lane| SessionOpen {
            session: hello.session,
            party: self.party.index() as u8,
            lane,
            model: hello.model,
            epoch: grant.epoch,
            request: Digest(request_digest(&hello.request)),
        };
        let mut channel = match self.party {
            Party::Zero => {
                let incoming = self.accept_lane(&open(Lane::ToServer0))?;
                PeerChannel::new(self.accept_lane(&open(Lane::ToServer1))?, incoming)?
            }
            Party::One => {
                let outgoing = self.call_lane(&open(Lane::ToServer0))?;
                PeerChannel::new(outgoing, self.call_lane(&open(Lane::ToServer1))?)?
            }
        };
        let (model, zeros) = self.model(grant.epoch, &generator_seed(mask), &mut channel)?;
        let socket = dealer.socket()?;
        let seeds = (generator_seed(material), generator_seed(hash_key));
        let session = Session { id: hello.session, channel, dealer: socket, seeds, model, epoch: grant.epoch };
        Ok((session, zeros, MaterialReader::new(dealer)))
    }

    /// The model in the dealer's epoch, set up with the peer unless both have it, and this session's seed of zeros. The
    /// halves of the seed travel with what the servers ask each other anyway, so they take no time of their own.
    fn model(
        &self,
        epoch: EpochId,
        mask: &Seed,
        channel: &mut PeerChannel,
    ) -> Result<(Arc<ServerWeights>, ZeroSeed), SessionError> {
        let held = {
            let model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
            model.as_ref().filter(|(id, _)| *id == epoch).map(|(_, model)| Arc::clone(model))
        };
        let (theirs, zeros) = opening::exchange(channel, held.is_some())?;
        if let (Some(held), true) = (held, theirs) {
            return Ok((held, zeros));
        }
        let started = Instant::now();
        let shares = (self.shares.lock().unwrap_or_else(PoisonError::into_inner))()?;
        let model = Arc::new(ServerWeights::set_up(&self.weights, shares, mask, channel)?);
        tracing::info!(%epoch, ms = started.elapsed().as_millis() as u64, "model set up with the other server");
        *self.model.lock().unwrap_or_else(PoisonError::into_inner) = Some((epoch, Arc::clone(&model)));
        Ok((model, zeros))
    }
}

/// Where a session's online time went.
struct Spent {
    online: Duration,
    exchanging: Duration,
}

/// Waits for the client's input to begin. Here a session rests: its material is prepared, and the client may take its
/// time. A client that leaves, and a service that stops, end the wait at once, and with it the session: its material is
/// dropped, and its id stays burnt.
fn await_input(client: &mut Link, resting: &Resting, limit: Duration) -> Result<(), SessionError> {
    match resting.wait(Rest::Prepared, || client.await_message(limit, Kind::Input)) {
        Err(Interrupted::Stopping) => Err(SessionError::Stopping),
        Err(Interrupted::GaveWay) => Err(SessionError::GaveWay),
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false) | Err(LinkError::Closed { .. })) => Err(SessionError::Unused),
        Ok(Err(LinkError::TimedOut { after, .. })) => Err(SessionError::Expired { after }),
        Ok(Err(error)) => Err(error.into()),
    }
}

/// How far the preparing thread is.
#[derive(Default)]
struct Progress {
    /// Bytes that came from the dealer.
    received: AtomicU64,
    /// Whether the program's material is all prepared, and the dealer's stream at its checked end.
    prepared: AtomicBool,
}

/// The dealer's stream, counted as the program takes it.
struct Counted {
    reader: MaterialReader,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(bytes)?;
        self.progress.received.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Prepares until done or nobody wants it; the queue carries the result.
fn prepare<P: Program>(
    program: &P,
    model: &ServerWeights,
    (seed, hash_key): &(Seed, Seed),
    mut material: Counted,
    queue: QueueWriter,
) {
    let seeds = (seed, HashKey::new(hash_key.expose()));
    let result = Prepare::run(program, model, seeds, &mut material, &queue).and_then(|()| {
        let ended = material.reader.finish().map_err(std::io::Error::other);
        ended.map(|(link, _)| link.close()).map_err(blindroute_protocol::Error::Material)
    });
    // Said before the queue's end, so that who has seen the end sees this too.
    material.progress.prepared.store(result.is_ok(), Ordering::Release);
    queue.finish(result);
}

fn request_digest(request: &[u8]) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(request).into()
}
