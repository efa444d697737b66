//! An accepting service: one thread per connection, limits, contained panics, graceful end.

mod admission;
mod client;
mod resting;

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use admission::{Admission, Admitted, Limits};
pub use resting::{Interrupted, Rest, Resting};

use crate::identity::Endpoint;
use crate::link::{Link, LinkError, Timeouts};
use crate::messages::{Failure, FailureKind};
use crate::role::Role;
use crate::shutdown::Shutdown;

/// Why a service could not start or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose a free port and an address of this machine")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The readiness line could not be written.
    #[error("cannot announce readiness: {0}; the parent process may be gone")]
    Announce(#[source] io::Error),
}

/// Limits of a service.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// Roles that may call.
    pub allowed: Vec<Role>,
    /// Sessions at once. A role may hold twice as many connections, since a client keeps some between sessions; the other
    /// server, which opens two lanes for a client's connection, twice as many again.
    pub max_sessions: usize,
    /// Sessions at once of one client, and twice as many connections. A client is an address, of IPv6 its first 64 bits.
    pub max_sessions_per_client: usize,
    /// Callers at once that have not proven their role yet.
    pub max_handshakes: usize,
    /// Waits of every link.
    pub timeouts: Timeouts,
    /// How long running sessions may go on after a stop was asked for (5 s: sessions take less).
    pub grace: Duration,
}

/// Three quarters: one client may use nearly all of a service, and what it does still leaves places to others.
#[must_use]
pub const fn share_of_one_client(max_sessions: usize) -> usize {
    (3 * max_sessions).div_ceil(4)
}

/// A handshake takes a few round trips, so a second for a far caller at most: as many as 64 callers a second are served
/// though others hold idle sockets, and idle ones cost 64 threads at most.
pub const MAX_HANDSHAKES: usize = 64;

impl ServiceOptions {
    /// Defaults for callers of these roles: 8 sessions at once, since each may need a gibibyte.
    #[must_use]
    pub fn new(allowed: &[Role]) -> ServiceOptions {
        ServiceOptions {
            allowed: allowed.to_vec(),
            max_sessions: 8,
            max_sessions_per_client: share_of_one_client(8),
            max_handshakes: MAX_HANDSHAKES,
            timeouts: Timeouts::default(),
            grace: Duration::from_secs(5),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            handshakes: self.max_handshakes,
            connections: 2 * self.max_sessions,
            per_client: 2 * self.max_sessions_per_client,
            serves_clients: self.allowed.contains(&Role::Client),
        }
    }
}

/// A proven caller.
#[derive(Debug)]
pub struct Connection {
    /// The link; its peer is the caller's role.
    pub link: Link,
    /// Where the call came from.
    pub remote: SocketAddr,
    /// Set when the service is to stop: long waits should end.
    pub shutdown: Shutdown,
    /// For waits in which the caller may take its time.
    pub resting: Resting,
}

/// A bound service, not yet running.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    address: SocketAddr,
    endpoint: Endpoint,
    options: ServiceOptions,
}

impl Service {
    /// Listens on "host:port"; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn bind(address: &str, endpoint: Endpoint, options: ServiceOptions) -> Result<Service, ServiceError> {
        let listen = |source| ServiceError::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Service { listener, address, endpoint, options })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Writes the readiness line: `{"listening":"127.0.0.1:4000","role":"server0"}`.
    ///
    /// # Errors
    /// The writer failed.
    pub fn announce(&self, mut out: impl Write) -> Result<(), ServiceError> {
        let line = format!("{{\"listening\":\"{}\",\"role\":\"{}\"}}\n", self.address, self.endpoint.role());
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(ServiceError::Announce)
    }

    /// Answers calls until `shutdown`, then waits for running sessions up to the grace period and cuts the rest.
    ///
    /// The handler's error is logged by its text, which must hold nothing secret. A panic in a handler ends its
    /// session only.
    ///
    /// # Errors
    /// None so far; kept for later.
    pub fn run<H, E>(self, shutdown: &Shutdown, handler: H) -> Result<(), ServiceError>
    where
        H: Fn(Connection) -> Result<(), E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let places = Admission::new(self.options.limits());
        let handler = Arc::new(handler);
        let address = self.address;
        // `accept` cannot be interrupted: a call to ourselves wakes it.
        shutdown.on_trigger(move || {
            TcpStream::connect_timeout(&wakeable(address), Duration::from_secs(1)).ok();
        });
        tracing::info!(role = %self.endpoint.role(), %address, "listening");
        while !shutdown.is_set() {
            match self.listener.accept() {
                Ok(_) if shutdown.is_set() => break,
                Ok((socket, remote)) => self.start(&places, socket, remote, shutdown, &handler),
                Err(error) => {
                    // Out of file handles, or a caller that left at once: go on, but not in a hot loop.
                    tracing::warn!(%error, "a call could not be answered");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        drop(self.listener);
        places.drain(self.options.grace);
        tracing::info!("stopped");
        Ok(())
    }

    fn start<H, E>(
        &self,
        places: &Arc<Admission>,
        socket: TcpStream,
        remote: SocketAddr,
        shutdown: &Shutdown,
        handler: &Arc<H>,
    ) where
        H: Fn(Connection) -> Result<(), E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let Ok(handle) = socket.try_clone() else { return };
        let Some(place) = places.enter(handle, remote.ip()) else {
            tracing::warn!(%remote, "too many connections; one is dropped");
            return;
        };
        let (endpoint, options) = (self.endpoint.clone(), self.options.clone());
        let (shutdown, handler) = (shutdown.clone(), handler.clone());
        let spawned = std::thread::Builder::new()
            .name(format!("call-{}", place.number))
            .spawn(move || answer(place, socket, remote, &endpoint, &options, shutdown, handler.as_ref()));
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread for a call");
        }
    }
}

fn answer<H, E>(
    place: Admitted,
    socket: TcpStream,
    remote: SocketAddr,
    endpoint: &Endpoint,
    options: &ServiceOptions,
    shutdown: Shutdown,
    handler: &H,
) where
    H: Fn(Connection) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let served = catch_unwind(AssertUnwindSafe(|| -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut link = match Link::accept(socket, endpoint, &options.allowed, &options.timeouts) {
            Ok(link) => link,
            // A port probe: not worth a warning.
            Err(LinkError::Closed { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !place.admit(link.peer()) {
            link.fail(&Failure::new(FailureKind::Busy, ""));
            return Err(format!("{} has too many connections; one was refused", link.peer()).into());
        }
        let resting = Resting::new(place.state.clone(), shutdown.clone());
        handler(Connection { link, remote, shutdown, resting }).map_err(Into::into)
    }));
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%remote, %error, "a session ended with an error"),
        // The panic's own text may quote data, so only the fact is logged.
        Err(_) => tracing::error!(%remote, "internal error: a session's thread panicked; please report it"),
    }
    drop(place);
}

/// An address to call ourselves at: a wildcard listener is reached over loopback.
fn wakeable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
