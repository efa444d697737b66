//! Selection by compare-and-swap: one after another, or by divide and conquer.

use super::bitonic::exchange_pairs;
use super::records::{Records, break_ties};
use super::{Window, candidates};
use crate::error::Error;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Bits, Machine, Masked};

/// The rounds that bring the largest of `size` records to the last place: in each, pairs whose second gets the larger.
fn levels(size: usize) -> Vec<Vec<(usize, usize)>> {
    let mut places: Vec<usize> = (0..size).collect();
    let mut waiting = None;
    let mut levels = Vec::new();
    while places.len() + usize::from(waiting.is_some()) > 1 {
        if places.len() % 2 == 1 {
            match waiting.take() {
                Some(place) => places.push(place),
                None => waiting = places.pop(),
            }
        }
        let pairs: Vec<_> = places.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        places = pairs.iter().map(|&(_, second)| second).collect();
        levels.push(pairs);
    }
    levels
}

/// Comparisons of each level of [`divide_and_conquer_bubble`].
pub fn bubble_levels(candidates: usize, k: usize) -> Vec<usize> {
    (0..k).flat_map(|taken| levels(candidates - taken)).map(|pairs| pairs.len()).collect()
}

/// **Computes** the best by `score` of the k largest by `similarity`. **Shapes** two rows `[1, 1, n]`, masked, to n shared
/// bits. **Cost** three openings per level, ⌈log₂ m⌉ levels for each m = n, n − 1, … n − k + 1, and 5 for the choice if
/// k > 1; m − 1 comparisons each. **Security** what meets is the same for every input; shares and masked values only.
/// **Error** none. **Source** Kona's DQBubble, by our reading of it: pairs
/// are compared and swapped, the larger ones continue, and the largest ends at the last place, k times. **Differs from the
/// source** in that the index breaks ties, since swaps do not keep the order. Here a level is one exchange; PPRoute's
/// 6,976 rounds would be 16 for each of 436 comparisons, one after another, which we infer from the number alone.
///
/// # Errors
/// If k is not in 1..=n or the window does not lie in the ring.
pub fn divide_and_conquer_bubble<I: Interpreter>(
    machine: &mut Machine<I>,
    similarity: &Masked<I, u64>,
    score: &Masked<I, u64>,
    k: usize,
    window: Window,
) -> Result<Bits<I>, Error> {
    let n = candidates(similarity, score, k)?;
    let key = break_ties(machine, similarity)?;
    let mut records = Records::new(machine, key, score)?;
    for taken in 0..k {
        for level in levels(n - taken) {
            let larger_first: Vec<_> = level.into_iter().map(|(first, second)| (second, first)).collect();
            records = exchange_pairs(machine, &records, &larger_first, window)?;
        }
    }
    records.pick(&(n - k..n).collect::<Vec<_>>()).best(machine, n, window)
}

/// **Computes** the best by `score` of the k largest by `similarity`. **Shapes** two rows `[1, 1, n]`, masked, to n shared
/// bits. **Cost** three openings for each of k·n − k(k + 1)/2 comparisons, one after another, and 5 for the choice if
/// k > 1. **Security** every scan runs to its end; shares and masked values only. **Error** none.
/// **Source** selection by compare-and-swap (bubble sort, left after k scans), PPRoute's "brute
/// force". **Differs from the source** in nothing but that ties go to the lower index, since neighbours meet.
///
/// # Errors
/// If k is not in 1..=n or the window does not lie in the ring.
pub fn brute_force<I: Interpreter>(
    machine: &mut Machine<I>,
    similarity: &Masked<I, u64>,
    score: &Masked<I, u64>,
    k: usize,
    window: Window,
) -> Result<Bits<I>, Error> {
    let n = candidates(similarity, score, k)?;
    let all = Records::new(machine, similarity.clone(), score)?;
    let mut singles: Vec<Records<I>> = (0..n).map(|place| all.pick(&[place])).collect();
    for front in 0..k {
        for place in (front + 1..n).rev() {
            let pair = singles[place - 1].exchange(machine, &singles[place], &window.comparison())?;
            (singles[place - 1], singles[place]) = pair;
        }
    }
    let places: Vec<usize> = (0..k).collect();
    let parts: Vec<_> = singles.iter().zip(places.chunks(1)).collect();
    Records::place(&parts, k)?.best(machine, n, window)
}
