//! What two servers tell each other about their ledgers.

use super::{LedgerId, TermNonce};

/// How a ledger stands: whose it is, how often it was opened, and how many sessions it has claimed. Public to the other server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Drawn when the ledger was created.
    pub ledger: LedgerId,
    /// How often it was opened. Whoever opens it fences off all that opened it before.
    pub term: u64,
    /// Drawn when it was opened: two copies of one ledger, opened apart, have the same term and different nonces.
    pub nonce: TermNonce,
    /// The sessions that it has claimed since it was created. In the standing of a claim, the claim's own number.
    pub claimed: u64,
}

impl Standing {
    /// Bytes of a standing, as it is sent and stored.
    pub const BYTES: usize = 48;

    /// As it is sent and stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..16].copy_from_slice(&self.ledger.0);
        out[16..24].copy_from_slice(&self.term.to_le_bytes());
        out[24..40].copy_from_slice(&self.nonce.0);
        out[40..].copy_from_slice(&self.claimed.to_le_bytes());
        out
    }

    /// The standing that these bytes stand for. All bytes stand for one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        fn part<const N: usize>(bytes: &[u8; Standing::BYTES], at: usize) -> [u8; N] {
            let mut out = [0; N];
            out.copy_from_slice(&bytes[at..at + N]);
            out
        }
        Self {
            ledger: LedgerId(part(bytes, 0)),
            term: u64::from_le_bytes(part(bytes, 16)),
            nonce: TermNonce(part(bytes, 24)),
            claimed: u64::from_le_bytes(part(bytes, 40)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_standing_comes_back() {
        let bytes = std::array::from_fn(|at| at as u8);
        let standing = Standing::from_bytes(&bytes);
        assert_eq!((standing.to_bytes(), standing.term.to_le_bytes()[0]), (bytes, 16));
        assert_eq!(standing.claimed.to_le_bytes()[7], 47);
    }
}
