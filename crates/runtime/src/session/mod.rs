//! Sessions: what dealer, servers and client do with each other, for any catalogue of programs.
//!
//! One session is one run of one program on one input. In order: the client sends a hello to both servers; each server
//! burns the session's id in its ledger and asks the dealer; the dealer grants a seed to each and streams corrections,
//! those of keys to both, all others to server 1; server 1 opens two lanes to server 0; if either server lacks the
//! dealer's current epoch of the model, they set the model up; both prepare their material and say that they are ready.
//! That is the offline phase. Then the client sends its input's shares, the servers run online, and each sends its share
//! of the answer and a report.
//!
//! Between the two a session may **rest**, for as long as `ready` of the servers' timeouts: see [`ReadySession`]. A server
//! then holds its prepared material, a link to the client and two lanes to the other server, on none of which anybody
//! waits for anything but the client's input; the dealer is done with it. What does not fit [`MATERIAL_BUDGET`] cannot
//! rest, since the dealer would have to wait too.

mod cancel;
mod client;
mod dealer;
mod error;
mod lanes;
mod opening;
mod places;
mod ready;
mod retry;
mod server;
mod spares;

pub(crate) use cancel::Cancel;
pub use client::Client;
pub use dealer::DealerService;
pub use error::{SessionError, SharesError};
pub(crate) use places::{SessionPlace, SessionPlaces};
pub use ready::{ReadySession, ServerReport, SessionOutcome, SharedInputs};
pub(crate) use retry::run as run_retrying;
pub use retry::{Retry, Waiting};
pub use server::{ServerOptions, ServerService};

use crate::messages::Digest;
use blindroute_protocol::{Program, Seed, WeightSpec};

/// The programs of one model: what a request stands for. Public; dealer, servers and client hold the same.
pub trait Catalogue: Send + Sync + 'static {
    /// A program of the model.
    type Program: Program + 'static;

    /// The digest of the model and its programs. Parties whose digests differ refuse to run. It must bind to the weights'
    /// very shares: the dealer makes one mask of the weights for one digest, and a mask must never cover other weights.
    fn digest(&self) -> Digest;

    /// The model's secret weights, the same for all of its programs.
    fn weights(&self) -> Vec<WeightSpec>;

    /// The program that a client's request asks for.
    ///
    /// # Errors
    /// What is wrong with the request, for the client.
    fn program(&self, request: &[u8]) -> Result<Self::Program, String>;
}

/// Bytes of material that a server may hold prepared; beyond, the dealer is held back until the online phase catches up.
pub const MATERIAL_BUDGET: usize = 560 << 20;

/// The key of a generator from a seed on the wire: AES-128 takes the first half.
fn generator_seed(seed: &crate::messages::Seed) -> Seed {
    let mut key = [0u8; 16];
    key.copy_from_slice(&seed.expose()[..16]);
    Seed::new(key)
}
