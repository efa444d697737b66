//! The client's side of a session until it is ready.

use super::cancel::Cancel;
use super::hand_over::answered;
use super::held::{HandedOver, Held};
use super::places::{SessionPlace, SessionPlaces};
use super::ready::{ReadySession, SessionOutcome, SharedInputs, both, last_words};
use super::retry::{self, Bounds, Retry, Waiting};
use super::spares::Spares;
use super::wallet::Wallet;
use super::{Catalogue, SessionError};
use crate::identity::Endpoint;
use crate::link::{Link, LinkError, Timeouts};
use crate::messages::{
    ClientHello, Continues, FailureKind, HandOverAnswer, HandOverRequest, ServerReady, SessionId, ShownPasses, Ticket,
};
use crate::role::Role;
use blindroute_protocol::{Meter, Program, Tensor};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError, mpsc};
use std::time::{Duration, Instant};

/// A client of two servers, for any number of sessions at once. It keeps its links for later sessions; clones share
/// them.
pub struct Client<C>(Arc<ClientState<C>>);

/// What the clones of a client share.
struct ClientState<C> {
    catalogue: Arc<C>,
    addresses: [String; 2],
    endpoint: Endpoint,
    timeouts: Timeouts,
    spares: Arc<Spares>,
    places: Arc<SessionPlaces>,
    /// Whether any session has become ready so far.
    begun: AtomicBool,
    /// Held by the first session until it is ready.
    first: Mutex<()>,
    /// The passes for each server, if it shows those in place of itself.
    wallets: OnceLock<[Arc<Wallet>; 2]>,
}

impl<C> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> std::fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client of {:?}", self.0.addresses)
    }
}

impl<C: Catalogue> Client<C> {
    /// A client of the servers at these addresses.
    pub fn new(catalogue: Arc<C>, addresses: [String; 2], endpoint: Endpoint, timeouts: Timeouts) -> Self {
        let (spares, places) = (Arc::new(Spares::default()), Arc::new(SessionPlaces::default()));
        let (begun, first, wallets) = (AtomicBool::new(false), Mutex::new(()), OnceLock::new());
        Self(Arc::new(ClientState { catalogue, addresses, endpoint, timeouts, spares, places, begun, first, wallets }))
    }

    /// The programs that it asks for.
    #[must_use]
    pub fn catalogue(&self) -> &C {
        &self.0.catalogue
    }

    /// Sets the number of sessions that the servers accept at once, if the caller knows it. Otherwise the client finds
    /// it out: it begins with 8, the servers' default, and tries more as long as the servers accept them.
    #[must_use]
    pub fn with_places(self, limit: usize) -> Self {
        self.0.places.allow(limit);
        self
    }

    /// Shows passes in place of its token, and asks each server for so many at a time. The servers have to issue them.
    #[must_use]
    pub fn with_passes(self, batch: usize) -> Self {
        let ClientState { addresses, endpoint, timeouts, .. } = &*self.0;
        let wallet = |party: usize, role| Arc::new(Wallet::new(&addresses[party], endpoint, role, *timeouts, batch));
        self.0.wallets.get_or_init(|| [wallet(0, Role::Server0), wallet(1, Role::Server1)]);
        self
    }

    /// Runs one session: prepares it, and sends the inputs as soon as it is ready. After an error its links are closed,
    /// and the next session opens new ones.
    ///
    /// # Errors
    /// If a party fails, or the inputs do not fit the request's program.
    pub fn run(&self, request: &[u8], inputs: &[Tensor<f32>]) -> Result<SessionOutcome, SessionError> {
        // Checked before a session is consumed by inputs that do not fit.
        let inputs = self.share(request, inputs)?;
        let session = self.prepare(request)?;
        let waited = session.offline();
        Ok(SessionOutcome { waited, ..session.run(inputs)? })
    }

