//! Arithmetic in the rings Z_2^32, Z_2^64 and Z_2^128 that the protocol computes in.
//!
//! Words wrap; a value of a narrower ring Z_2^k has arbitrary bits above `k`, and only
//! [`pack`](pack::pack) and [`Word::low_bits`] remove them. This is the only crate with `unsafe`, and only inside
//! [`mod@matmul`], [`lanes`], [`digits`], [`mod@pack`] and [`floats`], behind run-time detection, and in
//! [`WipingAllocator`], [`WatchingAllocator`], [`CountingAllocator`] and [`marks`].
//!
//! ```
//! use blindroute_ring::{MatrixLayout, PackedMatrix, Word};
//! let weights = PackedMatrix::pack(&[1u64, 2, 3, 4], 2, 2, MatrixLayout::RowMajor, 64);
//! let mut product = [0u64; 2];
//! blindroute_ring::matmul(&[5, u64::MAX], &weights, &mut product);
//! assert_eq!(product, [5 - 3, 10 - 4]);
//! assert_eq!(0xFFFF_u64.low_bits(4), 0xF);
//! ```

mod allocator;
pub mod digits;
pub mod fixed;
pub mod floats;
pub mod fss;
pub mod lanes;
pub mod marks;
pub mod matmul;
pub mod pack;
mod prg;
mod tensor;
mod wipe;
mod word;

pub use allocator::{CountingAllocator, WatchingAllocator, WipingAllocator};
pub use matmul::{Kernel, MatrixLayout, MatrixWord, PackedMatrix, matmul};
pub use prg::{Prg, Seed};
pub use tensor::{Scalar, Shape, Tensor};
pub use wipe::{reserve_wiped, wipe, wipe_vec};
pub use word::Word;
