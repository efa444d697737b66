//! `/v1/route`: the decision alone. Nothing is called.

use super::Gateway;
use super::generate::Asked;
use super::headers;
use super::reply::{Reply, json};
use crate::decide::Callable;
use axum::extract::Request;
use axum::http::StatusCode;
use blindroute_dialects::Dialect;
use serde::Serialize;
use std::sync::Arc;

/// The answer.
#[derive(Serialize)]
struct Routed<'a> {
    object: &'static str,
    /// The model that a call would go to.
    model: &'a str,
    why: &'static str,
    /// What may be asked, in this order.
    models: Vec<Priced<'a>>,
    /// What the router named, the best first; not there if it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a blindroute_placement::RouteReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// A model with its prices in USD per million tokens.
#[derive(Serialize)]
struct Priced<'a> {
    model: &'a str,
    provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
}

impl<'a> From<&'a Callable> for Priced<'a> {
    fn from(callable: &'a Callable) -> Self {
        let model = &callable.model;
        Self {
            model: &model.name,
            provider: &model.provider,
            input: model.prices.input.as_ref().map(crate::config::Decimal::as_str),
            output: model.prices.output.as_ref().map(crate::config::Decimal::as_str),
        }
    }
}

/// Answers a request, which has the form of Chat.
pub(super) async fn answer(gateway: &Arc<Gateway>, request: Request) -> Reply {
    let dialect = Dialect::Chat;
    let asked = match Asked::read(gateway, dialect, request).await {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    let snapshot = gateway.snapshot();
    let decision = match gateway.decide(&snapshot, &asked, None).await {
        Ok(decision) => decision,
        Err(error) => return Reply::error(&error, dialect),
    };
    let callables = &decision.callables;
    let routed = Routed {
        object: "route",
        model: callables.first().map_or("", |callable| callable.model.name.as_str()),
        why: decision.why.name(),
        models: callables.iter().map(|callable| Priced::from(*callable)).collect(),
        route: decision.route.as_ref(),
        note: decision.note.as_ref().map(|because| because.message.as_str()),
    };
    // Names and numbers always have a JSON form.
    let mut response = json(StatusCode::OK, serde_json::to_string(&routed).unwrap_or_default());
    headers::request_id(&mut response);
    if let Some(route) = &decision.route {
        headers::of_route(&mut response, route);
    }
    Reply { response, model: Some(routed.model.to_owned()), why: Some(decision.why) }
}
