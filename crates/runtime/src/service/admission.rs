//! The places of a service: who holds one, and which connection is closed when all are taken.
//!
//! A caller that has not proven its role yet only holds a place among the handshakes. There are few of these. When all
//! are taken, the client that holds the most loses its oldest one to a new caller. So idle sockets of one address keep
//! nobody out, not even other callers of that address.
//!
//! A client that has proven its role holds a connection, which is a session or may become one. No client may hold more
//! connections than its own limit, so the rest always remains for others. When all are taken, a new connection of a
//! client that holds fewer replaces a resting connection of the client that holds the most: one without a session if
//! there is one, otherwise the session that has rested longest. Running sessions are never closed for others; they end
//! by themselves in bounded time.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Shutdown as Side, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::ClientAddress;
use super::resting::{SharedState, State};
use crate::role::Role;

/// The numbers of places.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Callers that have not proven their role yet.
    pub(super) handshakes: usize,
    /// Connections of each role.
    pub(super) connections: usize,
    /// Connections of one client.
    pub(super) per_client: usize,
    /// Whether clients may call. The other server then opens two lanes for each of their connections.
    pub(super) serves_clients: bool,
}

impl Limits {
    fn of(&self, role: Role) -> usize {
        if role != Role::Client && self.serves_clients { 2 * self.connections } else { self.connections }
    }

    /// The most threads: those with a place, and those that lost it and are about to end.
    fn threads(&self) -> usize {
        2 * self.handshakes + 4 * self.connections
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Proven(Role),
    /// Its place was given to another client, and its thread is about to end.
    Leaving,
}

/// A connection that is being answered.
struct Call {
    socket: TcpStream,
    client: ClientAddress,
    stage: Stage,
    state: SharedState,
}

#[derive(Default)]
struct Calls {
    // By number, in order of arrival.
    held: HashMap<u64, Call>,
    next: u64,
}

impl Calls {
    /// How many connections of this stage each client holds.
    fn by_client(&self, stage: Stage) -> HashMap<ClientAddress, usize> {
        let mut counts = HashMap::new();
        for call in self.held.values().filter(|call| call.stage == stage) {
            *counts.entry(call.client).or_default() += 1;
        }
        counts
    }

    /// Ends the oldest handshake of the client that holds the most.
    fn end_a_handshake(&mut self) {
        let counts = self.by_client(Stage::Handshake);
        let waiting = self.held.iter_mut().filter(|(_, call)| call.stage == Stage::Handshake);
        let most = waiting.min_by_key(|(number, call)| (Reverse(counts.get(&call.client).copied()), **number));
        if let Some((_, call)) = most {
            call.stage = Stage::Leaving;
            call.socket.shutdown(Side::Both).ok();
        }
    }

    /// Ends a resting connection of the client that holds the most, if that is more than the new caller's client will
    /// hold. Returns whether it did.
    fn end_a_rest(&mut self, counts: &HashMap<ClientAddress, usize>, mine: usize) -> bool {
        let resting = self.held.values_mut().filter_map(|call| {
            let count = counts.get(&call.client).copied().unwrap_or(0);
            let state = *call.state.lock();
            match state {
                State::Resting(rest, since) if call.stage == Stage::Proven(Role::Client) && count > mine + 1 => {
                    Some(((Reverse(count), rest, since), call))
                }
                _ => None,
            }
        });
        let mut resting: Vec<_> = resting.collect();
        resting.sort_by_key(|(rank, _)| *rank);
        for (_, call) in resting {
            let mut state = call.state.lock();
            // Its caller may have sent something since.
            if matches!(*state, State::Resting(..)) {
                *state = State::PlaceLost;
                call.stage = Stage::Leaving;
                // Its read ends now; it can still tell its caller why.
                call.socket.shutdown(Side::Read).ok();
                return true;
            }
        }
        false
    }
}

/// The places of one service.
pub(super) struct Admission {
    limits: Limits,
    calls: Mutex<Calls>,
    ended: Condvar,
}

/// A place, held until the connection's thread ends, also by a panic.
pub(super) struct Admitted {
    places: Arc<Admission>,
    pub(super) number: u64,
    pub(super) state: SharedState,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.places.lock().held.remove(&self.number);
        self.places.ended.notify_all();
    }
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, calls: Mutex::default(), ended: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place among the handshakes. Nothing if too many threads that lost their places have not ended yet.
    pub(super) fn enter(self: &Arc<Self>, socket: TcpStream, remote: IpAddr) -> Option<Admitted> {
        let mut calls = self.lock();
        if calls.held.len() >= self.limits.threads() {
            return None;
        }
        if calls.held.values().filter(|call| call.stage == Stage::Handshake).count() >= self.limits.handshakes {
            tracing::debug!(
                "too many callers have not proven their role; the oldest of the address with the most is closed"
            );
            calls.end_a_handshake();
        }
        let (number, state) = (calls.next, SharedState::new());
        calls.next += 1;
        let call = Call { socket, client: remote.into(), stage: Stage::Handshake, state: state.clone() };
        calls.held.insert(number, call);
        drop(calls);
        Some(Admitted { places: Arc::clone(self), number, state })
    }

    /// Ends the waits of resting connections, waits for running sessions, and then closes the remaining sockets, so
    /// that their threads end.
    pub(super) fn drain(&self, grace: Duration) {
        let until = Instant::now() + grace;
        let mut calls = self.lock();
        for call in calls.held.values().filter(|call| matches!(*call.state.lock(), State::Resting(..))) {
            // Its read ends now; it can still tell its caller why.
            call.socket.shutdown(Side::Read).ok();
        }
        // Callers that have not proven their role have no session.
        while calls.held.values().any(|call| matches!(call.stage, Stage::Proven(_))) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            calls = self.ended.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if !calls.held.is_empty() {
            tracing::warn!(sessions = calls.held.len(), "closing sessions that did not end within the grace period");
            for call in calls.held.values() {
                call.socket.shutdown(Side::Both).ok();
            }
            // Their reads fail now. Give them a moment to clean up.
            let limit = Duration::from_secs(1);
            drop(self.ended.wait_timeout_while(calls, limit, |calls| !calls.held.is_empty()));
        }
    }
}

impl Admitted {
    /// Moves from the handshakes to the connections of a role. Returns false if there is no room.
    pub(super) fn admit(&self, role: Role) -> bool {
        let limits = &self.places.limits;
        let mut calls = self.places.lock();
        let Some(client) = calls.held.get(&self.number).filter(|call| call.stage == Stage::Handshake) else {
            return false;
        };
        let client = client.client;
        let counts = calls.by_client(Stage::Proven(role));
        let mine = counts.get(&client).copied().unwrap_or(0);
        // Servers are few and have proven their role, so only clients have limits of their own.
        let shared = role == Role::Client;
        if shared && mine >= limits.per_client {
            return false;
        }
        if counts.values().sum::<usize>() >= limits.of(role) {
            if !shared || !calls.end_a_rest(&counts, mine) {
                return false;
            }
            tracing::info!(
                "all places are taken: a resting connection of a client that holds many was closed for another client"
            );
        }
        if let Some(call) = calls.held.get_mut(&self.number) {
            call.stage = Stage::Proven(role);
        }
        true
    }
}
