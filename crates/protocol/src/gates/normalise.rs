//! Softmax numerators, reciprocals, inverse roots, row scaling and LayerNorm.

use crate::error::Error;
use crate::gates::maximum::row_maximum;
use crate::interpreters::Interpreter;
use crate::machine::{Machine, Masked, Pending, Share};
use crate::protocols::comparison::Comparison;
use crate::spline::{Function, Spline};

/// Where one quadratic of the exponential hands over to the next; below the first it is zero.
pub const EXP_KNOTS: [f64; 10] = [-10.0, -6.0, -4.5, -3.4, -2.6, -1.9, -1.35, -0.85, -0.4, 0.1];

/// The exponential for x ≤ 0, with its spline: absolute error below 10⁻³ (asserted in tests).
pub fn exp_function() -> Function {
    let spline = Spline::fit(2, &EXP_KNOTS, f64::exp).preceded_by(EXP_KNOTS[0], [0.0; 4]);
    Function::new("exp", f64::exp, spline)
}

/// **Computes** e^(x − max) of each row. **Shapes** `[batch, rows, n]` masked with 10 fraction bits, to shares of ring
/// `bits` with 12 fraction bits. **Cost** 3·⌈log₂ n⌉ openings of the maximum, two of the comparison, one of the value.
/// **Security** see [`comparison`](crate::protocols::comparison). **Error** below 10⁻³ + 2^−12, and the maximum's.
/// Needs |x| < 2^11. **Source** maximum subtraction as in CrypTen; spline as in Boyle et al., EUROCRYPT'21.
///
/// # Errors
/// If the ring is too narrow.
pub fn softmax_numerators<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    bits: u32,
) -> Result<Share<I, u64>, Error> {
    let form = *x.form();
    let low = (form.fraction + 12).saturating_sub(20);
    let maximum = row_maximum(machine, x, low, 5)?;
    let difference = x.subtract(&maximum)?;
    let function = exp_function();
    let comparison = Comparison::of_many(function.spline().raw_knots(form.fraction), low, 5);
    let inside = machine.compare(&difference, &comparison)?;
    let fraction = form.bits - 4;
    let value = machine.piecewise(&inside, &difference, &function, fraction)?;
    let value = machine.open(value)?;
    machine.extend(&value, fraction - 12, bits)
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

/// Fraction bits of a wide function's value before it is cut: enough for a cubic's smallest coefficient.
const VALUE_FRACTION: u32 = 94;
/// Ring of a wide function's opened value: room for 2^6 at that fraction.
const VALUE_RING: u32 = 104;

fn wide<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    function: &Function,
    range: &Wide,
) -> Result<Share<I, u128>, Error> {
    let form = *x.form();
    let copy = machine.extend::<u64, u128>(x, form.fraction - range.fraction, 128)?;
    let copy = machine.defer(copy)?;
    let comparison = range.comparison(function.spline().raw_knots(form.fraction), form.fraction)?;
    let value = machine.spline(x, &comparison, copy, function, VALUE_FRACTION)?;
    Ok(value.narrowed(VALUE_RING))
}

/// **Computes** 1/(x + offset), 0 ≤ x < 2^high, or for offset 0, 2^low ≤ x < 2^high. **Shapes** few elements, masked mod 2^k, to shares in Z_2^104 with 94
/// fraction bits. **Cost** one opening. **Security** see [`spline`](crate::protocols::spline). **Error** relative
/// 2·10⁻³ for x ≥ 2^low (1/577 of the cubic, the rest of the comparison) where the comparison's unit 2^(high − 20) is
/// at most 2^(low − 7); 4·10⁻³ where it is 2^(low − 4); 7·10⁻² below 2^low (asserted in tests for offset ≥ 2^low/16).
/// **Source** octave-wise splines; no Newton steps.
///
/// # Errors
/// If the range does not fit the ring.
pub fn reciprocal<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
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
/// fraction bits. **Cost** one opening. **Security** see [`spline`](crate::protocols::spline). **Error** relative
/// 7·10⁻⁴ where the comparison's unit 2^(high − 20) is at most 2^(low − 7); where it is more, 8·10⁻⁴ from 2^4 units on
/// and 2·10⁻² below (asserted in tests). **Source** octave-wise splines; no Newton steps.
///
/// # Errors
/// If the range does not fit the ring.
pub fn inverse_root<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    scale: f64,
    range: &Wide,
) -> Result<Share<I, u128>, Error> {
    let smallest = 2f64.powi(range.low);
    let exact = move |x: f64| scale / x.max(smallest / 4.0).sqrt();
    let function = Function::new("inverse root", exact, Spline::fit(3, &range.edges(), exact));
    wide(machine, x, &function, range)
}

