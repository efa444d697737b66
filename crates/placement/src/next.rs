//! A router of two versions of the bundle. It asks for the next one as soon as both servers hold it, and for the one before until then.

use crate::error::PlacementError;
use crate::patience::Patience;
use crate::router::PrivateRouter;
use blindroute_routing::program::{Placement, SessionRequest};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long after one look the servers are asked again whether they hold the next version.
const LOOK: Duration = Duration::from_secs(20);

/// The version that takes the place of a router's own.
#[derive(Debug)]
pub(crate) struct Next {
    router: Arc<PrivateRouter>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether it is asked first.
    held: bool,
    /// When the servers were last asked whether they hold it.
    looked: Option<Instant>,
    /// Requests whose sessions are kept ready.
    kept: Vec<(SessionRequest, usize)>,
    /// Whether those are sessions of the next version.
    kept_there: bool,
}

impl Next {
    pub(crate) fn new(router: PrivateRouter) -> Self {
        Self { router: Arc::new(router), state: Arc::default() }
    }

    pub(crate) fn with_patience(self, patience: Patience) -> Self {
        let Self { router, state } = self;
        // A look of another thread may hold it for a moment; then it has the patience that it had.
        let router = Arc::try_unwrap(router).map(|router| Arc::new(router.with_patience(patience)));
        Self { router: router.unwrap_or_else(|shared| shared), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the servers, on a thread of its own, whether they hold the next version, if that was not done a moment ago.
    fn look(&self) {
        let mut state = self.state();
        if state.held || state.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return;
        }
        state.looked = Some(Instant::now());
        let (router, state) = (Arc::clone(&self.router), Arc::clone(&self.state));
        let look = move || {
            if router.pairs.hold_it() {
                tracing::info!(bundle = %router.bundle().name, "both servers hold the next version of the bundle: it is used from now on");
                state.lock().unwrap_or_else(PoisonError::into_inner).held = true;
            }
        };
        if let Err(error) = std::thread::Builder::new().name("next".into()).spawn(look) {
            tracing::warn!(%error, "no thread to look for the next version of the bundle");
        }
    }
}

impl PrivateRouter {
    /// The version to ask, and the one to ask if a party does not hold that; none if there is but one.
    pub(crate) fn versions(&self, placement: Placement) -> Option<[&Self; 2]> {
        // In the other placements a bundle is here in the clear, which is of one version.
        let next = self.next.as_ref().filter(|_| placement == Placement::Full)?;
        next.look();
        let held = self.settle(next);
        Some(if held { [&*next.router, self] } else { [self, &*next.router] })
    }

    /// Its own version, and the next one if that may be asked in this placement.
    pub(crate) fn versions_of(&self, placement: Placement) -> Vec<&Self> {
        let next = self.next.as_ref().filter(|_| placement == Placement::Full);
        [self].into_iter().chain(next.map(|next| &*next.router)).collect()
    }

    /// Notes that a party does not hold a version. The other one is asked first from now on.
    pub(crate) fn not_held(&self, version: &Self, error: &PlacementError) {
        let Some(next) = &self.next else { return };
        let held = std::ptr::eq(version, self);
        tracing::info!(bundle = %version.bundle().name, %error, "a party does not hold this version of the bundle; using the other one");
        let mut state = next.state();
        (state.held, state.looked) = (held, Some(Instant::now()));
        drop(state);
        self.settle(next);
    }

    /// The router of the version that is asked first.
    pub(crate) fn in_use(&self) -> &Self {
        match &self.next {
            Some(next) if next.state().held => &next.router,
            _ => self,
        }
    }

    /// Keeps sessions of a request ready, of the version that is asked first.
    pub(crate) fn keep(&self, request: SessionRequest, count: usize) -> Result<(), PlacementError> {
        let Some(next) = &self.next else { return self.pairs.keep_ready(request, count) };
        let mut state = next.state();
        state.kept.retain(|(kept, _)| *kept != request);
        state.kept.push((request, count));
        let there = state.kept_there;
        drop(state);
        self.keep_at(next, there, request, count)
    }

    fn keep_at(&self, next: &Next, there: bool, request: SessionRequest, count: usize) -> Result<(), PlacementError> {
        match there {
            false => self.pairs.keep_ready(request, count),
            // A request names routers by their places, which may be others there. Its routes then prepare sessions of their own.
            true if self.plan == next.router.plan => next.router.pairs.keep_ready(request, count),
            true => Ok(()),
        }
    }

    /// Keeps ready sessions of the version that is asked first, and none of the other one. Returns whether that is the next one.
    fn settle(&self, next: &Next) -> bool {
        let mut state = next.state();
        let (held, moved) = (state.held, state.held != state.kept_there);
        state.kept_there = held;
        let kept = if moved { state.kept.clone() } else { Vec::new() };
        drop(state);
        for (request, count) in kept {
            let here = self.keep_at(next, !held, request, 0);
            if let Err(error) = here.and_then(|()| self.keep_at(next, held, request, count)) {
                tracing::warn!(%error, "no sessions are kept ready of the version of the bundle that is used now");
            }
        }
        held
    }
}
