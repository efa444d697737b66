//! Keys whose value is \[c < r\]·β for a vector β of ring words, in additive shares.

use super::hash::{Hash, HashKey};
use super::{BATCH, Node, correct, spread};
use crate::{Word, pack};
use std::ops::Range;
use zeroize::{Zeroize, Zeroizing};

/// The public shape of a payload key.
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
    ((index / in_block::<V>()) as u128, (index % in_block::<V>()) as u32 * V::BITS)
}

/// Which words of each key's payload an evaluation gives: a public choice of two.
#[derive(Clone, Copy, Debug)]
pub struct PayloadCases<'a, F> {
    /// The words of each case; both cases have as many.
    pub words: [&'a [usize]; 2],
    /// The case of each key, 0 or 1.
    pub of: F,
}

/// Keys that are walked together: their corrections stay in the second-level cache, and the cipher's pipeline is full.
const WALKED: usize = 64;

/// Where the words of a node's values are: for each case the numbers of its blocks, and for each of its words which
/// word of [`Walk::converted`] it is for the first key.
struct Slots {
    blocks: [Vec<u128>; 2],
    words: [Vec<usize>; 2],
}

impl Slots {
    fn new<V: Word>(cases: [&[usize]; 2]) -> Self {
        let mut blocks = cases.map(|words| {
            let mut blocks: Vec<u128> = words.iter().map(|&word| place::<V>(word).0).collect();
            blocks.dedup();
            blocks
        });
        // All keys of a batch are hashed alike: the case of fewer blocks repeats its first.
        let most = blocks[0].len().max(blocks[1].len());
        for blocks in &mut blocks {
            let first = blocks.first().copied().unwrap_or_default();
            blocks.resize(most, first);
        }
        let words = [0, 1].map(|case| {
            let slot = |&word: &usize| {
                let (block, shift) = place::<V>(word);
                let block = blocks[case].iter().position(|&found| found == block).unwrap_or_default();
                block * WALKED * in_block::<V>() + (shift / V::BITS) as usize
            };
            cases[case].iter().map(slot).collect()
        });
        Self { blocks, words }
    }
}

/// The walk of a batch of keys along one list of points. Wiped on drop; nothing grows, for that would leave copies behind.
struct Walk<'a, V: Word> {
    depth: u32,
    cases: Vec<usize>,
    /// Corrections, level after level, of each key its case's words.
    values: Vec<V>,
    seeds: Vec<u128>,
    nodes: Vec<Node>,
    /// Of each key its words.
    sums: Vec<V>,
    hash: Hash<'a>,
    hashes: Vec<u128>,
    /// A block of each key that goes left, and the words of all blocks.
    blocks: Vec<u128>,
    converted: Vec<V>,
    lefts: Vec<usize>,
    /// Of those that go left, seeds and cases.
    left: Vec<(u128, usize)>,
}

impl<V: Word> Drop for Walk<'_, V> {
    fn drop(&mut self) {
        self.values.zeroize();
        self.seeds.zeroize();
        self.nodes.zeroize();
        self.sums.zeroize();
        self.hashes.zeroize();
        self.blocks.zeroize();
        self.converted.zeroize();
        self.left.zeroize();
    }
}

impl<'a, V: Word> Walk<'a, V> {
    fn new(key: &'a HashKey, depth: u32, slots: &Slots) -> Self {
        let (levels, width) = (depth as usize, slots.words[0].len());
        Self {
            depth,
            cases: Vec::with_capacity(WALKED),
            values: Vec::with_capacity(levels * WALKED * width),
            seeds: Vec::with_capacity(levels * WALKED),
            nodes: Vec::with_capacity(WALKED),
            sums: Vec::with_capacity(WALKED * width),
            hash: Hash::new(key),
            hashes: Vec::with_capacity(WALKED),
            blocks: vec![0; WALKED],
            converted: vec![V::ZERO; slots.blocks[0].len() * WALKED * in_block::<V>()],
            lefts: vec![0; WALKED],
            left: Vec::with_capacity(WALKED),
        }
    }

    fn run(&mut self, party: usize, roots: &[u128], points: &[u32], slots: &Slots) {
        let (count, width) = (points.len(), slots.words[0].len());
        self.nodes.clear();
        self.nodes.extend(roots.iter().map(|&root| Node::root(root, party)));
        self.sums.clear();
        self.sums.resize(count * width, V::ZERO);
        self.hashes.resize(count, 0);
        for level in 0..self.depth as usize {
            let bit = self.depth - 1 - level as u32;
            self.pay(level, bit, points, slots);
            if level + 1 == self.depth as usize {
                return;
            }
            let children = self.nodes.iter().zip(points).map(|(node, &c)| (node.seed, u128::from(c >> bit & 1)));
            self.hash.children(children, &mut self.hashes);
            let corrections = self.seeds[level * count..][..count].iter().zip(&self.hashes);
            for ((node, &c), (&seed, &hash)) in self.nodes.iter_mut().zip(points).zip(corrections) {
                *node = node.child(hash, c >> bit & 1, seed);
            }
        }
    }

