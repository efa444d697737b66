//! What is passed on to a provider as it is: `/v1/embeddings`, and `/v1/messages/count_tokens` if a provider can count.

use super::Gateway;
use super::generate::Asked;
use super::headers;
use super::reply::{Reply, json};
use super::snapshot::Snapshot;
use super::spend::Paying;
use crate::decide::{Callable, Name};
use crate::guard::{self, Endpoint};
use crate::upstream::{self, Answer, Failure, Forward};
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use blindroute_dialects::Dialect;
use blindroute_dialects::errors::{ApiError, ErrorKind};
use blindroute_dialects::json::Json;
use blindroute_dialects::raw::Object;
use blindroute_dialects::reading::BYTES_PER_TOKEN;
use std::sync::Arc;

/// Counts the tokens of a request. A provider of Messages that the model is of does it; else they are estimated from its bytes, rather
/// too many.
pub(super) async fn count_tokens(gateway: &Arc<Gateway>, request: Request) -> Reply {
    let dialect = Dialect::Messages;
    let asked = match Asked::read(gateway, dialect, request).await {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    let snapshot = gateway.snapshot();
    let standing =
        gateway.conversations.standing(gateway.conversations.key(&asked.name())).map(|standing| standing.model);
    // Without asking the router: the model that is named, or that the conversation is with.
    let named = snapshot.catalogue.named(&asked.reading.model);
    let callable = named.or_else(|| snapshot.catalogue.named(standing.as_deref()?));
    let provider = callable.filter(|callable| callable.speaks(dialect));
    let provider = provider.and_then(|callable| Some((callable, snapshot.config.provider(&callable.model.provider)?)));
    let Some((callable, provider)) = provider else {
        let body = Json::object([("input_tokens", Json::number(asked.reading.input_tokens))]).to_string();
        let mut response = json(StatusCode::OK, body);
        headers::request_id(&mut response);
        return response.into();
    };
    let forward = Forward {
        endpoint: upstream::Endpoint::CountTokens,
        body: &asked.body,
        headers: &asked.headers,
        upstream_model: &callable.model.upstream,
        provider,
        manner: &snapshot.manner,
    };
    // It costs nothing.
    passed(gateway.upstream.forward(&forward, Box::new(|_, _| ())).await)
}

/// Passes a request for embeddings on. It costs what the model's input costs, if the model is among the configuration's.
pub(super) async fn embeddings(gateway: &Arc<Gateway>, request: Request) -> Reply {
    let dialect = Dialect::Chat;
    let limit = gateway.guard.rules().max_body;
    let (parts, body) = request.into_parts();
    let body = match guard::read_body(body, limit).await {
        Ok(body) => body,
        Err(refusal) => return refusal.response(Some(Endpoint::Embeddings), dialect).into(),
    };
    let snapshot = gateway.snapshot();
    match embed(gateway, &snapshot, &parts.headers, &body).await {
        Ok(reply) => reply,
        Err(error) => Reply::error(&error, dialect),
    }
}

async fn embed(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Reply, ApiError> {
    let invalid = |message: &str| ApiError::new(ErrorKind::InvalidRequest, message);
    let object = Object::read(body)
        .map_err(|error| invalid(&format!("the body is no JSON object that can be read: {error}")))?;
    let Some(Json::String(model)) = object.get("model") else {
        return Err(invalid("the request names no model; name one of embeddings.models").with_parameter("model"));
    };
    let none =
        "no provider of embeddings is configured; add [embeddings] with a provider and its models to the configuration";
    let embeddings = snapshot.config.embeddings.as_ref();
    let embeddings = embeddings.ok_or_else(|| ApiError::new(ErrorKind::NotFound, none).with_code("model_not_found"))?;
    if !embeddings.models.iter().any(|known| known == model) {
        let message = format!("there is no such model for embeddings; ask for one of {}", embeddings.models.join(", "));
        return Err(ApiError::new(ErrorKind::NotFound, message).with_parameter("model").with_code("model_not_found"));
    }
    let gone = || ApiError::new(ErrorKind::Server, none);
    let provider = snapshot.config.provider(&embeddings.provider).ok_or_else(gone)?;
    let priced = snapshot.catalogue.named(model).cloned().unwrap_or_else(|| Callable::unpriced(model, &provider.name));
    let name = object.raw("model").unwrap_or_default().as_bytes().to_vec();
    let paying = Paying {
        key: gateway.conversations.key(&Name::Session(&name)),
        session: None,
        input: (body.len() as u64).div_ceil(BYTES_PER_TOKEN),
        output: Some(0),
        at: gateway.store.clock().now(),
    };
    let reservation = paying.reserve(snapshot, &priced).await?;
    let settle = paying.settle(gateway, snapshot, (&priced, reservation), Arc::default());
    let forward = Forward {
        endpoint: upstream::Endpoint::Embeddings,
        body,
        headers,
        upstream_model: &priced.model.upstream,
        provider,
        manner: &snapshot.manner,
    };
    let mut reply = passed(gateway.upstream.forward(&forward, settle).await);
    reply.model = Some(priced.model.name);
    Ok(reply)
}

fn passed(answer: Result<Answer, Failure>) -> Reply {
    let mut response = match answer {
        Ok(answer) => answer.into_response(),
        Err(failure) => failure.into_response(),
    };
    headers::request_id(&mut response);
    response.into()
}
