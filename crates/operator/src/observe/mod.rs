//! What a party answers its own operator while it runs: is it alive, does it take sessions, and what has it counted.
//!
//! With `observe` in its configuration, a server or the dealer answers plain HTTP/1.1 on that address, which is for the operator's own
//! network. There are three paths: `/livez`, `/readyz` and `/metrics`, the last in the text format of Prometheus. Connections are few,
//! bounded in size and time, and answered by threads of their own, so whoever calls here takes nothing from sessions.
//!
//! Only what `families::ALL` lists is shown: numbers, under labels whose values are words of this program. Nothing in it names a
//! session, a client or an address, and nothing is finer than a hundredth of a second or a mebibyte.
//!
//! A server is ready while its ledger and certificate hold and the parties that it calls answer. Server 1 calls server 0, both call the
//! dealer, and nobody is called back; a party that was not called yet counts as one that answers. So parties that wait at their start
//! for others to be ready never wait in a circle. Parties are called again while they do not answer, so a server becomes ready again
//! although nobody sends it sessions.

mod answer;
mod board;
mod checks;
mod families;
mod listener;
mod readiness;
mod request;
#[cfg(test)]
mod tests;

use anyhow::Context;
use blindroute_placement::Observed;
use blindroute_runtime::{Role, Shutdown, Timeouts};
use board::Board;
use std::sync::Arc;

pub use families::{documented, names};

/// The parties that a server calls, and how long it waits for them.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) parties: Vec<(Role, String)>,
    pub(crate) timeouts: Timeouts,
}

/// The answers to an operator's probes. They last as long as the process.
#[derive(Debug)]
pub(crate) struct Observation(Option<Arc<Board>>);

impl Observation {
    /// Answers on this address from now on; nowhere if there is none. The party is not ready yet.
    pub(crate) fn start(address: Option<&str>) -> anyhow::Result<Self> {
        let Some(address) = address else { return Ok(Self(None)) };
        let board = Arc::new(Board::default());
        let asked = Arc::clone(&board);
        let listening = listener::listen(address, listener::PATIENCE, move |request| answer::to(&asked, request))
            .with_context(|| {
                format!("cannot answer probes and metrics on {address} (`observe` in the configuration)")
            })?;
        tracing::info!(address = %listening, "probes and metrics are answered");
        Ok(Self(Some(board)))
    }

    /// The party begins to serve.
    pub(crate) fn serving(&self, observed: Observed, shutdown: &Shutdown, calls: Calls) -> anyhow::Result<()> {
        let Some(board) = &self.0 else { return Ok(()) };
        board.serving(observed.clone(), shutdown.clone());
        checks::start(Arc::clone(board), observed, shutdown.clone(), calls)
            .context("a thread could not be started; close other programs")
    }

    /// The party has ended.
    pub(crate) fn ended(&self) {
        if let Some(board) = &self.0 {
            board.end();
        }
    }
}
