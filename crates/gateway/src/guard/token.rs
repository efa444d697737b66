//! The local token, which callers send as `Authorization: Bearer` or `x-api-key`, where LLM clients put their keys. For the page, a
//! browser asks for it and sends it as a password (`Authorization: Basic`, with any name).

use super::{Endpoint, Refusal};
use crate::digest::{digest, is_of};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// The token's digest. The token itself is not kept.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Of a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(digest(text.as_bytes()))
    }

    /// Whether this is the token. How long it takes says nothing about where they differ.
    #[must_use]
    pub fn matches(&self, given: &[u8]) -> bool {
        is_of(&self.0, given)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Checks that a request has the token, if there is one. One of several that it sends is enough, since clients send keys of their
/// own beside it.
///
/// # Errors
/// If it has none, or only wrong ones.
pub fn check(endpoint: Option<Endpoint>, headers: &HeaderMap, token: Option<&Token>) -> Result<(), Refusal> {
    let Some(token) = token.filter(|_| !endpoint.is_some_and(Endpoint::is_open)) else { return Ok(()) };
    let is_page = endpoint.is_some_and(Endpoint::is_page);
    let authorizations = headers.get_all(AUTHORIZATION).iter().filter_map(|value| credential(value, is_page));
    let keys = headers.get_all("x-api-key").iter().map(|value| value.as_bytes().to_vec());
    let given: Vec<Vec<u8>> = authorizations.chain(keys).collect();
    if given.is_empty() {
        return Err(Refusal::NoToken);
    }
    // All are compared, whichever is right.
    let right = given.iter().filter(|given| token.matches(given)).count();
    if right > 0 { Ok(()) } else { Err(Refusal::WrongToken) }
}

/// What a header `Authorization` has after `Bearer`, or for a page the password after `Basic`.
fn credential(value: &HeaderValue, is_page: bool) -> Option<Vec<u8>> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if !is_page || !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}
