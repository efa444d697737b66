//! Keys whose value is \[c < r\]·β for a vector β of ring words, in additive shares.

use super::hash::Hash;
use super::{BATCH, Node, correct, spread};
use crate::{Word, pack};
use zeroize::{Zeroize, Zeroizing};

/// What a payload key looks like: public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// r and c are below 2^depth, depth at least 1.
    pub depth: u32,
    /// The ring of each word of the payload: Z_2^bits.
    pub rings: Vec<u32>,
}

impl Shape {
    /// Bytes of `len` keys.
    pub fn byte_len(&self, len: usize) -> usize {
        let depth = self.depth as usize;
        let values: usize = self.rings.iter().map(|&bits| pack::packed_len(depth * len, bits)).sum();
        (depth - 1) * len * 16 + values
    }

    /// Words of the payload.
    fn width(&self) -> usize {
        self.rings.len()
    }
}

/// Which block of a node's values word `index` of a payload lies in, and at which bit.
const fn place<V: Word>(index: usize) -> (u128, u32) {
    let words = 128 / V::BITS as usize;
    ((index / words) as u128, (index % words) as u32 * V::BITS)
}

/// The corrections of many keys, the same for both holders. Wiped on drop; prints its size only.
pub struct PayloadKeys<V: Word> {
    shape: Shape,
    len: usize,
    /// Level after level; the last level has none.
    seeds: Zeroizing<Vec<u128>>,
    /// For each word of the payload, level after level.
    values: Vec<Zeroizing<Vec<V>>>,
}

impl<V: Word> std::fmt::Debug for PayloadKeys<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PayloadKeys({} of {:?}, redacted)", self.len, self.shape)
    }
}

impl<V: Word> PayloadKeys<V> {
    /// The keys of secret points below 2^depth, from both parties' roots; `payload` has a slice for each word of β.
    ///
    /// # Panics
    /// If the payload takes more than eight blocks, or has not a slice for each ring.
    pub fn deal(shape: Shape, roots: [&[u128]; 2], points: &[u32], payload: &[&[V]]) -> Self {
        let (len, depth, width) = (points.len(), shape.depth as usize, shape.width());
        assert_eq!(payload.len(), width, "words of a payload");
        let blocks = width.checked_sub(1).map_or(0, |last| place::<V>(last).0 as usize + 1);
        assert!(blocks <= 8, "a payload of {blocks} blocks");
        let mut seeds = Zeroizing::new(vec![0; (depth - 1) * len]);
        let mut values: Vec<_> = (0..width).map(|_| Zeroizing::new(vec![V::ZERO; depth * len])).collect();
        let mut hash = Hash::default();
        let mut hashes = [[[0u128; BATCH]; 2]; 2];
        let mut converted = [vec![0u128; blocks * BATCH], vec![0u128; blocks * BATCH]];
        for start in (0..len).step_by(BATCH) {
            let count = BATCH.min(len - start);
            let points = &points[start..start + count];
            let mut nodes = [0, 1].map(|party| {
                let roots = roots[party][start..start + count].iter();
                Zeroizing::new(roots.map(|&root| Node::root(root, party)).collect::<Vec<_>>())
            });
            for level in 0..depth {
                let bit = (depth - 1 - level) as u32;
                for (nodes, converted) in nodes.iter().zip(&mut converted) {
                    for (block, out) in (0u128..).zip(converted.chunks_exact_mut(BATCH)) {
                        hash.values(nodes.iter().map(|node| (node.seed, block)), &mut out[..count]);
                    }
                }
                for (word, (values, payload)) in values.iter_mut().zip(payload).enumerate() {
                    let (block, shift) = place::<V>(word);
                    let at = block as usize * BATCH;
                    let values = &mut values[level * len + start..][..count];
                    for (index, value) in values.iter_mut().enumerate() {
                        let of = |party: usize| V::from_u128(converted[party][at + index] >> shift);
                        let wanted = payload[start + index].bit_and(V::from_u128(spread(points[index].into(), bit)));
                        let difference = wanted.minus(of(0)).plus(of(1));
                        // Of the holders, the one whose control bit is set adds it: the sign is that one's.
                        let sign = V::from_u128(nodes[1][index].mask());
                        *value = difference.bit_xor(sign).minus(sign);
                    }
                }
                if level + 1 == depth {
                    break;
                }
                for (nodes, hashes) in nodes.iter().zip(&mut hashes) {
                    for (side, hashes) in (0u128..).zip(hashes.iter_mut()) {
                        hash.children(nodes.iter().map(|node| (node.seed, side)), &mut hashes[..count]);
                    }
                }
                for (index, &point) in points.iter().enumerate() {
                    let direction = spread(point.into(), bit);
                    let [left, right] = [0, 1].map(|side| [hashes[0][side][index], hashes[1][side][index]]);
                    let correction = correct(left, right, direction);
                    seeds[level * len + start + index] = correction;
                    for (party, nodes) in nodes.iter_mut().enumerate() {
                        let hash = (left[party] & !direction) | (right[party] & direction);
                        nodes[index] = nodes[index].child(hash, direction as u32 & 1, correction);
                    }
                }
            }
        }
        hashes.zeroize();
        converted.zeroize();
        Self { shape, len, seeds, values }
    }

