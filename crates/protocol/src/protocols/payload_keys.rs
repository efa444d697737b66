//! Keys of function secret sharing whose payload is the sign of the mask times parts of it: what
//! [`rectifier`](super::rectifier) and [`spline_keys`](super::spline_keys) share.
//!
//! **Computes** shares of \[c < r\]·(1 − 2τ)·part for each part, c the public window, r the mask's, τ the mask's top bit.
//! **Shapes** n elements, in chunks; one ring per part. **Cost** no opening; material [`PayloadShape::byte_len`] of each
//! chunk, to each server. **Security** shares only; keys are computational, see [`point`](super::point). Exact. **Source**
//! and difference as for [`rectifier`](super::rectifier).

use super::comparison::Comparison;
use super::point::{chunks, mismatch, points, top_bit};
use crate::error::Error;
use crate::material::record::Keys;
use crate::material::word::RingWord;
use crate::operation::{OfflineRole, Server};
use blindroute_ring::fss::{HashKey, PayloadKeys, PayloadShape};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Deals keys for the elements of a mask. `part(word, element)` is word `word` of an element's payload, without its sign.
pub(super) fn offline<W: RingWord, V: RingWord>(
    role: &mut impl OfflineRole,
    mask: &[W],
    comparison: &Comparison,
    shape: &PayloadShape,
    part: impl Fn(usize, usize) -> V,
) -> Result<(), Error> {
    let bit = top_bit(comparison);
    for (start, count) in chunks(mask.len()) {
        role.keys(count, shape.byte_len(count), |hash_key, roots, bytes| {
            let words = &mask[start..start + count];
            let secret = Zeroizing::new(points(words, 0, comparison));
            let signed = |word: usize| {
                let signs = words.iter().map(|mask| V::from_i64(1 - 2 * mask.bit(bit) as i64)).enumerate();
                let payload = signs.map(|(index, sign)| sign.times(part(word, start + index)));
                Zeroizing::new(payload.collect::<Vec<V>>())
            };
            let payload: Vec<_> = (0..shape.rings.len()).map(signed).collect();
            let payload: Vec<&[V]> = payload.iter().map(|part| part.as_slice()).collect();
            PayloadKeys::deal(hash_key, shape.clone(), roots, &secret, &payload).to_bytes(bytes);
        })?;
    }
    Ok(())
}

/// A server's keys of one chunk: with them, the session's hash and the roots.
pub(super) struct Chunk<V: RingWord> {
    pub(super) hash_key: Arc<HashKey>,
    pub(super) roots: Zeroizing<Vec<u128>>,
    pub(super) keys: PayloadKeys<V>,
}

impl<V: RingWord> Chunk<V> {
    /// The keys of the next `count` elements.
    pub(super) fn online(server: &mut impl Server, count: usize, shape: &PayloadShape) -> Result<Self, Error> {
        let Keys { hash_key, roots, corrections } = server.pop_keys(count)?;
        let keys = PayloadKeys::from_bytes(&corrections, count, shape.clone()).ok_or_else(mismatch)?;
        Ok(Self { hash_key, roots, keys })
    }
}

/// Material bytes for `len` elements, both servers' together.
pub(super) fn cost(len: usize, shape: &PayloadShape) -> usize {
    2 * chunks(len).map(|(_, count)| shape.byte_len(count)).sum::<usize>()
}
