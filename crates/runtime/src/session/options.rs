//! Where a server finds the others, and how much it takes on.

use super::audit::AuditShare;
use super::hand_over::HandOverOptions;
use crate::clients::Clients;
use crate::link::Timeouts;
use std::sync::Arc;

/// Where a server finds the other parties, and its limits.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The dealer, "host:port".
    pub dealer: String,
    /// The address of server 0. Only server 1 needs it, since it makes the calls.
    pub peer: Option<String>,
    /// The longest waits.
    pub timeouts: Timeouts,
    /// Bytes of a session's material that may be held prepared, usually [`super::MATERIAL_BUDGET`].
    pub budget: usize,
    /// Other pairs.
    pub hand_over: HandOverOptions,
    /// The share of sessions that are opened to check the dealer; the other server needs the same.
    pub audit: AuditShare,
    /// The clients that it answers; every client of the deployment if there are none.
    pub clients: Option<Arc<Clients>>,
    /// Whether clients are told that this deployment protects nothing.
    pub development: bool,
}
