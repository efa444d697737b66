//! A service that accepts connections: one thread per connection, limits, contained panics, an orderly stop.

mod admission;
mod client;
mod resting;

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use admission::{Admission, Admitted, Limits};
use client::ClientAddress;
pub use resting::{Interrupted, Rest, Resting};

use crate::identity::Endpoint;
use crate::link::{Link, LinkError, Timeouts};
use crate::messages::{Failure, FailureKind};
use crate::role::Role;
use crate::shutdown::Shutdown;
use crate::tally::Tally;

/// Why a service could not start or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The service cannot listen on the address.
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
    /// No thread could be started.
    #[error("a thread could not be started: {0}; look at the limits of processes and memory")]
    Thread(#[source] io::Error),
}

/// Limits of a service.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// Roles that may call.
    pub allowed: Vec<Role>,
    /// The most sessions at once. Each role may hold twice as many connections, because a client keeps some between
    /// sessions. The other server may hold four times as many, because it opens two lanes for each connection of a
    /// client.
    pub max_sessions: usize,
    /// The most sessions at once of one client, which may hold twice as many connections. A client is an IPv4 address
    /// or the first 64 bits of an IPv6 address.
    pub max_sessions_per_client: usize,
    /// The most callers at once that have not proven their role yet.
    pub max_handshakes: usize,
    /// The timeouts of every link.
    pub timeouts: Timeouts,
    /// How long running sessions may continue after a stop was requested.
    pub grace: Duration,
    /// Where connections are counted.
    pub tally: Arc<Tally>,
}

/// The default share of one client: three quarters. One client may use most of a service, and places for others remain.
#[must_use]
pub const fn share_of_one_client(max_sessions: usize) -> usize {
    (3 * max_sessions).div_ceil(4)
}

/// The default of [`ServiceOptions::max_handshakes`]. A handshake takes a few round trips, so at most a second for a
/// distant caller. So at least 64 callers per second are served although others hold idle sockets, and idle sockets
/// cost at most 64 threads.
pub const MAX_HANDSHAKES: usize = 64;

/// The default of [`ServiceOptions::grace`]: most sessions take less.
pub const GRACE: Duration = Duration::from_secs(5);

