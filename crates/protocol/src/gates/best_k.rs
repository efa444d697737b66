//! Which of many candidates are among the k best.

use super::argmax::{count_bits, ranks_of};
use super::largest::in_groups;
use super::ranking::first_ranks;
use crate::error::Error;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::protocols::comparison::Comparison;
use crate::tuning::Tuning;
use blindroute_ring::Shape;

/// Up to so many candidates all pairs are compared at once.
const ONE_GROUP: usize = 64;
/// The same for far servers, whom each division costs four openings.
const ONE_GROUP_FAR: usize = 256;
/// The most candidates whose ranks a table of ten bits can hold.
const MOST_TOGETHER: usize = 1 << 10;

/// How the k best of n candidates are found: in rounds, each of which divides what is left into groups and keeps the k best of
/// each group. Public: it follows from n, k and the tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BestK {
    /// Rounds that divide into groups, before the last one that compares all pairs of what is left.
    pub divisions: usize,
    /// Comparisons of all rounds.
    pub comparisons: usize,
    /// Candidates of groups times k, over the rounds that divide: look-ups and selections.
    pub gathered: usize,
}

impl BestK {
    /// What [`best_k`] takes for one row; none if there is no k-th of n, or too many candidates are left whatever the groups.
    pub fn of(candidates: usize, k: usize, tuning: Tuning) -> Option<Self> {
        if k == 0 || k > candidates || candidates < 2 {
            return None;
        }
        let mut plan = Self { divisions: 0, comparisons: 0, gathered: 0 };
        let mut left = candidates;
        while let Some((groups, size)) = division(left, k, tuning) {
            plan.divisions += 1;
            plan.comparisons += groups * pairs(size);
            plan.gathered += groups * size * k;
            left = groups * k;
        }
        plan.comparisons += pairs(left);
        (left <= MOST_TOGETHER).then_some(plan)
    }
}

fn pairs(candidates: usize) -> usize {
    candidates * (candidates - 1) / 2
}

/// The groups, and the size of each, with the fewest comparisons in this round and one over all that is left; none if that saves less
/// than half of the comparisons of one group.
fn division(candidates: usize, k: usize, tuning: Tuning) -> Option<(usize, usize)> {
    if candidates <= if tuning == Tuning::Far { ONE_GROUP_FAR } else { ONE_GROUP } {
        return None;
    }
    let sizes = k + 1..=(candidates / 2).min(MOST_TOGETHER);
    let after = |size: usize| candidates.div_ceil(size) * k;
    let cost = |size: usize| candidates.div_ceil(size) * pairs(size) + pairs(after(size));
    let size = sizes.filter(|&size| after(size) < candidates).min_by_key(|&size| cost(size))?;
    let worth = candidates > MOST_TOGETHER || 2 * cost(size) <= pairs(candidates);
    worth.then_some((candidates.div_ceil(size), size))
}

/// **Computes** in each row 1 for the k largest of n keys and 0 for the others, as integers; ties go to the lower index. **Shapes**
/// `[batch, 1, n]`, masked ([`sort_keys`](super::sort_keys)), to as many in shares, in a ring of `ring` bits. **Cost** by [`BestK::of`]: one opening, and four for each round that divides
/// into groups (ranks, which of a group have rank 0 to k − 1, their keys, and after the other rounds the result); two more for the comparisons of each round unless tuned to keys; its
/// comparisons, and for each division k look-ups of bits and 2k selections per candidate. **Security** as [`argmax`](super::argmax); k and n are public. **Error** none if no key is
/// less than `least`, and none exceeds it by the comparison's range: exactly k are set. **Source** PPRoute's unsorted top-k (section 4.3) in each group, in a
/// tournament; this project. **Differs from the source** in the groups, with which the comparisons do not grow with the square of n.
///
/// # Errors
/// If k is not in 1..=n, there are too many candidates, the comparison leaves bits out, or its window does not lie in the ring.
pub fn best_k<I: Interpreter>(
    machine: &mut Machine<I>,
    keys: &Masked<I, u64>,
    k: usize,
    comparison: &Comparison,
    (least, ring): (f64, u32),
) -> Result<Share<I, u64>, Error> {
    let Shape { batch, rows, columns: candidates } = keys.form().shape;
    if rows != 1 || BestK::of(candidates, k, machine.tuning()).is_none() {
        return Err(Error::Program(format!("the best {k} of {}", keys.form().shape)));
    }
    let Some((groups, size)) = division(candidates, k, machine.tuning()) else {
        let ranks = ranks_of(machine, keys, comparison)?;
        let ranks = machine.open(ranks)?;
        let table: Vec<i64> = (0..1usize << ranks.form().bits).map(|rank| i64::from(rank < k)).collect();
        return machine.lookup::<u32, u64>(&ranks, &table, ring);
    };
    let grouped = in_groups(machine, keys, (groups, size), least)?;
    let ranks = ranks_of(machine, &grouped, comparison)?;
    debug_assert_eq!(ranks.form().bits, count_bits(size));
    // Row c of a group's matrix names its candidate of rank c.
    let places = first_ranks(machine, ranks, k)?;
    let places = machine.open_bits(places)?;
    let each = |from: Shape, indices: Vec<usize>| Structure::gather_each(from, (k, size), &indices);
    let repeated = grouped.restructure(&each(grouped.form().shape, (0..k * size).map(|at| at % size).collect()));
    let places = machine.restructure_bits(&places, &Structure::Reshape(repeated.form().shape))?;
    let best = machine.select(&places, &repeated)?.restructure(&Structure::SumColumns);
    let best = machine.open(best.restructure(&Structure::Reshape(Shape::new(batch, 1, groups * k))))?;
    let kept = best_k(machine, &best, k, comparison, (least, ring))?;
    let kept = machine.open(kept)?.restructure(&Structure::Reshape(Shape::new(batch * groups, 1, k)));
    let kept = kept.restructure(&each(kept.form().shape, (0..k * size).map(|at| at / size).collect()));
    let back = machine.select(&places, &kept)?.restructure(&Structure::SumRows);
    let back = back.restructure(&Structure::Reshape(Shape::new(batch, 1, groups * size)));
    let all: Vec<usize> = (0..candidates).collect();
    Ok(back.restructure(&Structure::gather_each(back.form().shape, (1, candidates), &all)))
}
