//! The rival that looks at the best two labels only: texts gain where one leads little over the other.

use super::units;
use blindroute_routing::bundle::{LinearLayer, Matrix};

/// Minus the lead of the largest score over the second, by text.
pub(super) fn leads(head: &LinearLayer, features: &Matrix) -> Vec<f32> {
    let lead = |row: &[f32]| {
        let (mut first, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
        for score in units(head, row) {
            if score > first {
                (first, second) = (score, first);
            } else {
                second = second.max(score);
            }
        }
        second - first
    };
    features.iter_rows().map(lead).collect()
}
