//! What is refused, and how.

mod middleware;
mod rules;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Headers from a list, in which a name can occur several times.
fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}
