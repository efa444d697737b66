//! The client's side of a session.

use super::{Catalogue, SessionError};
use crate::identity::Endpoint;
use crate::link::{Kind, Link, LinkError, Timeouts};
use crate::messages::{ClientHello, Seed as WireSeed, ServerReady, SessionId, SessionReport};
use crate::role::Role;
use blindroute_protocol::{Inputs, Meter, Output, Program, Tensor};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client of two servers. It keeps its links from session to session.
pub struct Client<C> {
    catalogue: Arc<C>,
    addresses: [String; 2],
    endpoint: Endpoint,
    timeouts: Timeouts,
    links: Option<[Link; 2]>,
}

impl<C> std::fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client of {:?}", self.addresses)
    }
}

impl<C> Drop for Client<C> {
    fn drop(&mut self) {
        // A clean end: the servers need not wonder.
        for link in self.links.take().into_iter().flatten() {
            link.close();
        }
    }
}

/// What a server says of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerReport {
    /// From the client's input to the answer, at the server.
    pub online: Duration,
    /// Of that, inside exchanges with the other server: sending, and waiting for its messages.
    pub exchanging: Duration,
    /// Exchanges with the other server.
    pub openings: u32,
    /// Bytes of exchanges sent to the other server.
    pub bytes_sent: u64,
    /// Bytes of material received from the dealer.
    pub material_bytes: u64,
    /// Peak memory of the server's process so far.
    pub peak_mib: u32,
}

/// The result of a session.
#[derive(Clone, Debug)]
pub struct Route {
    /// What the client opened.
    pub output: Output,
    /// From the hello until both servers are ready: dealing, sending, preparing, and the first time the set-up.
    pub offline: Duration,
    /// From the input's leaving to the answer.
    pub online: Duration,
    /// What the servers say.
    pub servers: [ServerReport; 2],
    /// Bytes of input shares that the client sent.
    pub bytes_sent: u64,
}

impl<C: Catalogue> Client<C> {
    /// A client of the servers at these addresses.
    pub fn new(catalogue: Arc<C>, addresses: [String; 2], endpoint: Endpoint, timeouts: Timeouts) -> Self {
        Self { catalogue, addresses, endpoint, timeouts, links: None }
    }

    /// Runs one session. After an error the links are dropped, and the next session makes new ones.
    ///
    /// # Errors
    /// If a party fails, or the input does not fit the request's program.
    pub fn run(&mut self, request: &[u8], inputs: &[Tensor<f32>]) -> Result<Route, SessionError> {
        let program = self.catalogue.program(request).map_err(SessionError::Request)?;
        let forms = program.inputs();
        let seed = WireSeed::generate()?;
        let key = super::generator_seed(&seed);
        let for_one = zeroize::Zeroizing::new(Inputs::share(&forms, inputs, &key)?);
        let started = Instant::now();
        let (mut links, session) = match self.links.take() {
            None => self.begin_anew(request)?,
            Some(mut links) => match self.begin(&mut links, request) {
                Ok(session) => (links, session),
                // Servers let resting clients go, and restart. Nothing of the input has left: a new session is safe.
                Err(SessionError::Link(LinkError::Closed { .. } | LinkError::Io { .. })) => self.begin_anew(request)?,
                Err(error) => return Err(error),
            },
        };
        let offline = started.elapsed();
        let started = Instant::now();
        let [zero, one] = &mut links;
        let sent = zero.send_long(Kind::Input, 0, key.expose());
        let sent = sent.and_then(|()| one.send_long(Kind::Input, 0, &for_one));
        if let Err(error) = sent {
            return Err(last_words(&mut links, error));
        }
        let specs = Meter::outputs(&program)?;
        let expected = Output::byte_len(&specs);
        let [zero, one] = both(&mut links, |link| {
            let share = zeroize::Zeroizing::new(link.receive_long(Kind::Output, 0, expected)?);
            Ok((share, Instant::now(), link.receive_message::<SessionReport>()?))
        })?;
        let output = Output::combine(&specs, &zero.0, &one.0)?;
        let online = zero.1.max(one.1).saturating_duration_since(started);
        let reports = [zero.2, one.2];
        if reports.iter().any(|report| report.session != session) {
            return Err(SessionError::Disagreement("identity"));
        }
        self.links = Some(links);
        let servers = reports.map(|report| ServerReport {
            online: Duration::from_micros(report.online_micros),
            exchanging: Duration::from_micros(report.exchange_micros),
            openings: report.openings,
            bytes_sent: report.bytes_sent,
            material_bytes: report.material_bytes,
            peak_mib: report.peak_mib,
        });
        let bytes_sent = (key.expose().len() + for_one.len()) as u64;
        Ok(Route { output, offline, online, servers, bytes_sent })
    }

