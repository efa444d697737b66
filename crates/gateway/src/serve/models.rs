//! `/v1/models`: the names that may be asked for.

use super::Gateway;
use super::reply::{Reply, json};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use blindroute_dialects::Dialect;
use blindroute_dialects::errors::{ApiError, ErrorKind};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json as value};
use std::borrow::Cow;

/// The most models of a page, as in the documentation of Messages.
const MOST: usize = 1000;

/// Answers a request for all of them, or for one.
pub(super) fn answer(gateway: &Gateway, request: &Request, dialect: Dialect) -> Response {
    let snapshot = gateway.snapshot();
    let aliases = snapshot.config.route.aliases.iter().map(|alias| (alias.as_str(), "blindroute"));
    let callables = snapshot.catalogue.all().iter().filter(|callable| callable.model.allowed);
    let named = callables.map(|callable| (callable.model.name.as_str(), callable.model.provider.as_str()));
    let models: Vec<(&str, &str)> = aliases.chain(named).collect();
    let one = request.uri().path().strip_prefix("/v1/models/").map(decoded);
    match one {
        None => match list(&models, request.uri().query().unwrap_or_default(), dialect) {
            Some(list) => json(StatusCode::OK, list.to_string()),
            None => {
                let error = ApiError::new(ErrorKind::InvalidRequest, "limit is no whole number from 1 to 1000");
                Reply::error(&error.with_parameter("limit"), dialect).response
            }
        },
        Some(name) => match models.iter().find(|(known, _)| Some(*known) == name.as_deref()) {
            Some(model) => json(StatusCode::OK, form(model, dialect).to_string()),
            None => {
                let error = ApiError::new(ErrorKind::NotFound, "there is no such model; GET /v1/models lists all")
                    .with_parameter("model")
                    .with_code("model_not_found");
                Reply::error(&error, dialect).response
            }
        },
    }
}

fn form((name, owner): &(&str, &str), dialect: Dialect) -> Value {
    match dialect {
        Dialect::Chat | Dialect::Responses => value!({"id": name, "object": "model", "created": 0, "owned_by": owner}),
        Dialect::Messages => {
            value!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
        }
    }
}

/// All of them, or a page; nothing if the limit of the page is none.
fn list(models: &[(&str, &str)], query: &str, dialect: Dialect) -> Option<Value> {
    let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let limit =
        field("limit").map_or(Some(MOST), |limit| limit.parse().ok().filter(|limit| (1..=MOST).contains(limit)))?;
    if dialect != Dialect::Messages {
        let data: Vec<Value> = models.iter().map(|model| form(model, dialect)).collect();
        return Some(value!({"object": "list", "data": data}));
    }
    let place = |id: Option<&str>| {
        let id = id.and_then(decoded)?;
        models.iter().position(|(name, _)| *name == id)
    };
    // The page just after a name, or just before one.
    let before = place(field("before_id"));
    let first = place(field("after_id")).map_or(0, |place| place + 1);
    let end = before.unwrap_or(models.len()).max(first);
    let skipped = if before.is_some() { (end - first).saturating_sub(limit) } else { 0 };
    let page: Vec<Value> = models[first + skipped..end].iter().take(limit).map(|model| form(model, dialect)).collect();
    let id = |model: Option<&Value>| model.map_or(Value::Null, |model| model["id"].clone());
    let has_more = end - first > page.len();
    Some(value!({"data": page, "has_more": has_more, "first_id": id(page.first()), "last_id": id(page.last())}))
}

/// A name in a path or a query; nothing if it is not one.
fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}
