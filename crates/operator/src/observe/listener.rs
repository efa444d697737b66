//! The listener: a few connections at once, each for one request and a few seconds.

use super::answer::Answer;
use super::request::{Request, Unreadable, read};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections at once. A further one takes the place of the oldest, so that slow callers keep nobody out.
const CONNECTIONS: usize = 16;
/// How long the threads of connections that lost their places may take to end.
const ENDING: Duration = Duration::from_secs(1);
/// How long a connection lasts at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes after a request that are read and dropped, so that the caller gets the answer before its connection is closed.
const DROPPED: usize = 64 << 10;

/// A connection that is being answered.
struct Call {
    socket: TcpStream,
    /// Whether its place was given to another one, so that its thread is about to end.
    leaving: bool,
}

/// The connections, in order of arrival.
#[derive(Default)]
struct Calls {
    held: BTreeMap<u64, Call>,
    next: u64,
}

/// The places of connections.
#[derive(Default)]
struct Places {
    calls: Mutex<Calls>,
    ended: Condvar,
}

/// A place, until the thread of its connection ends.
struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().held.remove(&self.number);
        self.places.ended.notify_all();
    }
}

/// Answers on this address for as long as the process runs, and returns where that is. A connection lasts as long as `patience` at most.
pub(super) fn listen(
    address: &str,
    patience: Duration,
    answer: impl Fn(Result<Request, Unreadable>) -> Answer + Send + Sync + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let listening = listener.local_addr()?;
    let (answer, places) = (Arc::new(answer), Arc::<Places>::default());
    let accept = move || {
        for socket in listener.incoming() {
            let Ok(socket) = socket else {
                // No file handles are left, or the caller left at once. Continue after a pause.
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            if let Some(place) = places.enter(&socket) {
                let answer = Arc::clone(&answer);
                let serve = move || drop((serve(socket, Instant::now() + patience, &*answer), place));
                // Without a thread the connection is closed.
                std::thread::Builder::new().name("probe".into()).spawn(serve).ok();
            }
        }
    };
    std::thread::Builder::new().name("observe".into()).spawn(accept)?;
    Ok(listening)
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, from the oldest if there is no other. None if the threads that lost theirs do not end.
    fn enter(self: &Arc<Self>, socket: &TcpStream) -> Option<Place> {
        let socket = socket.try_clone().ok()?;
        let full = |calls: &mut Calls| calls.held.len() >= 2 * CONNECTIONS;
        let waited = self.ended.wait_timeout_while(self.lock(), ENDING, full);
        let (mut calls, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        let staying = calls.held.values().filter(|call| !call.leaving).count();
        if staying >= CONNECTIONS
            && let Some(oldest) = calls.held.values_mut().find(|call| !call.leaving)
        {
            oldest.leaving = true;
            oldest.socket.shutdown(Shutdown::Both).ok();
        }
        let number = calls.next;
        calls.next += 1;
        calls.held.insert(number, Call { socket, leaving: false });
        Some(Place { places: Arc::clone(self), number })
    }
}

/// Answers one request.
fn serve(
    mut socket: TcpStream,
    until: Instant,
    answer: &impl Fn(Result<Request, Unreadable>) -> Answer,
) -> io::Result<()> {
    let Some(request) = Request::read(&mut socket, until) else { return Ok(()) };
    let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    socket.set_write_timeout(Some(left))?;
    socket.write_all(&answer(request).bytes())?;
    // Closed with unread bytes, the connection would be reset, and the answer lost.
    socket.shutdown(Shutdown::Write)?;
    let (mut dropped, mut part) = (0, [0; 1 << 10]);
    while dropped < DROPPED {
        match read(&mut socket, &mut part, until)? {
            0 => break,
            count => dropped += count,
        }
    }
    Ok(())
}
