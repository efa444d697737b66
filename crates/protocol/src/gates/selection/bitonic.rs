//! Bitonic sort.

use super::records::{Records, break_ties};
use super::{Window, candidates};
use crate::error::Error;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Bits, Machine, Masked};

/// A sorting network for n records in as many slots: its layers, and which slots hold the largest, the second largest
/// and so on at the end.
struct SortingNetwork {
    /// Pairs of slots, the one that gets the larger record first.
    layers: Vec<Vec<(usize, usize)>>,
    order: Vec<usize>,
}

impl SortingNetwork {
    /// The network of the next power of two, whose missing records count as smaller than all: where they are is public
    /// at every layer, so their exchanges are renamings of slots and cost nothing.
    fn new(n: usize) -> Self {
        let width = n.next_power_of_two();
        let mut slots: Vec<Option<usize>> = (0..width).map(|place| (place < n).then_some(place)).collect();
        let mut layers = Vec::new();
        let mut block = 2;
        while block <= width {
            let mut distance = block / 2;
            while distance > 0 {
                let mut layer = Vec::new();
                for low in (0..width).filter(|place| place & distance == 0) {
                    let high = low + distance;
                    let (first, second) = if low & block == 0 { (low, high) } else { (high, low) };
                    match (slots[first], slots[second]) {
                        (Some(larger), Some(smaller)) => layer.push((larger, smaller)),
                        (None, Some(_)) => slots.swap(first, second),
                        (_, None) => {}
                    }
                }
                layers.extend((!layer.is_empty()).then_some(layer));
                distance /= 2;
            }
            block *= 2;
        }
        Self { layers, order: slots.into_iter().flatten().collect() }
    }
}

/// Comparisons of each layer of the sort of n.
pub fn bitonic_layers(candidates: usize) -> Vec<usize> {
    SortingNetwork::new(candidates).layers.iter().map(Vec::len).collect()
}

/// **Computes** the best by `score` of the k largest by `similarity`. **Shapes** two rows `[1, 1, n]`, masked, to n shared
/// bits. **Cost** three openings for each of L(L + 1)/2 layers, L = ⌈log₂ n⌉, whose exchanges are simultaneous, and 5 for
/// the choice if k > 1; [`bitonic_layers`] comparisons. **Security** a network: what meets is the same for every input;
/// shares and masked values only. **Error** none. **Source** Batcher, AFIPS'68, as
/// PPRoute measures it: a whole sort, of which the first k are kept. **Differs from the source** in that a layer is one
/// exchange (PPRoute's 28,682 rounds are 16 for each of 1,792 comparisons, one after another), that exchanges with the
/// records that fill up to a power of two are left out, and that the index breaks ties, since the network is not stable.
///
/// # Errors
/// If k is not in 1..=n or the window does not lie in the ring.
pub fn bitonic_sort<I: Interpreter>(
    machine: &mut Machine<I>,
    similarity: &Masked<I, u64>,
    score: &Masked<I, u64>,
    k: usize,
    window: Window,
) -> Result<Bits<I>, Error> {
    let n = candidates(similarity, score, k)?;
    let key = break_ties(machine, similarity)?;
    let mut records = Records::new(machine, key, score)?;
    let network = SortingNetwork::new(n);
    for layer in &network.layers {
        records = exchange_pairs(machine, &records, layer, window)?;
    }
    records.pick(&network.order[..k]).best(machine, n, window)
}

/// The records after the pairs' exchanges, all at once: of each pair the first place gets the larger.
pub(super) fn exchange_pairs<I: Interpreter>(
    machine: &mut Machine<I>,
    records: &Records<I>,
    pairs: &[(usize, usize)],
    window: Window,
) -> Result<Records<I>, Error> {
    let (first, second): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
    let n = records.len();
    let rest: Vec<usize> = (0..n).filter(|place| !first.contains(place) && !second.contains(place)).collect();
    let comparison = window.with_ties(n);
    let (larger, smaller) = records.pick(&first).exchange(machine, &records.pick(&second), &comparison)?;
    Records::place(&[(&larger, &first), (&smaller, &second), (&records.pick(&rest), &rest)], n)
}
