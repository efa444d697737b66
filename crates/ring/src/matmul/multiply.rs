//! From a word and a kernel to the function that multiplies its tiles.
#![allow(unsafe_code)]

use super::tile::walk;
use super::{Kernel, PackedMatrix, portable};

/// What each word adds to [`Word`](crate::Word): its panel and its kernels. Closed: no other crate can name it.
pub trait Multiply: Sized {
    /// Columns of a panel of [`PackedMatrix`]: 128 bytes of them.
    const PANEL: usize = 128 / size_of::<Self>();

    /// The product, checked by [`matmul_with`](super::matmul_with): the lengths fit, the inner dimension is not empty
    /// and the machine has the kernel.
    fn multiply(kernel: Kernel, left: &[Self], right: &PackedMatrix<Self>, out: &mut [Self]);
}

macro_rules! multiply {
    ($word:ty, $module:ident) => {
        impl Multiply for $word {
            fn multiply(kernel: Kernel, left: &[Self], right: &PackedMatrix<Self>, out: &mut [Self]) {
                match kernel {
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx512 if kernel.is_available() => {
                        use super::avx512::$module::{ROWS, tile};
                        // SAFETY: the guard of this arm has seen the processor's AVX-512 F and DQ.
                        walk(left, right, out, ROWS, |part| unsafe { tile(part) });
                    }
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx2 if kernel.is_available() => {
                        use super::avx2::$module::{ROWS, tile};
                        // SAFETY: the guard of this arm has seen the processor's AVX2.
                        walk(left, right, out, ROWS, |part| unsafe { tile(part) });
                    }
                    _ => walk(left, right, out, portable::ROWS, portable::tile::<Self, { Self::PANEL }>),
                }
            }
        }
    };
}

multiply!(u32, words32);
multiply!(u64, words64);

impl Multiply for u128 {
    fn multiply(_kernel: Kernel, left: &[Self], right: &PackedMatrix<Self>, out: &mut [Self]) {
        walk(left, right, out, portable::ROWS, portable::tile::<Self, { Self::PANEL }>);
    }
}