    /// `party`'s shares of words of \[c < r\]·β for each key's c: those words that `cases` lists for the key's case, the
    /// first of each case, then the second, and so on. Points and cases are public.
    ///
    /// # Panics
    /// If the cases list different numbers of words.
    pub fn evaluate(
        &self,
        party: usize,
        roots: &[u128],
        points: &[u32],
        cases: [&[usize]; 2],
        case: impl Fn(usize) -> usize,
    ) -> Vec<Vec<V>> {
        let (len, depth) = (self.len, self.shape.depth as usize);
        let width = cases[0].len();
        assert_eq!(width, cases[1].len(), "words of the two cases");
        let blocks = cases.map(|words| {
            let mut blocks: Vec<u128> = words.iter().map(|&word| place::<V>(word).0).collect();
            blocks.dedup();
            blocks
        });
        let count_blocks = blocks[0].len();
        assert_eq!(count_blocks, blocks[1].len(), "blocks of the two cases");
        // Of each case's words: which of the case's blocks, and the bit in it.
        let slots = [0, 1].map(|case| {
            let slot = |&word: &usize| {
                let (block, shift) = place::<V>(word);
                (blocks[case].iter().position(|&found| found == block).unwrap_or_default() * BATCH, shift)
            };
            cases[case].iter().map(slot).collect::<Vec<_>>()
        });
        let mut out = vec![vec![V::ZERO; len]; width];
        let mut hash = Hash::default();
        let mut hashes = [0u128; BATCH];
        let mut converted = vec![0u128; count_blocks * BATCH];
        let mut lefts = Vec::with_capacity(BATCH);
        for start in (0..len).step_by(BATCH) {
            let count = BATCH.min(len - start);
            let points = &points[start..start + count];
            let roots = roots[start..start + count].iter();
            let mut nodes: Zeroizing<Vec<_>> = Zeroizing::new(roots.map(|&root| Node::root(root, party)).collect());
            for level in 0..depth {
                let bit = (depth - 1 - level) as u32;
                lefts.clear();
                lefts.extend((0..count).filter(|&index| points[index] >> bit & 1 == 0));
                for (at, out) in converted.chunks_exact_mut(BATCH).enumerate() {
                    let blocks = lefts.iter().map(|&i| (nodes[i].seed, blocks[case(start + i)][at]));
                    hash.values(blocks, &mut out[..lefts.len()]);
                }
                let level_at = level * len + start;
                for (word, out) in out.iter_mut().enumerate() {
                    let sums = &mut out[start..][..count];
                    let ways = [0, 1].map(|case| {
                        let (slot, shift) = slots[case][word];
                        (&converted[slot..][..lefts.len()], shift, &self.values[cases[case][word]][level_at..][..count])
                    });
                    for (at, &index) in lefts.iter().enumerate() {
                        let (converted, shift, corrections) = ways[case(start + index)];
                        let value = V::from_u128(converted[at] >> shift);
                        let correction = corrections[index].bit_and(V::from_u128(nodes[index].mask()));
                        sums[index] = sums[index].plus(value).plus(correction);
                    }
                }
                if level + 1 == depth {
                    break;
                }
                let children = nodes.iter().zip(points).map(|(node, &c)| (node.seed, u128::from(c >> bit & 1)));
                hash.children(children, &mut hashes[..count]);
                let seeds = &self.seeds[level_at..][..count];
                for (index, (node, &c)) in nodes.iter_mut().zip(points).enumerate() {
                    *node = node.child(hashes[index], c >> bit & 1, seeds[index]);
                }
            }
        }
        hashes.zeroize();
        converted.zeroize();
        if party == 1 {
            out.iter_mut().flatten().for_each(|word| *word = V::ZERO.minus(*word));
        }
        out
    }

    /// Appends the corrections to `bytes`, each value in the bits of its ring.
    pub fn to_bytes(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.seeds.iter().flat_map(|word| word.to_le_bytes()));
        for (values, &bits) in self.values.iter().zip(&self.shape.rings) {
            pack::pack(values, bits, bytes);
        }
    }

    /// Reads what [`PayloadKeys::to_bytes`] wrote; nothing if the length is another.
    pub fn from_bytes(bytes: &[u8], len: usize, shape: Shape) -> Option<Self> {
        if shape.depth == 0 || bytes.len() != shape.byte_len(len) {
            return None;
        }
        let (seeds, mut rest) = bytes.split_at((shape.depth as usize - 1) * len * 16);
        let seeds = seeds.as_chunks::<16>().0.iter().map(|chunk| u128::from_le_bytes(*chunk)).collect();
        let count = shape.depth as usize * len;
        let mut values = Vec::with_capacity(shape.width());
        for &bits in &shape.rings {
            let (now, later) = rest.split_at(pack::packed_len(count, bits));
            values.push(Zeroizing::new(pack::unpack(now, count, bits)));
            rest = later;
        }
        Some(Self { shape, len, seeds: Zeroizing::new(seeds), values })
    }
}
