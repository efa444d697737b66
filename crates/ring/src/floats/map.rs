//! Functions element by element.
#![allow(unsafe_code)]

use super::Vectors;
use crate::matmul;

/// Replaces each value by `f` of it, at the machine's vector width.
///
/// For the loop to become vectors, `f` must have no branches and no calls that are not inlined. Comparisons are fine if both
/// results are arithmetic.
///
/// ```
/// let mut values = [1.0, -2.0];
/// blindroute_ring::floats::map(&mut values, |x| x * x);
/// assert_eq!(values, [1.0, 4.0]);
/// ```
pub fn map(values: &mut [f32], f: impl Fn(f32) -> f32) {
    match Vectors::of(matmul::kernel()) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Vectors::of` has seen the processor's AVX-512 F.
        Vectors::Avx512 => unsafe { map_avx512(values, f) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Vectors::of` has seen the processor's AVX2 and FMA.
        Vectors::Avx2 => unsafe { map_avx2(values, f) },
        Vectors::Portable => map_portable(values, f),
    }
}

macro_rules! compiled {
    ($(#[$features:meta])* $name:ident) => {
        $(#[$features])*
        #[inline(never)]
        fn $name(values: &mut [f32], f: impl Fn(f32) -> f32) {
            for value in values {
                *value = f(*value);
            }
        }
    };
}

compiled!(map_portable);
#[cfg(target_arch = "x86_64")]
compiled!(
    #[target_feature(enable = "avx2")]
    map_avx2
);
#[cfg(target_arch = "x86_64")]
compiled!(
    #[target_feature(enable = "avx512f")]
    map_avx512
);
