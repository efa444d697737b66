//! Unsorted top-k, then the best of the k by another score.

use crate::error::Error;
use crate::gates::argmax::{Order, count_bits};
use crate::gates::ranking::first_ranks;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Bits, Machine, Masked};
use crate::protocols::comparison::Comparison;

/// **Computes** in each row the one-hot vector of the candidate with the largest `score` among the k with the largest
/// `similarity`; ties go to the lower index in both. **Shapes** two of `[batch, 1, n]`, masked, to as many shared bits as
/// one has. **Cost** five openings: both comparisons together (2), ranks, survivors, ranks among survivors; n(n − 1)
/// comparisons of the given digits per row. **Security** see [`comparison`](crate::protocols::comparison), [`selection`](crate::protocols::selection) and
/// [`table`](crate::protocols::table). **Error** none, as [`argmax`](crate::gates::argmax): exactly one bit is set. **Source** PPRoute,
/// unsorted top-k (section 4.3), CSCR's cost-aware choice among the k. **Differs from the source** in that ties are
/// broken, so exactly k survive even if all are equal, and that both orders are found at once.
///
/// # Errors
/// If k is not in 1..=n, the comparison leaves bits out, or its window does not lie in the ring.
pub fn top_k_then_argmax<I: Interpreter>(
    machine: &mut Machine<I>,
    similarity: &Masked<I, u64>,
    score: &Masked<I, u64>,
    k: usize,
    comparison: &Comparison,
) -> Result<Bits<I>, Error> {
    top_k_then_ranking(machine, similarity, score, (k, 1), comparison)
}

/// **Computes** in each row the one-hot vectors of the `count` candidates with the largest `score` among the k with the largest
/// `similarity`, the best first; ties go to the lower index in both. Those that are not among the k are never named. **Shapes** two
/// of `[batch, 1, n]`, masked, to `[batch, count, n]` shared bits. **Cost** five openings, as [`top_k_then_argmax`], which is
/// the first vector; its **Security**, **Error** and **Source** too. k and `count` are public.
///
/// # Errors
/// If k is not in 1..=n or `count` not in 1..=k, the comparison leaves bits out, or its window does not lie in the ring.
pub fn top_k_then_ranking<I: Interpreter>(
    machine: &mut Machine<I>,
    similarity: &Masked<I, u64>,
    score: &Masked<I, u64>,
    (k, count): (usize, usize),
    comparison: &Comparison,
) -> Result<Bits<I>, Error> {
    let n = similarity.form().shape.columns;
    if k == 0 || k > n || n < 2 || score.form().shape != similarity.form().shape {
        return Err(Error::Program(format!("the top {k} of {n} candidates")));
    }
    if !(1..=k).contains(&count) {
        return Err(Error::Program(format!("a ranking of {count} of the top {k} candidates: expected 1 to {k}")));
    }
    let (by_similarity, by_score) = Order::two(machine, similarity, score, comparison)?;
    let ranks = by_similarity.ranks(machine)?;
    let entries = 1usize << ranks.form().bits;
    let ranks = machine.open(ranks)?;
    let survives: Vec<bool> = (0..entries).map(|rank| rank < k).collect();
    let alive = machine.lookup_bits(&ranks, &survives)?;
    let alive = machine.open_bits(alive)?;
    // A survivor's count is below n; the others' are raised above every survivor's.
    let counts = by_score.ranks_among(machine, &alive)?;
    let ring = count_bits(n) + 1;
    let dead = machine.bits_to_share::<u32>(&alive, ring)?.scale(-(1 << count_bits(n)));
    let counts = machine.add_constant(counts.add(&dead)?, f64::from(1u32 << count_bits(n)))?;
    first_ranks(machine, counts, count)
}
