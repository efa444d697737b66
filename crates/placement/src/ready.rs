//! Keeping sessions of a router's tasks ready.

use crate::catalogue::BundleCatalogue;
use crate::error::PlacementError;
use crate::route::TaskBatch;
use crate::router::PrivateRouter;
use blindroute_routing::program::{Placement, Task};
use blindroute_runtime::{SessionPool, SessionPoolOptions, SessionPoolStatus};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

impl PrivateRouter {
    /// Keeps up to `count` sessions of a task ready from now on, prepared one after the other in the background; routes of
    /// that task then wait for their online time only, as long as there are ready ones. With 0 no more.
    ///
    /// Sessions are of one batch's size: those of a batch of eight serve eight prompts that come together, and no others.
    ///
    /// Each costs both servers its material in memory and one of their `max_sessions`. A task whose material is more than
    /// a server holds prepared cannot be kept ready: its routes go on as without this, and its status says so.
    ///
    /// # Errors
    /// If there are no servers, the task takes no such batch, or the system would not start a thread.
    pub fn keep_ready(&self, task: impl Into<TaskBatch>, count: usize) -> Result<(), PlacementError> {
        let client = self.client.as_ref().ok_or(PlacementError::NeedsServers { placement: "full" })?;
        let tuned = self.tune(task.into())?;
        // Else the pool would try again and again what the servers refuse.
        tuned.program(&self.plan)?;
        let request = BundleCatalogue::request(tuned);
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = match &mut *pool {
            Some(pool) => pool,
            none => none.insert(Arc::new(SessionPool::new(client.clone(), SessionPoolOptions::default())?)),
        };
        pool.keep(&request, count);
        Ok(())
    }

    /// Whether sessions that were taken are not replaced for now: what is ready can still be taken.
    pub fn pause_filling(&self, paused: bool) {
        if let Some(pool) = self.pool() {
            pool.pause(paused);
        }
    }

    /// What keeping sessions of a task ready has come to so far.
    ///
    /// # Errors
    /// If the task makes no sense.
    pub fn ready(&self, task: impl Into<TaskBatch>) -> Result<SessionPoolStatus, PlacementError> {
        let request = BundleCatalogue::request(self.tune(task.into())?);
        Ok(self.pool().map(|pool| pool.status(&request)).unwrap_or_default())
    }

    /// Waits until all sessions of a task that are to be ready are, up to `limit`; says whether they are.
    ///
    /// # Errors
    /// If the task makes no sense.
    pub fn wait_ready(&self, task: impl Into<TaskBatch>, limit: Duration) -> Result<bool, PlacementError> {
        let request = BundleCatalogue::request(self.tune(task.into())?);
        Ok(self.pool().is_some_and(|pool| pool.wait_full(&request, limit)))
    }

    /// The task that a prompt's route asks of the servers; none in placement `local`.
    ///
    /// # Errors
    /// If the prompt is empty or too long, or there is no such router.
    pub fn task(
        &self,
        prompt: &str,
        placement: Placement,
        router: Option<&str>,
    ) -> Result<Option<Task>, PlacementError> {
        let router = self.router_index(router)?;
        Ok(match placement {
            Placement::Local => None,
            Placement::Head => Some(Task::Head { router }),
            Placement::Full => Some(Task::Route { router, bucket: self.tokens(prompt)?.bucket() }),
        })
    }

    pub(crate) fn pool(&self) -> Option<Arc<SessionPool<BundleCatalogue>>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
