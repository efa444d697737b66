//! Functions of one variable as piecewise polynomials with public knots.

use blindroute_ring::{Tensor, Word};
use std::sync::Arc;

/// The highest degree of a piece.
pub(crate) const DEGREE: usize = 3;

/// Coefficients of a polynomial of degree at most 3, lowest first.
pub(crate) type Cubic<T = f64> = [T; DEGREE + 1];

/// A piecewise polynomial: piece `j` is used from knot `j − 1` up to knot `j`.
///
/// Each piece interpolates the function at Chebyshev points, which is within a small factor of the best polynomial of
/// its degree. Coefficients are about the middle of the piece, so that rounding them to fixed point costs little.
#[derive(Clone, Debug)]
pub struct Spline {
    degree: usize,
    knots: Vec<f64>,
    centres: Vec<f64>,
    pieces: Vec<Cubic>,
}

/// A function with the spline that stands for it under MPC.
#[derive(Clone)]
pub struct Function {
    name: &'static str,
    exact: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
    /// The same for many numbers at once, up to the rounding of f32.
    vectors: Option<fn(&mut [f32])>,
    spline: Spline,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Function({}, {} knots, degree {})", self.name, self.spline.knots.len(), self.spline.degree)
    }
}

impl Function {
    /// A function and its spline.
    pub fn new(name: &'static str, exact: impl Fn(f64) -> f64 + Send + Sync + 'static, spline: Spline) -> Self {
        Self { name, exact: Arc::new(exact), vectors: None, spline }
    }

    /// With a faster way to compute the function for many numbers, in place and up to the rounding of f32.
    #[must_use]
    pub(crate) fn with_vectors(self, vectors: fn(&mut [f32])) -> Self {
        Self { vectors: Some(vectors), ..self }
    }

    /// 0 below zero and 1 from there on, which its spline is exactly.
    pub fn step() -> Self {
        Self::new("step", |x| f64::from(u8::from(x >= 0.0)), Spline::steps(vec![0.0], &[0.0, 1.0]))
    }

    /// What it is called in errors and costs.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The function itself.
    pub fn exact(&self, x: f64) -> f64 {
        (self.exact)(x)
    }

    /// The function of every element, as the clear interpreter computes it.
    pub(crate) fn clear(&self, x: &Tensor<f32>) -> Tensor<f32> {
        match self.vectors {
            Some(vectors) => {
                let mut values = x.clone();
                vectors(values.data_mut());
                values
            }
            None => x.map(|x| self.exact(f64::from(x)) as f32),
        }
    }

    /// The piecewise polynomial, as the servers compute it.
    pub fn spline(&self) -> &Spline {
        &self.spline
    }
}

impl Spline {
    /// Fits `function` on the intervals between `edges`; the outermost pieces extend to infinity.
    ///
    /// # Panics
    /// If there are fewer than two edges or the degree is not 2 or 3: both are constants of the program.
    pub fn fit(degree: usize, edges: &[f64], function: impl Fn(f64) -> f64) -> Self {
        assert!(
            (2..=DEGREE).contains(&degree) && edges.len() >= 2,
            "a spline has degree 2 or 3 and at least one piece"
        );
        let fitted: Vec<_> = edges.windows(2).map(|edge| interpolate(degree, edge[0], edge[1], &function)).collect();
        let (centres, pieces) = fitted.into_iter().unzip();
        Self { degree, knots: edges[1..edges.len() - 1].to_vec(), centres, pieces }
    }

    /// Constants between knots: `values[j]` from knot j − 1 up to knot j. One more value than knots.
    pub fn steps(knots: Vec<f64>, values: &[f64]) -> Self {
        debug_assert_eq!(knots.len() + 1, values.len(), "one constant before each knot, and one after the last");
        let pieces = values.iter().map(|&value| [value, 0.0, 0.0, 0.0]).collect();
        Self { degree: 2, centres: vec![0.0; values.len()], knots, pieces }
    }

    /// Adds a piece before the first one, up to `knot`.
    pub fn preceded_by(mut self, knot: f64, piece: Cubic) -> Self {
        self.knots.insert(0, knot);
        self.centres.insert(0, 0.0);
        self.pieces.insert(0, piece);
        self
    }

    /// Adds a piece after the last one, from `knot` on.
    pub fn followed_by(mut self, knot: f64, piece: Cubic) -> Self {
        self.knots.push(knot);
        self.centres.push(0.0);
        self.pieces.push(piece);
        self
    }

    /// The degree of the pieces, 2 or 3.
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// Where one piece hands over to the next, ascending.
    pub fn knots(&self) -> &[f64] {
        &self.knots
    }

    /// The value at `x`, in real arithmetic.
    pub fn at(&self, x: f64) -> f64 {
        let piece = self.knots.iter().filter(|&&knot| x >= knot).count();
        let t = x - self.centres[piece];
        self.pieces[piece].iter().rev().fold(0.0, |sum, &c| sum * t + c)
    }