    /// As [`Client::run`], but tries again if a session cannot be prepared for a temporary reason: a server cannot be
    /// reached, restarts, or is full. Nothing of the inputs has been sent at that point. If a session fails after the
    /// inputs were sent, for instance because a server restarted, one more session is used, and the inputs are shared
    /// anew for it: see [`SessionPool::run`] for why this is safe.
    ///
    /// If there are more callers than the servers accept sessions, callers wait for each other. `go_on` is called
    /// before each pause; return `false` to stop trying.
    ///
    /// # Errors
    /// As for [`Client::run`]; [`SessionError::Unprepared`] if the time is up.
    ///
    /// [`SessionPool::run`]: crate::SessionPool::run
    pub fn run_retrying(
        &self,
        request: &[u8],
        inputs: &[Tensor<f32>],
        retry: &Retry,
        go_on: &dyn Fn(&Waiting<'_>) -> bool,
    ) -> Result<SessionOutcome, SessionError> {
        self.run_cancellable((request, inputs), retry, go_on, &Cancel::default())
    }

    /// As [`Client::run_retrying`], until it is cancelled. Whatever it waits for then, it returns within some tens of milliseconds; the
    /// session that was prepared or running is consumed, its links are closed, and the servers drop it as they notice that.
    ///
    /// # Errors
    /// As for [`Client::run_retrying`]; [`SessionError::Cancelled`] if it was cancelled.
    pub fn run_cancellable(
        &self,
        asked: (&[u8], &[Tensor<f32>]),
        retry: &Retry,
        go_on: &dyn Fn(&Waiting<'_>) -> bool,
        cancel: &Cancel,
    ) -> Result<SessionOutcome, SessionError> {
        retry::run(self, asked, &Bounds { retry, go_on, cancel }, &|| None, &|| ())
    }

    /// Begins a session and waits until both servers have prepared it. No input is needed or sent. A caller that
    /// prepares in advance later waits only for the online time.
    ///
    /// # Errors
    /// If a party fails, or the catalogue does not know the request.
    pub fn prepare(&self, request: &[u8]) -> Result<ReadySession, SessionError> {
        self.prepare_in(request, &Cancel::default(), None)
    }

    /// As [`Client::prepare`], in one try, but if there are more callers than the servers accept sessions, callers wait for each
    /// other, at most as long as `retry` says without any progress, and until it is cancelled. Also says how long it waited.
    ///
    /// # Errors
    /// As for [`Client::prepare`]; [`SessionError::Cancelled`].
    pub fn prepare_in_turn(
        &self,
        request: &[u8],
        retry: &Retry,
        cancel: &Cancel,
    ) -> Result<(ReadySession, Duration), SessionError> {
        retry::once(self, request, (retry, cancel), &|| None, &|| ())
    }

    /// Shares inputs for one session of this request. The shares are fresh and must be used only once.
    ///
    /// # Errors
    /// If the catalogue does not know the request, the inputs do not fit it, or the system gives no randomness.
    pub fn share(&self, request: &[u8], inputs: &[Tensor<f32>]) -> Result<SharedInputs, SessionError> {
        let program = self.0.catalogue.program(request).map_err(SessionError::Request)?;
        SharedInputs::new(&program.inputs(), inputs)
    }

    /// How it calls the servers: their addresses, as whom, and the longest waits.
    pub(super) fn called(&self) -> (&[String; 2], &Endpoint, &Timeouts) {
        (&self.0.addresses, &self.0.endpoint, &self.0.timeouts)
    }

    pub(crate) fn places(&self) -> &Arc<SessionPlaces> {
        &self.0.places
    }

    /// As [`Client::prepare`], until it is cancelled. Without a `place` it takes one regardless of the limit.
    pub(crate) fn prepare_in(
        &self,
        request: &[u8],
        cancel: &Cancel,
        place: Option<SessionPlace>,
    ) -> Result<ReadySession, SessionError> {
        let started = Instant::now();
        let program = self.0.catalogue.program(request).map_err(SessionError::Request)?;
        let mut place = place.unwrap_or_else(|| self.0.places.take());
        let _first = self.first(cancel)?;
        let begin = Begin { request, program: &program, continues: None, started };
        let prepared = match self.0.spares.take() {
            None => self.begin_anew(&begin, cancel),
            Some(links) => match self.begin(links, &begin, cancel) {
                // Servers disconnect idle clients, and restart. No input has been sent, so a new session is safe.
                Err(SessionError::Link(LinkError::Closed { .. } | LinkError::Io { .. })) => {
                    self.begin_anew(&begin, cancel)
                }
                begun => begun,
            },
        };
        self.0.begun.fetch_or(prepared.is_ok(), Ordering::Relaxed);
        match prepared {
            Ok(session) => {
                place.ready();
                Ok(session.in_place(place))
            }
            Err(error) => {
                if error.is_busy() {
                    place.refused();
                }
                Err(error)
            }
        }
    }

    /// The servers set up the weights in their first session. If several sessions begin at once, one of them goes first
    /// until it is ready or has failed, so that the set-up is done once and not in each of them.
    fn first(&self, cancel: &Cancel) -> Result<Option<std::sync::MutexGuard<'_, ()>>, SessionError> {
        if self.0.begun.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match self.0.first.try_lock() {
            Ok(guard) => Ok(Some(guard)),
            Err(TryLockError::Poisoned(guard)) => Ok(Some(guard.into_inner())),
            Err(TryLockError::WouldBlock) => {
                drop(cancel.lock(&self.0.first)?);
                Ok(None)
            }
        }
    }

    /// Connects on a thread of its own, which is not waited for once it is cancelled: it ends by its timeouts, and closes what it has.
    fn connect_until(&self, cancel: &Cancel) -> Result<[Link; 2], SessionError> {
        let ((send, connected), client) = (mpsc::channel(), self.clone());
        let connect = move || drop(send.send(client.connect()));
        std::thread::Builder::new().name("connect".into()).spawn(connect).map_err(SessionError::Thread)?;
        let lost = || Err(LinkError::Internal("a thread that connects ended early").into());
        cancel.receive(&connected)?.unwrap_or_else(lost)
    }

    fn connect(&self) -> Result<[Link; 2], SessionError> {
        // The servers wait for other parties up to their own timeouts (a connection, a handshake, a stall) and then
        // report who is missing. The client waits longer, so that it receives this report.
        let ClientState { addresses, endpoint, timeouts, .. } = &*self.0;
        let Timeouts { connect, handshake, stall, .. } = *timeouts;
        let timeouts = Timeouts { stall: connect + handshake + 2 * stall, ..*timeouts };
        let call = |party: usize, role| Link::connect(&addresses[party], endpoint, role, &timeouts);
        Ok([call(0, Role::Server0)?, call(1, Role::Server1)?])
    }

    fn begin_anew(&self, begin: &Begin<'_, C::Program>, cancel: &Cancel) -> Result<ReadySession, SessionError> {
        self.begin(self.connect_until(cancel)?, begin, cancel)
    }

    /// Continues a session with these elements of its batch, in rising order, which servers kept. It is tried once: an error means that
    /// what they kept is lost, and the texts have to run again from their inputs.
    ///
    /// # Errors
    /// If a party fails, the servers hold nothing more, or the request's program does not continue that of the session before.
    pub fn run_continuing(&self, held: Held, request: &[u8], places: &[u16]) -> Result<SessionOutcome, SessionError> {
        let continues = Continues { places: places.to_vec(), ticket: None };
        self.run_continued(held.into_links()?, request, continues)
    }

    /// Asks the servers to hand what they hold over to another pair, of this name in their configurations: these elements of the
    /// batch, in rising order. Returns when the servers there have stored it. After an error it is lost, and the texts have to run
    /// again from their inputs.
    ///
    /// # Errors
    /// If the servers hold nothing more, do not know the pair, or cannot hand over to it.
    pub fn hand_over(&self, held: Held, to: &str, places: &[u16]) -> Result<HandedOver, SessionError> {
        let (session, ticket) = (held.session, Ticket::generate()?);
        let mut links = held.into_links()?;
        let asked = HandOverRequest { session, to: to.to_owned(), ticket, places: places.to_vec() };
        if let Err(error) = links.iter_mut().try_for_each(|link| link.send_message(&asked)) {
            return Err(last_words(&mut links, error));
        }
        both(&mut links, |link| answered(link, HandOverAnswer { session, stored: true }))?;
        self.0.spares.put(links);
        Ok(HandedOver { ticket: asked.ticket, count: places.len() })
    }

    /// Continues with these servers what another pair handed over to them. It is tried once, as [`Client::run_continuing`].
    ///
    /// # Errors
    /// As for [`Client::run_continuing`].
    pub fn run_handed_over(&self, handed: HandedOver, request: &[u8]) -> Result<SessionOutcome, SessionError> {
        let HandedOver { ticket, count } = handed;
        let places = (0..count).filter_map(|place| u16::try_from(place).ok()).collect();
        let _first = self.first(&Cancel::default())?;
        let links = match self.0.spares.take() {
            Some(links) => links,
            None => self.connect()?,
        };
        let outcome = self.run_continued(links, request, Continues { places, ticket: Some(ticket) })?;
        self.0.begun.store(true, Ordering::Relaxed);
        Ok(outcome)
    }

    fn run_continued(
        &self,
        links: [Link; 2],
        request: &[u8],
        continues: Continues,
    ) -> Result<SessionOutcome, SessionError> {
        let started = Instant::now();
        let program = self.0.catalogue.program(request).map_err(SessionError::Request)?;
        let place = self.0.places.take();
        let begin = Begin { request, program: &program, continues: Some(continues), started };
        let session = self.begin(links, &begin, &Cancel::default())?.in_place(place);
        let waited = session.offline();
        Ok(SessionOutcome { waited, ..session.run(SharedInputs::none()?)? })
    }

    /// The part of a session from the hello until both servers are ready, or it is cancelled. No input is sent.
    fn begin(
        &self,
        links: [Link; 2],
        begin: &Begin<'_, C::Program>,
        cancel: &Cancel,
    ) -> Result<ReadySession, SessionError> {
        let _watch = cancel.watch(&links)?;
        cancel.explains(self.begin_on(links, begin))
    }

    /// A session that is audited is spent before anything of an input has left, and another one begins on the same links.
    fn begin_on(&self, mut links: [Link; 2], begin: &Begin<'_, C::Program>) -> Result<ReadySession, SessionError> {
        for _ in 1..AUDITED_IN_A_ROW {
            match self.begin_once(links, begin)? {
                Begun::Ready(session) => return Ok(session),
                Begun::Audited(again, _) => links = again,
            }
        }
        match self.begin_once(links, begin)? {
            Begun::Ready(session) => Ok(session),
            Begun::Audited(_, audited) => Err(audited.into()),
        }
    }

    fn begin_once(&self, mut links: [Link; 2], begin: &Begin<'_, C::Program>) -> Result<Begun, SessionError> {
        let Begin { request, program, continues, started } = begin;
        let session = SessionId::generate()?;
        let deployment = self.0.catalogue.digest();
        let version = links[0].version().min(links[1].version());
        let hello = |token| {
            let (request, continues) = (request.to_vec(), continues.clone());
            ClientHello { version, session, deployment, request, continues, token }
        };
        let shown = self.passes(request)?;
        let sent = links.iter_mut().zip(&shown).try_for_each(|(link, passes)| match passes {
            Some(passes) => link.send_message(passes).and_then(|()| link.send_message(&hello(None))),
            None => link.send_message(&hello(self.0.endpoint.token(link.peer()))),
        });
        if let Err(error) = sent {
            return Err(last_words(&mut links, error));
        }
        // Computed while the servers prepare.
        let left = Meter::outputs_and_keeps(*program)?;
        let ready = both(&mut links, ready_or_audited).inspect_err(|error| self.refused(error))?;
        let ready = match ready {
            [Ok(zero), Ok(one)] => [zero, one],
            [Err(audited), Err(_)] => return Ok(Begun::Audited(links, audited)),
            _ => return Err(SessionError::Disagreement("audit")),
        };
        if ready.iter().any(|ready| ready.session != session) || ready[0].epoch != ready[1].epoch {
            return Err(SessionError::Disagreement("identity"));
        }
        let waits = Duration::from_micros(ready[0].waits_micros.min(ready[1].waits_micros));
        let rests = ready.iter().all(|ready| ready.rests);
        let spares = Arc::clone(&self.0.spares);
        let mut prepared = ReadySession::new(links, spares, session, left, started.elapsed(), (waits, rests));
        prepared.development = ready.iter().any(|ready| ready.development);
        if prepared.development {
            tracing::warn!(
                %session,
                "these servers run for development: roles share a machine, a cloud account or an authority, and your texts are \
                 not protected from their operator"
            );
        }
        Ok(Begun::Ready(prepared))
    }
}

impl<C: Catalogue> Client<C> {
    /// The passes for a session of this request, for each server, if it shows passes.
    fn passes(&self, request: &[u8]) -> Result<[Option<ShownPasses>; 2], SessionError> {
        let Some([zero, one]) = self.0.wallets.get() else { return Ok([None, None]) };
        let count = self.0.catalogue.asked(request).passes();
        Ok([Some(zero.take(count)?), Some(one.take(count)?)])
    }

