//! At server 0: what server 1 proposes for a session, on its way from the thread of the lane to the thread of the client.

use crate::link::Link;
use crate::messages::{Proposal, SessionId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many sessions that wait for no proposal are remembered. A proposal comes seconds after its session's hello, if at all.
const REMEMBERED: usize = 4096;

/// How long after its last word server 1 is expected to propose something for every session. Its store says a word each minute.
const EXPECTED: Duration = Duration::from_secs(150);

#[derive(Default)]
struct State {
    waiting: HashMap<SessionId, (Link, Proposal)>,
    /// Sessions that have gone to the dealer, or whose proposal nobody took.
    declined: VecDeque<SessionId>,
    heard: Option<Instant>,
}

impl State {
    fn decline(&mut self, session: SessionId) {
        if self.declined.len() >= REMEMBERED {
            self.declined.pop_front();
        }
        self.declined.push_back(session);
    }
}

/// Proposals that wait for their sessions, and sessions that wait for none.
#[derive(Default)]
pub(super) struct Proposals {
    state: Mutex<State>,
    changed: Condvar,
}

impl Proposals {
    /// Server 1 has said a word about stored material, or may do so soon.
    pub(super) fn heard(&self) {
        self.lock().heard = Some(Instant::now());
    }

    /// Leaves a proposal for its session's thread, and waits until it is taken. Gives the link back if the session waits for no
    /// proposal, or did not come in time. It will not take one later.
    #[must_use]
    pub(super) fn offer(&self, link: Link, proposal: Proposal, limit: Duration) -> Option<Link> {
        let session = proposal.session;
        let mut state = self.lock();
        state.heard = Some(Instant::now());
        if state.declined.contains(&session) || state.waiting.contains_key(&session) {
            return Some(link);
        }
        state.waiting.insert(session, (link, proposal));
        self.changed.notify_all();
        let waits = |state: &mut State| state.waiting.contains_key(&session);
        let (mut state, _) =
            self.changed.wait_timeout_while(state, limit, waits).unwrap_or_else(PoisonError::into_inner);
        let (link, _) = state.waiting.remove(&session)?;
        state.decline(session);
        Some(link)
    }

    /// Takes the proposal for a session. Waits for it, if server 1 is expected to propose something. If none comes, a later one is
    /// declined.
    pub(super) fn take(&self, session: SessionId, limit: Duration) -> Option<(Link, Proposal)> {
        let state = self.lock();
        let expected = state.heard.is_some_and(|heard| heard.elapsed() < EXPECTED);
        let limit = if expected { limit } else { Duration::ZERO };
        let waits = |state: &mut State| !state.waiting.contains_key(&session) && !state.declined.contains(&session);
        let (mut state, _) =
            self.changed.wait_timeout_while(state, limit, waits).unwrap_or_else(PoisonError::into_inner);
        let taken = state.waiting.remove(&session);
        match taken {
            Some(_) => self.changed.notify_all(),
            None => state.decline(session),
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Timeouts;
    use crate::role::Role;
    use crate::testing::linked;
    use std::sync::Arc;

    const SOON: Duration = Duration::from_millis(100);
    const LATE: Duration = Duration::from_secs(20);

    fn link() -> Link {
        linked(Role::Server1, Role::Server0, Timeouts::default()).0
    }

    fn proposal(session: u8) -> Proposal {
        Proposal { session: SessionId([session; 16]), stored: Some(SessionId([99; 16])) }
    }

    #[test]
    fn a_proposal_meets_its_session_in_either_order() {
        for proposal_first in [true, false] {
            let proposals = Arc::new(Proposals::default());
            proposals.heard();
            let other = Arc::clone(&proposals);
            let lane = std::thread::spawn(move || {
                std::thread::sleep(if proposal_first { Duration::ZERO } else { SOON });
                other.offer(link(), proposal(1), LATE).is_none()
            });
            std::thread::sleep(if proposal_first { SOON } else { Duration::ZERO });
            let (_, taken) = proposals.take(SessionId([1; 16]), LATE).unwrap();
            assert_eq!(taken, proposal(1));
            assert!(lane.join().unwrap());
        }
    }

    #[test]
    fn a_session_that_has_gone_to_the_dealer_takes_no_proposal_any_more() {
        let proposals = Proposals::default();
        // Server 1 has not said a word, so nobody waits for it.
        let started = Instant::now();
        assert!(proposals.take(SessionId([1; 16]), LATE).is_none() && started.elapsed() < LATE / 2);
        assert!(proposals.offer(link(), proposal(1), LATE).is_some() && started.elapsed() < LATE / 2);
        // It has now, so another session waits, in vain.
        let started = Instant::now();
        assert!(proposals.take(SessionId([2; 16]), SOON).is_none() && started.elapsed() >= SOON);
        assert!(proposals.offer(link(), proposal(2), LATE).is_some());
    }

    #[test]
    fn a_proposal_that_nobody_took_is_given_back_and_its_session_goes_to_the_dealer_at_once() {
        let proposals = Proposals::default();
        assert!(proposals.offer(link(), proposal(1), SOON).is_some());
        let started = Instant::now();
        assert!(proposals.take(SessionId([1; 16]), LATE).is_none() && started.elapsed() < LATE / 2);
    }
}
