//! Keeping sessions of a router's requests ready.

use crate::catalogue::BundleCatalogue;
use crate::error::PlacementError;
use crate::router::PrivateRouter;
use blindroute_routing::program::SessionRequest;
use blindroute_runtime::{SessionPool, SessionPoolOptions, SessionPoolStatus};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

impl PrivateRouter {
    /// Keeps up to `count` sessions of a request ready from now on, prepared one after the other
    /// in the background. As long as there are ready ones, routes with that request wait for their online time only. 0
    /// keeps no more.
    ///
    /// Sessions are of one batch's size: those of a batch of eight serve eight prompts that come together, and no others.
    ///
    /// Each takes memory for its material on both servers, and one of their `max_sessions`. A request whose material is more
    /// than a server holds prepared cannot be kept ready: its routes run as without this, and its status says so.
    ///
    /// # Errors
    /// If there are no servers, the request makes no sense, or the system would not start a thread.
    pub fn keep_ready(&self, request: SessionRequest, count: usize) -> Result<(), PlacementError> {
        let client = self.client.as_ref().ok_or(PlacementError::NeedsServers { placement: "full" })?;
        // Otherwise the pool would try again and again what the servers refuse.
        request.program(&self.plan)?;
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = match &mut *pool {
            Some(pool) => pool,
            none => none.insert(Arc::new(SessionPool::new(client.clone(), SessionPoolOptions::default())?)),
        };
        pool.keep(&BundleCatalogue::encode(request), count);
        Ok(())
    }

    /// Sets whether sessions that were taken are not replaced for now. What is ready can still be taken.
    pub fn pause_filling(&self, paused: bool) {
        if let Some(pool) = self.pool() {
            pool.pause(paused);
        }
    }

    /// How many sessions of a request are ready, and what became of earlier ones.
    pub fn ready(&self, request: SessionRequest) -> SessionPoolStatus {
        self.pool().map(|pool| pool.status(&BundleCatalogue::encode(request))).unwrap_or_default()
    }

    /// Waits until all sessions of a request that are to be kept ready are ready, up to `limit`; says whether they are.
    pub fn wait_ready(&self, request: SessionRequest, limit: Duration) -> bool {
        self.pool().is_some_and(|pool| pool.wait_full(&BundleCatalogue::encode(request), limit))
    }

    pub(crate) fn pool(&self) -> Option<Arc<SessionPool<BundleCatalogue>>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
