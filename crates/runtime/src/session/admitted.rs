//! Whether a client may have a session.

use super::{Catalogue, SessionError};
use crate::clients::{Clients, Shown};
use crate::link::Link;
use crate::messages::{ClientHello, ShownPasses};
use std::time::SystemTime;

/// Counts what a client asks for, if it is one that may ask for it, or takes the passes that it showed before. Without a register every
/// client may.
pub(super) fn admit(
    clients: Option<&Clients>,
    catalogue: &impl Catalogue,
    link: &Link,
    hello: &ClientHello,
    passes: Option<ShownPasses>,
) -> Result<(), SessionError> {
    let Some(clients) = clients else { return Ok(()) };
    let asked = catalogue.asked(&hello.request);
    if let Some(ShownPasses { key, passes }) = passes {
        return clients.take(&key, &passes, asked)?.map_err(SessionError::Refused);
    }
    let token = hello.token.as_ref().map(|token| token.digest().0);
    let shown = Shown { certificate: link.peer_key(), token };
    let admitted = clients.admit(shown, asked, SystemTime::now())?;
    admitted.map(drop).map_err(SessionError::Refused)
}
