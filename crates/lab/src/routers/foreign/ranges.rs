//! Whether the values of a rule fit the ranges of fixed-point numbers, on embeddings of prompts.

use super::error::ForeignError;
use crate::data::vector::dot;
use crate::evaluation::rule::utilities;
use blindroute_routing::bundle::{LARGEST_HIDDEN, LARGEST_KEY, LARGEST_SPREAD, Matrix, Mlp, Neighbours, Rule};

/// Checks the values that a rule computes for these rows. Success is no proof for other prompts.
pub(super) fn check(rule: &Rule, inputs: &Matrix) -> Result<(), ForeignError> {
    let below = |what: &'static str, found: f32, limit: f32| {
        if found.abs() < limit { Ok(()) } else { Err(ForeignError::Range { what, found, limit }) }
    };
    for row in inputs.iter_rows() {
        match rule {
            Rule::Mlp(rule) => below("hidden value", largest(hidden_values(rule, row)), LARGEST_HIDDEN)?,
            Rule::Neighbours(rule) => below("product with a stored prompt", largest(products(rule, row)), LARGEST_KEY)?,
            Rule::UniRoute(_) | Rule::Cscr(_) | Rule::Direct(_) => (),
        }
        let scores = utilities(rule, row);
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let least = scores.iter().copied().fold(f32::INFINITY, f32::min);
        below("difference between the scores of two models", most - least, LARGEST_SPREAD)?;
    }
    Ok(())
}

/// The number of largest magnitude.
fn largest(values: impl IntoIterator<Item = f32>) -> f32 {
    // A NaN would be lost in a comparison; the tables of rules are finite, and so are sums of their products in f32 range.
    values.into_iter().fold(0.0, |most: f32, x| if x.abs() > most.abs() || x.is_nan() { x } else { most })
}

/// The values of all hidden layers before ReLU.
fn hidden_values(rule: &Mlp, row: &[f32]) -> Vec<f32> {
    let (mut all, mut values) = (Vec::new(), row.to_vec());
    for layer in &rule.hidden {
        let mut sums = layer.bias.data().to_vec();
        for (x, weights) in values.iter().zip(layer.weight.iter_rows()) {
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
        }
        all.extend_from_slice(&sums);
        values = sums.into_iter().map(|sum| sum.max(0.0)).collect();
    }
    all
}

fn products<'a>(rule: &'a Neighbours, row: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    rule.stored.iter_rows().zip(rule.offset.data()).map(|(stored, offset)| dot(stored, row) + offset)
}
