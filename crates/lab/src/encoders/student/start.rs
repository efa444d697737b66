//! The start of a student: its teacher's weights, adapted to the student's program.

use super::neural_encoder::{Former, Observed, Parabola};
use blindroute_routing::bundle::{Activation, Attention, EncoderConfig, Layer, LinearLayer, Matrix, Norms};
use rayon::prelude::*;

/// The `ffn` units of the layer's feed-forward network that have the largest weights, in their order.
fn kept_units(layer: &Layer, ffn: usize) -> Vec<usize> {
    let width = layer.up.weight.columns();
    let weight = |unit: usize| {
        let square = |x: &f32| f64::from(*x).powi(2);
        let incoming: f64 = layer.up.weight.iter_rows().map(|row| square(&row[unit])).sum();
        incoming * layer.down.weight.row(unit).iter().map(square).sum::<f64>()
    };
    let weights: Vec<f64> = (0..width).map(weight).collect();
    let mut kept: Vec<usize> = (0..width).collect();
    kept.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b)));
    kept.truncate(ffn);
    kept.sort_unstable();
    kept
}

/// Keeps the `ffn` units of the feed-forward network that have the largest weights.
pub(super) fn narrow(layer: &mut Layer, former: &mut Former, ffn: usize) {
    if ffn == layer.up.weight.columns() {
        return;
    }
    let kept = kept_units(layer, ffn);
    keep_units(layer, &kept);
    former.parabolas = kept.iter().map(|unit| former.parabolas[*unit]).collect();
}

/// Keeps only these units of the feed-forward network.
pub(crate) fn keep_units(layer: &mut Layer, kept: &[usize]) {
    let pick = |matrix: &Matrix| Matrix::from_fn(matrix.rows(), kept.len(), |row, unit| matrix.row(row)[kept[unit]]);
    layer.up = LinearLayer { weight: pick(&layer.up.weight), bias: pick(&layer.up.bias) };
    layer.down.weight = pick(&layer.down.weight.transposed()).transposed();
}

/// What an activation gives for a number.
pub(crate) fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)),
        Activation::Relu => x.max(0.0),
        Activation::Square => x * x,
    }
}

/// Adapts a layer to the student's program, and says what its weights computed before. Where the teacher divides each row by a
/// number and the student does not, the weights take the mean of that number as a constant. Squares start as the parabolas
/// closest to the teacher's activation, and linear attention as the lines closest to the teacher's weights.
pub(super) fn adapt(
    layer: &mut Layer,
    teacher: &EncoderConfig,
    student: &EncoderConfig,
    observed: &Observed,
) -> Former {
    let units = layer.up.weight.columns();
    let mut former = Former::unchanged(teacher.attention, teacher.activation, teacher.heads, units);
    if (teacher.norms, student.norms) == (Norms::Both, Norms::Output) {
        layer.attention_norm.gain = scaled(&layer.attention_norm.gain, 1.0 / observed.deviation);
        former.deviation = Some(observed.deviation);
    }
    if student.attention == Attention::Linear && teacher.attention != Attention::Linear {
        straighten(layer, observed, &mut former);
    }
    if student.activation == Activation::Square && teacher.activation != Activation::Square {
        former.parabolas = square(layer, teacher.activation, &observed.inner);
    }
    former
}

/// The least level and slope of a line that stands for attention weights.
const LINE: (f64, f64) = (0.1, 1e-3);

/// Folds into queries, keys and the output the lines level + slope·score, as level·(1 + score′).
fn straighten(layer: &mut Layer, observed: &Observed, former: &mut Former) {
    if former.attention == Attention::Softmax {
        // Softmax ignores what all scores of a query have in common, so their mean can be zero.
        let keys = &layer.key.bias;
        layer.key.bias = Matrix::from_fn(1, keys.columns(), |_, column| keys.data()[column] - observed.keys[column]);
    }
    let width = layer.query.weight.columns() / observed.lines.len();
    let lines: Vec<(f64, f64)> =
        observed.lines.iter().map(|(level, slope)| (level.max(LINE.0), slope.max(LINE.1))).collect();
    // Half of the factor in queries and keys each, so that rounding affects both equally.
    let root = |column: usize| (lines[column / width].1 / lines[column / width].0).sqrt() as f32;
    for linear in [&mut layer.query, &mut layer.key] {
        for matrix in [&mut linear.weight, &mut linear.bias] {
            *matrix =
                Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| matrix.row(row)[column] * root(column));
        }
    }
    let output = &layer.output.weight;
    layer.output.weight = Matrix::from_fn(output.rows(), output.columns(), |row, column| {
        output.row(row)[column] * lines[row / width].0 as f32
    });
    former.scores = lines.iter().map(|(level, slope)| (level / slope) as f32).collect();
    former.contexts = lines.iter().map(|(level, _)| *level as f32).collect();
}

