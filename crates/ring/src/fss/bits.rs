//! Keys whose value is the bit \[c < r\], in exclusive-or shares.

use super::hash::{Hash, HashKey};
use super::{BATCH, Node, correct, spread};
use zeroize::{Zeroize, Zeroizing};

/// Levels that the last block stands for.
const LEAF: u32 = 7;
/// The bit of a hash, and of a correction, that is the level's value.
const VALUE: u32 = 2;

/// The corrections of many keys, the same for both holders. Wiped on drop; prints its size only.
pub struct BitKeys {
    depth: u32,
    len: usize,
    /// Level after level, then the last blocks.
    words: Zeroizing<Vec<u128>>,
}

impl std::fmt::Debug for BitKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BitKeys({} of depth {}, redacted)", self.len, self.depth)
    }
}

impl BitKeys {
    fn levels(depth: u32) -> usize {
        depth.saturating_sub(LEAF) as usize
    }

    /// Bytes of `len` keys for r below 2^depth.
    pub fn byte_len(len: usize, depth: u32) -> usize {
        (Self::levels(depth) + 1) * len * 16
    }

    /// The keys of secret points below 2^depth, from both parties' roots, which must not depend on `key`.
    pub fn deal(key: &HashKey, roots: [&[u128]; 2], points: &[u32], depth: u32) -> Self {
        let (len, levels) = (points.len(), Self::levels(depth));
        let mut words = Zeroizing::new(vec![0; (levels + 1) * len]);
        let mut hash = Hash::new(key);
        let mut hashes = [[[0u128; BATCH]; 2]; 2];
        for start in (0..len).step_by(BATCH) {
            let count = BATCH.min(len - start);
            let points = &points[start..start + count];
            let mut nodes = [0, 1].map(|party| {
                let roots = roots[party][start..start + count].iter();
                Zeroizing::new(roots.map(|&root| Node::root(root, party)).collect::<Vec<_>>())
            });
            for level in 0..levels {
                for (nodes, hashes) in nodes.iter().zip(&mut hashes) {
                    for (side, hashes) in (0u128..).zip(hashes.iter_mut()) {
                        hash.children(nodes.iter().map(|node| (node.seed, side)), &mut hashes[..count]);
                    }
                }
                let words = &mut words[level * len + start..][..count];
                for (index, (word, &point)) in words.iter_mut().zip(points).enumerate() {
                    let direction = spread(u128::from(point), depth - 1 - level as u32);
                    let [left, right] = [0, 1].map(|side| [hashes[0][side][index], hashes[1][side][index]]);
                    // Whoever goes left where r goes right is below r.
                    let value = (left[0] ^ left[1] ^ direction) & 1 << VALUE;
                    *word = (correct(left, right, direction) & !(1 << VALUE)) | value;
                    for (party, nodes) in nodes.iter_mut().enumerate() {
                        let hash = (left[party] & !direction) | (right[party] & direction);
                        nodes[index] = nodes[index].child(hash, direction as u32 & 1, *word);
                    }
                }
            }
            for (nodes, hashes) in nodes.iter().zip(&mut hashes) {
                hash.values(nodes.iter().map(|node| (node.seed, 0)), &mut hashes[0][..count]);
            }
            let leaves = words[levels * len + start..][..count].iter_mut().zip(points);
            for (index, (word, &point)) in leaves.enumerate() {
                let below = (1u128 << (point & ((1 << LEAF) - 1))) - 1;
                *word = hashes[0][0][index] ^ hashes[1][0][index] ^ below;
            }
        }
        hashes.zeroize();
        Self { depth, len, words }
    }

    /// `party`'s shares of \[c < r\] for each key's c: bit i mod 64 of word i / 64. `key` is the dealer's.
    pub fn evaluate(&self, key: &HashKey, party: usize, roots: &[u128], points: &[u32]) -> Vec<u64> {
        let (len, levels) = (self.len, Self::levels(self.depth));
        let mut bits = vec![0u64; len.div_ceil(64)];
        let mut hash = Hash::new(key);
        let mut hashes = [0u128; BATCH];
        for start in (0..len).step_by(BATCH) {
            let count = BATCH.min(len - start);
            let points = &points[start..start + count];
            let roots = roots[start..start + count].iter();
            let mut nodes: Zeroizing<Vec<_>> = Zeroizing::new(roots.map(|&root| Node::root(root, party)).collect());
            let mut values = [0u64; BATCH];
            for level in 0..levels {
                let bit = self.depth - 1 - level as u32;
                let children = nodes.iter().zip(points).map(|(node, &c)| (node.seed, u128::from(c >> bit & 1)));
                hash.children(children, &mut hashes[..count]);
                let words = &self.words[level * len + start..][..count];
                for (index, (node, &c)) in nodes.iter_mut().zip(points).enumerate() {
                    let side = c >> bit & 1;
                    let value = hashes[index] as u64 ^ (words[index] as u64 & node.control);
                    values[index] ^= value & u64::from(side).wrapping_sub(1);
                    *node = node.child(hashes[index], side, words[index]);
                }
            }
            hash.values(nodes.iter().map(|node| (node.seed, 0)), &mut hashes[..count]);
            let words = &self.words[levels * len + start..][..count];
            for (index, (node, &c)) in nodes.iter().zip(points).enumerate() {
                let leaf = (hashes[index] ^ (words[index] & node.mask())) >> (c & ((1 << LEAF) - 1));
                let bit = (values[index] >> VALUE ^ leaf as u64) & 1;
                bits[(start + index) / 64] |= bit << ((start + index) % 64);
            }
            values.zeroize();
        }
        hashes.zeroize();
        bits
    }

    /// Appends the corrections to `bytes`.
    pub fn to_bytes(&self, bytes: &mut Vec<u8>) {
        crate::reserve_wiped(bytes, self.words.len() * 16);
        bytes.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
    }

    /// Reads what [`BitKeys::to_bytes`] wrote; `None` if the length is not the expected one.
    pub fn from_bytes(bytes: &[u8], len: usize, depth: u32) -> Option<Self> {
        if bytes.len() != Self::byte_len(len, depth) {
            return None;
        }
        let words = bytes.as_chunks::<16>().0.iter().map(|chunk| u128::from_le_bytes(*chunk)).collect();
        Some(Self { depth, len, words: Zeroizing::new(words) })
    }
}
