//! The client's side of a session, from ready to the answer.

use super::SessionError;
use super::cancel::Cancel;
use super::held::Held;
use super::places::SessionPlace;
use super::spares::{Spares, close, quiet};
use crate::frame::FrameKind;
use crate::link::{Link, LinkError};
use crate::messages::{SessionId, SessionReport, WireSeed};
use blindroute_protocol::{Form, Inputs, Output, OutputSpec, Tensor};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A session that both servers have prepared. Its answer takes only the online time.
///
/// It may rest before its input comes, if [`ReadySession::rests`]. Its id has been in all ledgers since it began, so it
/// runs at most once. Dropping it closes the links, and the servers then drop its material at once.
pub struct ReadySession {
    /// Taken out when the session runs.
    links: Option<[Link; 2]>,
    spares: Arc<Spares>,
    session: SessionId,
    specs: Vec<OutputSpec>,
    offline: Duration,
    ready: Instant,
    waits: Duration,
    rests: bool,
    /// Whether its program leaves values with the servers.
    keeps: bool,
    /// Whether a server says that this deployment protects nothing.
    pub(super) development: bool,
    /// The last field, so that the place becomes free after the links were closed.
    place: Option<SessionPlace>,
}

impl std::fmt::Debug for ReadySession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReadySession({}, ready since {:?})", self.session, self.ready.elapsed())
    }
}

impl Drop for ReadySession {
    fn drop(&mut self) {
        // Closed explicitly with TLS, so that the servers free what they hold at once.
        self.links.take().into_iter().for_each(close);
    }
}

/// Inputs as shares for one session: a seed for server 0, and the inputs minus its expansion for server 1. Used once,
/// and wiped.
pub struct SharedInputs {
    seed: WireSeed,
    for_one: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for SharedInputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedInputs({} bytes, redacted)", self.for_one.len())
    }
}

impl SharedInputs {
    pub(super) fn new(forms: &[Form], inputs: &[Tensor<f32>]) -> Result<Self, SessionError> {
        Inputs::check(forms, inputs)?;
        let seed = WireSeed::generate()?;
        let for_one = Zeroizing::new(Inputs::share(forms, inputs, &super::generator_seed(&seed))?);
        Ok(Self { seed, for_one })
    }

    /// Those of a session that continues with what servers kept.
    pub(super) fn none() -> Result<Self, SessionError> {
        Self::new(&[], &[])
    }
}

/// What a server reports about a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerReport {
    /// From the client's input to the answer, at the server.
    pub online: Duration,
    /// The part of it inside exchanges with the other server: sending, and waiting for its messages.
    pub exchanging: Duration,
    /// Exchanges with the other server.
    pub openings: u32,
    /// Bytes of exchanges sent to the other server.
    pub bytes_sent: u64,
    /// Bytes of material received from the dealer.
    pub material_bytes: u64,
}

/// What came of a session: the answer, and what it took.
#[derive(Debug)]
pub struct SessionOutcome {
    /// The values that the client opened.
    pub output: Output,
    /// From the hello until both servers were ready: dealing, sending, preparing, and in the first session the set-up
    /// of the weights. For a session that was prepared in advance this time passed before the input came.
    pub offline: Duration,
    /// From asking for a session until one was ready: all of `offline` if it was prepared for this input, and almost
    /// nothing if it was already prepared.
    pub waited: Duration,
    /// From sending the input to the answer.
    pub online: Duration,
    /// The reports of both servers.
    pub servers: [ServerReport; 2],
    /// Bytes of input shares that the client sent.
    pub bytes_sent: u64,
    /// What the servers keep, if the program leaves something with them.
    pub held: Option<Held>,
    /// Whether a server says that this deployment protects nothing, because roles share what they must not share.
    pub development: bool,
}

impl ReadySession {
    /// `keeps` says whether its program leaves values with the servers.
    pub(super) fn new(
        links: [Link; 2],
        spares: Arc<Spares>,
        session: SessionId,
        (specs, keeps): (Vec<OutputSpec>, bool),
        offline: Duration,
        (waits, rests): (Duration, bool),
    ) -> Self {
        let (links, ready) = (Some(links), Instant::now());
        Self { links, spares, session, specs, offline, ready, waits, rests, keeps, development: false, place: None }
    }

    pub(super) fn in_place(self, place: SessionPlace) -> Self {
        let mut session = self;
        session.place = Some(place);
        session
    }

    /// How long the preparation took: from the hello until both servers were ready.
    #[must_use]
    pub fn offline(&self) -> Duration {
        self.offline
    }

