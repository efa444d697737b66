//! Keeping sessions of a router's requests ready.

use crate::error::PlacementError;
use crate::pairs::PairState;
use crate::router::PrivateRouter;
use blindroute_routing::program::SessionRequest;
use blindroute_runtime::SessionPoolStatus;
use std::time::Duration;

impl PrivateRouter {
    /// What is known of each pair of servers without asking it: when it last answered and failed.
    pub fn pair_states(&self) -> Vec<PairState> {
        self.pairs.states()
    }

    /// Calls the servers elsewhere whose last contact is as long ago as this, and asks nothing of them. It waits for them.
    pub fn look_at_pairs(&self, after: Duration) {
        self.pairs.look(after);
    }

    /// Keeps up to `count` sessions of a request ready from now on, prepared one after the other
    /// in the background. As long as there are ready ones, routes with that request wait for their online time only. 0
    /// keeps no more.
    ///
    /// Sessions are of one batch's size: those of a batch of eight serve eight prompts that come together, and no others.
    ///
    /// Several pairs of servers share them: about as many are ready with each.
    ///
    /// Each takes memory for its material on both servers, and one of their `max_sessions`. A request whose material is more
    /// than a server holds prepared cannot be kept ready: its routes run as without this, and its status says so.
    ///
    /// # Errors
    /// If there are no servers, the request makes no sense, or the system would not start a thread.
    pub fn keep_ready(&self, request: SessionRequest, count: usize) -> Result<(), PlacementError> {
        if self.pairs.len() == 0 {
            return Err(PlacementError::NeedsServers { placement: "full" });
        }
        // Otherwise the pool would try again and again what the servers refuse.
        request.program(&self.plan)?;
        self.keep(request, count)
    }

    /// Sets whether sessions that were taken are not replaced for now. What is ready can still be taken.
    pub fn pause_filling(&self, paused: bool) {
        [self, self.in_use()].iter().for_each(|router| router.pairs.pause_filling(paused));
    }

    /// How many sessions of a request are ready, and what became of earlier ones.
    pub fn ready(&self, request: SessionRequest) -> SessionPoolStatus {
        self.in_use().pairs.ready(request)
    }

    /// Waits until all sessions of a request that are to be kept ready are ready, up to `limit`; says whether they are.
    pub fn wait_ready(&self, request: SessionRequest, limit: Duration) -> bool {
        self.in_use().pairs.wait_ready(request, limit)
    }
}
