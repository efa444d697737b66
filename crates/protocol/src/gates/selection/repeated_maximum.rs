//! The maximum, k times: find it, take it out, continue.

use super::records::{Records, break_ties, chosen, indices, one_hot};
use super::{Window, candidates};
use crate::error::Error;
use crate::gates::argmax::{Order, winner};
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Bits, Machine, Masked, MaskedBits, Share};

/// **Computes** the best by `score` of the k largest by `similarity`. **Shapes** two rows `[1, 1, n]`, masked, to n shared
/// bits. **Cost** 5k + 5 openings (5 for k = 1): a round has the comparison of all pairs (2), ranks, the winner's bits,
/// and its record together with the row without it; n(n − 1)/2 comparisons per round. **Security** shares and masked values
/// only; nothing that depends on the input is public. **Error** none, as [`argmax`](crate::gates::argmax).
/// **Source** CrypTen's pairwise `argmax`, k times, PPRoute's "maximum × k". **Differs from the source** in
/// that ties are broken by index, not at random, and that a taken candidate is lowered by the window, which the next
/// comparison then holds.
///
/// # Errors
/// If k is not in 1..=n or the window does not lie in the ring.
pub fn repeated_maximum_pairwise<I: Interpreter>(
    machine: &mut Machine<I>,
    similarity: &Masked<I, u64>,
    score: &Masked<I, u64>,
    k: usize,
    window: Window,
) -> Result<Bits<I>, Error> {
    let n = candidates(similarity, score, k)?;
    let (score, index) = (break_ties(machine, score)?, indices(machine, score.form().shape.columns)?);
    let mut left = similarity.clone();
    let mut taken = Vec::with_capacity(k);
    for round in 1..=k {
        let order = Order::new(machine, &left, &window.with_taken())?;
        let ranks = order.ranks(machine)?;
        let best = winner(machine, ranks)?;
        let best = machine.open_bits(best)?;
        // The key has served its purpose: only score and index go on.
        let (score, index) = (chosen(machine, &best, &score)?, chosen(machine, &best, &index)?);
        let (score, index) = (machine.defer(score)?, machine.defer(index)?);
        let rest = if round < k { Some(without(machine, &left, &best, window)?) } else { None };
        let rest = rest.map(|rest| machine.defer(rest)).transpose()?;
        machine.exchange()?;
        let (score, index) = (machine.take(score)?, machine.take(index)?);
        taken.push(Records { key: score.clone(), score, index });
        if let Some(rest) = rest {
            left = machine.take(rest)?;
        }
    }
    in_a_row(&taken)?.best(machine, n, window)
}

/// **Computes** the best by `score` of the k largest by `similarity`. **Shapes** two rows `[1, 1, n]`, masked, to n shared
/// bits. **Cost** (3·⌈log₂ n⌉ + 2)·k − 2 openings, and 5 for the choice if k > 1: a level of the tournament has a
/// comparison and the larger records, a round takes the winner out by its bits and the row without it; n − 1 comparisons per
/// round. **Security** shares and masked values only; nothing that depends on the input is public. **Error** none.
/// **Source** CrypTen's `max` by logarithmic reduction, k times. **Differs from the
/// source** in that score and index move with the value, so the winner is found without comparing all values with the
/// maximum, and that ties go to the lower index, since neighbours meet first.
///
/// # Errors
/// If k is not in 1..=n or the window does not lie in the ring.
pub fn repeated_maximum_tree<I: Interpreter>(
    machine: &mut Machine<I>,
    similarity: &Masked<I, u64>,
    score: &Masked<I, u64>,
    k: usize,
    window: Window,
) -> Result<Bits<I>, Error> {
    let n = candidates(similarity, score, k)?;
    let mut all = Records::new(machine, similarity.clone(), score)?;
    let mut taken = Vec::with_capacity(k);
    for round in 1..=k {
        let best = tournament(machine, &all, window)?;
        if round < k {
            let bits = one_hot(machine, &best.index, n)?;
            let bits = machine.open_bits(bits)?;
            let rest = without(machine, &all.key, &bits, window)?;
            all.key = machine.open(rest)?;
        }
        taken.push(best);
    }
    in_a_row(&taken)?.best(machine, n, window)
}

/// The record of the largest key, the first of equal ones: neighbours meet, so the order never changes.
fn tournament<I: Interpreter>(machine: &mut Machine<I>, all: &Records<I>, window: Window) -> Result<Records<I>, Error> {
    let mut left = all.clone();
    while left.len() > 1 {
        let pairs = left.len() / 2;
        let every_other = |from: usize| (0..pairs).map(|pair| 2 * pair + from).collect::<Vec<_>>();
        let (first, second) = (left.pick(&every_other(0)), left.pick(&every_other(1)));
        let (best, _) = first.exchange(machine, &second, &window.with_taken())?;
        left = if left.len() == 2 * pairs {
            best
        } else {
            let last = left.pick(&[2 * pairs]);
            Records::place(&[(&best, &(0..pairs).collect::<Vec<_>>()), (&last, &[pairs])], pairs + 1)?
        };
    }
    Ok(left)
}

/// The row with the one candidate lowered beneath all others.
fn without<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    taken: &MaskedBits<I>,
    window: Window,
) -> Result<Share<I, u64>, Error> {
    let form = *x.form();
    let range = (4 * window.digits).checked_sub(form.fraction).filter(|&range| range < 63);
    let range = range.ok_or_else(|| Error::Program("a window below one has no room for taken candidates".into()))?;
    let drop = machine.bits_to_share::<u64>(taken, form.bits)?.raise(form.fraction).scale(-(1i64 << range));
    machine.share_of(x)?.add(&drop.restructure(&Structure::Reshape(form.shape)))
}

/// Single records as a row.
fn in_a_row<I: Interpreter>(records: &[Records<I>]) -> Result<Records<I>, Error> {
    let places: Vec<usize> = (0..records.len()).collect();
    let parts: Vec<_> = records.iter().zip(places.chunks(1)).collect();
    Records::place(&parts, records.len())
}
