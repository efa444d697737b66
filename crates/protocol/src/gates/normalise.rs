//! Softmax numerators, reciprocals, inverse roots, row scaling and LayerNorm.

use crate::error::Error;
use crate::gates::activation::{Target, lost};
use crate::gates::maximum::row_maximum;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Pending, Share};
use crate::material::word::RingWord;
use crate::protocols::comparison::Comparison;
use crate::protocols::exponential;
use crate::spline::{Function, Spline};
use blindroute_ring::Shape;

/// Added below the maximum, so that an exponent is negative although the maximum found may be low by up to 1.
const EXPONENT_SHIFT: f64 = 2.0;
/// Ring of a power of two before it is truncated and opened.
const POWER_RING: u32 = exponential::FRACTION + 2;

/// **Computes** 2^(x − max − 2) of each row: a softmax's numerators, if x carries the factor log₂e. **Shapes**
/// `[batch, rows, n]` masked with f fraction bits in a ring of f + 10 bits, to shares. **Cost** 3·⌈log₂ n⌉ openings of
/// the maximum, two of the power, one of its value. **Security** see [`exponential`]. **Error** that of the power, and
/// one unit of the last place; max is an element less than one below the maximum, the maximum itself where no other
/// comes within 2^−3. Needs |x| ≤ 2^8 − 2^−4 and n ≤ 256. **Source** maximum subtraction as in CrypTen.
///
/// # Errors
/// If the ring does not fit.
pub fn softmax_numerators<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    target: Target,
) -> Result<Share<I, V>, Error> {
    // Differences are below 2^9; three digits leave a unit of 2^−3, and each of eight levels may lose one.
    let low = lost(x.form().fraction, 3)?;
    let maximum = row_maximum(machine, x, low, 3)?;
    let shift = machine.constants(x.form().with_shape(Shape::row(1)), &[EXPONENT_SHIFT])?;
    let exponent = x.subtract(&maximum)?.subtract(&shift)?;
    let value = machine.exponential::<W, u64>(&exponent, POWER_RING)?;
    let value = machine.truncate_to(value, target.fraction)?;
    let value = machine.open(value)?;
    machine.extend(&value, 0, target.bits)
}

/// The range and precision of [`reciprocal`] and [`inverse_root`].
#[derive(Clone, Copy, Debug)]
pub struct Wide {
    /// The smallest octave boundary: below 2^low the first piece extends.
    pub low: i32,
    /// The argument is below 2^high.
    pub high: i32,
    /// Fraction bits of the wide copy of the argument.
    pub fraction: u32,
}

impl Wide {
    fn edges(&self) -> Vec<f64> {
        (self.low..=self.high).map(|octave| 2f64.powi(octave)).collect()
    }

    /// Looks at 20 bits from the top of the range down.
    fn comparison(&self, knots: Vec<i64>, fraction: u32) -> Result<Comparison, Error> {
        let top = i64::from(fraction) + i64::from(self.high);
        let low = u32::try_from(top - 20).map_err(|_| Error::Program("the window of a wide function".into()))?;
        Ok(Comparison::of_few(knots, low, 10))
    }
}

/// Fraction bits of a wide function's value before it is truncated: enough for a cubic's smallest coefficient.
const VALUE_FRACTION: u32 = 94;
/// Ring of a wide function's value: room for 2^6 at that fraction.
const VALUE_RING: u32 = 104;

fn wide<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    function: &Function,
    range: &Wide,
) -> Result<Share<I, u128>, Error> {
    let form = *x.form();
    let shift = lost(form.fraction, range.fraction)?;
    let comparison = range.comparison(function.spline().raw_knots(form.fraction), form.fraction)?;
    machine.spline_of(x, &comparison, shift, function, (VALUE_RING, VALUE_FRACTION))
}

