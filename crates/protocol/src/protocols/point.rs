//! Comparison with public thresholds by function secret sharing: one opening less than by digits.
//!
//! **Computes** [x ≥ t] for each of J thresholds t, as bits opened under mask bits. **Shapes** n elements, masked mod
//! 2^k, to J planes of n bits. **Cost** one opening for any J: 8·⌈n/64⌉·J bytes each way; material for w window bits:
//! 16·(max(w − 8, 0) + 1)·n bytes to each server and 8·⌈n/64⌉ to server 1. One key serves every threshold, for a
//! comparison with a constant only shifts the public part. **Security** a server sees bits under fresh mask bits; its
//! keys alone are noise as long as the hash is, which is keyed per session (see [`blindroute_ring::fss`]): one assumption
//! more than digits need, which rest on the seeds' generator only. **Error** that of [`comparison`]. **Source** Boyle, Gilboa,
//! Ishai, CCS'16; offsets as in Boyle, Gilboa, Ishai, TCC'19; Grotto, Storrier et al., CCS'23. **Differs from the
//! source** in that the window's top bit is apart, and that the opened result is a masked bit of the other gates.

use super::comparison::{self, Comparison};
use super::opening;
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::material::record::Keys;
use crate::material::word::RingWord;
use crate::operation::world::Planes;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::fss::BitKeys;
use blindroute_ring::{Tensor, Word, digits};
use std::sync::Arc;

/// Keys that are dealt, sent and evaluated at a time; a multiple of 64.
const CHUNK: usize = 4096;

/// Starts and lengths of the chunks of `len` keys.
pub(super) fn chunks(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).step_by(CHUNK).map(move |start| (start, CHUNK.min(len - start)))
}

/// Bits of a window that a key can have, the sign included.
pub(super) const WINDOW_MAX: u32 = 31;

/// The window below its top bit.
#[inline(always)]
pub(super) fn window<W: Word>(word: W, comparison: &Comparison) -> u32 {
    word.shift_right(comparison.low).low_bits(comparison.window() - 1).low_u64() as u32
}

/// Which bit of a word is the window's top.
pub(super) const fn top_bit(comparison: &Comparison) -> u32 {
    comparison.low + comparison.digits * comparison.digit_bits
}

/// The public points of one threshold.
pub(super) fn points<W: Word>(public: &[W], threshold: i64, comparison: &Comparison) -> Vec<u32> {
    let shift = W::from_i64(threshold);
    public.iter().map(|&m| window(m.minus(shift), comparison)).collect()
}

/// Material that does not fit the program.
pub(super) fn mismatch() -> Error {
    Error::MaterialMismatch { expected: "keys" }
}

/// The mask's top bit, shared.
fn top_plane<W: Word>(words: &[W], comparison: &Comparison) -> BitTensor {
    let mut top = BitTensor::zeros(1, words.len());
    digits::top_bits(words, W::ZERO, top_bit(comparison), top.plane_mut(0));
    top
}

/// The comparison by keys, for [`Machine::compare`](crate::Machine::compare).
pub(super) struct CompareByKeys<'a> {
    pub(super) comparison: &'a Comparison,
    pub(super) form: Form,
}

impl<W: RingWord> Operation<kind::Masked<W>, kind::MaskedBits> for CompareByKeys<'_> {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Planes<f32>, Error> {
        Ok(comparison::clear(&x, self.comparison, &self.form))
    }

    fn fixed(&self, ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Planes<i128>, Error> {
        comparison::fixed(ranges, &x, self.comparison)
    }

    fn cost(&self, meter: &mut CostMeter) {
        let (len, depth) = (self.form.shape.len(), self.comparison.window() - 1);
        let keys: usize = chunks(len).map(|(_, count)| BitKeys::byte_len(count, depth)).sum();
        meter.material(BitTensor::byte_len(1, len) + 2 * keys);
        meter.message_of_bits(self.comparison.thresholds.len(), len);
        meter.exchange();
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<Arc<BitTensor>, Error> {
        let (words, comparison) = (mask.expose().data(), self.comparison);
        let top = role.correlated_bits(1, words.len(), || top_plane(words, comparison))?;
        role.hand_bits(top)?;
        let depth = comparison.window() - 1;
        for (start, count) in chunks(words.len()) {
            role.keys(count, BitKeys::byte_len(count, depth), |hash_key, roots, bytes| {
                let secret = zeroize::Zeroizing::new(points(&words[start..start + count], 0, comparison));
                BitKeys::deal(hash_key, roots, &secret, depth).to_bytes(bytes);
            })?;
        }
        opening::offline_bits(role, comparison.thresholds.len(), words.len())
    }

    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Arc<BitTensor>, Error> {
        let bits = self.shares(server, public.data())?;
        server.open_bits(bits)
    }
}

impl CompareByKeys<'_> {
    /// Shares of [x ≥ t], one plane per threshold. No communication.
    fn shares<W: RingWord>(&self, server: &mut impl Server, words: &[W]) -> Result<BitTensor, Error> {
        let comparison = self.comparison;
        let party = usize::from(!server.leads());
        let leads = if server.leads() { u64::MAX } else { 0 };
        let mask_top = server.pop_bits(1, words.len())?;
        let mut result = BitTensor::zeros(comparison.thresholds.len(), words.len());
        for (plane, &threshold) in comparison.thresholds.iter().enumerate() {
            let plane = result.plane_mut(plane);
            digits::top_bits(words, W::from_i64(threshold), top_bit(comparison), plane);
            for (word, mask_top) in plane.iter_mut().zip(mask_top.plane(0)) {
                // [x ≥ t] is 1 less the sign.
                *word = (*word & leads) ^ mask_top ^ leads;
            }
        }
        for (start, count) in chunks(words.len()) {
            let Keys { hash_key, roots, corrections } = server.pop_keys(count)?;
            let keys = BitKeys::from_bytes(&corrections, count, comparison.window() - 1).ok_or_else(mismatch)?;
            for (plane, &threshold) in comparison.thresholds.iter().enumerate() {
                let points = points(&words[start..start + count], threshold, comparison);
                let less = zeroize::Zeroizing::new(keys.evaluate(&hash_key, party, &roots, &points));
                for (word, less) in result.plane_mut(plane)[start / 64..].iter_mut().zip(less.iter()) {
                    *word ^= less;
                }
            }
        }
        Ok(result)
    }
}
