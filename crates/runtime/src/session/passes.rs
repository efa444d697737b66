//! A server's answer to a client that asks for passes.

use super::SessionError;
use crate::clients::{Clients, Issued, Shown};
use crate::link::Link;
use crate::messages::{PassAnswer, PassRequest};
use std::time::SystemTime;

/// Issues passes on a client's link, if it may ask for as many routes; or names their key.
///
/// # Errors
/// If this server issues none, the client may not have them, or the connection fails.
pub(super) fn issue(clients: Option<&Clients>, link: &mut Link, asked: &PassRequest) -> Result<(), SessionError> {
    let none = || {
        SessionError::Request(
            "this server issues no passes: set `passes = true` beside `clients` in its configuration, or leave `passes` out of \
             the client's"
                .into(),
        )
    };
    let token = asked.token.as_ref().map(|token| token.digest().0);
    let shown = Shown { certificate: link.peer_key(), token };
    let issued = clients.ok_or_else(none)?.issue(shown, &asked.blinded, SystemTime::now())?.ok_or_else(none)?;
    let Issued { key, evaluated, proof } = issued.map_err(SessionError::Refused)?;
    Ok(link.send_message(&PassAnswer { key, evaluated, proof })?)
}
