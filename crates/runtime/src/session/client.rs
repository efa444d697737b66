//! The client's side of a session.

use super::{Catalogue, SessionError};
use crate::identity::Endpoint;
use crate::link::{Kind, Link, Timeouts};
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

/// What a server says of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerReport {
    /// From the client's input to the answer, at the server.
    pub online: Duration,
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
        let mut links = match self.links.take() {
            Some(links) => links,
            None => self.connect()?,
        };
        let route = self.session(&mut links, &program, request, inputs)?;
        self.links = Some(links);
        Ok(route)
    }

    fn connect(&self) -> Result<[Link; 2], SessionError> {
        let call = |party: usize, role| Link::connect(&self.addresses[party], &self.endpoint, role, &self.timeouts);
        Ok([call(0, Role::Server0)?, call(1, Role::Server1)?])
    }

    fn session(
        &self,
        links: &mut [Link; 2],
        program: &C::Program,
        request: &[u8],
        inputs: &[Tensor<f32>],
    ) -> Result<Route, SessionError> {
        let forms = program.inputs();
        let seed = WireSeed::generate()?;
        let key = super::generator_seed(&seed);
        let for_one = zeroize::Zeroizing::new(Inputs::share(&forms, inputs, &key)?);
        let started = Instant::now();
        let session = SessionId::generate()?;
        let hello = ClientHello { session, model: self.catalogue.digest(), request: request.to_vec() };
        for link in links.iter_mut() {
            link.send_message(&hello)?;
        }
        let [zero, one] = links;
        let ready = [receive_ready(zero, one)?, one.receive_message::<ServerReady>()?];
        if ready.iter().any(|ready| ready.session != session) || ready[0].epoch != ready[1].epoch {
            return Err(SessionError::Disagreement("identity"));
        }
        let offline = started.elapsed();
        let started = Instant::now();
        zero.send_long(Kind::Input, 0, key.expose())?;
        one.send_long(Kind::Input, 0, &for_one)?;
        let specs = Meter::outputs(program)?;
        let expected = Output::byte_len(&specs);
        let shares = [zero.receive_long(Kind::Output, 0, expected)?, one.receive_long(Kind::Output, 0, expected)?];
        let output = Output::combine(&specs, &shares[0], &shares[1])?;
        let online = started.elapsed();
        let reports = [zero.receive_message::<SessionReport>()?, one.receive_message::<SessionReport>()?];
        let servers = reports.map(|report| ServerReport {
            online: Duration::from_micros(report.online_micros),
            openings: report.openings,
            bytes_sent: report.bytes_sent,
            material_bytes: report.material_bytes,
            peak_mib: report.peak_mib,
        });
        let bytes_sent = (key.expose().len() + for_one.len()) as u64;
        Ok(Route { output, offline, online, servers, bytes_sent })
    }
}

/// Server 0's word that it is ready. If server 0 blames another party, server 1 may know better why.
fn receive_ready(zero: &mut Link, one: &mut Link) -> Result<ServerReady, SessionError> {
    match zero.receive_message::<ServerReady>() {
        Ok(ready) => Ok(ready),
        Err(error) => {
            let other = one.receive_message::<ServerReady>().err();
            Err(super::error::root_cause(error, other).into())
        }
    }
}
