//! Where a student starts: its teacher's weights, made to fit the student's program.

use blindroute_routing::{
    bundle::{Activation, Attention, EncoderConfig, Layer, Linear, Matrix, Norms},
    program::RELU_DIVISOR,
};

use super::network::Divisors;

/// GELU is about (CURVE·x + CURVE)² + LEVEL, a tenth of it off between −3 and 3 (MPCFormer, arXiv 2211.01452, its Quad).
const CURVE: f32 = 0.353_553_4;
const LEVEL: f32 = 0.375;

/// A layer with the inner units of its feed-forward network that weigh most, in their order.
pub(super) fn narrowed(layer: &Layer, ffn: usize) -> Layer {
    let mut layer = layer.clone();
    let width = layer.up.weight.columns();
    if ffn == width {
        return layer;
    }
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
    let pick = |matrix: &Matrix| Matrix::from_fn(matrix.rows(), ffn, |row, unit| matrix.row(row)[kept[unit]]);
    layer.up = Linear { weight: pick(&layer.up.weight), bias: pick(&layer.up.bias) };
    layer.down.weight = pick(&layer.down.weight.transposed()).transposed();
    layer
}

/// What the teacher divides by row by row and the student does not, it starts with as a constant; and for a parabola
/// that is not GELU's, the weights around move a square to where GELU is.
pub(super) fn adapt(layer: &mut Layer, teacher: &EncoderConfig, student: &EncoderConfig, divisors: Divisors) {
    if (teacher.norms, student.norms) == (Norms::Both, Norms::Output) {
        layer.attention_norm.gain = scaled(&layer.attention_norm.gain, 1.0 / divisors.deviation);
    }
    if student.attention == Attention::Relu && teacher.attention != Attention::Relu {
        layer.output.weight = scaled(&layer.output.weight, RELU_DIVISOR / divisors.row_sum.max(1.0));
    }
    if student.activation == Activation::Square && teacher.activation != Activation::Square {
        layer.up.weight = scaled(&layer.up.weight, f64::from(CURVE));
        layer.up.bias =
            Matrix::from_fn(1, layer.up.bias.columns(), |_, unit| CURVE * (layer.up.bias.data()[unit] + 1.0));
        let level = |column: usize| LEVEL * layer.down.weight.iter_rows().map(|row| row[column]).sum::<f32>();
        let bias = &layer.down.bias;
        layer.down.bias = Matrix::from_fn(1, bias.columns(), |_, column| bias.data()[column] + level(column));
    }
}

fn scaled(matrix: &Matrix, factor: f64) -> Matrix {
    Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| (f64::from(matrix.row(row)[column]) * factor) as f32)
}
