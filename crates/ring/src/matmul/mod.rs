//! Matrix product in the ring.
//!
//! Products of secret shares by weights are nearly all of the computation, and no float library does them. The right
//! factor is laid out once ([`PackedMatrix`], the same for every kernel); the left one is read where it lies. One kernel
//! is chosen for the process at its first product, the best that the processor has: see [`kernel_name`]. The environment
//! variable `BLINDROUTE_KERNEL` (`portable`, `avx2`, `avx512` or `auto`) chooses another, and [`matmul_with`] does for one
//! product. Every kernel gives the same words: arithmetic wraps, so there is no rounding to differ in.
//!
//! A kernel holds a tile of sums in registers while it walks down the inner dimension; `tile` walks the tiles. All
//! `unsafe` of the project is the calls of the kernels behind detection (`multiply`) and the casts between words and
//! vectors (`avx2`, `avx512`).
//!
//! A new kernel is a variant of [`Kernel`], a module with `ROWS` and `tile` for each word, and an arm in `multiply`; the
//! tests and benches take it up by themselves. One that needs another layout (AMX: byte limbs) keeps it in
//! [`PackedMatrix`] beside the panels.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod kernel;
mod multiply;
mod packed;
mod portable;
mod tile;

#[cfg(test)]
mod tests;

pub use kernel::{Kernel, kernel, kernel_name};
pub(crate) use multiply::Multiply;
pub use packed::{Matrix, PackedMatrix};

use crate::Word;

/// `out = left · right`, with `left` `[rows, inner]` and `out` `[rows, columns]`, both row by row.
///
/// # Panics
/// If the lengths do not fit.
pub fn matmul<W: Word>(left: &[W], right: &PackedMatrix<W>, out: &mut [W]) {
    matmul_with(kernel(), left, right, out);
}

/// [`matmul`] by one kernel, for tests and benches. `u128` has the portable kernel only, and gets it.
///
/// # Panics
/// If the lengths do not fit, or the machine has no such kernel ([`Kernel::available`]).
pub fn matmul_with<W: Word>(kernel: Kernel, left: &[W], right: &PackedMatrix<W>, out: &mut [W]) {
    assert!(kernel.is_available(), "this machine has no kernel {}", kernel.name());
    let (inner, columns) = (right.inner(), right.columns());
    let rows = left.len().checked_div(inner).or(out.len().checked_div(columns)).unwrap_or(0);
    assert_eq!(left.len(), rows * inner, "the left factor has rows of {inner}");
    assert_eq!(out.len(), rows * columns, "the product has {rows} rows of {columns}");
    if inner == 0 {
        out.fill(W::ZERO);
    } else {
        W::multiply(kernel, left, right, out);
    }
}
