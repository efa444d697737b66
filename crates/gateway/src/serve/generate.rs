//! Answers of models: `/v1/chat/completions`, `/v1/responses` and `/v1/messages`, and compacted conversations:
//! `/v1/responses/compact`.

use super::Gateway;
use super::headers::{self, CLIENT_SESSION, SESSION, Said};
use super::reply::Reply;
use super::snapshot::Snapshot;
use super::spend::Paying;
use super::traces;
use crate::clock::Moment;
use crate::decide::{self, Callable, ChooseError, Deciding, Decision, Key, Name};
use crate::guard;
use crate::observe::Outcome;
use crate::store::{self, Why};
use crate::trace::Trace;
use crate::upstream::{self, Answer, Call, Failure, Forward, echo};
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use blindroute_dialects::Dialect;
use blindroute_dialects::errors::{ApiError, ErrorKind};
use blindroute_dialects::raw::Object;
use blindroute_dialects::reading::{self, Reading};
use blindroute_placement::{Placement, RouteReport};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Where the log says it.
const DECISION: &str = "blindroute_gateway::decision";

/// A request with what is known of it.
pub(super) struct Asked {
    pub(super) dialect: Dialect,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) reading: Reading,
    begun: Instant,
    at: Moment,
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    /// What to answer instead.
    pub(super) async fn read(gateway: &Gateway, dialect: Dialect, request: Request) -> Result<Self, Reply> {
        let (begun, at) = (Instant::now(), gateway.store.clock().now());
        let limit = gateway.guard.rules().max_body;
        let (parts, body) = request.into_parts();
        let endpoint = guard::Endpoint::of_path(parts.uri.path());
        let body =
            guard::read_body(body, limit).await.map_err(|refusal| Reply::from(refusal.response(endpoint, dialect)))?;
        let reading = read(dialect, &body).map_err(|error| Reply::error(&error, dialect))?;
        Ok(Self { dialect, headers: parts.headers, body, reading, begun, at })
    }

    /// How the conversation that it is of is named: by a header, or by its first messages.
    pub(super) fn name(&self) -> Name<'_> {
        let named = [SESSION, CLIENT_SESSION].into_iter().find_map(|name| self.headers.get(name));
        match named {
            Some(name) if !name.is_empty() => Name::Session(name.as_bytes()),
            _ => Name::Beginning(&self.reading.affinity),
        }
    }

    pub(super) fn wanted(&self, snapshot: &Snapshot) -> decide::Wanted<'_> {
        decide::Wanted { reading: &self.reading, dialect: self.dialect, ceiling: snapshot.ceiling }
    }
}

fn read(dialect: Dialect, body: &[u8]) -> Result<Reading, ApiError> {
    let object = Object::read(body).map_err(|error| {
        ApiError::new(ErrorKind::InvalidRequest, format!("the body is no JSON object that can be read: {error}"))
    })?;
    let reading = reading::read(dialect, &object)
        .map_err(|error| ApiError::new(ErrorKind::InvalidRequest, error.to_string()).with_parameter(error.path()))?;
    if reading.model.is_empty() {
        let error =
            ApiError::new(ErrorKind::InvalidRequest, "the request names no model: give \"auto\", or a model's name");
        return Err(error.with_parameter("model"));
    }
    Ok(reading)
}

/// What a caller wants of a model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// An answer.
    Answer,
    /// The conversation so far, compacted. Only Responses has this, so it is never translated.
    Compaction,
}

/// Answers a request.
pub(super) async fn answer(gateway: &Arc<Gateway>, wanted: (Dialect, Wanted), request: Request) -> Reply {
    let trace = gateway.tracer.begin();
    let reply = answered(gateway, wanted, request, &trace).await;
    traces::answered(&trace, &reply);
    reply
}