/// **Computes** 1/(x + offset), 0 ≤ x < 2^high, or for offset 0, 2^low ≤ x < 2^high. **Shapes** few elements, masked
/// mod 2^k, to shares in Z_2^104 with 94 fraction bits. **Cost** two openings, none if tuned to keys. **Security** see
/// [`piecewise`](crate::protocols::piecewise). **Error** relative
/// 2·10⁻³ for x ≥ 2^low (1/577 of the cubic, the rest of the comparison) where the comparison's unit 2^(high − 20) is
/// at most 2^(low − 7); 4·10⁻³ where it is 2^(low − 4); 7·10⁻² below 2^low (asserted in tests for offset ≥ 2^low/16).
/// **Source** octave-wise splines; no Newton steps.
///
/// # Errors
/// If the range does not fit the ring.
pub fn reciprocal<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    offset: f64,
    range: &Wide,
) -> Result<Share<I, u128>, Error> {
    let floor = if offset > 0.0 { 0.0 } else { 2f64.powi(range.low) / 4.0 };
    let exact = move |x: f64| 1.0 / (x.max(floor) + offset);
    let smallest = 2f64.powi(range.low);
    let mut edges = if offset > 0.0 { vec![0.0, smallest / 8.0, smallest * 3.0 / 8.0] } else { Vec::new() };
    edges.extend(range.edges());
    let function = Function::new("reciprocal", exact, Spline::fit(3, &edges, exact));
    wide(machine, x, &function, range)
}

/// **Computes** scale/√x, 2^low ≤ x < 2^high. **Shapes** few elements, masked mod 2^k, to shares in Z_2^104 with 94
/// fraction bits. **Cost** two openings, none if tuned to keys. **Security** see
/// [`piecewise`](crate::protocols::piecewise). **Error** relative
/// 7·10⁻⁴ where the comparison's unit 2^(high − 20) is at most 2^(low − 7); where it is more, 8·10⁻⁴ from 2^4 units on
/// and 2·10⁻² below (asserted in tests). **Source** octave-wise splines; no Newton steps.
///
/// # Errors
/// If the range does not fit the ring.
pub fn inverse_root<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    scale: f64,
    range: &Wide,
) -> Result<Share<I, u128>, Error> {
    let smallest = 2f64.powi(range.low);
    let exact = move |x: f64| scale / x.max(smallest / 4.0).sqrt();
    let function = Function::new("inverse root", exact, Spline::fit(3, &range.edges(), exact));
    wide(machine, x, &function, range)
}

/// The binary points of a row scaling: of the truncated value, of the truncated factor, and the target.
#[derive(Clone, Copy, Debug)]
pub struct Scaling {
    /// Fraction bits that the value keeps.
    pub value: u32,
    /// Fraction bits that the factor keeps.
    pub factor: u32,
    /// Where the result lives.
    pub target: Target,
}

/// **Computes** x·r for one factor r per row, the result ready for a linear layer. **Shapes** x `[batch, rows, n]` masked,
/// r `[batch, rows, 1]` shares of a wide function; to masked in the target's ring. **Cost** two openings: r, and the
/// product, both truncated before. **Security** see
/// [`extension`](crate::protocols::extension). **Error** one unit of the truncated x, of the truncated r and of the last place.
/// **Source** this project: normalising after the product with the values keeps the division off the T×T matrix.
///
/// # Errors
/// If the forms do not fit.
pub fn scale_rows<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    factor: Share<I, u128>,
    scaling: Scaling,
) -> Result<Masked<I, V>, Error> {
    let factor = open_factor(machine, factor, scaling)?;
    scale_opened(machine, x, &factor, scaling)
}

/// [`scale_rows`] of a value on its way: it leaves with the factor, if no earlier exchange took it.
///
/// # Errors
/// If the forms do not fit.
pub fn scale_deferred_rows<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    x: Pending<I, W>,
    factor: Share<I, u128>,
    scaling: Scaling,
) -> Result<Masked<I, V>, Error> {
    let factor = open_factor(machine, factor, scaling)?;
    let x = machine.take(x)?;
    scale_opened(machine, &x, &factor, scaling)
}

fn open_factor<I: Interpreter>(
    machine: &mut Machine<I>,
    factor: Share<I, u128>,
    scaling: Scaling,
) -> Result<Masked<I, u128>, Error> {
    let factor = machine.truncate_to(factor, scaling.factor)?;
    machine.open(factor)
}

fn scale_opened<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    factor: &Masked<I, u128>,
    scaling: Scaling,
) -> Result<Masked<I, V>, Error> {
    let product = scaled_product(machine, x, factor, scaling)?;
    let product = machine.truncate_to(product, scaling.target.fraction)?;
    machine.open(product)
}

