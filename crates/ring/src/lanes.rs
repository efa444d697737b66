//! Elementwise loops over shares, at the machine's vector width.
//!
//! The workspace is compiled for the baseline of its architecture, so a loop written elsewhere stays at 128 bits. A loop
//! given to [`combine`] as a closure is compiled three times (AVX-512, AVX2, baseline) and the widest that the machine
//! has is run: the choice is that of the products, [`Kernel`].
//!
//! For the loops to become vectors, the closure must have no branches, no calls that are not inlined, and no memory of
//! its own besides a few captured numbers. Comparisons by `if` on public values are fine if both arms are arithmetic.
//! Conversions by `V::from_u128(x.widen())` and shifts by a captured amount are fine.
#![allow(unsafe_code)]

mod masks;

use crate::{Kernel, Word, matmul};

/// `out[i] = f(out[i], [first[0][i], ..], [second[0][i], ..])`.
///
/// ```
/// use blindroute_ring::lanes::combine;
/// let (m, mask, product) = ([5u32, 6, 7], [1u32, 2, 3], [10u32, 20, 30]);
/// let mut share = [0u32; 3];
/// combine(&mut share, [&m, &mask, &product], [] as [&[u64]; 0], |_, [m, mask, product], []| {
///     m.wrapping_mul(mask).wrapping_sub(product)
/// });
/// assert_eq!(share, [5u32.wrapping_sub(10), 12u32.wrapping_sub(20), 21u32.wrapping_sub(30)]);
/// ```
///
/// # Panics
/// If a slice is not as long as `out`.
#[inline]
pub fn combine<V: Word, W: Word, const N: usize, const M: usize>(
    out: &mut [V],
    first: [&[V]; N],
    second: [&[W]; M],
    f: impl Fn(V, [V; N], [W; M]) -> V,
) {
    combine_with(matmul::kernel(), out, first, second, f);
}

/// [`combine`] with one bit per element, public or a share, from a plane of 64 bits per word (element `i` is bit `i mod 64`
/// of word `i / 64`): the closure gets it as 0 or all ones ([`Word::MAX`]), after the element of `out`.
///
/// ```
/// use blindroute_ring::lanes::combine_bits;
/// let (yes, no) = ([1u64, 2, 3], [10u64, 20, 30]);
/// let mut chosen = [0u64; 3];
/// combine_bits(&mut chosen, &[0b101], [&yes, &no], [] as [&[u64]; 0], |_, bit, [yes, no], []| {
///     no.wrapping_add(bit & yes.wrapping_sub(no))
/// });
/// assert_eq!(chosen, [1, 20, 3]);
/// ```
///
/// # Panics
/// If a slice is not as long as `out`, or `bits` does not have `out.len().div_ceil(64)` words.
#[inline]
pub fn combine_bits<V: Word, W: Word, const N: usize, const M: usize>(
    out: &mut [V],
    bits: &[u64],
    first: [&[V]; N],
    second: [&[W]; M],
    f: impl Fn(V, V, [V; N], [W; M]) -> V,
) {
    combine_bits_with(matmul::kernel(), out, bits, first, second, f);
}

/// [`combine`] by a kernel; by the portable one where the machine has not that kernel. For tests and benches.
#[inline]
pub fn combine_with<V: Word, W: Word, const N: usize, const M: usize>(
    kernel: Kernel,
    out: &mut [V],
    first: [&[V]; N],
    second: [&[W]; M],
    f: impl Fn(V, [V; N], [W; M]) -> V,
) {
    check_lengths(out, &first, &second);
    match Lanes::of(kernel) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Lanes::of` has seen the processor's AVX-512 F, BW, DQ and VL.
        Lanes::Avx512 => unsafe { combine_avx512(out, first, second, &f) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Lanes::of` has seen the processor's AVX2.
        Lanes::Avx2 => unsafe { combine_avx2(out, first, second, &f) },
        Lanes::Portable => combine_portable(out, first, second, &f),
    }
}

