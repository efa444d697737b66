//! What a server sends at the end of a session.

use crate::frame::FrameKind;
use crate::link::{Link, LinkError};
use crate::messages::{SessionId, SessionReport};
use crate::peak_rss_mib;
use blindroute_protocol::{Cost, OutputShare};
use std::time::Duration;

/// How a session's online time was spent.
pub(super) struct Spent {
    pub(super) online: Duration,
    pub(super) exchanging: Duration,
}

/// Sends the share of the answer, and what the session took.
pub(super) fn report(
    client: &mut Link,
    session: SessionId,
    output: &OutputShare,
    cost: &Cost,
    spent: &Spent,
) -> Result<(), LinkError> {
    client.send_long(FrameKind::Output, 0, output.bytes())?;
    let bytes = cost.opening_bytes as u64;
    let online_micros = spent.online.as_micros() as u64;
    let report = SessionReport {
        session,
        online_micros,
        exchange_micros: spent.exchanging.as_micros() as u64,
        openings: u32::try_from(cost.openings).unwrap_or(u32::MAX),
        bytes_sent: bytes,
        bytes_received: bytes,
        material_bytes: cost.material_bytes as u64,
    };
    client.send_message(&report)?;
    // The peak is for the log only: it is a figure of the whole process, so it would tell a client about other clients' sessions.
    let (peak_mib, kib) = (peak_rss_mib(), bytes >> 10);
    tracing::info!(%session, online_ms = online_micros / 1000, openings = cost.openings, kib, peak_mib, "served");
    Ok(())
}
