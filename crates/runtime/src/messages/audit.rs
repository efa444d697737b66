//! The messages of an audit: a server asks the dealer to open a session's material, and the dealer reveals its seeds.

use super::codec::{DecodeError, Decoder};
use super::{Message, SessionId, WireSeed};
use crate::frame::FrameKind;

/// A server asks the dealer, after the end of a session's material, to reveal its seeds. A server that ends the connection instead
/// does not audit the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRequest {
    /// The session.
    pub session: SessionId,
}

impl Message for AuditRequest {
    const KIND: FrameKind = FrameKind::AuditRequest;

    fn encode(&self) -> Vec<u8> {
        self.session.0.to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let session = SessionId(decoder.array("session")?);
        decoder.finish()?;
        Ok(AuditRequest { session })
    }
}

/// The dealer reveals the seeds of a session's material to both servers. The seed of the products with weights is not among them.
#[derive(Debug)]
pub struct AuditSeeds {
    /// The session, which is spent.
    pub session: SessionId,
    /// Server 0's seed and server 1's.
    pub seeds: [WireSeed; 2],
}

impl Message for AuditSeeds {
    const KIND: FrameKind = FrameKind::AuditSeeds;

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + 2 * 32);
        out.extend_from_slice(&self.session.0);
        self.seeds.iter().for_each(|seed| out.extend_from_slice(seed.expose()));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let session = SessionId(decoder.array("session")?);
        let mut seed = || decoder.array("seed").map(WireSeed::new);
        let seeds = [seed()?, seed()?];
        decoder.finish()?;
        Ok(AuditSeeds { session, seeds })
    }
}