    fn connect(&self) -> Result<[Link; 2], SessionError> {
        // The servers wait for others up to their own timeouts (a connection, a handshake, a stall), and then say for
        // whom: they get the first word.
        let Timeouts { connect, handshake, stall, .. } = self.timeouts;
        let timeouts = Timeouts { stall: connect + handshake + 2 * stall, ..self.timeouts };
        let call = |party: usize, role| Link::connect(&self.addresses[party], &self.endpoint, role, &timeouts);
        Ok([call(0, Role::Server0)?, call(1, Role::Server1)?])
    }

    fn begin_anew(&self, request: &[u8]) -> Result<([Link; 2], SessionId), SessionError> {
        let mut links = self.connect()?;
        let session = self.begin(&mut links, request)?;
        Ok((links, session))
    }

    /// From the hello until both servers are ready. Nothing of the input is sent.
    fn begin(&self, links: &mut [Link; 2], request: &[u8]) -> Result<SessionId, SessionError> {
        let session = SessionId::generate()?;
        let hello = ClientHello { session, model: self.catalogue.digest(), request: request.to_vec() };
        if let Err(error) = links.iter_mut().try_for_each(|link| link.send_message(&hello)) {
            return Err(last_words(links, error));
        }
        let ready = both(links, Link::receive_message::<ServerReady>)?;
        if ready.iter().any(|ready| ready.session != session) || ready[0].epoch != ready[1].epoch {
            return Err(SessionError::Disagreement("identity"));
        }
        Ok(session)
    }
}

/// How long the second server may take to say why, once the first has failed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Receives from both servers at the same time, so that the failure of either is noticed at once.
fn both<T: Send>(
    links: &mut [Link; 2],
    receive: impl Fn(&mut Link) -> Result<T, LinkError> + Sync,
) -> Result<[T; 2], SessionError> {
    let sockets = [links[0].socket()?, links[1].socket()?];
    let cut = || sockets.iter().for_each(|socket| drop(socket.shutdown(std::net::Shutdown::Both)));
    let (send, received) = std::sync::mpsc::channel();
    let answers = std::thread::scope(|scope| {
        for (party, link) in links.iter_mut().enumerate() {
            let (send, receive) = (send.clone(), &receive);
            let listen = move || drop(send.send((party, receive(link))));
            if let Err(error) = std::thread::Builder::new().name("listen".into()).spawn_scoped(scope, listen) {
                cut();
                return Err(SessionError::Thread(error));
            }
        }
        drop(send);
        let mut answers = [None, None];
        let mut failed = false;
        for _ in 0..2 {
            // Both waits are bounded, the first by the links' own timeouts.
            let next = if failed { received.recv_timeout(LAST_WORDS).ok() } else { received.recv().ok() };
            let Some((party, answer)) = next else { break };
            failed |= answer.is_err();
            answers[party] = Some(answer);
        }
        if failed {
            cut();
        }
        Ok(answers)
    })?;
    match answers {
        [Some(Ok(zero)), Some(Ok(one))] => Ok([zero, one]),
        answers => {
            let errors = answers.into_iter().flatten().filter_map(Result::err);
            let silent = LinkError::Internal("neither server's answer was received");
            Err(super::error::root_cause(errors).unwrap_or(silent).into())
        }
    }
}

/// A server that gives up says why before it closes: what both said, after sending to them failed.
fn last_words(links: &mut [Link; 2], error: LinkError) -> SessionError {
    // A server that has nothing to say is not waited for longer than for last words.
    for link in links.iter_mut() {
        link.set_stall(LAST_WORDS).ok();
    }
    let said = links.iter_mut().filter_map(|link| link.receive(Kind::SessionReport).err());
    super::error::root_cause(said.filter(|said| matches!(said, LinkError::Failed { .. }))).unwrap_or(error).into()
}
