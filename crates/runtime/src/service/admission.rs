//! A service's places: who has one, and who gives way when all are taken.
//!
//! A caller that has not proven its role has a place among the handshakes only. They are few, and the client that has
//! most of them loses its oldest to a newcomer: idle sockets of one address keep nobody out, not even that address.
//!
//! A client that has proven its role has a connection, which is a session or may become one. No client has more of them
//! than its own limit, so that the rest is left to others whatever it does. When all are taken, a newcomer whose client
//! has fewer takes the place of a connection that only rests: of the client that has most, one without a session if there is
//! one, else the session that has rested longest. Sessions that run are never ended for others; they end by themselves,
//! in bounded time.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Shutdown as Side, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::ClientAddress;
use super::resting::{SharedState, State};
use crate::role::Role;

/// How many places there are.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Callers that have not proven their role.
    pub(super) handshakes: usize,
    /// Connections of clients; of the dealer's callers, of each.
    pub(super) connections: usize,
    /// Connections of one client.
    pub(super) per_client: usize,
    /// Whether clients call here: then the other server opens two lanes for each of their connections.
    pub(super) serves_clients: bool,
}

impl Limits {
    fn of(&self, role: Role) -> usize {
        if role != Role::Client && self.serves_clients { 2 * self.connections } else { self.connections }
    }

    /// All threads there may be: those with a place, and those that lost theirs and are about to end.
    fn threads(&self) -> usize {
        2 * self.handshakes + 4 * self.connections
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Proven(Role),
    /// It gave way: its place is another's, and its thread is about to end.
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
    // By number: those that came first have the smallest.
    held: HashMap<u64, Call>,
    next: u64,
}

impl Calls {
    /// How many of a stage each client has.
    fn by_client(&self, stage: Stage) -> HashMap<ClientAddress, usize> {
        let mut counts = HashMap::new();
        for call in self.held.values().filter(|call| call.stage == stage) {
            *counts.entry(call.client).or_default() += 1;
        }
        counts
    }

    /// Ends the oldest handshake of the client that has most.
    fn end_a_handshake(&mut self) {
        let counts = self.by_client(Stage::Handshake);
        let waiting = self.held.iter_mut().filter(|(_, call)| call.stage == Stage::Handshake);
        let most = waiting.min_by_key(|(number, call)| (Reverse(counts.get(&call.client).copied()), **number));
        if let Some((_, call)) = most {
            call.stage = Stage::Leaving;
            call.socket.shutdown(Side::Both).ok();
        }
    }

    /// Ends a resting connection of the client that has most, if that is more than a newcomer's client will have.
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
            // Its caller may have spoken since.
            if matches!(*state, State::Resting(..)) {
                *state = State::GaveWay;
                call.stage = Stage::Leaving;
                // Its read ends; it may still say why.
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

/// A place, for as long as a connection's thread lives, also through a panic.
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

    /// A place among the handshakes; nothing if those that gave way do not end as fast as others come.
    pub(super) fn enter(self: &Arc<Self>, socket: TcpStream, remote: IpAddr) -> Option<Admitted> {
        let mut calls = self.lock();
        if calls.held.len() >= self.limits.threads() {
            return None;
        }
        if calls.held.values().filter(|call| call.stage == Stage::Handshake).count() >= self.limits.handshakes {
            tracing::debug!(
                "too many callers have not proven their role; the oldest of the address with most is dropped"
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

    /// Stops waiting connections from waiting, waits for running sessions, then cuts their sockets so that their threads
    /// end.
    pub(super) fn drain(&self, grace: Duration) {
        let cut = Instant::now() + grace;
        let mut calls = self.lock();
        for call in calls.held.values().filter(|call| matches!(*call.state.lock(), State::Resting(..))) {
            // Its read ends; it may still say why.
            call.socket.shutdown(Side::Read).ok();
        }
        while !calls.held.is_empty() {
            let left = cut.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            calls = self.ended.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if !calls.held.is_empty() {
            tracing::warn!(sessions = calls.held.len(), "cutting sessions that outlived the grace period");
            for call in calls.held.values() {
                call.socket.shutdown(Side::Both).ok();
            }
            // Their reads fail now; a moment to clean up, and no more.
            let limit = Duration::from_secs(1);
            drop(self.ended.wait_timeout_while(calls, limit, |calls| !calls.held.is_empty()));
        }
    }
}

impl Admitted {
    /// Moves from the handshakes to a role's connections; false if there is no room.
    pub(super) fn admit(&self, role: Role) -> bool {
        let limits = &self.places.limits;
        let mut calls = self.places.lock();
        let Some(client) = calls.held.get(&self.number).filter(|call| call.stage == Stage::Handshake) else {
            return false;
        };
        let client = client.client;
        let counts = calls.by_client(Stage::Proven(role));
        let mine = counts.get(&client).copied().unwrap_or(0);
        // A server is one machine or a few, and has proven to be the server: only clients share their places.
        let shared = role == Role::Client;
        if shared && mine >= limits.per_client {
            return false;
        }
        if counts.values().sum::<usize>() >= limits.of(role) {
            if !shared || !calls.end_a_rest(&counts, mine) {
                return false;
            }
            tracing::info!("all places are taken: a client that holds many gives one that rests to another client");
        }
        if let Some(call) = calls.held.get_mut(&self.number) {
            call.stage = Stage::Proven(role);
        }
        true
    }
}
