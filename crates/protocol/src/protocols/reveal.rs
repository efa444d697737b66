//! Revealing: both servers send the client their shares of a value, re-randomised.
//!
//! **Computes** nothing: the shares of a revealed value x become x_0 + r and x_1 − r modulo 2^k, of revealed bits b_0 ⊕ r
//! and b_1 ⊕ r, with r from a generator whose seed the two servers make between themselves. **Shapes** any. **Cost** no
//! opening (the halves of the seed travel with the exchange that begins a session), no material. **Security** whoever
//! knows neither the seed nor a server's state sees two shares that are uniform but for their sum. Without r this does
//! not hold against the dealer together with the client: a share is a public function of the dealer's tables at a place
//! that an intermediate value under a known mask gives, so the shares show intermediate values. Against one server
//! together with the client, the other server's share is the answer less its own share. Bits that no element has are
//! set to zero, so that the sum is the answer and nothing else. Exact. **Source** re-sharing before reconstruction is
//! standard; shares of zero from a common seed as in Cramer, Damgård, Ishai, TCC'05. **Differs from the source** in
//! nothing.

use crate::bits::BitTensor;
use crate::material::word::RingWord;
use crate::party::Party;
use crate::secret::Secret;
use blindroute_ring::lanes::combine;
use blindroute_ring::{Prg, Seed};
use zeroize::{Zeroize, Zeroizing};

/// The seed from which both servers re-randomise one session's answer. Neither the dealer nor the client may learn it.
///
/// Each server draws a half from the operating system and sends it to the other over a link that they share with nobody.
/// There is no `Clone`, and a run consumes it: one seed serves one answer. Wiped on drop, never printed.
pub struct ZeroSeed(Seed);

impl ZeroSeed {
    /// The seed from both halves, in either order: uniform if one of them is.
    pub fn from_halves(own: &Seed, theirs: &Seed) -> Self {
        let mut both = Zeroizing::new(*own.expose());
        both.iter_mut().zip(theirs.expose()).for_each(|(byte, &other)| *byte ^= other);
        Self(Seed::new(*both))
    }
}

impl std::fmt::Debug for ZeroSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ZeroSeed(redacted)")
    }
}

/// One server's shares of zero, in the program's order.
pub(crate) struct Zeros {
    party: Party,
    stream: Prg,
}

impl Zeros {
    pub(crate) fn new(party: Party, seed: ZeroSeed) -> Self {
        Self { party, stream: Prg::new(&seed.0) }
    }

    /// Adds a share of zero to each word.
    pub(crate) fn add<W: RingWord>(&mut self, share: &mut Secret<W>) {
        let words = share.expose_mut().data_mut();
        let mut random = self.stream.words::<W>(words.len());
        let leads = self.party == Party::Zero;
        combine(
            words,
            [&random],
            [],
            |word: W, [random], []: [W; 0]| {
                if leads { word.plus(random) } else { word.minus(random) }
            },
        );
        random.zeroize();
    }

    /// Adds a share of zero to each bit, and clears what lies beyond the last element.
    pub(crate) fn add_bits(&mut self, bits: &mut BitTensor) {
        let mut random = self.stream.words::<u64>(bits.words().len());
        bits.words_mut().iter_mut().zip(&random).for_each(|(word, &random)| *word ^= random);
        bits.clear_padding();
        random.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_ring::{Shape, Tensor};

    fn halves() -> [Seed; 2] {
        [0x35, 0xC9].map(|byte| Seed::new([byte; 16]))
    }

    fn zeros(party: Party) -> Zeros {
        let halves = halves();
        Zeros::new(party, ZeroSeed::from_halves(&halves[party.index()], &halves[1 - party.index()]))
    }

    fn summands<W: RingWord>(len: usize) -> [Vec<W>; 2] {
        [Party::Zero, Party::One].map(|party| {
            let mut share = Secret::new(Tensor::zeros(Shape::row(len)));
            zeros(party).add::<W>(&mut share);
            share.into_inner().data().to_vec()
        })
    }

    fn cancel<W: RingWord + std::fmt::Debug>() {
        let [zero, one] = summands::<W>(300);
        assert!(zero.iter().zip(&one).all(|(&a, &b)| a.plus(b) == W::ZERO));
        assert!(zero.iter().all(|&word| word != W::ZERO), "words that were left alone");
    }

    #[test]
    fn shares_of_zero_cancel_in_every_width() {
        cancel::<u32>();
        cancel::<u64>();
        cancel::<u128>();
    }

    #[test]
    fn bits_cancel_and_none_is_sent_beyond_the_last_element() {
        let [zero, one] = [Party::Zero, Party::One].map(|party| {
            let mut bits = BitTensor::from_words(2, 70, vec![u64::MAX; 4]).unwrap();
            zeros(party).add_bits(&mut bits);
            bits
        });
        assert_eq!(zero, one, "two shares of ones are shares of zeros");
        for plane in 0..2 {
            assert_eq!(zero.plane(plane)[1] >> 6, 0, "bits beyond the last element");
            assert_ne!(zero.plane(plane)[0], u64::MAX);
        }
    }

    #[test]
    fn both_halves_count_and_their_order_does_not() {
        let first = |own: &Seed, theirs: &Seed| {
            Zeros::new(Party::Zero, ZeroSeed::from_halves(own, theirs)).stream.words::<u128>(1)[0]
        };
        let [a, b] = &halves();
        assert_eq!(first(a, b), first(b, a));
        assert_ne!(first(a, b), first(a, a));
        assert_ne!(first(a, b), first(b, b));
    }

    #[test]
    fn a_seed_of_zeros_does_not_print() {
        let seed = ZeroSeed::from_halves(&halves()[0], &halves()[1]);
        assert_eq!(format!("{seed:?}"), "ZeroSeed(redacted)");
    }
}
