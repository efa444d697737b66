//! What people and their monitoring look at.

use super::{Gateway, pairs};
use crate::guard::{self, Endpoint};
use crate::money::limits::{Scope, Span};
use crate::observe::{self, PartyState, Readiness, Sessions};
use crate::page::{self, Budget, BundleInUse, Health, PageData, Party, Ready, Sums};
use crate::store::{Period, StoreError};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use blindroute_dialects::Dialect;
use blindroute_placement::{PairState, SessionPoolStatus, SessionRequest, Task, Work};

/// How many decisions the page shows.
const DECISIONS: u32 = 100;

impl Gateway {
    /// The sessions that are kept ready, by what they are for.
    fn sessions(&self) -> Vec<(String, SessionPoolStatus)> {
        let router = self.chooser.router();
        let name = |request: &SessionRequest| match request.task {
            Work::Task(Task::Route { bucket, .. }) => format!("prompts up to {bucket} tokens"),
            _ => "prompts of any length".to_owned(),
        };
        self.chooser.kept().into_iter().map(|request| (name(&request), router.ready(request))).collect()
    }
}

/// `/readyz`.
pub(super) fn ready(gateway: &Gateway) -> Response {
    let statuses = gateway.sessions();
    let sum = |number: fn(&SessionPoolStatus) -> usize| statuses.iter().map(|(_, status)| number(status)).sum();
    let sessions = (!statuses.is_empty()).then(|| Sessions { ready: sum(|of| of.ready), wanted: sum(|of| of.wanted) });
    let parties = match gateway.chooser.router().check_running() {
        Ok(()) => Vec::new(),
        Err(_) => {
            vec![PartyState { name: "a server or the dealer".to_owned(), reachable: false, ..PartyState::default() }]
        }
    };
    observe::ready(&Readiness { parties, pairs: pairs::states(gateway), sessions })
}

/// `/metrics`.
pub(super) fn metrics(gateway: &Gateway) -> Response {
    let ready = gateway.sessions().iter().map(|(_, status)| status.ready).sum();
    gateway.metrics.sessions_ready(ready);
    pairs::count(gateway);
    observe::metrics_response(&gateway.metrics)
}

/// `/`.
pub(super) async fn page(gateway: &Gateway) -> Response {
    match data(gateway).await {
        Ok(data) => page::response(page::render(&data)),
        Err(error) => unreadable(&error),
    }
}

/// `/forget`: the question, and what follows from the answer.
pub(super) async fn forget(gateway: &Gateway, request: Request) -> Response {
    if request.method() != Method::POST {
        return page::response(page::forget(&gateway.forms));
    }
    let checked = match guard::read_body(request.into_body(), 1024).await {
        Ok(body) => gateway.forms.check(&body),
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = checked {
        return refusal.response(Some(Endpoint::Forget), Dialect::Chat);
    }
    gateway.conversations.forget();
    match gateway.store.forget().await {
        Ok(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
            response
        }
        Err(error) => unreadable(&error),
    }
}

fn unreadable(error: &StoreError) -> Response {
    let mut response = Response::new(Body::from(format!("the record cannot be used: {error}\n")));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

async fn data(gateway: &Gateway) -> Result<PageData, StoreError> {
    let (store, snapshot) = (&gateway.store, gateway.snapshot());
    let now = store.clock().now();
    let mut sums = Vec::new();
    let periods =
        [("This run", Period::Run), ("Today", Period::Today), ("This month", Period::Month), ("All time", Period::All)];
    for (period, of) in periods {
        sums.push(Sums { period, spent: store.spent(of, None).await?, saved: store.savings(of, None).await? });
    }
    let mut budgets = Vec::new();
    for (scope, span, limit) in snapshot.budget.limits().set() {
        let (period, of) = match span {
            Span::Day => ("Today", Period::Today),
            Span::Month => ("This month", Period::Month),
        };
        if scope == Scope::All {
            budgets.push(Budget { period, limit, spent: store.spent(of, None).await?.amount });
        }
    }
    let router = gateway.chooser.router();
    let ended = router.check_running().err().map(|error| Health::Silent { reason: error.to_string() });
    let party = |(pair, state): (usize, PairState)| {
        let health = ended.clone().unwrap_or_else(|| pairs::health(&state));
        state.servers.into_iter().enumerate().map(move |(server, address)| Party {
            name: format!("server {server} of pair {pair}"),
            address,
            health: health.clone(),
            certificate: None,
        })
    };
    let parties = router.pair_states().into_iter().enumerate().flat_map(party);
    let bundle = router.bundle();
    let ready = gateway.sessions().into_iter();
    Ok(PageData {
        now,
        started: gateway.started,
        sums,
        reference: snapshot.config.budget.reference_model.clone(),
        budgets,
        session_budget: snapshot.budget.limits().session.month,
        hours: store.by_hour(now).await?,
        decisions: store.recent(DECISIONS).await?,
        placement: snapshot.options.placement.name().to_owned(),
        ready: ready.map(|(name, status)| Ready { name, ready: status.ready, wanted: status.wanted }).collect(),
        parties: parties.collect(),
        certificates: pairs::certificates(gateway),
        bundle: Some(BundleInUse { name: bundle.name.clone(), digest: bundle.digest.clone() }),
        seen: gateway.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
    })
}
