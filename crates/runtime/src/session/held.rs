//! What servers keep of a session for the next one on the same links, as the client has it.

use super::SessionError;
use super::spares::Spares;
use crate::link::{Link, LinkError};
use std::sync::Arc;

/// The right to [continue](super::Client::run_continuing) a session: the links on which the servers hold what it left. Nobody
/// without these links can ask for it. Dropped, the links serve other sessions, and the first of them makes the servers
/// drop what they hold; so does the end of the links.
pub struct Held {
    /// Taken out when the session is continued.
    links: Option<Box<[Link; 2]>>,
    spares: Arc<Spares>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    pub(super) fn new(links: [Link; 2], spares: Arc<Spares>) -> Self {
        Self { links: Some(Box::new(links)), spares }
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
