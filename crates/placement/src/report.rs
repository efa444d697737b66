//! What a route reports: the answer and what it cost.

use blindroute_routing::program::Placement;
use serde::Serialize;

/// Where the time went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Milliseconds {
    /// Tokenising, embedding and sharing on the client; in `local` the whole router.
    pub client: f64,
    /// From asking for a session until one was ready: all of `offline` if it was prepared for this route, next to nothing
    /// if a pool had one.
    pub wait: f64,
    /// What dealing, sending and preparing the session's material took. With a pool this may have been before the route
    /// began: `wait` says how much of the route it was.
    pub offline: f64,
    /// From the input's leaving to the answer.
    pub online: f64,
    /// All of the route: client, wait and online.
    pub total: f64,
}

/// Payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// By server 0 to server 1, online.
    pub server0_sent: u64,
    /// By server 1 to server 0, online.
    pub server1_sent: u64,
    /// By the client to both servers.
    pub client_sent: u64,
    /// By the dealer to server 1, offline.
    pub material: u64,
}

/// Peak memory of each process so far, in MiB; `None` where the system does not tell or the process is elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeakMemory {
    /// Server 0.
    pub server0: Option<u64>,
    /// Server 1.
    pub server1: Option<u64>,
    /// The dealer.
    pub dealer: Option<u64>,
    /// This process.
    pub client: Option<u64>,
}

/// The answer to one prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteReport {
    /// The model to call.
    pub model: String,
    /// Its price.
    pub price: f64,
    /// The price's unit.
    pub price_unit: String,
    /// Where the router ran.
    pub placement: Placement,
    /// Which router.
    pub router: String,
    /// The weight of cost.
    pub lambda: f32,
    /// Tokens used.
    pub tokens: usize,
    /// Tokens of the whole prompt, if it was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_from: Option<String>,
    /// The size class that servers and dealer see; absent where they see none.
    pub bucket: Option<usize>,
    /// Times.
    pub ms: Milliseconds,
    /// Exchanges between the servers.
    pub openings: u32,
    /// Traffic.
    pub bytes: Bytes,
    /// Who saw what.
    pub seen: &'static str,
}

/// Who saw what, in one line.
pub(crate) fn seen(placement: Placement) -> &'static str {
    match placement {
        Placement::Local => "you: prompt, router, choice; no server was asked",
        Placement::Head => "you: prompt, embedding, choice; servers and dealer: that a head ran, not even the length",
        Placement::Full => "you: prompt, choice; servers and dealer: the length's bucket only",
    }
}
