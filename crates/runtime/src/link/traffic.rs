//! Counters of the bytes that a link sends and receives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
struct Counters {
    payload_sent: AtomicU64,
    payload_received: AtomicU64,
    wire_sent: AtomicU64,
    wire_received: AtomicU64,
}

/// Bytes sent and received by a link so far. Clones share the counters, so a clone can be kept while the link is used
/// by another thread.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Counters>);

impl Traffic {
    /// Bytes of messages sent, without framing.
    #[must_use]
    pub fn payload_sent(&self) -> u64 {
        self.0.payload_sent.load(Ordering::Relaxed)
    }

    /// Bytes of messages received, without framing.
    #[must_use]
    pub fn payload_received(&self) -> u64 {
        self.0.payload_received.load(Ordering::Relaxed)
    }

    /// Bytes written to the socket: messages, framing, TLS and its handshake.
    #[must_use]
    pub fn wire_sent(&self) -> u64 {
        self.0.wire_sent.load(Ordering::Relaxed)
    }

    /// Bytes read from the socket: messages, framing, TLS and its handshake.
    #[must_use]
    pub fn wire_received(&self) -> u64 {
        self.0.wire_received.load(Ordering::Relaxed)
    }

    pub(super) fn add_payload_sent(&self, count: usize) {
        self.0.payload_sent.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn add_payload_received(&self, count: usize) {
        self.0.payload_received.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn add_wire_sent(&self, count: usize) {
        self.0.wire_sent.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn add_wire_received(&self, count: usize) {
        self.0.wire_received.fetch_add(count as u64, Ordering::Relaxed);
    }
}
