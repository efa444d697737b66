//! The selections that the literature compares with unsorted top-k, on the same gates: for measurements.
//!
//! Each finds the k candidates of the largest similarity its own way and ends with the best of the k by score, as
//! [`top_k_then_argmax`](super::top_k_then_argmax) does, so all answer alike: a one-hot vector of n shared bits, ties to
//! the lower index in both (the approximate search answers alike where its graph leads it to the same candidates).
//!
//! | selection | openings | of n = 112, k = 4 |
//! |---|---|---|
//! | [`repeated_maximum_pairwise`] | 5k, and 5 for the choice | 25 |
//! | [`repeated_maximum_tree`] | (3·⌈log₂ n⌉ + 2)·k − 2, and 5 | 95 |
//! | [`graph_search`] | 19 | 19 |
//! | [`bitonic_sort`] | 3 per layer, L(L + 1)/2 layers for L = ⌈log₂ n⌉, and 5 | 89 |
//! | [`divide_and_conquer_bubble`] | 3 per level, ⌈log₂ m⌉ levels for m = n, n − 1, … n − k + 1, and 5 | 89 |
//! | [`brute_force`] | 3·(k·n − k(k + 1)/2), and 5 | 1319 |
//! | [`top_k_then_argmax`](super::top_k_then_argmax) | 5 | 5 |
//!
//! None leaks. Every operation and index is public and the same for every input: sorts are networks, the scans run to
//! their ends, and the graph search, whose published form reads only the nodes that it visits and so shows its path,
//! reads all nodes and takes the visited by a secret one-hot vector. A machine cannot do otherwise, since it has no
//! operation that shows servers a value.

mod bitonic;
mod bubble;
mod graph;
mod records;
mod repeated_maximum;

pub use bitonic::{bitonic_layers, bitonic_sort};
pub use bubble::{brute_force, bubble_levels, divide_and_conquer_bubble};
pub use graph::{Graph, graph_search};
pub use repeated_maximum::{repeated_maximum_pairwise, repeated_maximum_tree};

use super::argmax::count_bits;
use crate::error::Error;
use crate::machine::Masked;
use crate::machine::interpreter::Interpreter;
use crate::protocols::comparison::Comparison;
use blindroute_ring::Shape;

/// What a selection's comparisons look at: differences below 2^(4·digits) in magnitude, every bit of them. Values that
/// are finer are rounded before they are opened: comparisons that rounded each pair anew would not be an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Digits of four bits.
    pub digits: u32,
}

impl Window {
    /// The comparison of given values.
    pub fn comparison(&self) -> Comparison {
        Comparison::exact(self.digits, 4)
    }

    /// The comparison of values some of which lie lower by 2^(4·digits), as candidates that were taken out do: one digit more.
    pub fn with_taken(&self) -> Comparison {
        Comparison::exact(self.digits + 1, 4)
    }

    /// The comparison of values that carry their index below their last bit, so that no two of n are equal: wider by
    /// as many bits as count to n.
    pub fn with_ties(&self, candidates: usize) -> Comparison {
        // The order of equal values turns into a difference of indices, which may reach one more unit.
        let bits = 4 * self.digits + count_bits(candidates);
        let digit_bits = bits.div_ceil(6).max(4);
        Comparison::exact(bits.div_ceil(digit_bits), digit_bits)
    }
}

/// The number of candidates, if similarities, scores and k fit together. These searches take one row each, no batch.
fn candidates<I: Interpreter>(similarity: &Masked<I, u64>, score: &Masked<I, u64>, k: usize) -> Result<usize, Error> {
    let shape = similarity.form().shape;
    let n = shape.columns;
    if k == 0 || k > n || n < 2 || shape != Shape::row(n) || score.form().shape != shape {
        return Err(Error::Program(format!("the top {k} of {shape} candidates")));
    }
    Ok(n)
}