/// The product of a row scaling, not truncated: it has as many bits more than the target.
fn scaled_product<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    factor: &Masked<I, u128>,
    scaling: Scaling,
) -> Result<Share<I, V>, Error> {
    let Scaling { value, factor: factor_fraction, target } = scaling;
    let shift_x = lost(x.form().fraction, value)?;
    let beyond = lost(value + factor_fraction, target.fraction)?;
    machine.product_extended((x, shift_x), (factor, 0), target.bits + beyond)
}

/// Fraction bits of the elements whose squares LayerNorm sums, if they have so many.
const SQUARE_FRACTION: u32 = 8;
/// The ring of that sum, beyond its fraction bits.
const SQUARE_RANGE: u32 = 20;
/// Fraction bits of the elements that LayerNorm scales, and of its factor, for elements that have so many before and results
/// that need so many.
fn normalised(before: u32, result: u32) -> (u32, u32) {
    (before.min(result + 3).min(12), (result + 8).min(17))
}

/// **Computes** y·√d/‖y‖ for each row y of width d whose mean is zero: LayerNorm without its affine part. **Shapes**
/// y `[1, T, d]` shares, to masked in the target's ring; the product takes up to that ring and 29 less the target's fraction
/// bits, 20 at most for targets of nine fraction bits, 18 for seven, which word `V` must hold. **Cost** six openings: y, ‖y‖², the comparison's two (not if tuned to keys), the factor, the
/// product. **Security** see [`piecewise`](crate::protocols::piecewise). **Error** relative 7·10⁻⁴ from the root and 2^−8 absolute in
/// each element of ‖y‖²; the elements are rounded to three bits more than the result, and the factor to eight, at most to 12 and
/// 17. Needs 2^4 ≤ ‖y‖² < 2^17. **Source** LayerNorm, Ba et al.; centred by the previous layer, whose
/// weights fold the mean in.
///
/// # Errors
/// If the forms do not fit.
pub fn layer_norm<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    y: Share<I, W>,
    target: Target,
) -> Result<Masked<I, V>, Error> {
    let (value, factor_fraction) = normalised(y.form().fraction, target.fraction);
    let y = machine.truncate_to(y, value)?;
    let y = machine.open(y)?;
    let norm = squared_norm(machine, &y)?;
    let range = Wide { low: 4, high: 17, fraction: 8 };
    let factor = inverse_root(machine, &norm, (y.form().shape.columns as f64).sqrt(), &range)?;
    scale_rows(machine, &y, factor, Scaling { value, factor: factor_fraction, target })
}

/// ‖y‖² of each row, opened.
fn squared_norm<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    y: &Masked<I, W>,
) -> Result<Masked<I, u64>, Error> {
    let fraction = y.form().fraction;
    let squares = fraction.min(SQUARE_FRACTION);
    let norm = machine.square_sum::<W, u64>(y, fraction - squares, 2 * squares + SQUARE_RANGE)?;
    machine.open(norm)
}

/// What [`layer_norm_within`] gives.
#[derive(Debug)]
pub struct Normalised<I: Interpreter, V: RingWord> {
    /// The rows over their norms, not truncated: what is linear in the rows, as their sum, can be computed before anything is
    /// opened. Their ring is the target's after truncation to its fraction.
    pub rows: Share<I, V>,
    /// One for each row whose norm is outside the range, to count with [`any_outside`].
    pub outside: Share<I, u128>,
}

/// Squared norms of rows that are there: a row of zeros, as of padding, is below.
const NO_ROW: f64 = 1.0;
/// What each row outside the range adds to the count, and the fraction bits that a count keeps. So 2^14 rows can be counted.
const OUTSIDE: f64 = 1.0 / 64.0;
const COUNT_FRACTION: u32 = 8;

