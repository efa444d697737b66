//! Ring products by products of bytes: what tiles of bytes ([`amx`](super::amx)) need around them.
//!
//! With x = Σ 2⁸ⁱ xᵢ and y = Σ 2⁸ʲ yⱼ, the product modulo 2^8L is Σ_w 2^8w Σ_(i+j=w) xᵢ yⱼ, w < L: L(L+1)/2 products of
//! byte matrices, 10 for `u32` and 36 for `u64`. A ring of fewer bits needs fewer limbs: 15 products for 40 bits.
//!
//! **One chain per weight.** The left factor's limbs lie one after another in ascending order, the right factor's in
//! descending order. Then the terms of weight w are the product of the left factor's first w+1 limbs by the right
//! factor's last w+1, *one* byte product of inner dimension (w+1)·K, walked front to back on both sides. A limb is padded
//! to 8 bytes only; that a chain may end inside a tile costs nothing, for behind the last limb of the right factor lie zeros.
//!
//! **Exactness.** A tile of sums wraps modulo 2³². The sum of weight w is needed modulo 2^(bits−8w), so wrapping is
//! harmless to `u32` at any length, but not to the low weights of `u64`. [`LONGEST`] steps are 66 048 products of at most
//! 255², together 4 294 771 200 < 2³²: a chain split into such runs has exact sums, and the runs are added as words.
//!
//! **Order.** The sums do not depend on the order of the inner dimension, if both factors have the same. [`split`] takes
//! the order in which it never has to move a byte out of its 32-bit lane. Likewise the columns of a panel of `u64` lie in
//! the order 0, 8, 1, 9, …, so that 32-bit sums widen where they stand ([`LimbWord`]).
//!
//! [`Vectors`] is what is done to whole lines: its definition in plain code, and 512-bit vectors. No branch or index depends
//! on an element.

mod product;
mod right;
mod split;
mod vectors;

#[cfg(test)]
mod tests;

pub(super) use product::product;
#[allow(unreachable_pub, reason = "it stands in a public trait that no other crate can name")]
pub use right::Limbs;
pub(super) use split::LimbWord;
pub(super) use vectors::{Vectors, wide};

/// Rows of a tile, and columns of a panel.
pub(super) const SIDE: usize = 16;
/// Rows of a block: two tiles.
pub(super) const BLOCK: usize = 2 * SIDE;
/// The longest chain whose sums fit 32 bits, in steps of 64 bytes.
pub(super) const LONGEST: usize = (u32::MAX / (255 * 255)) as usize / 64;

/// A row of a tile: 64 bytes, held as the 64-bit lanes that the code around the tiles works on.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u64; 8]);

impl Line {
    pub(super) const ZERO: Self = Self([0; 8]);
}

/// Overwrites with zeros, also if nothing reads them again.
fn wipe(lines: &mut [Line]) {
    lines.fill(Line::ZERO);
    zeroize::optimization_barrier(lines);
}

/// What multiplies tiles: the processor, or in tests a model of it.
pub(super) trait Tiles: Vectors {
    /// Writes the 32-bit sums of one run of a chain.
    fn multiply(&mut self, run: Run<'_>);
}

/// A block of up to 32 rows by one or two panels of 16 columns, over part of a chain.
pub(super) struct Run<'a> {
    /// Rows, 1 to [`BLOCK`].
    pub(super) rows: usize,
    /// Steps of 64 bytes, at least 1.
    pub(super) steps: usize,
    /// `steps · BLOCK` lines: for each step, 64 bytes of each row. What rows past `rows` hold does not matter.
    pub(super) left: &'a [Line],
    /// `steps · SIDE` lines for each panel: a line has 4 bytes of each column.
    pub(super) right: [&'a [Line]; 2],
    /// Whether there is a second panel.
    pub(super) two_panels: bool,
    /// Four tiles of `SIDE` lines: the upper rows by each panel, then the lower rows. Lines without a row, and tiles
    /// without a panel, may keep what they held.
    pub(super) sums: &'a mut [Line; 4 * SIDE],
}

/// How the inner dimension of one limb is laid out: blocks of 64 bytes, and a last one of fewer.
#[derive(Clone, Copy)]
struct Inner {
    /// Elements.
    length: usize,
    /// Bytes: the length rounded up to 8.
    bytes: usize,
}

impl Inner {
    fn new(length: usize) -> Self {
        Self { length, bytes: length.next_multiple_of(8) }
    }

    /// First element of each block, and the lines (of 4 bytes per column) that it takes in the right factor: 16, but in the
    /// last one.
    fn blocks(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.bytes).step_by(64).map(move |start| (start, SIDE.min((self.bytes - start) / 4)))
    }

    /// Lines of one limb of a panel of the right factor.
    fn lines(self) -> usize {
        self.bytes / 4
    }

    /// Steps of the chain of the lowest `limbs` limbs.
    fn steps(self, limbs: usize) -> usize {
        (limbs * self.bytes).div_ceil(64)
    }
}
