//! The HTTP server: which request goes where, and what becomes of it.

mod body;
mod description;
mod generate;
mod headers;
mod models;
mod pairs;
mod pass;
mod people;
mod reply;
mod route;
mod snapshot;
mod spend;
mod traces;

use crate::clock::Moment;
use crate::config::{PoolModel, Reload};
use crate::decide::{Chooser, Conversations};
use crate::guard::{self, Endpoint, Forms, Guard, Refusal, Rules};
use crate::observe::{self, Metrics, Summary};
use crate::store::{Store, Why};
use crate::trace::Tracer;
use crate::upstream::{Upstream, UpstreamError};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use blindroute_dialects::Dialect;
use blindroute_placement::{PlacementError, PrivateRouter};
use generate::Wanted;
use reply::Reply;
use snapshot::Snapshot;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;

/// How often the configuration's file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// No calls can be made.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes ({0}); try again")]
    Random(#[from] getrandom::Error),
}

/// A gateway.
#[derive(Debug)]
pub struct Gateway {
    reload: Arc<Reload>,
    pool: Vec<PoolModel>,
    chooser: Chooser,
    upstream: Upstream,
    store: Store,
    conversations: Conversations,
    metrics: Metrics,
    guard: Guard,
    forms: Forms,
    tracer: Tracer,
    started: Moment,
    snapshot: RwLock<Arc<Snapshot>>,
    /// Who saw what, as the last route says it.
    seen: Mutex<Option<String>>,
}

/// The models of a router's pool, for configurations.
#[must_use]
pub fn pool_of(router: &PrivateRouter) -> Vec<PoolModel> {
    let models = router.public().models.iter();
    let of =
        models.map(|model| PoolModel { name: model.name.clone(), price: model.price, price_unit: model.unit.clone() });
    of.collect()
}

impl Gateway {
    /// A gateway that asks this router. The configuration is followed when its file changes.
    ///
    /// # Errors
    /// If no calls can be made at all.
    pub fn new(reload: Arc<Reload>, router: Arc<PrivateRouter>, store: Store) -> Result<Self, GatewayError> {
        let (pool, config) = (pool_of(&router), reload.current());
        let upstream = Upstream::new(config.timeouts.connect)?;
        let tracer = Tracer::new(config.telemetry.otlp.as_deref()).map_err(UpstreamError::from)?;
        let snapshot = Snapshot::of(config, &pool, &store, &router);
        Ok(Self {
            pool,
            upstream,
            conversations: Conversations::new()?,
            metrics: Metrics::new(snapshot.names()),
            guard: Guard::new(Rules::from(&*snapshot.config)),
            forms: Forms::new()?,
            tracer,
            started: store.clock().now(),
            seen: Mutex::default(),
            snapshot: RwLock::new(Arc::new(snapshot)),
            chooser: Chooser::new(router),
            reload,
            store,
        })
    }

    /// Keeps sessions ready for short prompts, and from the first longer one for such too.
    ///
    /// # Errors
    /// If the router's servers do not know the request, or the configuration names what the router does not have.
    pub fn keep_ready(&self) -> Result<(), PlacementError> {
        let snapshot = self.snapshot();
        let (router, options) = (self.chooser.router(), &snapshot.options);
        router.check(options)?;
        // One word, and a hundred characters.
        for prompt in ["a".to_owned(), "a ".repeat(40)] {
            if let Some(task) = router.task(&prompt, options)? {
                self.chooser.keep(task, snapshot.config.route.ready)?;
            }
        }
        Ok(())
    }

    /// Answers requests until `end` is ready, then those that have begun.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let watching = self.reload.watch(LOOK);
        let following = tokio::spawn(Arc::clone(&self).follow());
        let looking = tokio::spawn(pairs::look(Arc::clone(&self)));
        let sending = tokio::spawn(self.tracer.clone().run());
        // An event of a stream must not wait until the caller's system has confirmed the one before.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "answers on a connection may wait for each other");
            }
        });
        let served = axum::serve(listener, self.router()).with_graceful_shutdown(end).await;
        watching.abort();
        following.abort();
        looking.abort();
        sending.abort();
        self.store.close().await;
        served
    }

    /// What answers requests.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .fallback(answer)
            .with_state(Arc::clone(self))
            .layer(from_fn_with_state(self.guard.clone(), guard::check))
            .layer(from_fn_with_state(Arc::clone(self), observed))
    }

    /// Takes each new configuration up.
    async fn follow(self: Arc<Self>) {
        let mut changes = self.reload.subscribe();
        // It may have changed since this gateway was made.
        changes.mark_changed();
        while changes.changed().await.is_ok() {
            let config = changes.borrow_and_update().clone();
            let snapshot = Snapshot::of(config, &self.pool, &self.store, self.chooser.router());
            self.guard.replace(Rules::from(&*snapshot.config));
            self.metrics.rename(snapshot.names());
            *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps who saw what, for people.
    fn note_seen(&self, seen: &str) {
        let mut kept = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_deref() != Some(seen) {
            *kept = Some(seen.to_owned());
        }
    }
}

/// What a handler says of its answer, for the log.
#[derive(Clone, Default)]
struct Noted {
    model: Option<String>,
    why: Option<Why>,
}

/// Counts each request and writes its line to the log, those that the guard refuses too.
async fn observed(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let (endpoint, dialect) = (Endpoint::of_path(path), guard::dialect(path, request.headers()));
    let flight = gateway.metrics.begin(endpoint, dialect);
    let mut response = next.run(request).await;
    let status = response.status().as_u16();
    let Noted { model, why } = response.extensions_mut().remove().unwrap_or_default();
    body::to_its_end(response, move || flight.finish(Summary { status, model: model.as_deref(), why }))
}

/// Answers a request that the guard let through.
async fn answer(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let path = request.uri().path();
    let dialect = guard::dialect(path, request.headers());
    let Some(endpoint) = Endpoint::of_path(path) else { return Refusal::UnknownPath.response(None, dialect) };
    let Reply { mut response, model, why } = Reply::of(handle(&gateway, (endpoint, dialect), request), dialect).await;
    response.extensions_mut().insert(Noted { model, why });
    response
}

async fn handle(gateway: &Arc<Gateway>, (endpoint, dialect): (Endpoint, Dialect), request: Request) -> Reply {
    match endpoint {
        Endpoint::Chat | Endpoint::Responses | Endpoint::Messages => {
            generate::answer(gateway, (dialect, Wanted::Answer), request).await
        }
        Endpoint::Compact => generate::answer(gateway, (dialect, Wanted::Compaction), request).await,
        Endpoint::Route => route::answer(gateway, request).await,
        Endpoint::Models => models::answer(gateway, &request, dialect).into(),
        Endpoint::CountTokens => pass::count_tokens(gateway, request).await,
        Endpoint::Embeddings => pass::embeddings(gateway, request).await,
        Endpoint::Page => people::page(gateway).await.into(),
        Endpoint::Forget => people::forget(gateway, request).await.into(),
        Endpoint::Alive => observe::alive().into(),
        Endpoint::Ready => people::ready(gateway).into(),
        Endpoint::Metrics => people::metrics(gateway).into(),
        Endpoint::Description => reply::json(StatusCode::OK, description::TEXT.to_owned()).into(),
    }
}
