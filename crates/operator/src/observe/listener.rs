//! The listener: a few connections at once, each for one request and a few seconds.

use super::answer::Answer;
use super::request::{Request, Unreadable, read};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections at once. A further one takes the place of the oldest, so that slow callers keep nobody out.
const CONNECTIONS: usize = 16;
/// How long a connection lasts at most.
const PATIENCE: Duration = Duration::from_secs(5);
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

/// A place, until the thread of its connection ends.
struct Place {
    calls: Arc<Mutex<Calls>>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.calls).held.remove(&self.number);
    }
}

/// Answers on this address for as long as the process runs, and returns where that is.
pub(super) fn listen(
    address: &str,
    answer: impl Fn(Result<Request, Unreadable>) -> Answer + Send + Sync + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let listening = listener.local_addr()?;
    let (answer, calls) = (Arc::new(answer), Arc::<Mutex<Calls>>::default());
    let accept = move || {
        for socket in listener.incoming() {
            let Ok(socket) = socket else {
                // No file handles are left, or the caller left at once. Continue after a pause.
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            if let Some(place) = enter(&calls, &socket) {
                let answer = Arc::clone(&answer);
                let serve = move || drop((serve(socket, Instant::now() + PATIENCE, &*answer), place));
                // Without a thread the connection is closed.
                std::thread::Builder::new().name("probe".into()).spawn(serve).ok();
            }
        }
    };
    std::thread::Builder::new().name("observe".into()).spawn(accept)?;
    Ok(listening)
}

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a place; none if too many threads that lost theirs have not ended yet.
fn enter(calls: &Arc<Mutex<Calls>>, socket: &TcpStream) -> Option<Place> {
    let socket = socket.try_clone().ok()?;
    let mut all = lock(calls);
    if all.held.len() >= 2 * CONNECTIONS {
        return None;
    }
    let staying = all.held.values().filter(|call| !call.leaving).count();
    if staying >= CONNECTIONS
        && let Some(oldest) = all.held.values_mut().find(|call| !call.leaving)
    {
        oldest.leaving = true;
        oldest.socket.shutdown(Shutdown::Both).ok();
    }
    let number = all.next;
    all.next += 1;
    all.held.insert(number, Call { socket, leaving: false });
    drop(all);
    Some(Place { calls: Arc::clone(calls), number })
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