    /// Whether it may wait for its input. If not, the dealer still holds part of the material and no party waits longer
    /// than the stall timeout: run the session at once.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.rests
    }

    /// How much longer the servers wait for the input. It is a tenth less than the servers state, because their message
    /// took time to arrive.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        (self.waits - self.waits / 10).saturating_sub(self.ready.elapsed())
    }

    /// Whether it can still run, as far as the client can see without sending anything: it is not too old, and neither
    /// server has given it up or disconnected.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.time_left().is_zero() && self.links.as_ref().is_some_and(quiet)
    }

    /// Sends the shares of the input and opens the answer.
    ///
    /// # Errors
    /// If a party fails or has given the session up, or if the shares are those of another program's inputs.
    pub fn run(self, inputs: SharedInputs) -> Result<SessionOutcome, SessionError> {
        self.run_until(inputs, &Cancel::default())
    }

    /// The same, until it is cancelled. The session is consumed all the same.
    ///
    /// # Errors
    /// As for [`ReadySession::run`]; [`SessionError::Cancelled`] if it was cancelled.
    pub fn run_until(self, inputs: SharedInputs, cancel: &Cancel) -> Result<SessionOutcome, SessionError> {
        let _watch = self.links.as_ref().map(|links| cancel.watch(links)).transpose()?;
        cancel.explains(self.answered(inputs))
    }

    fn answered(mut self, inputs: SharedInputs) -> Result<SessionOutcome, SessionError> {
        let Some(mut links) = self.links.take() else {
            return Err(LinkError::Internal("a session has no links").into());
        };
        if !quiet(&links) {
            // The servers have nothing to send yet, so one has given up and says why. The input is not sent.
            let talking = links.iter_mut().filter(|link| !link.is_quiet());
            let said = talking.filter_map(|link| link.receive(FrameKind::SessionReport).err());
            let closed = LinkError::Closed { peer: "a server", waiting_for: FrameKind::Input.name() };
            return Err(super::error::root_cause(said).unwrap_or(closed).into());
        }
        let SharedInputs { seed, for_one } = inputs;
        let key = super::generator_seed(&seed);
        let started = Instant::now();
        let [zero, one] = &mut links;
        let sent = zero.send_long(FrameKind::Input, 0, key.expose());
        let sent = sent.and_then(|()| one.send_long(FrameKind::Input, 0, &for_one));
        if let Err(error) = sent {
            return Err(last_words(&mut links, error));
        }
        let expected = Output::byte_len(&self.specs);
        let [zero, one] = both(&mut links, |link| {
            let share = Zeroizing::new(link.receive_long(FrameKind::Output, 0, expected)?);
            Ok((share, Instant::now(), link.receive_message::<SessionReport>()?))
        })?;
        let output = Output::combine(&self.specs, &zero.0, &one.0)?;
        let online = zero.1.max(one.1).saturating_duration_since(started);
        let reports = [zero.2, one.2];
        if reports.iter().any(|report| report.session != self.session) {
            return Err(SessionError::Disagreement("identity"));
        }
        let held = Held::new(links, Arc::clone(&self.spares), self.session);
        let held = self.keeps.then_some(held);
        let servers = reports.map(|report| ServerReport {
            online: Duration::from_micros(report.online_micros),
            exchanging: Duration::from_micros(report.exchange_micros),
            openings: report.openings,
            bytes_sent: report.bytes_sent,
            material_bytes: report.material_bytes,
        });
        let bytes_sent = (key.expose().len() + for_one.len()) as u64;
        let (offline, waited) = (self.offline, Duration::ZERO);
        let development = self.development;
        Ok(SessionOutcome { output, offline, waited, online, servers, bytes_sent, held, development })
    }
}

/// How long to wait for the second server's reason after the first server has failed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Receives from both servers at the same time, so that a failure of either is noticed at once.
pub(super) fn both<T: Send>(
    links: &mut [Link; 2],
    receive: impl Fn(&mut Link) -> Result<T, LinkError> + Sync,
) -> Result<[T; 2], SessionError> {
    let sockets = [links[0].socket()?, links[1].socket()?];
    let disconnect = || sockets.iter().for_each(|socket| drop(socket.shutdown(std::net::Shutdown::Both)));
    let (send, received) = std::sync::mpsc::channel();
    let answers = std::thread::scope(|scope| {
        for (party, link) in links.iter_mut().enumerate() {
            let (send, receive) = (send.clone(), &receive);
            let listen = move || drop(send.send((party, receive(link))));
            if let Err(error) = std::thread::Builder::new().name("listen".into()).spawn_scoped(scope, listen) {
                disconnect();
                return Err(SessionError::Thread(error));
            }
        }
        drop(send);
        let mut answers = [None, None];
        let mut failed = false;
        for _ in 0..2 {
            // Both waits are bounded; the first one by the links' own timeouts.
            let next = if failed { received.recv_timeout(LAST_WORDS).ok() } else { received.recv().ok() };
            let Some((party, answer)) = next else { break };
            failed |= answer.is_err();
            answers[party] = Some(answer);
        }
        if failed {
            disconnect();
        }
        Ok(answers)
    })?;
    match answers {
        [Some(Ok(zero)), Some(Ok(one))] => Ok([zero, one]),
        answers => {
            let errors = answers.into_iter().flatten().filter_map(Result::err);
            let silent = LinkError::Internal("no answer of either server was received");
            Err(super::error::root_cause(errors).unwrap_or(silent).into())
        }
    }
}

/// The reason why sending to the servers failed. A server that gives up says why before it closes its link.
pub(super) fn last_words(links: &mut [Link; 2], error: LinkError) -> SessionError {
    // A server that has nothing to say is not waited for longer than for last words.
    for link in links.iter_mut() {
        link.set_stall(LAST_WORDS).ok();
    }
    let said = links.iter_mut().filter_map(|link| link.receive(FrameKind::SessionReport).err());
    super::error::root_cause(said.filter(|said| matches!(said, LinkError::Failed { .. }))).unwrap_or(error).into()
}