    /// Drops the passes if a server does not take them: its next ones are of another key.
    fn refused(&self, error: &SessionError) {
        if matches!(error, SessionError::Link(LinkError::Failed { failure, .. }) if failure.kind == FailureKind::UnknownClient)
        {
            self.0.wallets.get().into_iter().flatten().for_each(|wallet| wallet.forget());
        }
    }
}

/// The most sessions that one caller begins on the same links because those before were audited. A tenth of the sessions is audited
/// at most, so that so many in a row are a sign of something else.
const AUDITED_IN_A_ROW: u32 = 8;

/// What came of a session that was begun.
enum Begun {
    Ready(ReadySession),
    /// Both servers say that they audited it. Their links can begin another one.
    Audited([Link; 2], LinkError),
}

/// A server's message that it is ready, or that the session was audited.
fn ready_or_audited(link: &mut Link) -> Result<Result<ServerReady, LinkError>, LinkError> {
    match link.receive_message::<ServerReady>() {
        Err(LinkError::Failed { peer, failure }) if failure.kind == FailureKind::Audited => {
            Ok(Err(LinkError::Failed { peer, failure }))
        }
        answer => answer.map(Ok),
    }
}

/// What a session begins with.
struct Begin<'a, P> {
    request: &'a [u8],
    program: &'a P,
    continues: Option<Continues>,
    /// When the caller asked for it.
    started: Instant,
}
