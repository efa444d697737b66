//! From a word and a kernel to the function that multiplies its tiles.
#![allow(unsafe_code)]

use super::kernel::Kernel;
use super::layout::MatrixLayout;
#[cfg(target_arch = "x86_64")]
use super::limbs::Limbs;
use super::panels::{self, Panels};
use super::portable;
use super::tile::walk;
use crate::Word;

/// A right factor's elements, as the kernels read them.
pub enum Elements<W> {
    /// For kernels of vectors.
    Panels(Panels<W>),
    /// For tiles of bytes.
    #[cfg(target_arch = "x86_64")]
    Limbs(Limbs),
}

/// What products need of a word: its kernels. Closed: no other crate can name it.
pub trait Multiply: Sized {
    /// The limbs of a right factor, if the word has a kernel that wants them.
    #[cfg(target_arch = "x86_64")]
    fn limbs(data: &[Self], inner: usize, columns: usize, layout: MatrixLayout, bits: u32) -> Option<Limbs>;

    /// The product, checked by [`matmul`](super::matmul()): the lengths fit, the inner dimension is not empty and the
    /// machine has the kernel for which the right factor is packed.
    fn multiply(kernel: Kernel, left: &[Self], right: &Elements<Self>, out: &mut [Self]);
}

/// The product by the portable kernel.
fn multiply_portable<W: Word, const PANEL: usize>(left: &[W], right: &Panels<W>, out: &mut [W]) {
    walk(left, right, out, portable::TILES, portable::tile::<W, PANEL>);
}

macro_rules! multiply {
    ($word:ty, $module:ident $(, $narrow:ident)?) => {
        impl Multiply for $word {
            #[cfg(target_arch = "x86_64")]
            fn limbs(data: &[Self], inner: usize, columns: usize, layout: MatrixLayout, bits: u32) -> Option<Limbs> {
                let mut limbs = Limbs::new(inner, columns, bits);
                super::amx::fill(&mut limbs, data, layout);
                Some(limbs)
            }

            fn multiply(kernel: Kernel, left: &[Self], right: &Elements<Self>, out: &mut [Self]) {
                let right = match right {
                    #[cfg(target_arch = "x86_64")]
                    Elements::Limbs(limbs) => return super::amx::multiply(left, limbs, out),
                    Elements::Panels(panels) => panels,
                };
                match kernel {
                    $(
                        #[cfg(target_arch = "x86_64")]
                        Kernel::Avx512Ifma if kernel.is_available() => {
                            use super::avx512::$narrow::{TILES, tile};
                            // SAFETY: the guard of this arm has seen the processor's AVX-512 F, DQ and IFMA.
                            walk(left, right, out, TILES, |part| unsafe { tile(part) });
                        }
                    )?
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
                    _ => multiply_portable::<Self, { panels::width::<Self>() }>(left, right, out),
                }
            }
        }
    };
}

multiply!(u32, words32);
multiply!(u64, words64, words52);

impl Multiply for u128 {
    #[cfg(target_arch = "x86_64")]
    fn limbs(_: &[Self], _: usize, _: usize, _: MatrixLayout, _: u32) -> Option<Limbs> {
        None
    }

    fn multiply(_: Kernel, left: &[Self], right: &Elements<Self>, out: &mut [Self]) {
        match right {
            Elements::Panels(panels) => multiply_portable::<Self, { panels::width::<Self>() }>(left, panels, out),
            #[cfg(target_arch = "x86_64")]
            Elements::Limbs(_) => unreachable!("words of 128 bits have no limbs"),
        }
    }
}
