//! Cancelling a session that is being prepared, from another thread.

use super::SessionError;
use crate::link::Link;
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    sockets: Vec<TcpStream>,
}

/// Cancels the preparation of a session. It watches one session at a time.
#[derive(Debug, Default)]
pub(crate) struct Cancel(Mutex<State>);

impl Cancel {
    /// Cancels this and all later preparations. A connection that is still being made ends by its own timeouts.
    pub(crate) fn cancel(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.cancelled = true;
        for socket in state.sockets.drain(..) {
            // It may already be closed.
            socket.shutdown(std::net::Shutdown::Both).ok();
        }
    }

    /// Watches the links of the next session instead of those of the last one.
    pub(super) fn watch(&self, links: &[Link; 2]) -> Result<(), SessionError> {
        let sockets = vec![links[0].socket()?, links[1].socket()?];
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.cancelled {
            return Err(SessionError::Cancelled);
        }
        state.sockets = sockets;
        Ok(())
    }

    /// Stops watching: the session is ready, or has failed.
    pub(super) fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sockets.clear();
    }
}
