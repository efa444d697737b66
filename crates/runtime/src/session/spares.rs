//! Links of a client that no session uses at the moment. They are kept for the next session.

use crate::link::Link;
use std::sync::{Mutex, PoisonError};

/// The most pairs that are kept. A burst of sessions leaves more, and the servers disconnect idle ones.
const KEPT: usize = 16;

/// Pairs of links to both servers.
#[derive(Debug, Default)]
pub(super) struct Spares(Mutex<Vec<[Link; 2]>>);

impl Spares {
    /// The pair that was used last, unless a server has closed its link.
    pub(super) fn take(&self) -> Option<[Link; 2]> {
        loop {
            let links = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if quiet(&links) {
                return Some(links);
            }
            close(links);
        }
    }

    /// Keeps a pair whose session ended well.
    pub(super) fn put(&self, links: [Link; 2]) {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut kept, mut gone): (Vec<_>, Vec<_>) = spares.drain(..).partition(quiet);
        if kept.len() < KEPT {
            kept.push(links);
        } else {
            gone.push(links);
        }
        *spares = kept;
        drop(spares);
        gone.into_iter().for_each(close);
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        // Closed cleanly, so that the servers do not report an error.
        let spares = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        spares.drain(..).for_each(close);
    }
}

/// Whether neither server has closed its link or sent anything.
pub(super) fn quiet(links: &[Link; 2]) -> bool {
    links.iter().all(Link::is_quiet)
}

pub(super) fn close(links: [Link; 2]) {
    links.into_iter().for_each(Link::close);
}