/// Fraction bits of a row's factor.
const FACTOR_FRACTION: u32 = 24;
/// Fraction bits of scaled values.
const FRACTION: u32 = 12;
/// Ring of scaled values after they are cut.
const RING: u32 = 64;

/// The ring of a wide copy that [`scale_rows`] takes.
pub const WIDE_RING: u32 = RING + FACTOR_FRACTION;

/// **Computes** x·r for a factor r a row (or a row and head), the result ready for a linear layer. **Shapes** x
/// `[batch, rows, n]` as a wide copy in Z_2^88 on its way, r `[batch, rows, 1]` shares of a wide function; to masked
/// Z_2^64 (or narrower by what is cut beyond 24 bits) with `fraction` fraction bits. **Cost** two openings: r (which carries x), and the product.
/// **Security** see [`extension`](crate::protocols::extension). **Error** 2^−24 of x in r and one unit of the last
/// place. **Source** this project: normalising after the product with the values keeps the division off the T×T matrix.
///
/// # Errors
/// If the forms do not fit.
pub fn scale_rows<I: Interpreter>(
    machine: &mut Machine<I>,
    x: Pending<I, u128>,
    factor: Share<I, u128>,
    fraction: u32,
) -> Result<Masked<I, u64>, Error> {
    let shift = factor.form().fraction - FACTOR_FRACTION;
    let factor = machine.open(factor)?;
    let x = machine.take(x)?;
    scale_by(machine, &x, &factor, shift, fraction)
}

fn scale_by<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u128>,
    factor: &Masked<I, u128>,
    shift: u32,
    fraction: u32,
) -> Result<Masked<I, u64>, Error> {
    let product = machine.product_extended(x, factor, shift)?.narrowed(WIDE_RING);
    let product = machine.open(product)?;
    let cut = machine.truncate(&product, product.form().fraction - fraction)?.narrowed(RING);
    machine.to_word(&cut)
}

/// **Computes** y·√d/‖y‖ for each row y of width d whose mean is zero: LayerNorm without its affine part. **Shapes**
/// y `[1, T, d]` shares with `fraction` fraction bits, to masked Z_2^64 with 12 fraction bits. **Cost** five openings:
/// y, ‖y‖², the comparison, the factor, the product. **Security** see [`spline`](crate::protocols::spline). **Error**
/// relative 7·10⁻⁴ from the root and 2^−8 absolute in ‖y‖²/d. Needs 2^4 ≤ ‖y‖² < 2^17. **Source** LayerNorm, Ba et al.;
/// centred by the layer before, whose weights fold the mean in.
///
/// # Errors
/// If the forms do not fit.
pub fn layer_norm<I: Interpreter>(machine: &mut Machine<I>, y: Share<I, u64>) -> Result<Masked<I, u64>, Error> {
    const SQUARE_FRACTION: u32 = 9;
    let y = machine.open(y)?;
    let form = *y.form();
    let width = form.shape.columns as f64;
    let small = machine.truncate(&y, form.fraction - SQUARE_FRACTION)?;
    let norm = machine.square_sum(&small)?;
    let copy = machine.extend::<u64, u128>(&y, form.fraction - FRACTION, WIDE_RING)?;
    let copy = machine.defer(copy)?;
    let norm = machine.open(norm)?;
    let copy = machine.take(copy)?;
    let range = Wide { low: 4, high: 17, fraction: 8 };
    let factor = inverse_root(machine, &norm, width.sqrt(), &range)?;
    let shift = factor.form().fraction - FACTOR_FRACTION;
    let factor = machine.open(factor)?;
    scale_by(machine, &copy, &factor, shift, FRACTION)
}
