//! From a word and a kernel to the function that multiplies its tiles.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use super::limbs::Limbs;
use super::tile::walk;
use super::{Kernel, MatrixLayout, PackedMatrix, portable};

/// What each word adds to [`Word`](crate::Word): its panel and its kernels. Closed: no other crate can name it.
pub trait Multiply: Sized {
    /// Columns of a panel of [`PackedMatrix`]: 128 bytes of them.
    const PANEL: usize = 128 / size_of::<Self>();

    /// The limbs of a right factor, if the word has a kernel that wants them.
    #[cfg(target_arch = "x86_64")]
    fn limbs(data: &[Self], inner: usize, columns: usize, layout: MatrixLayout, bits: u32) -> Option<Limbs>;

    /// The product, checked by [`matmul`](super::matmul()): the lengths fit, the inner dimension is not empty and the
    /// machine has the matrix's kernel.
    fn multiply(left: &[Self], right: &PackedMatrix<Self>, out: &mut [Self]);
}

macro_rules! multiply {
    ($word:ty, $module:ident) => {
        impl Multiply for $word {
            #[cfg(target_arch = "x86_64")]
            fn limbs(data: &[Self], inner: usize, columns: usize, layout: MatrixLayout, bits: u32) -> Option<Limbs> {
                let mut limbs = Limbs::new(inner, columns, bits);
                super::amx::fill(&mut limbs, data, layout);
                Some(limbs)
            }

            fn multiply(left: &[Self], right: &PackedMatrix<Self>, out: &mut [Self]) {
                #[cfg(target_arch = "x86_64")]
                if let Some(limbs) = right.limbs() {
                    return super::amx::multiply(left, limbs, out);
                }
                let kernel = right.kernel();
                match kernel {
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx512 if kernel.is_available() => {
                        use super::avx512::$module::{TILES, tile};
                        // SAFETY: the guard of this arm has seen the processor's AVX-512 F and DQ.
                        walk(left, right, out, TILES, |part| unsafe { tile(part) });
                    }
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx2 if kernel.is_available() => {
                        use super::avx2::$module::{TILES, tile};
                        // SAFETY: the guard of this arm has seen the processor's AVX2.
                        walk(left, right, out, TILES, |part| unsafe { tile(part) });
                    }
                    _ => walk(left, right, out, portable::TILES, portable::tile::<Self, { Self::PANEL }>),
                }
            }
        }
    };
}

multiply!(u32, words32);
multiply!(u64, words64);

impl Multiply for u128 {
    #[cfg(target_arch = "x86_64")]
    fn limbs(_: &[Self], _: usize, _: usize, _: MatrixLayout, _: u32) -> Option<Limbs> {
        None
    }

    fn multiply(left: &[Self], right: &PackedMatrix<Self>, out: &mut [Self]) {
        walk(left, right, out, portable::TILES, portable::tile::<Self, { Self::PANEL }>);
    }
}