async fn answered(
    gateway: &Arc<Gateway>,
    (dialect, wanted): (Dialect, Wanted),
    request: Request,
    trace: &Trace,
) -> Reply {
    let asked = match Asked::read(gateway, dialect, request).await {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    if dialect == Dialect::Messages && asked.reading.max_output_tokens.is_none() {
        // Its providers refuse this too, but those of other dialects would not.
        let error = ApiError::new(ErrorKind::InvalidRequest, "max_tokens is missing; it is needed");
        return Reply::error(&error.with_parameter("max_tokens"), dialect);
    }
    let snapshot = gateway.snapshot();
    traces::asked(trace, &snapshot, &asked.reading);
    let key = gateway.conversations.key(&asked.name());
    let decided = gateway.decide(&snapshot, &asked, Some(key)).await;
    let decision = match decided.and_then(|decision| able(decision, wanted)) {
        Ok(decision) => decision,
        Err(error) => return Reply::error(&error, dialect),
    };
    if let Some(because) = &decision.note {
        let message = &because.message;
        match because.kind {
            // The router's fault, or the servers'.
            ErrorKind::Overloaded => tracing::warn!(target: DECISION, "the default model answers: {message}"),
            _ => tracing::info!(target: DECISION, "the default model answers: {message}"),
        }
    }
    traces::routed(trace, &decision);
    let delay = delay(&snapshot);
    // A timer ends with a whole millisecond, so even a wait of nothing would take up to one.
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Turn { gateway, snapshot: &snapshot, asked: &asked, wanted, decision: &decision, key, trace }.answer().await
}

/// The decision without models that cannot do what is wanted.
fn able(mut decision: Decision<'_>, wanted: Wanted) -> Result<Decision<'_>, ApiError> {
    if wanted == Wanted::Answer {
        return Ok(decision);
    }
    let first = decision.callables.first().map_or("", |callable| callable.model.name.as_str());
    let message = format!(
        "model {first} cannot compact a conversation: its provider does not speak Responses, nor does that of another model \
         which was chosen; name a model of a provider of Responses, or send the conversation as it is"
    );
    decision.callables.retain(|callable| callable.speaks(Dialect::Responses));
    if decision.callables.is_empty() {
        let error = ApiError::new(ErrorKind::InvalidRequest, message);
        return Err(error.with_parameter("model").with_code("model_not_able"));
    }
    Ok(decision)
}

impl Gateway {
    /// Which models a request goes to.
    pub(super) async fn decide<'c>(
        &self,
        snapshot: &'c Snapshot,
        asked: &'c Asked,
        key: Option<Key>,
    ) -> Result<Decision<'c>, ApiError> {
        let deciding = Deciding {
            config: &snapshot.config,
            catalogue: &snapshot.catalogue,
            wanted: asked.wanted(snapshot),
            budgets: snapshot.has_budget(),
            standing: key.and_then(|key| self.conversations.standing(key)),
        };
        deciding.decide(|prompt| self.rank(snapshot, prompt)).await
    }

    /// Asks the private router, and counts it.
    async fn rank(&self, snapshot: &Snapshot, prompt: Zeroizing<String>) -> Result<RouteReport, ChooseError> {
        let placement = snapshot.options.placement;
        let mut counted = Counted { gateway: self, placement, begun: Instant::now(), outcome: Outcome::Cancelled };
        let route = self.chooser.rank(prompt, snapshot.options.clone(), &snapshot.config.route).await;
        counted.outcome = match &route {
            Ok(_) => Outcome::Routed,
            Err(ChooseError::Deadline(_)) => Outcome::Late,
            Err(_) => Outcome::Failed,
        };
        if let Ok(route) = &route {
            self.note_seen(route.seen);
        }
        route
    }
}

/// A route that is counted when it ends, or when its caller leaves.
struct Counted<'g> {
    gateway: &'g Gateway,
    placement: Placement,
    begun: Instant,
    outcome: Outcome,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.gateway.metrics.route(self.placement.name(), self.outcome, self.begun.elapsed());
    }
}

/// How long the call waits after the route, so that it is harder to tell which route it belongs to.
fn delay(snapshot: &Snapshot) -> Duration {
    let delay = &snapshot.config.privacy.delay;
    let range = delay.to.saturating_sub(delay.from);
    // Without random bytes the longest wait is the safe one.
    let part = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    delay.from + range.mul_f64(part)
}

/// A request whose models are decided.
struct Turn<'t> {
    gateway: &'t Arc<Gateway>,
    snapshot: &'t Arc<Snapshot>,
    asked: &'t Asked,
    wanted: Wanted,
    decision: &'t Decision<'t>,
    key: Key,
    trace: &'t Trace,
}

