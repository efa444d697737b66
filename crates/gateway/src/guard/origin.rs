//! The headers `Origin` and `Sec-Fetch-Site`, with which browsers say which page sent a request. Programs do not send them.

use super::{Endpoint, Refusal};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method};

/// What browsers call the relation of a page to the address that it asks.
const FETCH_SITE: &str = "sec-fetch-site";

/// Checks which page sent a request, and returns its origin if it is one of these.
///
/// An origin that is not among them is refused, also `null`, which is what files and sandboxed pages send. The pages for people are for
/// no other page: their forms come from the gateway itself.
///
/// # Errors
/// If it was a page that may not call the gateway, or a form that is not the gateway's own.
pub fn check(
    endpoint: Option<Endpoint>,
    method: &Method,
    headers: &HeaderMap,
    origins: &[String],
) -> Result<Option<HeaderValue>, Refusal> {
    let mut given = headers.get_all(ORIGIN).iter();
    let origin = given.next();
    if given.next().is_some() {
        return Err(Refusal::OtherOrigin);
    }
    let is_page = endpoint.is_some_and(Endpoint::is_page);
    match origin {
        Some(origin) if is_page && is_own(origin, headers) => Ok(None),
        Some(origin) if !is_page && origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) => {
            Ok(Some(origin.clone()))
        }
        // Browsers say the origin of every form.
        None if is_page && method == Method::POST => Err(Refusal::OtherOrigin),
        Some(_) => Err(Refusal::OtherOrigin),
        None if headers.get_all(FETCH_SITE).iter().all(is_near) => Ok(None),
        None => Err(Refusal::OtherSite),
    }
}

/// Whether an origin is the address that the request names. The host has been checked before.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok();
    let authority = origin.and_then(|text| text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")));
    matches!((authority, host), (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host))
}

/// Whether a request came from the user (an address that was typed, a bookmark) or from the gateway's own page. Pages of the same
/// site are others: all ports of `localhost` are one site.
fn is_near(site: &HeaderValue) -> bool {
    site == "none" || site == "same-origin"
}
