//! Function secret sharing of comparisons: two keys, each of which alone is noise, and which both holders evaluate at a
//! public c without talking to each other, to shares of \[c < r\] for a secret r.
//!
//! A key is a root, a node's seed at the top of a binary tree over r's bits, and a list of *corrections*, the same for
//! both holders. A node off r's path has the same state in both keys, and what follows from it cancels; on the path the
//! states are independent. So whoever walks down along c's bits leaves r's path where c and r first differ, and if c
//! goes left there, c < r: one correction per level makes the two shares of that level differ by the wanted value.
//!
//! - [`BitKeys`]: exclusive-or shares of the bit. The last seven levels are one block of 128 bits (early termination).
//! - [`PayloadKeys`]: additive shares of \[c < r\]·β for a vector β of ring words.
//!
//! One key can be evaluated at any number of points c. **Security** one key hides r and β (semi-honest dealer) if the hash is
//! correlation robust; seeds have 125 bits. The hash is keyed by session ([`HashKey`]): its key is public, and drawn before
//! the roots. **Source** Boyle, Gilboa, Ishai, CCS'16, for tree, corrections and early
//! termination; Boyle et al., EUROCRYPT'21, for the comparison's values along the path; prefix sums along one path as in
//! Grotto, Storrier et al., CCS'23. **Differs from the source** in that a level's value is derived from the parent and
//! added at once, so that a walk hashes once per level, and that c = r adds nothing, so that no leaf is needed.
//!
//! Everything secret is handled by masks: no branch or index depends on r, β, a seed or a control bit. The points of
//! evaluation are public, and are branched on.

mod bits;
mod hash;
mod payload;
#[cfg(test)]
mod tests;

pub use bits::BitKeys;
pub use hash::HashKey;
pub use payload::{PayloadCases, PayloadKeys, Shape as PayloadShape};

/// Elements whose trees are walked together, so that the cipher's pipeline is full and the state stays in the cache.
const BATCH: usize = 256;

/// Bits of a node's seed: the low three are the hash's tweak, and in corrections the control and value bits.
const SEED: u128 = !7;

/// All ones if bit `index` of `word` is set, else zero.
#[inline(always)]
const fn spread(word: u128, index: u32) -> u128 {
    (word >> index & 1).wrapping_neg()
}

/// A party's state at a node: the seed, and the control bit as a mask.
#[derive(Clone, Copy, Default)]
struct Node {
    seed: u128,
    control: u64,
}

impl zeroize::DefaultIsZeroes for Node {}

impl Node {
    /// The root of `party`'s key.
    #[inline(always)]
    fn root(root: u128, party: usize) -> Self {
        Self { seed: root & SEED, control: if party == 0 { 0 } else { u64::MAX } }
    }

    /// The control bit as a mask of 128 bits.
    #[inline(always)]
    fn mask(self) -> u128 {
        u128::from(self.control) << 64 | u128::from(self.control)
    }

    /// The child on `side` (0 or 1) whose hash is `hash`, under a level's correction.
    #[inline(always)]
    fn child(self, hash: u128, side: u32, correction: u128) -> Self {
        let control = hash as u64 ^ (correction as u64 >> side & self.control);
        Self { seed: (hash ^ (correction & self.mask())) & SEED, control: (control & 1).wrapping_neg() }
    }
}

/// A level's correction, for the hashes of both parties' children and the direction of r (a mask): outside r's
/// direction the children become equal, in it their control bits differ. Bits 0 and 1 correct the control bits; bit 2 is
/// noise, free for a value.
#[inline(always)]
fn correct(left: [u128; 2], right: [u128; 2], direction: u128) -> u128 {
    let (left, right) = (left[0] ^ left[1], right[0] ^ right[1]);
    let lost = (left & direction) | (right & !direction);
    let control_left = (left ^ direction ^ 1) & 1;
    let control_right = (right ^ direction) & 1;
    (lost & !3) | control_left | control_right << 1
}