impl Turn<'_> {
    /// Asks the models one after the other until one answers.
    async fn answer(&self) -> Reply {
        let dialect = self.asked.dialect;
        let mut last = None;
        for (place, callable) in self.decision.callables.iter().enumerate() {
            let is_last = place + 1 == self.decision.callables.len();
            match self.ask(callable, place > 0).await {
                Ok(reply) => return reply,
                Err(Unanswered::Budget(error)) => last = Some(Reply::error(&error, dialect)),
                Err(Unanswered::Failed(failure)) => {
                    let model = callable.model.name.as_str();
                    tracing::warn!(target: "blindroute_gateway::call", model, "{failure:?}");
                    let go_on = failure.fallback && !is_last;
                    self.record(callable, place > 0, failure.status.as_u16(), None);
                    let mut response = failure.into_response();
                    headers::request_id(&mut response);
                    last = Some(self.said(response, callable, place > 0, None));
                    if !go_on {
                        break;
                    }
                }
            }
        }
        last.unwrap_or_else(|| {
            Reply::error(&ApiError::new(ErrorKind::Server, "no model was asked; please report this"), dialect)
        })
    }

    async fn ask(&self, callable: &Callable, fallback: bool) -> Result<Reply, Unanswered> {
        let (gateway, asked) = (self.gateway, self.asked);
        let paying = Paying {
            key: self.key,
            session: self.snapshot.has_session_budget().then(|| gateway.conversations.for_record(&asked.name())),
            input: asked.reading.input_tokens,
            output: asked.reading.max_output_tokens,
            at: asked.at,
        };
        let reservation = paying.reserve(self.snapshot, callable).await.map_err(Unanswered::Budget)?;
        if fallback {
            gateway.metrics.fallback(&callable.model.provider, &callable.model.name);
        }
        // Before the answer: a tool loop that begins with it stays.
        gateway.conversations.answers(self.key, &callable.model.name);
        let cost = Arc::new(OnceLock::new());
        let settle = paying.settle(gateway, self.snapshot, (callable, reservation), Arc::clone(&cost));
        let settle = traces::call(self.trace, callable, fallback, settle);
        let begun = Instant::now();
        let answer = self.call(callable, settle).await.map_err(Unanswered::Failed)?;
        let upstream = begun.elapsed();
        gateway.metrics.first_byte(&callable.model.provider, upstream);
        (1..answer.attempts).for_each(|_| gateway.metrics.retry(&callable.model.provider, &callable.model.name));
        let routed = self.decision.route.as_ref().map_or(0.0, |route| route.ms.total);
        let routed = Duration::try_from_secs_f64(routed / 1000.0).unwrap_or_default();
        gateway.metrics.overhead(asked.begun.elapsed().saturating_sub(upstream + routed));
        self.record(callable, fallback, answer.status.as_u16(), Some(upstream));
        let mut response = answer.into_response();
        headers::request_id(&mut response);
        Ok(self.said(response, callable, fallback, Some(&cost)))
    }

    async fn call(&self, callable: &Callable, settle: upstream::Settle) -> Result<Answer, Failure> {
        let (asked, model) = (self.asked, &callable.model);
        let config = &self.snapshot.config;
        let Some(provider) = config.provider(&model.provider) else {
            let (answer, usage) = match self.wanted {
                Wanted::Answer => echo::answer(asked.dialect, &asked.body, &asked.reading, &model.name)?,
                Wanted::Compaction => echo::compact(&asked.body, &asked.reading)?,
            };
            settle(Some(usage), upstream::End::Proper);
            return Ok(answer);
        };
        if self.wanted == Wanted::Compaction {
            let forward = Forward {
                endpoint: upstream::Endpoint::Compact,
                body: &asked.body,
                headers: &asked.headers,
                upstream_model: &model.upstream,
                provider,
                manner: &self.snapshot.manner,
            };
            return self.gateway.upstream.forward(&forward, settle).await;
        }
        let call = Call {
            dialect: asked.dialect,
            body: &asked.body,
            reading: &asked.reading,
            headers: &asked.headers,
            model,
            provider,
            manner: &self.snapshot.manner,
        };
        self.gateway.upstream.send(&call, settle).await
    }

    fn said(
        &self,
        mut response: Response,
        callable: &Callable,
        fallback: bool,
        cost: Option<&OnceLock<crate::money::Amount>>,
    ) -> Reply {
        let cost = cost.and_then(OnceLock::get).copied();
        headers::add(&mut response, &Said { decision: self.decision, model: &callable.model.name, fallback, cost });
        let why = if fallback { Why::Fallback } else { self.decision.why };
        Reply { response, model: Some(callable.model.name.clone()), why: Some(why) }
    }

    /// Records the decision, for people.
    fn record(&self, callable: &Callable, fallback: bool, status: u16, upstream: Option<Duration>) {
        let whole = |ms: f64| ms.max(0.0).round() as u32;
        let route = self.decision.route.as_ref();
        let ms = route.map(|route| route.ms).unwrap_or_default();
        let bytes = route.map_or(0, |route| route.bytes.client_sent);
        let decision = store::Decision {
            model: callable.model.name.clone(),
            previous: self.decision.previous.clone(),
            why: if fallback { Why::Fallback } else { self.decision.why },
            placement: route.map(|route| route.placement.name().to_owned()).unwrap_or_default(),
            router: route.map(|route| route.router.clone()).unwrap_or_default(),
            waited_ms: whole(ms.wait),
            online_ms: whole(ms.online),
            upstream_ms: whole(upstream.unwrap_or_default().as_secs_f64() * 1000.0),
            total_ms: whole(self.asked.begun.elapsed().as_secs_f64() * 1000.0),
            openings: route.map_or(0, |route| route.openings),
            bytes,
            pair: route.and_then(|route| route.pair.as_ref()).map(ToString::to_string),
            status,
        };
        if let Err(error) = self.gateway.store.record(None, decision) {
            tracing::warn!(%error, "a decision was not recorded");
        }
    }
}

/// Why a model gave no answer.
enum Unanswered {
    /// There is no money for it.
    Budget(ApiError),
    /// It failed.
    Failed(Failure),
}
