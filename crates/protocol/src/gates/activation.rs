//! ReLU and GELU.

use crate::error::Error;
use crate::interpreters::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::protocols::comparison::Comparison;
use crate::record::RingWord;
use crate::spline::{Function, Spline};

/// Fraction bits of results.
const FRACTION: u32 = 12;
/// Bits of |x| left of the binary point that [`relu`] and [`gelu`] allow.
const RANGE_BITS: u32 = 8;

/// The window of `digits` 4-bit digits that ends `range` bits left of the binary point.
fn window(thresholds: Vec<i64>, fraction: u32, range: u32, digits: u32) -> Result<Comparison, Error> {
    let low = (fraction + range).checked_sub(4 * digits);
    let low = low.ok_or_else(|| Error::Program(format!("{digits} digits are more than {fraction} + {range} bits")))?;
    Ok(Comparison::of_many(thresholds, low, digits))
}

/// **Computes** max(x, 0). **Shapes** any, masked, to shares of the same ring. **Cost** two openings (those of one
/// comparison with `digits` digits); material of the comparison and of [`select`](Machine::select). **Security** see
/// [`comparison`](crate::protocols::comparison). **Error** values within 2^(range − 4·digits) of zero may be taken for
/// the other sign; otherwise exact. Needs |x| < 2^range. **Source** PPRoute, section on MPC-friendly activations, for
/// its use; comparison and selection for the protocol.
///
/// # Errors
/// If the window does not lie in the ring.
pub fn relu<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    range: u32,
    digits: u32,
) -> Result<Share<I, W>, Error> {
    let positive = machine.compare(x, &window(vec![0], x.form().fraction, range, digits)?)?;
    machine.select(&positive, x)
}

/// Where one cubic of [`gelu`] hands over to the next.
pub const GELU_KNOTS: [f64; 9] = [-4.0, -2.9, -2.0, -1.1, 0.0, 1.1, 2.0, 2.9, 4.0];

/// GELU in its error-function form, with its spline: zero below −4, the identity above 4, eight cubics between;
/// absolute error below 10⁻³ everywhere (asserted in tests).
pub fn gelu_function() -> Function {
    let exact = |x: f64| 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2));
    let [first, .., last] = GELU_KNOTS;
    let spline =
        Spline::fit(3, &GELU_KNOTS, exact).preceded_by(first, [0.0; 4]).followed_by(last, [0.0, 1.0, 0.0, 0.0]);
    Function::new("gelu", exact, spline)
}

/// **Computes** GELU(x) = x·Φ(x). **Shapes** any, masked mod 2^k with f ≤ 10 fraction bits, to shares of ring `bits`
/// and 12 fraction bits. **Cost** three openings: two of one comparison with nine thresholds, one of the polynomial's value.
/// **Security** see [`piecewise`](crate::protocols::piecewise). **Error** 10⁻³ + 2^−f. Needs |x| < 2^8 and k ≥ 3f + 20. **Source** spline as in Boyle et al., EUROCRYPT'21.
///
/// # Errors
/// If the ring is too narrow.
pub fn gelu<I: Interpreter>(machine: &mut Machine<I>, x: &Masked<I, u64>, bits: u32) -> Result<Share<I, u64>, Error> {
    let form = *x.form();
    let function = gelu_function();
    let knots = function.spline().raw_knots(form.fraction);
    let inside = machine.compare(x, &window(knots, form.fraction, RANGE_BITS + 2, 5)?)?;
    // Cubic coefficients keep the bits that the ring leaves above the value's own.
    let fraction = (form.bits - RANGE_BITS - 2).min(3 * form.fraction + 12);
    let value = machine.piecewise(&inside, x, &function, fraction)?;
    let value = machine.open(value)?;
    machine.extend(&value, fraction - FRACTION, bits)
}
