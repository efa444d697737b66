//! An accepting service: one thread per connection, limits, contained panics, graceful end.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    /// Sessions at once. A role may hold twice as many connections: a session takes two lanes between servers.
    pub max_sessions: usize,
    /// Waits of every link.
    pub timeouts: Timeouts,
    /// How long running sessions may go on after a stop was asked for (5 s: sessions take less).
    pub grace: Duration,
}

impl ServiceOptions {
    /// Defaults for callers of these roles: 8 sessions at once, since each may need a gibibyte.
    #[must_use]
    pub fn new(allowed: &[Role]) -> ServiceOptions {
        ServiceOptions {
            allowed: allowed.to_vec(),
            max_sessions: 8,
            timeouts: Timeouts::default(),
            grace: Duration::from_secs(5),
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

/// Marks a connection whose caller may take its time before it says more. A service that stops ends such a wait at
/// once, where it gives a session that runs its grace.
#[derive(Clone, Debug)]
pub struct Resting {
    flag: Arc<AtomicBool>,
    shutdown: Shutdown,
}

impl Resting {
    /// Waits by reading from the connection; nothing if the service stops meanwhile.
    pub fn wait<T, E>(&self, read: impl FnOnce() -> Result<T, E>) -> Option<Result<T, E>> {
        // Marked before the look at the flag: a stop comes before the look, or cuts what it finds marked.
        self.flag.store(true, Ordering::SeqCst);
        if self.shutdown.is_set() {
            return None;
        }
        let result = read();
        self.flag.store(false, Ordering::SeqCst);
        if result.is_err() && self.shutdown.is_set() { None } else { Some(result) }
    }
}

/// A bound service, not yet running.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    address: SocketAddr,
    endpoint: Endpoint,
    options: ServiceOptions,
}

/// A connection that is being answered.
struct Call {
    socket: TcpStream,
    resting: Arc<AtomicBool>,
}

#[derive(Default)]
struct Calls {
    sockets: HashMap<u64, Call>,
    by_role: HashMap<Role, usize>,
    next: u64,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Calls>,
    ended: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection for as long as its thread lives, also through a panic.
struct Place {
    shared: Arc<Shared>,
    number: u64,
    role: Option<Role>,
    resting: Arc<AtomicBool>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut calls = self.shared.lock();
        calls.sockets.remove(&self.number);
        if let Some(count) = self.role.and_then(|role| calls.by_role.get_mut(&role)) {
            *count -= 1;
        }
        drop(calls);
        self.shared.ended.notify_all();
    }
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
        let shared = Arc::new(Shared::default());
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
                Ok((socket, remote)) => self.start(&shared, socket, remote, shutdown, &handler),
                Err(error) => {
                    // Out of file handles, or a caller that left at once: go on, but not in a hot loop.
                    tracing::warn!(%error, "a call could not be answered");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        drop(self.listener);
        drain(&shared, self.options.grace);
        tracing::info!("stopped");
        Ok(())
    }

    fn start<H, E>(
        &self,
        shared: &Arc<Shared>,
        socket: TcpStream,
        remote: SocketAddr,
        shutdown: &Shutdown,
        handler: &Arc<H>,
    ) where
        H: Fn(Connection) -> Result<(), E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let Ok(handle) = socket.try_clone() else { return };
        let mut calls = shared.lock();
        // Callers that have not proven their role yet count too: room for all roles at their limit, and some.
        if calls.sockets.len() >= 8 * self.options.max_sessions + 8 {
            tracing::warn!(%remote, "too many connections; one is dropped");
            return;
        }
        let number = calls.next;
        calls.next += 1;
        let resting = Arc::new(AtomicBool::new(false));
        calls.sockets.insert(number, Call { socket: handle, resting: resting.clone() });
        drop(calls);

        let place = Place { shared: shared.clone(), number, role: None, resting };
        let (endpoint, options) = (self.endpoint.clone(), self.options.clone());
        let (shutdown, handler) = (shutdown.clone(), handler.clone());
        let spawned = std::thread::Builder::new()
            .name(format!("call-{number}"))
            .spawn(move || answer(place, socket, remote, &endpoint, &options, shutdown, handler.as_ref()));
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread for a call");
        }
    }
}

fn answer<H, E>(
    mut place: Place,
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
        if !admit(&mut place, link.peer(), 2 * options.max_sessions) {
            link.fail(&Failure::new(FailureKind::Busy, ""));
            return Err(format!("{} has too many connections; one was refused", link.peer()).into());
        }
        let resting = Resting { flag: place.resting.clone(), shutdown: shutdown.clone() };
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

fn admit(place: &mut Place, role: Role, limit: usize) -> bool {
    let mut calls = place.shared.lock();
    let count = calls.by_role.entry(role).or_default();
    if *count >= limit {
        return false;
    }
    *count += 1;
    drop(calls);
    place.role = Some(role);
    true
}

/// Ends what only rests, waits for running sessions, then cuts their sockets so that their threads end.
fn drain(shared: &Shared, grace: Duration) {
    let cut = Instant::now() + grace;
    let mut calls = shared.lock();
    for call in calls.sockets.values().filter(|call| call.resting.load(Ordering::SeqCst)) {
        // Its read ends; it may still say why.
        call.socket.shutdown(std::net::Shutdown::Read).ok();
    }
    while !calls.sockets.is_empty() {
        let left = cut.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        calls = shared.ended.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    if !calls.sockets.is_empty() {
        tracing::warn!(sessions = calls.sockets.len(), "cutting sessions that outlived the grace period");
        for call in calls.sockets.values() {
            call.socket.shutdown(std::net::Shutdown::Both).ok();
        }
        // Their reads fail now; a moment to clean up, and no more.
        let limit = Duration::from_secs(1);
        drop(shared.ended.wait_timeout_while(calls, limit, |calls| !calls.sockets.is_empty()));
    }
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
