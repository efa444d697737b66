//! Functions of f32 without branches, so that loops over them become vectors: for the clear interpreter.

/// 2^x, with a relative error below 3·10⁻⁷. Below 2^−126 it is 2^−126.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    // A number of this size has no bits after the binary point, so that adding it rounds to an integer, which is then in the low bits.
    const ROUNDS: f32 = 12_582_912.0;
    let x = x.clamp(-126.0, 127.0);
    let rounded = x + ROUNDS;
    let rest = x - (rounded - ROUNDS);
    // The polynomial of Cephes' exp2f, Moshier.
    let mut sum = 1.535_336_2e-4;
    for coefficient in [1.339_887_4e-3, 9.618_437e-3, 5.550_332_5e-2, 2.402_264_8e-1, 6.931_472e-1, 1.0] {
        sum = sum * rest + coefficient;
    }
    f32::from_bits(sum.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// GELU less the positive part, −|x|·Φ(−|x|), with an absolute error below 2·10⁻⁷.
#[inline(always)]
pub(crate) fn gelu_bump(x: f32) -> f32 {
    let x = x.abs();
    let z = x * std::f32::consts::FRAC_1_SQRT_2;
    // erfc(z) = t·exp(−z² + p(t)), with a relative error of 1.2·10⁻⁷: Press et al., Numerical Recipes, section 6.2.
    let t = 1.0 / (1.0 + 0.5 * z);
    let mut sum = 0.170_872_77;
    for coefficient in
        [-0.822_152_23, 1.488_515_9, -1.135_204, 0.278_868_07, -0.186_288_06, 0.096_784_18, 0.374_091_96, 1.000_023_7]
    {
        sum = sum * t + coefficient;
    }
    let exponent = sum * t - 1.265_512_2 - z * z;
    -0.5 * x * t * exp2(exponent * std::f32::consts::LOG2_E)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_those_of_the_library() {
        for step in -126_000..127_000 {
            let x = step as f32 / 1000.0;
            let (found, exact) = (f64::from(exp2(x)), f64::from(x).exp2());
            assert!((found / exact - 1.0).abs() < 3e-7, "2^{x}: {found}, expected {exact}");
        }
        assert_eq!((exp2(0.0), exp2(-3.0), exp2(-1000.0)), (1.0, 0.125, f32::MIN_POSITIVE));
    }

    #[test]
    fn the_bump_is_that_of_the_error_function() {
        let mut worst = 0.0f64;
        for step in -80_000..80_000 {
            let x = step as f32 / 1000.0;
            let wide = f64::from(x);
            let exact = 0.5 * wide * (1.0 + libm::erf(wide / std::f64::consts::SQRT_2)) - wide.max(0.0);
            worst = worst.max((f64::from(gelu_bump(x)) - exact).abs());
        }
        assert!(worst < 2e-7, "{worst}");
    }
}
