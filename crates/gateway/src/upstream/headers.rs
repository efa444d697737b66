//! Which headers pass. In both directions, what is not on a list stays behind.
//!
//! Of a caller, only what changes the meaning of a request for a provider of the same dialect goes on: `anthropic-version`,
//! `anthropic-beta`, `openai-beta`. The authorization and cookies never do. Neither do `openai-organization` and
//! `openai-project`, which belong to the key (they can be set in the provider's `headers`), nor `user-agent` and
//! `x-stainless-*`, which describe the caller's machine.
//!
//! Of a provider, the content's type, the request's number, the limits of rates and when to come again pass.

use super::call::{Mode, Terms};
use crate::config::Secret;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use blindroute_dialects::Dialect;

/// What Messages is asked with if the caller names no version.
const MESSAGES_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// What passes of a provider's headers, by name or by what the name begins with.
const PASS: [&str; 9] = [
    "content-type",
    "request-id",
    "x-request-id",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "openai-processing-ms",
    "openai-version",
    "openai-model",
];
const PASS_PREFIXES: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];

/// The headers of a request to a provider, in its dialect. The only place where its key is read.
pub(super) fn outgoing(terms: &Terms<'_>, to: Dialect, mode: Mode) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let accept = match mode {
        Mode::Pieces => "text/event-stream, application/json",
        Mode::Whole | Mode::AtOnce => "application/json",
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    let forwarded: &[&str] = match to {
        Dialect::Messages => &["anthropic-version", "anthropic-beta"],
        Dialect::Chat | Dialect::Responses => &["openai-beta"],
    };
    if to == Dialect::Messages {
        headers.insert("anthropic-version", MESSAGES_VERSION);
    }
    for name in forwarded.iter().filter(|_| to == terms.dialect) {
        let values = terms.headers.get_all(*name);
        if values.iter().next().is_some() {
            headers.remove(*name);
        }
        for value in values {
            headers.append(HeaderName::from_static(name), value.clone());
        }
    }
    for (name, value) in &terms.provider.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Some(value)) = (name, secret(value, "")) {
            headers.insert(name, value);
        }
    }
    if let Some(key) = &terms.provider.key {
        let (name, prefix) = match to {
            Dialect::Messages => (HeaderName::from_static("x-api-key"), ""),
            Dialect::Chat | Dialect::Responses => (header::AUTHORIZATION, "Bearer "),
        };
        if let Some(value) = secret(&key.secret, prefix) {
            headers.insert(name, value);
        }
    }
    headers
}

/// A value that is not shown. The configuration has checked that it can be in a header.
fn secret(secret: &Secret, prefix: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{prefix}{}", secret.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a provider's answer repeats its key, which no caller may see.
pub(super) fn repeats_key(terms: &Terms<'_>, body: &[u8]) -> bool {
    let Some(key) = &terms.provider.key else { return false };
    let key = key.secret.expose().as_bytes();
    !key.is_empty() && body.windows(key.len()).any(|part| part == key)
}

/// What a caller sees of a provider's headers.
pub(super) fn incoming(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &str| PASS.contains(&name) || PASS_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let mut kept = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| passes(name.as_str())) {
        kept.append(name.clone(), value.clone());
    }
    kept
}
