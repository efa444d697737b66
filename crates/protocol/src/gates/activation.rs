//! ReLU, squares and GELU.

use crate::elementary;
use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::word::RingWord;
use crate::protocols::comparison::Comparison;
use crate::spline::{Function, Spline};
use blindroute_ring::{Shape, floats};

/// Where a result lives: its ring and binary point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The ring is Z_2^bits.
    pub bits: u32,
    /// Fraction bits.
    pub fraction: u32,
}

/// The bits of a value that a comparison with zero looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignWindow {
    /// |x| is below 2^range.
    pub range: u32,
    /// Digits of four bits below that.
    pub digits: u32,
}

impl SignWindow {
    /// The comparison of a value of `fraction` bits with thresholds.
    fn comparison(&self, thresholds: Vec<i64>, fraction: u32) -> Result<Comparison, Error> {
        let Self { range, digits } = *self;
        let low = (fraction + range).checked_sub(4 * digits);
        let low =
            low.ok_or_else(|| Error::Program(format!("{digits} digits are more than {fraction} + {range} bits")))?;
        Ok(Comparison::of_many(thresholds, low, digits))
    }
}

/// Fraction bits that a value may lose on its way to a target.
pub(super) fn lost(from: u32, to: u32) -> Result<u32, Error> {
    from.checked_sub(to).ok_or_else(|| Error::Program(format!("{from} fraction bits are fewer than {to}")))
}

/// **Computes** max(x, 0), truncated to the target's fraction bits. **Shapes** any, masked, to shares. **Cost** two openings
/// (those of one comparison), fewer if tuned to keys; see [`rectify`](Machine::rectify).
/// **Security** see [`comparison`](crate::protocols::comparison). **Error** values within 2^(range − 4·digits) of zero
/// may be taken for the other sign; otherwise one unit of the last place. Needs
/// |x| ≤ 2^range − 2^(range − 4·digits). **Source** PPRoute,
/// section on MPC-friendly activations, for its use; comparison and selection for the protocol.
///
/// # Errors
/// If the window does not lie in the ring.
pub fn relu<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    window: SignWindow,
    target: Target,
) -> Result<Share<I, V>, Error> {
    let fraction = x.form().fraction;
    let comparison = window.comparison(vec![0], fraction)?;
    machine.rectify(x, &comparison, lost(fraction, target.fraction)?, target.bits)
}

/// **Computes** x², truncated to the target's fraction bits. **Shapes** any, masked, to masked in the target's ring; before the
/// truncation the product takes that ring and twice x's fraction bits less the target's: in words of 32 bits if these hold it, because
/// they take half the time and memory, else of 64. **Cost** one
/// opening: the product. **Security** see [`extension`](crate::protocols::extension). **Error** one unit of the last place.
/// Needs |x| < 2^(bits of x − 2), and x² in the target's ring. **Source** a row's sum of squares, of rows of one element.
///
/// # Errors
/// If the forms do not fit.
pub fn square<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    target: Target,
) -> Result<Masked<I, u32>, Error> {
    let Form { shape, fraction, .. } = *x.form();
    let shift = lost(2 * fraction, target.fraction)?;
    let column = x.restructure(&Structure::Reshape(Shape::matrix(shape.len(), 1)));
    let ring = target.bits + shift;
    let squared = if ring <= u32::BITS {
        let squared = machine.square_sum::<W, u32>(&column, 0, ring)?;
        machine.truncate_reduce(squared, shift)?
    } else {
        let squared = machine.square_sum::<W, u64>(&column, 0, ring)?;
        let squared = machine.truncate_reduce(squared, shift)?;
        machine.share_to_word(squared)?
    };
    Ok(machine.open(squared)?.restructure(&Structure::Reshape(shape)))
}

/// Where one parabola of [`gelu`] hands over to the next. Multiples of 2^−7, so that the middles, about which they are
/// expanded, are exact in the eight fraction bits of the argument; chosen as the best fit among those.
pub const GELU_KNOTS: [f64; 9] =
    [-3.460_937_5, -2.195_312_5, -1.289_062_5, -0.671_875, 0.0, 0.671_875, 1.289_062_5, 2.195_312_5, 3.460_937_5];
/// The knot at zero.
const MIDDLE: usize = GELU_KNOTS.len() / 2;

/// GELU in its error-function form less the positive part, with its spline: eight parabolas, and zero beyond ±3.46;
/// absolute error below 10⁻³ everywhere (asserted in tests).
pub fn gelu_bump() -> Function {
    let exact = |x: f64| 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)) - x.max(0.0);
    let [first, .., last] = GELU_KNOTS;
    let spline = Spline::fit(2, &GELU_KNOTS, exact).preceded_by(first, [0.0; 4]).followed_by(last, [0.0; 4]);
    Function::new("gelu", exact, spline).with_vectors(|values| floats::map(values, elementary::gelu_bump))
}

/// Fraction bits of the argument of a parabola.
const ARGUMENT_FRACTION: u32 = 8;
/// Fraction bits of its value: the highest coefficient keeps twelve.
const VALUE_FRACTION: u32 = 2 * ARGUMENT_FRACTION + 12;
/// Ring of its value, which is below a quarter: what an extension needs, and one bit more.
const VALUE_RING: u32 = VALUE_FRACTION + 1;
/// |x| for which [`gelu`] is defined is below 2^this.
const GELU_RANGE: u32 = 7;

/// **Computes** GELU(x) = x·Φ(x), truncated to the target's fraction bits: the positive part of x, and what GELU is below it,
/// which is small and so fits a narrow ring. **Shapes** any, masked with at least 8 fraction bits, to shares. **Cost**
/// three openings: two of one comparison with nine thresholds, of which the first carries a copy in Z_2^29 with 8
/// fraction bits, and one of the parabolas' value. **Security** see [`piecewise`](crate::protocols::piecewise).
/// **Error** 10⁻³ of the spline, 2^−9 of the truncated argument (the greatest slope, ½, times one unit) and two units of the last
/// place. Needs |x| < 2^7. **Source** spline as in Boyle et al., EUROCRYPT'21.
///
/// # Errors
/// If the ring is too narrow.
pub fn gelu<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    target: Target,
) -> Result<Share<I, V>, Error> {
    let fraction = x.form().fraction;
    let bump = gelu_bump();
    let copy = machine.extend::<W, u32>(x, lost(fraction, ARGUMENT_FRACTION)?, VALUE_RING)?;
    let copy = machine.defer(copy)?;
    let window = SignWindow { range: GELU_RANGE + 1, digits: 4 };
    let inside = machine.compare(x, &window.comparison(bump.spline().raw_knots(fraction), fraction)?)?;
    let copy = machine.take(copy)?;
    let value = machine.piecewise(&inside, &copy, &bump, VALUE_FRACTION)?;
    let value = machine.truncate_reduce(value, lost(VALUE_FRACTION, target.fraction)?)?;
    let value = machine.open(value)?;
    // Selected by the same bit as the parabolas next to zero: where the bit is wrong, they continue each other.
    let positive = machine.plane(&inside, MIDDLE)?;
    let shift = fraction.saturating_sub(target.fraction);
    let positive = machine.select_extended::<W, V>(&positive, x, shift, target.bits)?;
    let positive = positive.raise(target.fraction.saturating_sub(fraction));
    let below = machine.extend::<u32, V>(&value, 0, target.bits)?;
    positive.add(&below)
}
