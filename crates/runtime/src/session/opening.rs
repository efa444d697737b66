//! The exchange with which the two servers begin a session.
//!
//! One byte says whether the sender holds the weights of this epoch. Sixteen more bytes are the sender's half of the
//! session's seed of zeros, with which both servers re-randomise the shares of the answer. This exchange takes place in
//! every session, so the seed costs no extra time. It is sent over the servers' own lanes, which neither the dealer nor
//! the client can read.

use super::{SessionError, generator_seed};
use crate::messages::WireSeed;
use blindroute_protocol::{Channel, Seed, ZeroSeed};
use zeroize::Zeroizing;

/// Bytes in each direction.
const LEN: usize = 17;

/// Returns whether the other server holds the weights of this epoch, and the seed that both servers draw together.
///
/// # Errors
/// If the system gives no randomness, or the exchange fails.
pub(super) fn exchange(channel: &mut impl Channel, held: bool) -> Result<(bool, ZeroSeed), SessionError> {
    let own = generator_seed(&WireSeed::generate()?);
    let outgoing = [[u8::from(held)].as_slice(), own.expose()].concat();
    let answer = Zeroizing::new(channel.exchange(outgoing, LEN).map_err(blindroute_protocol::Error::from)?);
    let Some((&[theirs @ (0 | 1)], half)) = answer.split_first_chunk() else {
        return Err(SessionError::Disagreement("first message"));
    };
    let half = half.try_into().map_err(|_| SessionError::Disagreement("first message"))?;
    Ok((theirs == 1, ZeroSeed::from_halves(&own, &Seed::new(half))))
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
            assert!(exchange(&mut peer, held).unwrap().0);
        }
        let [first, second, third] = <[Vec<u8>; 3]>::try_from(peer.sent).unwrap();
        assert_eq!((first.len(), first[0], second[0], third[0]), (LEN, 0, 1, 1));
        assert!(first[1..] != second[1..] && second[1..] != third[1..] && first[1..] != third[1..]);
    }

    #[test]
    fn a_malformed_answer_is_an_error() {
        for answer in [&[][..], &[1], &[1; LEN - 1], &[1; LEN + 1], &[2; LEN]] {
            let found = exchange(&mut peer(answer), false);
            assert!(matches!(found, Err(SessionError::Disagreement(_))), "{found:?}");
        }
    }
}
