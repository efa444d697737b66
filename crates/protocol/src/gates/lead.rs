//! By how much the largest of many candidates leads the second.

use super::argmax::ranks_of;
use super::largest::{division, in_groups};
use super::maximum::join_columns;
use crate::error::Error;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::protocols::comparison::Comparison;
use blindroute_ring::Shape;

/// **Computes** in each row the difference between the largest and the second of n keys. **Shapes** `[batch, 1, n]`, masked, to shares `[batch, 1, 1]` in the ring of the keys. **Cost** up to 16
/// candidates: two openings and n(n − 1)/2 comparisons per row. More are divided into about √n groups, and the best two of each are compared: five openings and about n^1.5 + 2n
/// comparisons. Two openings more for each comparison unless tuned to keys. **Security** as [`argmax`](super::argmax). **Error** none if no key is less than `least`, and none exceeds it by the comparison's range; the difference is that of the
/// keys. **Source** a tournament of two rounds, from which two go on; this project.
///
/// # Errors
/// If there are fewer than two candidates, the comparison leaves bits out, or its window does not lie in the ring.
pub fn lead<I: Interpreter>(
    machine: &mut Machine<I>,
    keys: &Masked<I, u64>,
    comparison: &Comparison,
    least: f64,
) -> Result<Share<I, u64>, Error> {
    let Shape { batch, columns, .. } = keys.form().shape;
    if columns < 2 {
        return Err(Error::Program(format!("the lead among {columns} candidates: expected two or more")));
    }
    let (groups, size) = division(columns);
    if groups == 1 {
        return of_row(machine, keys, comparison);
    }
    let grouped = in_groups(machine, keys, (groups, size), least)?;
    let ranks = ranks_of(machine, &grouped, comparison)?;
    let ranks = machine.open(ranks)?;
    let named = |rank: usize| -> Vec<i64> { (0..1 << ranks.form().bits).map(|at| i64::from(at == rank)).collect() };
    let [first, second] = [named(0), named(1)];
    let first = machine.lookup::<u32, u64>(&ranks, &first, keys.form().bits)?;
    let first = machine.defer(first)?;
    let second = machine.lookup::<u32, u64>(&ranks, &second, keys.form().bits)?;
    let second = machine.open(second)?;
    let first = machine.take(first)?;
    let flat = Structure::Reshape(Shape::new(batch, 1, groups));
    let mut best = |one_hot| -> Result<_, Error> {
        let key = machine.product(&grouped, one_hot)?.restructure(&Structure::SumColumns).restructure(&flat);
        machine.defer(key)
    };
    let pending = (best(&first)?, best(&second)?);
    machine.exchange()?;
    let (first, second) = (machine.take(pending.0)?, machine.take(pending.1)?);
    of_row(machine, &join_columns(&first, &second)?, comparison)
}

/// The same with all pairs compared at once.
fn of_row<I: Interpreter>(
    machine: &mut Machine<I>,
    keys: &Masked<I, u64>,
    comparison: &Comparison,
) -> Result<Share<I, u64>, Error> {
    let ranks = ranks_of(machine, keys, comparison)?;
    let ranks = machine.open(ranks)?;
    let signs: Vec<i64> = (0..1 << ranks.form().bits).map(|rank| i64::from(rank == 0) - i64::from(rank == 1)).collect();
    let signs = machine.lookup::<u32, u64>(&ranks, &signs, keys.form().bits)?;
    let signs = machine.open(signs)?;
    Ok(machine.product(keys, &signs)?.restructure(&Structure::SumColumns))
}
