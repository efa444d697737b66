//! A call of a provider: what the caller sent, and what is sent on.

use super::failure::{Failure, Reason};
use super::headers;
use crate::config::{self, CallTimeouts, Config, Model, Retries, Streams};
use axum::body::Bytes;
use axum::http::HeaderMap;
use blindroute_dialects::Dialect;
use blindroute_dialects::json::Json;
use blindroute_dialects::raw::{Edit, Object};
use blindroute_dialects::reading::Reading;
use blindroute_dialects::translate::{self, TranslateError, Translation};
use std::borrow::Cow;
use std::time::Duration;

/// How calls are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// How long they may take.
    pub timeouts: CallTimeouts,
    /// How they are made again.
    pub retries: Retries,
    /// How answers in pieces are passed on.
    pub streams: Streams,
    /// After what silence the caller of a stream gets a comment, so that nothing on the way closes the connection.
    pub ping: Duration,
}

impl Manner {
    /// As the configuration says, with a comment after 15 seconds: proxies close silent connections after 30 or more.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            timeouts: config.timeouts.clone(),
            retries: config.retries.clone(),
            streams: config.privacy.streams,
            ping: Duration::from_secs(15),
        }
    }
}

/// A call of one model.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    /// The caller's dialect.
    pub dialect: Dialect,
    /// The caller's body.
    pub body: &'c [u8],
    /// What is known of it.
    pub reading: &'c Reading,
    /// The caller's headers, of which few are sent on.
    pub headers: &'c HeaderMap,
    /// The model to ask.
    pub model: &'c Model,
    /// Its provider.
    pub provider: &'c config::Provider,
    /// How to ask.
    pub manner: &'c Manner,
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "a call of {} of {} bytes in {}", self.model.name, self.body.len(), self.dialect)
    }
}

/// An endpoint that is passed on as it is: without a translation or a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/responses/compact`.
    Compact,
    /// `/v1/messages/count_tokens`, which costs nothing.
    CountTokens,
    /// `/v1/embeddings`.
    Embeddings,
}

impl Endpoint {
    /// The dialect of its requests and errors.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Compact => Dialect::Responses,
            Self::CountTokens => Dialect::Messages,
            Self::Embeddings => Dialect::Chat,
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Compact => "/responses/compact",
            Self::CountTokens => "/messages/count_tokens",
            Self::Embeddings => "/embeddings",
        }
    }
}

/// A request for an endpoint that is passed on.
#[derive(Clone, Copy)]
pub struct Forward<'c> {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// The caller's body.
    pub body: &'c [u8],
    /// The caller's headers, of which few are sent on.
    pub headers: &'c HeaderMap,
    /// The provider's name for the model.
    pub upstream_model: &'c str,
    /// Whom to ask.
    pub provider: &'c config::Provider,
    /// How to ask.
    pub manner: &'c Manner,
}

impl std::fmt::Debug for Forward<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} of {} with {} bytes", self.endpoint, self.upstream_model, self.body.len())
    }
}

/// What all requests have, whatever they ask for.
#[derive(Clone, Copy)]
pub(super) struct Terms<'c> {
    pub(super) dialect: Dialect,
    pub(super) headers: &'c HeaderMap,
    pub(super) provider: &'c config::Provider,
    pub(super) manner: &'c Manner,
    /// Whether a caller of Chat asked for the usage in the stream.
    pub(super) wants_usage: bool,
}

impl<'c> From<&Call<'c>> for Terms<'c> {
    fn from(call: &Call<'c>) -> Self {
        let Call { dialect, headers, provider, manner, reading, .. } = *call;
        Self { dialect, headers, provider, manner, wants_usage: reading.include_usage }
    }
}

impl<'c> From<&Forward<'c>> for Terms<'c> {
    fn from(forward: &Forward<'c>) -> Self {
        let Forward { endpoint, headers, provider, manner, .. } = *forward;
        Self { dialect: endpoint.dialect(), headers, provider, manner, wants_usage: false }
    }
}

/// How an answer comes, and how it is given on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Whole.
    Whole,
    /// In pieces, as they come.
    Pieces,
    /// Whole, and given on as a stream.
    AtOnce,
}

/// A request that can be sent, more than once.
pub(super) struct Prepared {
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The provider's dialect.
    pub(super) to: Dialect,
    pub(super) mode: Mode,
    /// Nothing if the provider speaks the caller's dialect.
    pub(super) translation: Option<Translation>,
}

