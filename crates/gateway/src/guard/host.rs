//! The header `Host`, which says by which name the caller knows the gateway. Under DNS rebinding it is the name of the attacker's
//! site.

use super::Refusal;
use axum::http::header::HOST;
use axum::http::{HeaderMap, Uri};
use std::net::Ipv6Addr;

/// Checks that a request names the gateway by one of these hosts. Ports do not matter.
///
/// # Errors
/// If it names none, several, or another one.
pub fn check(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Result<(), Refusal> {
    let mut given = headers.get_all(HOST).iter();
    let host = given.next().ok_or(Refusal::NoHost)?;
    if given.next().is_some() {
        return Err(Refusal::SeveralHosts);
    }
    // A request line can have a whole address, which goes before the header for some servers.
    let line = uri.authority().map(axum::http::uri::Authority::as_str);
    let allowed = |text: &str| name(text).is_some_and(|name| hosts.iter().any(|host| same(host, name)));
    let header = host.to_str().is_ok_and(allowed);
    if header && line.is_none_or(allowed) { Ok(()) } else { Err(Refusal::OtherHost) }
}

/// The name in `name:port` or `[address]:port`, if this is one. An IPv6 address is without its brackets.
#[must_use]
pub fn name(authority: &str) -> Option<&str> {
    let (name, rest) = match authority.strip_prefix('[') {
        Some(address) => address.split_once(']').filter(|(address, _)| address.parse::<Ipv6Addr>().is_ok())?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = match rest.strip_prefix(':') {
        Some(port) => port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => rest.is_empty(),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
    (is_port && !name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

/// Whether two names, or two addresses, are the same.
fn same(one: &str, other: &str) -> bool {
    match (one.parse::<Ipv6Addr>(), other.parse::<Ipv6Addr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}
