//! The largest of many candidates, in groups.

use super::argmax::one_hot;
use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::protocols::comparison::Comparison;
use blindroute_ring::Shape;

/// Up to so many candidates all pairs are compared at once.
const ONE_GROUP: usize = 16;

/// How n candidates are divided: groups, and candidates of each.
pub(super) fn division(candidates: usize) -> (usize, usize) {
    if candidates <= ONE_GROUP {
        return (1, candidates);
    }
    let size = (1..=candidates).find(|size| size * size >= candidates).unwrap_or(candidates);
    (candidates.div_ceil(size), size)
}

/// **Computes** in each row the one-hot vector of the largest of n keys as integers 0 and 1; keys that differ by less than n units, see [`sort_keys`](super::sort_keys), are distinct,
/// so exactly one is set. **Shapes** `[batch, 1, n]`, masked, to as many shares in a ring of `ring` bits. **Cost** up to 16 candidates: one opening and n(n − 1)/2 comparisons per row. More are divided into about √n groups,
/// and the best of each are compared: five openings and about n^1.5 comparisons. Two openings more for each comparison unless tuned to keys. **Security** as [`argmax`](super::argmax). **Error** none if
/// no key is less than `least`, and none exceeds it by the comparison's range. **Source** a tournament of two rounds; this project.
///
/// # Errors
/// If the comparison leaves bits out, or its window does not lie in the ring.
pub fn largest<I: Interpreter>(
    machine: &mut Machine<I>,
    keys: &Masked<I, u64>,
    comparison: &Comparison,
    least: f64,
    ring: u32,
) -> Result<Share<I, u64>, Error> {
    let Shape { batch, columns, .. } = keys.form().shape;
    let (groups, size) = division(columns);
    if groups == 1 {
        return one_hot(machine, keys, comparison, ring);
    }
    let grouped = in_groups(machine, keys, (groups, size), least)?;
    let within = one_hot(machine, &grouped, comparison, keys.form().bits)?;
    let within = machine.open(within)?;
    let best = machine.product(&grouped, &within)?.restructure(&Structure::SumColumns);
    let best = machine.open(best.restructure(&Structure::Reshape(Shape::new(batch, 1, groups))))?;
    let group = one_hot(machine, &best, comparison, ring)?;
    let group = machine.open(group)?.restructure(&Structure::Reshape(Shape::new(batch * groups, 1, 1)));
    let both = machine.product(&within.narrowed(ring), &group)?;
    let all: Vec<usize> = (0..columns).collect();
    let rows = both.restructure(&Structure::Reshape(Shape::new(batch, 1, groups * size)));
    Ok(rows.restructure(&Structure::gather_each(rows.form().shape, (1, columns), &all)))
}

/// The keys of each group as a row of its own, `[batch · groups, 1, size]`; places without a candidate have the key `least`.
pub(super) fn in_groups<I: Interpreter>(
    machine: &mut Machine<I>,
    keys: &Masked<I, u64>,
    (groups, size): (usize, usize),
    least: f64,
) -> Result<Masked<I, u64>, Error> {
    let Shape { batch, columns, .. } = keys.form().shape;
    let places: Vec<usize> =
        (0..groups * size).map(|place| if place < columns { place } else { Structure::NOTHING }).collect();
    let padded = keys.restructure(&Structure::gather_each(keys.form().shape, (1, groups * size), &places));
    let rows = Shape::new(batch * groups, 1, size);
    let padded = padded.restructure(&Structure::Reshape(rows));
    let of_one = (0..groups * size).map(|place| if place < columns { 0.0 } else { least });
    let low: Vec<f64> = (0..batch).flat_map(|_| of_one.clone()).collect();
    let low = machine.constants::<u64>(Form { shape: rows, ..*keys.form() }, &low)?;
    padded.add(&low)
}