/// The smallest curvature of a parabola. A unit that is almost linear would need a distant vertex, and large squares that
/// cancel each other.
const CURVED: f64 = 0.02;

impl Parabola {
    /// The parabola closest to a function at these places, by least squares.
    fn fit(places: &[f64], function: impl Fn(f64) -> f64) -> Self {
        let count = places.len().max(1) as f64;
        let mean = |of: &dyn Fn(f64) -> f64| places.iter().map(|x| of(*x)).sum::<f64>() / count;
        // 1, centred x, and x² minus its linear fit are orthogonal.
        let middle = mean(&|x| x);
        let spread = mean(&|x| (x - middle).powi(2)).max(1e-9);
        let skew = mean(&|x| (x - middle).powi(3)) / spread;
        let bend = |x: f64| (x - middle).powi(2) - skew * (x - middle) - spread;
        let weight = mean(&|x| bend(x).powi(2)).max(1e-9);
        let quadratic = mean(&|x| bend(x) * function(x)) / weight;
        let quadratic = if quadratic.abs() < CURVED { CURVED.copysign(quadratic) } else { quadratic };
        // Slope and level for the chosen curvature.
        let rest = |x: f64| function(x) - quadratic * (x - middle).powi(2);
        let slope = mean(&|x| (x - middle) * rest(x)) / spread;
        let level = mean(&rest);
        // quadratic·(x − middle)² + slope·(x − middle) + level, as a completed square.
        let root = quadratic.abs().sqrt();
        let vertex = middle - slope / (2.0 * quadratic);
        Self {
            sign: quadratic.signum() as f32,
            root: root as f32,
            shift: (-root * vertex) as f32,
            level: (level - slope * slope / (4.0 * quadratic)) as f32,
        }
    }
}

/// Folds the parabolas into the weights around the squares, and returns them, one per unit.
fn square(layer: &mut Layer, activation: Activation, inner: &[Vec<f32>]) -> Vec<Parabola> {
    let function = |x: f64| activated(activation, x);
    let units = layer.up.weight.columns();
    let parabolas: Vec<Parabola> = (0..units)
        .into_par_iter()
        .map(|unit| {
            let places: Vec<f64> = inner.iter().map(|row| f64::from(row[unit])).collect();
            Parabola::fit(&places, function)
        })
        .collect();
    let Layer { up, down, .. } = layer;
    let bias = |column: usize| {
        let levels = parabolas.iter().zip(down.weight.iter_rows()).map(|(of, row)| of.level * row[column]);
        down.bias.data()[column] + levels.sum::<f32>()
    };
    down.bias = Matrix::from_fn(1, down.bias.columns(), |_, column| bias(column));
    down.weight = Matrix::from_fn(units, down.weight.columns(), |unit, column| {
        parabolas[unit].sign * down.weight.row(unit)[column]
    });
    up.bias = Matrix::from_fn(1, units, |_, unit| parabolas[unit].root * up.bias.data()[unit] + parabolas[unit].shift);
    up.weight = Matrix::from_fn(up.weight.rows(), units, |row, unit| parabolas[unit].root * up.weight.row(row)[unit]);
    parabolas
}

fn scaled(matrix: &Matrix, factor: f64) -> Matrix {
    Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| (f64::from(matrix.row(row)[column]) * factor) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parabolas_are_found_and_lines_get_the_smallest_curvature() {
        let places: Vec<f64> = (0..50).map(|x| f64::from(x * x % 37) / 9.0 - 1.5).collect();
        let at = |of: &Parabola, x: f64| {
            f64::from(of.sign) * (f64::from(of.root) * x + f64::from(of.shift)).powi(2) + f64::from(of.level)
        };
        let worst = |of: &Parabola, function: &dyn Fn(f64) -> f64| {
            places.iter().map(|x| (at(of, *x) - function(*x)).abs()).fold(0.0, f64::max)
        };
        let up = |x: f64| 0.3 * x * x - 0.4 * x + 1.0;
        let down = |x: f64| -0.2 * x * x + x;
        let line = |x: f64| x;
        assert!(worst(&Parabola::fit(&places, up), &up) < 1e-5);
        assert!(worst(&Parabola::fit(&places, down), &down) < 1e-5);
        // Places go from −1.5 to 2.5, so the error is at most CURVED·2².
        assert!(worst(&Parabola::fit(&places, line), &line) < 4.0 * CURVED);
        let gelu = |x: f64| 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2));
        assert!(worst(&Parabola::fit(&places, gelu), &gelu) < 0.15);
    }
}