/// [`combine_bits`] by a kernel; by the portable one where the machine has not that kernel. For tests and benches.
#[inline]
pub fn combine_bits_with<V: Word, W: Word, const N: usize, const M: usize>(
    kernel: Kernel,
    out: &mut [V],
    bits: &[u64],
    first: [&[V]; N],
    second: [&[W]; M],
    f: impl Fn(V, V, [V; N], [W; M]) -> V,
) {
    check_lengths(out, &first, &second);
    assert_eq!(bits.len(), out.len().div_ceil(64), "words of a plane of {} bits", out.len());
    match Lanes::of(kernel) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Lanes::of` has seen the processor's AVX-512 F, BW, DQ and VL.
        Lanes::Avx512 => unsafe { combine_bits_avx512(out, bits, first, second, &f) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Lanes::of` has seen the processor's AVX2.
        Lanes::Avx2 => unsafe { combine_bits_avx2(out, bits, first, second, &f) },
        Lanes::Portable => combine_bits_portable(out, bits, first, second, &f),
    }
}

/// The vectors that a loop may use. Products need AVX-512 F and DQ, these loops also BW and VL, so [`Kernel`] is not enough.
pub(crate) enum Lanes {
    /// The baseline's.
    Portable,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Lanes {
    /// The widest that the kernel allows and the machine has.
    #[inline]
    pub(crate) fn of(kernel: Kernel) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let wide = || std::is_x86_feature_detected!("avx512bw") && std::is_x86_feature_detected!("avx512vl");
            match kernel {
                Kernel::Portable => {}
                Kernel::Avx2 => {
                    if kernel.is_available() {
                        return Self::Avx2;
                    }
                }
                _ => {
                    if Kernel::Avx512.is_available() && wide() {
                        return Self::Avx512;
                    }
                    if Kernel::Avx2.is_available() {
                        return Self::Avx2;
                    }
                }
            }
        }
        let _ = kernel;
        Self::Portable
    }
}

fn check_lengths<V, W>(out: &[V], first: &[&[V]], second: &[&[W]]) {
    let lengths = first.iter().map(|slice| slice.len()).chain(second.iter().map(|slice| slice.len()));
    for (index, length) in lengths.enumerate() {
        assert_eq!(length, out.len(), "elements of operand {index}");
    }
}

/// One function of each kind for an instruction set. They are not inlined, so that `out` is an argument, of which the
/// compiler knows that nothing else points into it: no run-time checks for overlap, however many operands there are.
macro_rules! compiled {
    ($(#[$features:meta])* $combine:ident, $combine_bits:ident, $expand:path) => {
        $(#[$features])*
        #[inline(never)]
        fn $combine<V: Word, W: Word, const N: usize, const M: usize>(
            out: &mut [V],
            first: [&[V]; N],
            second: [&[W]; M],
            f: &impl Fn(V, [V; N], [W; M]) -> V,
        ) {
            // Shortened to one length, so that no bound is checked in the loop.
            let len = out.len();
            let first = first.map(|slice| &slice[..len]);
            let second = second.map(|slice| &slice[..len]);
            for i in 0..len {
                let (left, right) = (std::array::from_fn(|k| first[k][i]), std::array::from_fn(|k| second[k][i]));
                out[i] = f(out[i], left, right);
            }
        }

        $(#[$features])*
        #[inline(never)]
        fn $combine_bits<V: Word, W: Word, const N: usize, const M: usize>(
            out: &mut [V],
            bits: &[u64],
            first: [&[V]; N],
            second: [&[W]; M],
            f: &impl Fn(V, V, [V; N], [W; M]) -> V,
        ) {
            let mut masks = [V::ZERO; masks::BLOCK];
            let mut start = 0;
            for (out, bits) in out.chunks_mut(masks::BLOCK).zip(bits.chunks(masks::BLOCK / 64)) {
                $expand(bits, &mut masks);
                let len = out.len();
                let masks = &masks[..len];
                let first = first.map(|slice| &slice[start..start + len]);
                let second = second.map(|slice| &slice[start..start + len]);
                for i in 0..len {
                    let (left, right) = (std::array::from_fn(|k| first[k][i]), std::array::from_fn(|k| second[k][i]));
                    out[i] = f(out[i], masks[i], left, right);
                }
                start += len;
            }
        }
    };
}

compiled!(combine_portable, combine_bits_portable, masks::portable);
#[cfg(target_arch = "x86_64")]
compiled!(
    #[target_feature(enable = "avx2")]
    combine_avx2,
    combine_bits_avx2,
    masks::avx2
);
#[cfg(target_arch = "x86_64")]
compiled!(
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    combine_avx512,
    combine_bits_avx512,
    masks::avx512
);

#[cfg(test)]
mod tests;
