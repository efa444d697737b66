//! The best few of each row, in their order.

use super::argmax::ranks_of;
use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Bits, Machine, Masked, Share};
use crate::protocols::comparison::Comparison;
use blindroute_ring::Shape;

/// **Computes** in each row the one-hot vectors of the `count` largest of n values, the largest first, ties to the lower
/// index: the first is that of [`argmax`](super::argmax), bit for bit. **Shapes** `[batch, 1, n]` masked, to
/// `[batch, count, n]` shared bits. **Cost** three openings, as argmax: comparison (2, none if tuned to keys) and ranks;
/// n(n − 1)/2 comparisons and count·n look-ups per row. **Security** see
/// [`comparison`](crate::protocols::comparison) and [`table`](crate::protocols::table); `count` is public. **Error** none,
/// as argmax: the ranks are a permutation, so each vector names one candidate, and none is named twice. **Source**
/// PPRoute's unsorted top-k. **Differs from the source** in that the order of the k is kept, and ties are broken.
///
/// # Errors
/// If `count` is not in 1..=n, the comparison leaves bits out, or its window does not lie in the ring.
pub fn ranking<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    count: usize,
    comparison: &Comparison,
) -> Result<Bits<I>, Error> {
    let candidates = x.form().shape.columns;
    if candidates < 2 {
        return Err(Error::Program("argmax of fewer than two candidates".into()));
    }
    if !(1..=candidates).contains(&count) {
        return Err(Error::Program(format!(
            "a ranking of {count} of {candidates} candidates: expected 1 to {candidates}"
        )));
    }
    let ranks = ranks_of(machine, x, comparison)?;
    first_ranks(machine, ranks, count)
}

/// **Computes** in each row the one-hot vectors of the candidates of rank 0 to `count` − 1. **Shapes** ranks `[batch, 1, n]`,
/// which must lie in their ring without wrapping, to `[batch, count, n]` shared bits. **Cost** one opening.
pub(super) fn first_ranks<I: Interpreter>(
    machine: &mut Machine<I>,
    ranks: Share<I, u32>,
    count: usize,
) -> Result<Bits<I>, Error> {
    let entries = 1usize << ranks.form().bits;
    let ranks = machine.open(ranks)?;
    let ranks = if count == 1 { ranks } else { beyond(machine, &ranks, count)? };
    let table: Vec<bool> = (0..entries).map(|beyond| beyond == 0).collect();
    machine.lookup_bits(&ranks, &table)
}

/// How far each candidate's rank is beyond each of the first `count` ranks: row c of a result has zero where a candidate has
/// rank c. `[batch, 1, n]` to `[batch, count, n]`. No opening: the differences share the masks of the ranks.
pub(super) fn beyond<I: Interpreter>(
    machine: &mut Machine<I>,
    ranks: &Masked<I, u32>,
    count: usize,
) -> Result<Masked<I, u32>, Error> {
    let Shape { batch, columns: candidates, .. } = ranks.form().shape;
    let repeated: Vec<usize> = (0..count).flat_map(|_| 0..candidates).collect();
    let repeated = ranks.restructure(&Structure::gather_each(ranks.form().shape, (count, candidates), &repeated));
    let each = Shape::new(batch, count, candidates);
    let asked: Vec<f64> = (0..each.len()).map(|place| (place / candidates % count) as f64).collect();
    let asked = machine.constants::<u32>(Form::new(each, ranks.form().bits, 0), &asked)?;
    repeated.subtract(&asked)
}
