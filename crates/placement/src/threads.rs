//! Dealer and servers as threads of this process.

use crate::error::PlacementError;
use crate::host::{Host, HostError, OpenedLedger};
use blindroute_runtime::config::{Configuration, DealerConfig, ServerConfig};
use blindroute_runtime::{FileLedger, Role, Shutdown};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// A party that runs on a thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct PartyThread {
    shutdown: Shutdown,
    thread: Option<JoinHandle<Result<(), HostError>>>,
}

impl PartyThread {
    /// Starts the party of this role, and says where it listens.
    pub(crate) fn start(role: Role, config: &Path) -> Result<(Self, SocketAddr), PlacementError> {
        let host = if role == Role::Dealer {
            let config = DealerConfig::load(config)?.config;
            Host::dealer(&config, || ledger(&config.state))?
        } else {
            let config = ServerConfig::load(config)?.config;
            Host::server(&config, || ledger(&config.state))?
        };
        let (address, shutdown) = (host.address(), Shutdown::new());
        let told = shutdown.clone();
        let run = move || host.run(&told);
        let thread = std::thread::Builder::new().name(role.to_string()).spawn(run).map_err(PlacementError::Thread)?;
        Ok((Self { shutdown, thread: Some(thread) }, address))
    }
}

fn ledger(state: &Path) -> OpenedLedger {
    Ok(Arc::new(FileLedger::open(state)?))
}

impl Drop for PartyThread {
    fn drop(&mut self) {
        self.shutdown.trigger("its router was dropped");
        if let Some(thread) = self.thread.take() {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a party ended with an error"),
                Err(_) => tracing::error!("internal error: a party's thread panicked; please report it"),
            }
        }
    }
}
