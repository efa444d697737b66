//! Sessions: what dealer, servers and client do together, for any catalogue of programs.
//!
//! One session is one run of one program on one input. It has two phases.
//!
//! **Offline**: the client sends a hello to both servers. Each server records the session's id as consumed in its
//! ledger
//! and asks the dealer for material. The dealer grants seeds to each server and streams corrections: those of keys to
//! both servers, all others to server 1. Server 1 opens two lanes to server 0. If either server does not have the
//! weights set up under the dealer's current mask (its *epoch*), they set them up. Both servers prepare their material
//! and report that they are ready.
//!
//! **Online**: the client sends the shares of its input, the servers run the program, and each sends its share of the
//! answer and a report.
//!
//! Between the two phases a session may **rest**, for as long as `ready` in the servers' timeouts: see
//! [`ReadySession`]. A server then holds its prepared material, a link to the client and two lanes to the other server,
//! and waits only for the client's input; the dealer has finished. A session whose material exceeds [`MATERIAL_BUDGET`]
//! cannot rest, because the dealer would also have to wait.
//!
//! Before a server reports that it is ready, it may **audit** the session together with the other server, if the session is one of
//! a random share: the dealer reveals the seeds, both servers deal again and compare, and the session is spent. Its client
//! begins another one, on the same links.
//!
//! Servers may keep material of sessions to come in a [store](crate::store), which they fill while no client needs them. A session
//! whose request is there is prepared from it, and the dealer is not asked.
//!
//! A session may leave values with the servers, and the next one **continues** with them: on the same links, or with another
//! pair of servers that the first pair hands them over to, each server to the one of its position there. Shares of a session
//! are used once, and both servers compare where theirs come from before anything is computed with them.

mod admitted;
mod audit;
mod cancel;
mod client;
mod connecting;
mod continued;
mod dealer;
mod error;
mod failure;
mod filling;
mod hand_over;
mod handed;
mod held;
mod incoming;
mod lanes;
mod opening;
mod options;
mod own_ledger;
mod passes;
mod places;
mod preparation;
mod proposals;
mod ready;
mod report;
mod reported;
mod retry;
mod server;
mod source;
mod spares;
mod stored;
mod versions;
mod wallet;

pub use audit::{AuditCounts, AuditShare};
pub use cancel::Cancel;
pub use client::Client;
pub use dealer::DealerService;
pub use error::{SessionError, SharesError};
pub use filling::{FillPlan, Wanted, WantedOf};
pub use hand_over::{HAND_OVER_BUDGET, HandOverError, HandOverOptions, HandOverTo};
pub use held::{HandedOver, Held};
pub use options::ServerOptions;
pub(crate) use places::{SessionPlace, SessionPlaces};
pub use ready::{ReadySession, ServerReport, SessionOutcome, SharedInputs};
pub(crate) use retry::{Bounds, once, run as run_within};
pub use retry::{Pauses, Retry, Waiting};
pub use server::ServerService;
pub use versions::ServerVersion;

use crate::clients::Asked;
use crate::messages::{Digest, WireSeed};
use blindroute_protocol::{Program, Seed, WeightSpec};

/// The programs of one bundle, and which request selects which program. It is public: dealer, servers and client hold
/// the same catalogue.
pub trait Catalogue: Send + Sync + 'static {
    /// A program of the bundle.
    type Program: Program + 'static;

    /// The digest of the deployment: of the programs and of commitments to both shares of the weights. Parties whose
    /// digests differ refuse to run. It must bind the shares, because the dealer makes one mask of the weights for one
    /// digest, and a mask must never cover other weights.
    fn digest(&self) -> Digest;

    /// The secret weights of the bundle, in the same order for all of its programs.
    fn weights(&self) -> Vec<WeightSpec>;

    /// The program that a client's request selects.
    ///
    /// # Errors
    /// A text for the client that says what is wrong with the request.
    fn program(&self, request: &[u8]) -> Result<Self::Program, String>;

    /// What a server makes of a client's request before it uses it: here it decides what the client left open. Both servers
    /// must come to the same bytes, or the session is refused. Servers and dealer run the program of these bytes. Its inputs
    /// and outputs must be those of the client's request, because the client does not learn what the servers decided.
    ///
    /// # Errors
    /// A text for the client that says what is wrong with the request.
    fn resolve(&self, request: &[u8]) -> Result<Vec<u8>, String> {
        Ok(request.to_vec())
    }

    /// How much a request asks for: how many answers, and how much these can tell about the weights.
    fn asked(&self, _request: &[u8]) -> Asked {
        Asked { routes: 1, bits: 0.0 }
    }

    /// The names of the models of which [choices](crate::choices) are counted, 2 to 256, in an order that the digest binds; none if
    /// nothing is counted.
    fn choices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the program of a request takes what an earlier one [kept](blindroute_protocol::Kept), and no inputs of the client.
    fn continues(&self, _request: &[u8]) -> bool {
        false
    }

    /// Whether a session of `request` may take what one of `before` kept. Servers ask with the bytes that they resolved.
    fn follows(&self, _before: &[u8], _request: &[u8]) -> bool {
        false
    }
}

/// Bytes of material that a server may hold prepared. Beyond that the dealer waits until the online phase has used
/// some.
pub const MATERIAL_BUDGET: usize = 560 << 20;

/// The key of a generator, from a seed as it is sent: AES-128 uses the first half of it.
fn generator_seed(seed: &WireSeed) -> Seed {
    let mut key = [0u8; 16];
    key.copy_from_slice(&seed.expose()[..16]);
    Seed::new(key)
}