impl ServiceOptions {
    /// The defaults for callers of these roles: 8 sessions at once, because each may need a gibibyte.
    #[must_use]
    pub fn new(allowed: &[Role]) -> ServiceOptions {
        ServiceOptions {
            allowed: allowed.to_vec(),
            max_sessions: 8,
            max_sessions_per_client: share_of_one_client(8),
            max_handshakes: MAX_HANDSHAKES,
            timeouts: Timeouts::default(),
            grace: GRACE,
            tally: Arc::default(),
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

/// A connection of a caller that has proven its role.
#[derive(Debug)]
pub struct Connection {
    /// The link; its peer is the caller's role.
    pub link: Link,
    /// Where the call came from.
    pub remote: SocketAddr,
    /// Set when the service stops. Long waits should end then.
    pub shutdown: Shutdown,
    /// For waits during which the connection is idle.
    pub resting: Resting,
}

/// A service that listens and does not answer yet.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    address: SocketAddr,
    endpoint: Endpoint,
    options: ServiceOptions,
}

impl Service {
    /// Listens on "host:port". Port 0 chooses a free port.
    ///
    /// # Errors
    /// If it cannot listen on the address.
    pub fn bind(address: &str, endpoint: Endpoint, options: ServiceOptions) -> Result<Service, ServiceError> {
        let listen = |source| ServiceError::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Service { listener, address, endpoint, options })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Writes the readiness line: `{"listening":"127.0.0.1:4000","role":"server0"}`.
    ///
    /// # Errors
    /// If the line cannot be written.
    pub fn announce(&self, mut out: impl Write) -> Result<(), ServiceError> {
        let line = format!("{{\"listening\":\"{}\",\"role\":\"{}\"}}\n", self.address, self.endpoint.role());
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(ServiceError::Announce)
    }

    /// Answers calls until `shutdown` is set. Then it tells clients that call or wait, waits for running sessions up to the grace
    /// period, and closes the connections of the others.
    ///
    /// The text of a handler's error is logged, so it must hold nothing secret. A panic in a handler ends only its own
    /// session.
    ///
    /// # Errors
    /// If the system refused the thread that waits for running sessions.
    pub fn run<H, E>(self, shutdown: &Shutdown, handler: H) -> Result<(), ServiceError>
    where
        H: Fn(Connection) -> Result<(), E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let places = Admission::new(self.options.limits());
        let handler = Arc::new(handler);
        let (address, ended) = (self.address, AtomicBool::new(false));
        tracing::info!(role = %self.endpoint.role(), %address, "listening");
        std::thread::scope(|scope| {
            let drain = || {
                while !shutdown.wait(Duration::from_secs(3600)) {}
                places.drain(self.options.grace);
                ended.store(true, Ordering::Release);
                // `accept` cannot be interrupted, so a connection to the own address wakes it.
                TcpStream::connect_timeout(&wakeable(address), Duration::from_secs(1)).ok();
            };
            let drain = std::thread::Builder::new().name("drain".into()).spawn_scoped(scope, drain);
            drain.map_err(ServiceError::Thread)?;
            // Sessions that run need the other parties' connections, so these are answered while the service drains.
            while !ended.load(Ordering::Acquire) {
                match self.listener.accept() {
                    Ok(_) if ended.load(Ordering::Acquire) => break,
                    Ok((socket, remote)) => self.start(&places, socket, remote, shutdown, &handler),
                    Err(error) => {
                        // No file handles are left, or the caller left at once. Continue after a pause.
                        tracing::warn!(%error, "a connection could not be accepted");
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
            }
            Ok(())
        })?;
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
            tracing::warn!(caller = %ClientAddress::from(remote.ip()), "too many connections: this one is closed");
            self.options.tally.turned_away();
            return;
        };
        let (endpoint, options) = (self.endpoint.clone(), self.options.clone());
        let (shutdown, handler) = (shutdown.clone(), handler.clone());
        let spawned = std::thread::Builder::new()
            .name(format!("call-{}", place.number))
            .spawn(move || answer(place, Call { socket, remote, shutdown }, &endpoint, &options, handler.as_ref()));
        if let Err(error) = spawned {
            tracing::error!(%error, "a thread for a connection could not be started");
        }
    }
}

/// A call that was accepted and not yet answered.
struct Call {
    socket: TcpStream,
    remote: SocketAddr,
    shutdown: Shutdown,
}

fn answer<H, E>(place: Admitted, call: Call, endpoint: &Endpoint, options: &ServiceOptions, handler: &H)
where
    H: Fn(Connection) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let Call { socket, remote, shutdown } = call;
    let served = catch_unwind(AssertUnwindSafe(|| -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut link = match Link::accept(socket, endpoint, &options.allowed, &options.timeouts) {
            Ok(link) => link,
            // A port probe, for instance: no warning is needed.
            Err(LinkError::Closed { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if shutdown.is_set() && link.peer() == Role::Client {
            link.fail(&Failure::new(FailureKind::Stopping, ""));
            return Ok(());
        }
        if !place.admit(link.peer()) {
            options.tally.turned_away();
            link.fail(&Failure::new(FailureKind::Busy, ""));
            return Err(format!("{} has too many connections: this one was refused", link.peer()).into());
        }
        let _counted = options.tally.connection();
        let resting = Resting::new(place.state.clone(), shutdown.clone());
        handler(Connection { link, remote, shutdown, resting }).map_err(Into::into)
    }));
    let caller = ClientAddress::from(remote.ip());
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%caller, %error, "a session ended with an error"),
        // The text of the panic may quote data, so only the fact is logged.
        Err(_) => tracing::error!(%caller, "internal error: the thread of a session panicked; please report it"),
    }
    drop(place);
}

/// An address at which this service can be reached locally: a wildcard listener is reached over loopback.
fn wakeable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
