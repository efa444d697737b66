//! Whether a client may have a session.

use super::{Catalogue, SessionError};
use crate::clients::{Clients, Shown};
use crate::link::Link;
use crate::messages::ClientHello;
use std::time::SystemTime;

/// Counts what a client asks for, if it is one that may ask for it. Without a register every client may.
pub(super) fn admit(
    clients: Option<&Clients>,
    catalogue: &impl Catalogue,
    link: &Link,
    hello: &ClientHello,
) -> Result<(), SessionError> {
    let Some(clients) = clients else { return Ok(()) };
    let token = hello.token.as_ref().map(|token| token.digest().0);
    let shown = Shown { certificate: link.peer_key(), token };
    let admitted = clients.admit(shown, catalogue.asked(&hello.request), SystemTime::now())?;
    admitted.map(drop).map_err(SessionError::Refused)
}