    /// Adds a level's values to the sums of the keys that go left there.
    fn pay(&mut self, level: usize, bit: u32, points: &[u32], slots: &Slots) {
        let (count, width) = (points.len(), slots.words[0].len());
        let mut left = 0;
        // Where a path turns is as good as random: no branch.
        for (index, &point) in points.iter().enumerate() {
            self.lefts[left] = index;
            left += usize::from(point >> bit & 1 == 0);
        }
        let lefts = &self.lefts[..left];
        self.left.clear();
        self.left.extend(lefts.iter().map(|&index| (self.nodes[index].seed, self.cases[index])));
        for (at, out) in self.converted.chunks_exact_mut(WALKED * in_block::<V>()).enumerate() {
            let numbers = [slots.blocks[0][at], slots.blocks[1][at]];
            let blocks = &mut self.blocks[..left];
            self.hash.values(self.left.iter().map(|&(seed, case)| (seed, numbers[case])), blocks);
            for (words, &block) in out.chunks_exact_mut(in_block::<V>()).zip(blocks.iter()) {
                for (word, out) in (0u32..).zip(words) {
                    *out = word_at(block, word * V::BITS);
                }
            }
        }
        for (at, &index) in lefts.iter().enumerate() {
            let mask = V::from_u128(self.nodes[index].mask());
            let corrections = &self.values[(level * count + index) * width..][..width];
            let sums = &mut self.sums[index * width..][..width];
            let places = &slots.words[self.cases[index]];
            for ((sum, &correction), &place) in sums.iter_mut().zip(corrections).zip(places) {
                let value = self.converted[place + at * in_block::<V>()];
                *sum = sum.plus(value).plus(correction.bit_and(mask));
            }
        }
    }
}

/// Words of a block.
const fn in_block<V: Word>() -> usize {
    128 / V::BITS as usize
}

/// The word at a bit of a block.
#[inline(always)]
fn word_at<V: Word>(block: u128, shift: u32) -> V {
    // Blocks of one word need no shift, which takes as long as the rest.
    V::from_u128(if V::BITS == 128 { block } else { block >> shift })
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
    /// The keys of secret points below 2^depth, from both parties' roots, which must not depend on `key`; `payload` has a
    /// slice for each word of β.
    ///
    /// # Panics
    /// If the payload takes more than eight blocks, or has not a slice for each ring.
    pub fn deal(key: &HashKey, shape: Shape, roots: [&[u128]; 2], points: &[u32], payload: &[&[V]]) -> Self {
        let (len, depth, width) = (points.len(), shape.depth as usize, shape.width());
        assert_eq!(payload.len(), width, "words of a payload");
        let blocks = width.checked_sub(1).map_or(0, |last| place::<V>(last).0 as usize + 1);
        assert!(blocks <= 8, "a payload of {blocks} blocks");
        let mut seeds = Zeroizing::new(vec![0; (depth - 1) * len]);
        let mut values: Vec<_> = (0..width).map(|_| Zeroizing::new(vec![V::ZERO; depth * len])).collect();
        let mut hash = Hash::new(key);
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
                        let of = |party: usize| word_at::<V>(converted[party][at + index], shift);
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

    /// `party`'s shares of words of \[c < r\]·β, for each list of points the shares at each key's c there: those words that
    /// `cases` has for the key, the first of its case, then the second, and so on. Points and cases are public.
    ///
    /// A batch of keys is walked for all lists while it stays in the cache.
    ///
    /// # Panics
    /// If the cases list different numbers of words.
    pub fn evaluate(
        &self,
        key: &HashKey,
        party: usize,
        roots: &[u128],
        lists: &[Vec<u32>],
        cases: &PayloadCases<'_, impl Fn(usize) -> usize>,
    ) -> Vec<Vec<Vec<V>>> {
        let (len, width) = (self.len, cases.words[0].len());
        assert_eq!(width, cases.words[1].len(), "words of the two cases");
        let slots = Slots::new::<V>(cases.words);
        let mut out = vec![vec![vec![V::ZERO; len]; width]; lists.len()];
        let mut walk = Walk::new(key, self.shape.depth, &slots);
        for start in (0..len).step_by(WALKED) {
            let count = WALKED.min(len - start);
            self.gather(start..start + count, cases, &mut walk);
            let roots = &roots[start..start + count];
            for (points, out) in lists.iter().zip(&mut out) {
                walk.run(party, roots, &points[start..start + count], &slots);
                for (word, out) in out.iter_mut().enumerate() {
                    for (out, sums) in out[start..].iter_mut().zip(walk.sums.chunks_exact(width.max(1))) {
                        // The second party's share is what cancels the first's.
                        *out = if party == 1 { V::ZERO.minus(sums[word]) } else { sums[word] };
                    }
                }
            }
        }
        out
    }

    /// Brings a batch's corrections together, in the order in which they are read.
    fn gather(&self, keys: Range<usize>, cases: &PayloadCases<'_, impl Fn(usize) -> usize>, walk: &mut Walk<'_, V>) {
        walk.cases.clear();
        walk.cases.extend(keys.clone().map(&cases.of));
        walk.values.clear();
        walk.seeds.clear();
        for level in 0..self.shape.depth as usize {
            let at = level * self.len + keys.start;
            for (index, &case) in walk.cases.iter().enumerate() {
                walk.values.extend(cases.words[case].iter().map(|&word| self.values[word][at + index]));
            }
            walk.seeds.extend_from_slice(self.seeds.get(at..at + keys.len()).unwrap_or_default());
        }
    }

    /// Appends the corrections to `bytes`, each value in the bits of its ring.
    pub fn to_bytes(&self, bytes: &mut Vec<u8>) {
        crate::reserve_wiped(bytes, self.shape.byte_len(self.len));
        bytes.extend(self.seeds.iter().flat_map(|word| word.to_le_bytes()));
        for (values, &bits) in self.values.iter().zip(&self.shape.rings) {
            pack::pack(values, bits, bytes);
        }
    }

    /// Reads what [`PayloadKeys::to_bytes`] wrote; `None` if the length is not the expected one.
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
