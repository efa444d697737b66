//! What servers keep of a session for the next one on the same links, as the client has it.

use super::SessionError;
use super::spares::Spares;
use crate::link::{Link, LinkError};
use crate::messages::{SessionId, Ticket};
use std::sync::Arc;

/// The right to [continue](super::Client::run_continuing) a session: the links on which the servers hold what it left. Nobody
/// without these links can ask for it. Dropped, the links serve other sessions, and the first of them makes the servers
/// drop what they hold; so does the end of the links.
pub struct Held {
    /// Taken out when the session is continued.
    links: Option<Box<[Link; 2]>>,
    spares: Arc<Spares>,
    pub(super) session: SessionId,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    pub(super) fn new(links: [Link; 2], spares: Arc<Spares>, session: SessionId) -> Self {
        Self { links: Some(Box::new(links)), spares, session }
    }

    pub(super) fn into_links(mut self) -> Result<[Link; 2], SessionError> {
        let links = self.links.take().map(|links| *links);
        links.ok_or_else(|| LinkError::Internal("a held session has no links").into())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(links) = self.links.take() {
            self.spares.put(*links);
        }
    }
}

/// The right to [go on](super::Client::run_handed_over) with another pair of servers, to which one has handed over what a session left.
/// The servers there drop it when their time for it is up.
#[derive(Debug)]
pub struct HandedOver {
    pub(super) ticket: Ticket,
    /// How many elements of the batch go on.
    pub(super) count: usize,
}
