//! Operations on vectors whose rounding does not depend on the machine.

use blindroute_routing::bundle::Matrix;

/// The number of partial sums of [`dot`], so that the compiler can use vector instructions without reordering a sum.
const LANES: usize = 16;

/// a·b, summed in a fixed order, so that training gives bit-identical routers on all processors.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// The index of the largest value, on ties the lowest; 0 if there are no values.
pub(crate) fn argmax(values: impl IntoIterator<Item = f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, value) in values.into_iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

/// The vector scaled to unit length. A zero vector stays zero.
pub(crate) fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.iter().map(|x| (f64::from(*x) * scale) as f32).collect()
}

/// The matrix with every row scaled to unit length. Rows of zeros stay zero.
pub(crate) fn unit_rows(matrix: &Matrix) -> Matrix {
    let rows: Vec<Vec<f32>> = matrix.iter_rows().map(unit).collect();
    Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| rows[row][column])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let a: Vec<f32> = (0..35).map(|x| x as f32).collect();
        assert_eq!(dot(&a, &a), (0..35).map(|x| (x * x) as f32).sum::<f32>());
        assert_eq!(argmax([1.0, 3.0, 3.0]), 1);
        assert_eq!(unit(&[3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(unit(&[0.0]), [0.0]);
    }
}