/// **Computes** y·√d/‖y‖ for each row y of width d with 2^low ≤ ‖y‖² < 2^high, zero for other rows, and how many of these are
/// not zeros themselves. If the range ends at half of what the elements' ring holds (‖y‖² at its square), it tells rows with an
/// element that has left its ring by less than another half of it. **Shapes** y `[1, T, d]` shares, to shares. **Cost** that of [`layer_norm`] less the last opening; the
/// count comes from the same keys. **Security** see [`piecewise`](crate::protocols::piecewise). **Error** as for [`layer_norm`],
/// without the rounding of the result; ‖y‖² is compared with the ends of the range up to 1/2, and is known modulo 2^20, so a
/// row of random numbers passes with a probability of 2^(high − 20). **Source** this project.
///
/// # Errors
/// If the forms do not fit, or low is below 1 or high above 18.
pub fn layer_norm_within<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    y: Share<I, W>,
    target: Target,
    (low, high): (u32, u32),
) -> Result<Normalised<I, V>, Error> {
    if low == 0 || high <= low || high > 18 {
        return Err(Error::Program(format!("squared norms from 2^{low} to 2^{high}: expected from 2^1 up to 2^18")));
    }
    let (value, factor_fraction) = normalised(y.form().fraction, target.fraction);
    let y = machine.truncate_to(y, value)?;
    let y = machine.open(y)?;
    let norm = squared_norm(machine, &y)?;
    let scale = (y.form().shape.columns as f64).sqrt();
    let edges: Vec<f64> = (low..=high).map(|octave| f64::from(octave).exp2()).collect();
    let (first, last) = (edges[0], edges[edges.len() - 1]);
    let exact = move |x: f64| scale / x.max(first / 4.0).sqrt();
    let zero = [0.0; 4];
    let spline = Spline::fit(3, &edges, exact).preceded_by(first, zero).preceded_by(NO_ROW, zero);
    let spline = spline.preceded_by(-NO_ROW, zero).followed_by(last, zero);
    let mut counts = vec![0.0; spline.knots().len() + 1];
    let end = counts.len() - 1;
    // Below zero the sum of squares has left its ring.
    (counts[0], counts[2], counts[end]) = (OUTSIDE, OUTSIDE, OUTSIDE);
    let steps = Spline::steps(spline.knots().to_vec(), &counts);
    let within = move |x: f64| (first..last).contains(&x) || (-NO_ROW..NO_ROW).contains(&x);
    let outside = Function::new("outside", move |x| if within(x) { 0.0 } else { OUTSIDE }, steps);
    let root = Function::new("inverse root", exact, spline);
    // The whole ring is compared.
    let range = Wide { low: 1, high: 19, fraction: SQUARE_FRACTION };
    let fraction = norm.form().fraction;
    let comparison = range.comparison(root.spline().raw_knots(fraction), fraction)?;
    let shift = lost(fraction, range.fraction)?;
    let functions = [&root, &outside];
    let [factor, outside] =
        machine.splines_of::<u64, u128>(&norm, &comparison, shift, functions, (VALUE_RING, VALUE_FRACTION))?;
    let scaling = Scaling { value, factor: factor_fraction, target };
    let factor = open_factor(machine, factor, scaling)?;
    Ok(Normalised { rows: scaled_product(machine, &y, &factor, scaling)?, outside })
}

/// A sum of counts of [`layer_norm_within`], as it has to be opened for [`any_outside`].
///
/// # Errors
/// If the form does not fit.
pub fn outside_count<I: Interpreter>(
    machine: &mut Machine<I>,
    outside: Share<I, u128>,
) -> Result<Share<I, u128>, Error> {
    let count = machine.truncate_to(outside, COUNT_FRACTION)?;
    outside_margin(machine, count)
}

/// The same as a summand of a sum that has no [margin](outside_margin) yet.
///
/// # Errors
/// If the form does not fit.
pub fn outside_sum<I: Interpreter>(machine: &mut Machine<I>, outside: Share<I, u128>) -> Result<Share<I, u64>, Error> {
    let count = machine.truncate_to(outside, COUNT_FRACTION)?;
    machine.share_to_word(count)
}

/// A sum of counts less half of what one row adds, so that the comparison is far from both sides.
///
/// # Errors
/// From the interpreter.
pub fn outside_margin<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    count: Share<I, W>,
) -> Result<Share<I, W>, Error> {
    machine.add_constant(count, -OUTSIDE / 2.0)
}

/// **Computes** 1 where a sum of counts of [`layer_norm_within`] is not zero, else 0. **Shapes** few elements, opened from
/// [`outside_count`], to shares in Z_2^2. **Cost** two openings, none if tuned to keys. **Security** and **Error** see
/// [`spline_keys`](crate::protocols::spline_keys); exact for up to 2^14 rows. **Source** this project.
///
/// # Errors
/// If the form does not fit.
pub fn any_outside<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    count: &Masked<I, W>,
) -> Result<Share<I, u32>, Error> {
    let count = machine.to_word::<W, u32>(count)?;
    machine.spline_of(&count, &Comparison::of_few(vec![0], 1, 8), 0, &Function::step(), (2, 0))
}
