//! Asking the private router, from async code.

use crate::config::Route;
use blindroute_placement::{
    Cancel, Placement, PlacementError, PrivateRouter, RouteOptions, RouteReport, SessionRequest, Task,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The most routes with servers at a time: each takes a thread that waits for them.
const MOST: usize = 64;

/// Why there is no route.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChooseError {
    /// The deadline is over.
    #[error(
        "no model was chosen within {0:?}; raise route.deadline, keep more sessions ready (route.ready), or look at the servers"
    )]
    Deadline(Duration),
    /// As many requests as may ask for a route at a time do so already.
    #[error("{0} requests wait for a route already; try again in a moment, raise route.max_routes, or add servers")]
    Full(usize),
    /// The router failed.
    #[error(transparent)]
    Router(#[from] PlacementError),
    /// The thread that asked ended.
    #[error("the thread that asked the router ended early; please report this")]
    Thread,
}

/// Chooses models for prompts.
#[derive(Clone, Debug)]
pub(crate) struct Chooser {
    router: Arc<PrivateRouter>,
    /// Places of routes with servers.
    waiting: Arc<Semaphore>,
    /// Places of routes that are computed here: one for each core, since more would only slow each other and all that is beside them.
    computing: Arc<Semaphore>,
    /// How many requests ask for a route.
    asking: Arc<AtomicUsize>,
    /// The requests for which sessions are kept ready, and how many.
    kept: Arc<Mutex<Vec<(SessionRequest, usize)>>>,
}

/// One of the requests that ask for a route, until it is dropped.
struct Asking(Arc<AtomicUsize>);

impl Asking {
    /// One more, if there are fewer than `most`.
    fn begin(asking: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let more = |count| (count < most).then_some(count + 1);
        asking.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(asking)))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Cancels a route when it is dropped: its caller left.
struct Leave(Cancel);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Chooser {
    pub(crate) fn new(router: Arc<PrivateRouter>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let [waiting, computing] = [MOST, cores].map(|places| Arc::new(Semaphore::new(places)));
        Self { router, waiting, computing, asking: Arc::default(), kept: Arc::default() }
    }

    /// The router that is asked.
    pub(crate) fn router(&self) -> &Arc<PrivateRouter> {
        &self.router
    }

    /// Keeps so many sessions for a task ready from now on.
    ///
    /// # Errors
    /// If there are no servers, or they do not know the task.
    pub(crate) fn keep(&self, task: Task, count: usize) -> Result<(), PlacementError> {
        let request = SessionRequest::new(task);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter_mut().find(|(known, _)| *known == request) {
            Some((_, known)) if *known == count => return Ok(()),
            Some((_, known)) => *known = count,
            None if count == 0 => return Ok(()),
            None => kept.push((request, count)),
        }
        self.router.keep_ready(request, count)
    }

    /// The requests for which sessions are kept ready.
    pub(crate) fn kept(&self) -> Vec<SessionRequest> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(request, _)| *request).collect()
    }

    /// Ranks models for a prompt. If the future is dropped, the session ends, and nothing more of it is sent.
    /// Sessions for prompts of its length are kept ready from then on, as many as `route` says. The wait for a place is part of the
    /// report's wait, like the one for a session. When too many ask, it says so at once.
    pub(crate) async fn rank(
        &self,
        prompt: Zeroizing<String>,
        options: RouteOptions,
        route: &Route,
    ) -> Result<RouteReport, ChooseError> {
        let Route { deadline, ready, max_routes, .. } = *route;
        let _asking = Asking::begin(&self.asking, max_routes).ok_or(ChooseError::Full(max_routes))?;
        let cancel = Cancel::default();
        let leave = Leave(cancel.clone());
        let begun = Instant::now();
        let places = if options.placement == Placement::Local { &self.computing } else { &self.waiting };
        let ask = async {
            let place = Arc::clone(places).acquire_owned().await.map_err(|_| ChooseError::Thread)?;
            let chooser = self.clone();
            let ask = move || {
                let _place = place;
                let waited = begun.elapsed().as_secs_f64() * 1000.0;
                if let Some(task) = chooser.router.task(&prompt, &options)? {
                    chooser.keep(task, ready)?;
                }
                let mut report = chooser.router.route_cancellable(&prompt, &options, &cancel)?;
                report.ms.wait += waited;
                report.ms.total += waited;
                Ok::<_, PlacementError>(report)
            };
            let report = tokio::task::spawn_blocking(ask).await.map_err(|_| ChooseError::Thread)?;
            Ok(report?)
        };
        let report = tokio::time::timeout(deadline, ask).await.unwrap_or(Err(ChooseError::Deadline(deadline)));
        drop(leave);
        report
    }
}
