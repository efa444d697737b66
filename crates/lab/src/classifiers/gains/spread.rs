//! The rival that needs no training: texts gain where the labels' scores are close together. It is minus the sum of the squares of the
//! scores less their mean.

use blindroute_routing::bundle::{LinearLayer, Matrix};

/// Minus the squares of a head's scores less their mean. Its first half of units is zero.
pub(super) fn spread(head: &LinearLayer) -> LinearLayer {
    let labels = head.weight.columns();
    let of = |matrix: &Matrix| {
        Matrix::from_fn(matrix.rows(), 2 * labels, |row, unit| {
            let row = matrix.row(row);
            let mean = row.iter().sum::<f32>() / labels as f32;
            if unit < labels { 0.0 } else { row[unit - labels] - mean }
        })
    };
    LinearLayer { weight: of(&head.weight), bias: of(&head.bias) }
}