/// Writes the request for the provider: in the caller's dialect if it speaks that, else in the first that it speaks.
pub(super) fn prepare(call: &Call<'_>) -> Result<Prepared, Failure> {
    let spoken = || call.provider.dialects.iter().copied();
    // The configuration has no provider without a dialect.
    let first = spoken().next().unwrap_or(call.dialect);
    let to = spoken().find(|dialect| *dialect == call.dialect).unwrap_or(first);
    let mode = match (call.reading.stream, call.manner.streams) {
        (false, _) => Mode::Whole,
        (true, Streams::Off) => Mode::AtOnce,
        (true, Streams::On | Streams::Pad) => Mode::Pieces,
    };
    let said = if to == call.dialect { same(call, mode).map(|body| (body, None)) } else { other(call, to, mode) };
    let (body, translation) = said.map_err(|error| refused(call.dialect, &error))?;
    let path = to.path().trim_start_matches("/v1");
    let url = format!("{}{path}", call.provider.base_url);
    let headers = headers::outgoing(&Terms::from(call), to, mode);
    Ok(Prepared { url, headers, body: body.into(), to, mode, translation })
}

/// The caller's bytes with the model's name, for an endpoint that is passed on.
pub(super) fn prepare_forward(forward: &Forward<'_>) -> Result<Prepared, Failure> {
    let to = forward.endpoint.dialect();
    let body = named(forward.body, forward.upstream_model, &[]).map_err(|error| refused(to, &error))?;
    let url = format!("{}{}", forward.provider.base_url, forward.endpoint.path());
    let headers = headers::outgoing(&Terms::from(forward), to, Mode::Whole);
    Ok(Prepared { url, headers, body: body.into(), to, mode: Mode::Whole, translation: None })
}

/// A body with another model's name and these changes.
fn named(body: &[u8], model: &str, others: &[Edit<'_>]) -> Result<String, TranslateError> {
    let object = Object::read(body).map_err(TranslateError::RequestJson)?;
    let model = [Edit::set("model", &Json::text(model))];
    Ok(object.edited(&[&model, others].concat()))
}

/// The caller's bytes with the model's name, and for streams of Chat the wish to know the usage.
fn same(call: &Call<'_>, mode: Mode) -> Result<String, TranslateError> {
    let model = call.model.upstream.as_str();
    match mode {
        Mode::Pieces if call.dialect == Dialect::Chat && !call.reading.include_usage => {
            let object = Object::read(call.body).map_err(TranslateError::RequestJson)?;
            let wish = (Cow::Borrowed("include_usage"), Json::Bool(true));
            let mut options = match object.get("stream_options") {
                Some(Json::Object(fields)) => fields.clone(),
                // What is no object is the provider's to refuse.
                Some(_) => return named(call.body, model, &[]),
                None => Vec::new(),
            };
            options.retain(|(name, _)| *name != wish.0);
            options.push(wish);
            named(call.body, model, &[Edit::set("stream_options", &Json::Object(options))])
        }
        Mode::AtOnce => named(call.body, model, &UNSTREAMED.map(Edit::remove)),
        Mode::Pieces | Mode::Whole => named(call.body, model, &[]),
    }
}

/// What only requests for streams have.
const UNSTREAMED: [&str; 2] = ["stream", "stream_options"];

fn other(call: &Call<'_>, to: Dialect, mode: Mode) -> Result<(String, Option<Translation>), TranslateError> {
    let model = call.model.upstream.as_str();
    let provider =
        translate::Provider { max_output_tokens: call.model.max_output, ..translate::Provider::new(to, model) };
    let translation = translate::request(call.dialect, call.body, &provider)?;
    let body = match mode {
        Mode::AtOnce => named(translation.body.as_bytes(), model, &UNSTREAMED.map(Edit::remove))?,
        Mode::Pieces | Mode::Whole => translation.body.clone(),
    };
    Ok((body, Some(translation)))
}

/// The request cannot be said to this provider. Another one may speak the caller's dialect.
fn refused(dialect: Dialect, error: &TranslateError) -> Failure {
    let fallback = matches!(error, TranslateError::Request(_));
    let reason = Reason::Request(error.to_string());
    Failure { fallback, attempts: 0, ..Failure::of_error(&error.to_api_error(), reason, dialect) }
}