    /// The knots as integers of `fraction` bits.
    pub fn raw_knots(&self, fraction: u32) -> Vec<i64> {
        self.knots.iter().map(|&knot| raw(knot, fraction) as i64).collect()
    }

    /// The value at the integer `x` of `fraction` bits in exact integer arithmetic, `output` fraction bits.
    pub fn raw_at(&self, x: i128, fraction: u32, output: u32) -> i128 {
        let piece = self.raw_knots(fraction).iter().filter(|&&knot| x >= i128::from(knot)).count();
        let t = x.wrapping_sub(raw(self.centres[piece], fraction));
        (0..=self.degree).rev().fold(0i128, |sum, p| {
            sum.wrapping_mul(t).wrapping_add(raw_coefficient(self.pieces[piece][p], p, fraction, output))
        })
    }

    /// The first piece and the differences of neighbouring pieces as polynomials in the integer `x`, modulo the ring:
    /// the value is the first plus, for each knot at or below x, the difference there.
    pub fn ring_pieces<W: Word>(&self, fraction: u32, output: u32) -> (Cubic<W>, Vec<Cubic<W>>) {
        let expand = |(piece, &centre): (&Cubic, &f64)| {
            let minus_centre = W::from_u128(raw(centre, fraction).wrapping_neg() as u128);
            let coefficient = |p: usize| raw_coefficient(piece[p], p, fraction, output) as u128;
            taylor(&std::array::from_fn(|p| W::from_u128(coefficient(p))), minus_centre)
        };
        let expanded: Vec<Cubic<W>> = self.pieces.iter().zip(&self.centres).map(expand).collect();
        let differences =
            expanded.windows(2).map(|pair| std::array::from_fn(|p| pair[1][p].minus(pair[0][p]))).collect();
        (expanded[0], differences)
    }
}

/// Coefficients of `t ↦ p(t + shift)`: entry q is the q-th Taylor coefficient of p at `shift`.
#[inline(always)]
pub(crate) fn taylor<W: Word, const N: usize>(polynomial: &[W; N], shift: W) -> [W; N] {
    let mut coefficients = *polynomial;
    for low in 0..N - 1 {
        for index in (low..N - 1).rev() {
            coefficients[index] = coefficients[index].plus(shift.times(coefficients[index + 1]));
        }
    }
    coefficients
}

fn raw(value: f64, fraction: u32) -> i128 {
    (value * 2f64.powi(fraction as i32)).round() as i128
}

/// A coefficient of x^power so that the product with the integer x^power has `output` fraction bits.
fn raw_coefficient(value: f64, power: usize, fraction: u32, output: u32) -> i128 {
    (value * 2f64.powi(output as i32 - (power as u32 * fraction) as i32)).round() as i128
}

/// The polynomial about the middle of `[from, to]` through the Chebyshev points.
fn interpolate(degree: usize, from: f64, to: f64, function: &impl Fn(f64) -> f64) -> (f64, Cubic) {
    let (centre, half) = ((from + to) / 2.0, (to - from) / 2.0);
    let count = degree + 1;
    let points: Vec<f64> =
        (0..count).map(|i| half * (std::f64::consts::PI * (i as f64 + 0.5) / count as f64).cos()).collect();
    let mut divided: Vec<f64> = points.iter().map(|&t| function(centre + t)).collect();
    for order in 1..count {
        for i in (order..count).rev() {
            divided[i] = (divided[i] - divided[i - 1]) / (points[i] - points[i - order]);
        }
    }
    let mut cubic = Cubic::default();
    for i in (0..count).rev() {
        // cubic = cubic · (t − points[i]) + divided[i]
        for p in (1..=DEGREE).rev() {
            cubic[p] = cubic[p - 1] - points[i] * cubic[p];
        }
        cubic[0] = divided[i] - points[i] * cubic[0];
    }
    (centre, cubic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubic_is_fitted_exactly() {
        let f = |x: f64| 1.0 + x * (2.0 - x * (0.5 + x));
        let spline = Spline::fit(3, &[-1.0, 0.5, 2.0], f);
        for i in -10..=20 {
            let x = f64::from(i) / 10.0;
            assert!((spline.at(x) - f(x)).abs() < 1e-12);
        }
    }

    #[test]
    fn ring_pieces_sum_to_the_integer_value() {
        let spline = Spline::fit(3, &[-3.0, -1.0, 0.0, 2.0], f64::exp).preceded_by(-3.0, [0.0; 4]);
        let (first, differences) = spline.ring_pieces::<u128>(10, 50);
        for x in (-4096..2048i64).step_by(37) {
            let value = |polynomial: &Cubic<u128>| taylor(polynomial, x as i128 as u128)[0];
            let mut sum = value(&first);
            for (knot, difference) in spline.raw_knots(10).into_iter().zip(&differences) {
                if x >= knot {
                    sum = sum.wrapping_add(value(difference));
                }
            }
            assert_eq!(sum as i128, spline.raw_at(i128::from(x), 10, 50));
            let real = sum as i128 as f64 / 2f64.powi(50);
            assert!((real - spline.at(x as f64 / 1024.0)).abs() < 1e-4);
        }
    }
}
