//! Matrix products in the ring.
//!
//! Products of secret shares by weights are nearly all of the computation, and libraries for floating point cannot compute them
//! (products of f32 are in [`floats`](crate::floats)). The right
//! factor is laid out once for one kernel ([`PackedMatrix`]); the left one is read where it lies. The kernel is chosen for
//! the process when it first packs, the best that the processor has: see [`kernel_name`]. The environment variable
//! `BLINDROUTE_KERNEL` (`portable`, `avx2`, `avx512`, `avx512ifma`, `amx` or `auto`) chooses another, and [`PackedMatrix::pack_with`]
//! does for one matrix. Every kernel gives the same words, up to the ring's width: arithmetic wraps, and nothing is
//! rounded.
//!
//! A vector kernel holds a tile of sums in registers while it walks down the inner dimension; `tile` walks the tiles.
//! The kernel of byte tiles works on the bytes of the words: `limbs` splits words and adds up sums, `amx` multiplies. For
//! a ring of 40 bits in 64-bit words it needs 15 products instead of 36, and 5 bytes per element instead of 8; of the other
//! kernels only `avx512ifma` looks at the width. All `unsafe` of these products is the calls of the kernels behind detection (`multiply`,
//! `amx`), the tiles' assembly (`amx`), and the casts between words and vectors (`avx2`, `avx512`, `limbs`).
//!
//! To add a vector kernel, add a variant of [`Kernel`], a module with `TILES` and `tile` for each word, and an arm in
//! `multiply`; tests and benches cover it without a change.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod choice;
mod kernel;
mod layout;
#[cfg(target_arch = "x86_64")]
mod limbs;
mod multiply;
mod packed;
mod panels;
mod portable;
mod tile;

#[cfg(test)]
mod tests;

pub use choice::{kernel, kernel_name};
pub use kernel::Kernel;
pub use layout::MatrixLayout;
pub use packed::PackedMatrix;
pub(crate) use panels::fill_panel;

use crate::Word;
use multiply::Multiply;

/// A word whose matrices can be multiplied: `u32`, `u64` and `u128`.
pub trait MatrixWord: Word + Multiply {}

impl<W: Word + Multiply> MatrixWord for W {}

/// `out = left · right`, with `left` `[rows, inner]` and `out` `[rows, columns]`, both row by row, by the kernel that `right`
/// is packed for and modulo 2 to the power of its width.
///
/// # Panics
/// If the lengths do not fit.
pub fn matmul<W: MatrixWord>(left: &[W], right: &PackedMatrix<W>, out: &mut [W]) {
    let (inner, columns) = (right.inner(), right.columns());
    let rows = left.len().checked_div(inner).or(out.len().checked_div(columns)).unwrap_or(0);
    assert_eq!(left.len(), rows * inner, "the left factor has rows of {inner}");
    assert_eq!(out.len(), rows * columns, "the product has {rows} rows of {columns}");
    if inner == 0 {
        out.fill(W::ZERO);
    } else {
        W::multiply(right.kernel(), left, right.elements(), out);
    }
}
