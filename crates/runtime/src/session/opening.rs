//! The exchange with which the two servers begin a session.
//!
//! One byte says whether the sender holds the weights of this epoch. Sixteen more bytes are the sender's half of the
//! session's seed of zeros, with which both servers re-randomise the shares of the answer. This exchange takes place in
//! every session, so the seed costs no extra time. It is sent over the servers' own lanes, which neither the dealer nor
//! the client can read. Whether the session is audited is derived from the same seed, by a hash, so the dealer does not know.

use super::audit::{AuditShare, SessionSeeds};
use super::{SessionError, generator_seed};
use crate::channel::PeerChannel;
use crate::messages::{EpochId, SessionId, WireSeed};
use blindroute_protocol::{Channel, Seed, ServerWeights, ZeroSeed};
use std::net::TcpStream;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes in each direction.
const LEN: usize = 17;

/// The links, seeds and weights of a session that is under way.
pub(super) struct OpenSession {
    pub(super) id: SessionId,
    pub(super) channel: PeerChannel,
    /// The dealer's connection, to end a wait for material that is no longer needed; none if the material was stored.
    pub(super) dealer: Option<TcpStream>,
    /// They stay in one place, since a move would leave a copy on the stack.
    pub(super) seeds: Arc<SessionSeeds>,
    /// Of this server's summand of the weights' mask.
    pub(super) mask: Seed,
    pub(super) weights: Arc<ServerWeights>,
    pub(super) epoch: EpochId,
    /// Whether it is opened to check the dealer, if all of its material is prepared at once.
    pub(super) audited: bool,
}

/// What the two servers have told each other.
#[derive(Debug)]
pub(super) struct Opened {
    /// Whether the other server holds the weights of this epoch.
    pub(super) held: bool,
    /// The seed that both servers draw together.
    pub(super) zeros: ZeroSeed,
    /// Whether the session is one of the audited ones.
    pub(super) audited: bool,
}

/// Says whether this server holds the weights of this epoch, and draws the session's seed together with the other server.
///
/// # Errors
/// If the system gives no randomness, or the exchange fails.
pub(super) fn exchange(channel: &mut impl Channel, held: bool, share: AuditShare) -> Result<Opened, SessionError> {
    let own = generator_seed(&WireSeed::generate()?);
    let outgoing = [[u8::from(held)].as_slice(), own.expose()].concat();
    let answer = Zeroizing::new(channel.exchange(outgoing, LEN).map_err(blindroute_protocol::Error::from)?);
    let Some((&[theirs @ (0 | 1)], half)) = answer.split_first_chunk() else {
        return Err(SessionError::Disagreement("first message"));
    };
    let half = half.try_into().map_err(|_| SessionError::Disagreement("first message"))?;
    let half = Seed::new(half);
    let mut both = Zeroizing::new(*own.expose());
    both.iter_mut().zip(half.expose()).for_each(|(byte, other)| *byte ^= other);
    let audited = share.takes(&Seed::new(*both));
    Ok(Opened { held: theirs == 1, zeros: ZeroSeed::from_halves(&own, &half), audited })
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_protocol::ChannelError;

    /// Always gives the same answer, and records what it was sent.
    struct Peer {
        answer: Vec<u8>,
        sent: Vec<Vec<u8>>,
    }

    impl Channel for Peer {
        fn exchange(&mut self, outgoing: Vec<u8>, _incoming: usize) -> Result<Vec<u8>, ChannelError> {
            self.sent.push(outgoing);
            Ok(self.answer.clone())
        }
    }

    fn peer(answer: &[u8]) -> Peer {
        Peer { answer: answer.to_vec(), sent: Vec::new() }
    }

    #[test]
    fn case_44_every_session_sends_a_fresh_half_of_the_seed() {
        let mut peer = peer(&[1; LEN]);
        for held in [false, true, true] {
            assert!(exchange(&mut peer, held, AuditShare::NONE).unwrap().held);
        }
        let [first, second, third] = <[Vec<u8>; 3]>::try_from(peer.sent).unwrap();
        assert_eq!((first.len(), first[0], second[0], third[0]), (LEN, 0, 1, 1));
        assert!(first[1..] != second[1..] && second[1..] != third[1..] && first[1..] != third[1..]);
    }

    #[test]
    fn a_malformed_answer_is_an_error() {
        for answer in [&[][..], &[1], &[1; LEN - 1], &[1; LEN + 1], &[2; LEN]] {
            let found = exchange(&mut peer(answer), false, AuditShare::NONE);
            assert!(matches!(found, Err(SessionError::Disagreement(_))), "{found:?}");
        }
    }
}
