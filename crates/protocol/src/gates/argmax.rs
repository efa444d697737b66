//! Argmax over few candidates, and rows of a secret table.

use crate::error::Error;
use crate::gates::maximum::join_columns;
use crate::interpreters::Interpreter;
use crate::linear::Structure;
use crate::machine::{Bits, Machine, Masked, MaskedBits, Share};
use crate::program::WeightId;
use crate::protocols::comparison::Comparison;
use blindroute_ring::Shape;

/// The order of n candidates: for each pair i < j, [x_i ≥ x_j]. Ties go to the lower index.
///
/// **Cost** two openings, whatever n; n(n − 1)/2 comparisons, whose inputs are differences of opened values and so need
/// no opening of their own.
pub struct Order<I: Interpreter> {
    candidates: usize,
    wins: MaskedBits<I>,
}

impl<I: Interpreter> std::fmt::Debug for Order<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Order of {}", self.candidates)
    }
}

/// Bits of a ring that counts up to n − 1 without wrapping.
pub(crate) fn count_bits(candidates: usize) -> u32 {
    (candidates.max(2) - 1).ilog2() + 1
}

/// The pairs i < j in order.
fn pairs(candidates: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..candidates).flat_map(move |i| (i + 1..candidates).map(move |j| (i, j)))
}

/// Index of the pair i < j.
fn pair_index(candidates: usize, i: usize, j: usize) -> usize {
    i * (2 * candidates - i - 1) / 2 + j - i - 1
}

impl<I: Interpreter> Order<I> {
    /// Compares all pairs of the row `x` at the resolution 2^low; needs |x_i − x_j| ≤ 2^(low + 4·digits) − 2^low.
    ///
    /// # Errors
    /// If the window does not lie in the ring.
    pub fn new(machine: &mut Machine<I>, x: &Masked<I, u64>, low: u32, digits: u32) -> Result<Self, Error> {
        let wins = machine.compare(&differences(x)?, &Comparison::of_many(vec![0], low, digits))?;
        Ok(Self { candidates: x.form().shape.columns, wins })
    }

    /// The orders of two rows of as many candidates, in the openings of one.
    ///
    /// # Errors
    /// If the window does not lie in the ring or the fractions differ.
    pub fn two(
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
        y: &Masked<I, u64>,
        comparison: &Comparison,
    ) -> Result<(Self, Self), Error> {
        let candidates = x.form().shape.columns;
        let (first, second) = (differences(x)?, differences(y)?);
        let pairs = first.form().shape.columns;
        let both = join_columns(&first, &second)?;
        let wins = machine.compare(&both, comparison)?;
        let half = |start: usize| Structure::Gather(Shape::row(pairs), (start..start + pairs).collect());
        let x_wins = machine.restructure_bits(&wins, &half(0))?;
        let y_wins = machine.restructure_bits(&wins, &half(pairs))?;
        Ok((Self { candidates, wins: x_wins }, Self { candidates, wins: y_wins }))
    }

    /// For each candidate, how many beat it: its rank, from 0. No opening. The ranks are a permutation if comparisons
    /// are consistent, as they are for values on the resolution's grid.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn ranks(&self, machine: &mut Machine<I>) -> Result<Share<I, u32>, Error> {
        let n = self.candidates;
        let wins = machine.bits_to_share::<u32>(&self.wins, count_bits(n))?;
        self.sum_over_rivals(machine, &wins, &wins)
    }

    /// Σ over j < i of `lower[j, i]`, plus Σ over j > i of 1 − `upper[i, j]`, a row of n.
    fn sum_over_rivals(
        &self,
        machine: &mut Machine<I>,
        lower: &Share<I, u32>,
        upper: &Share<I, u32>,
    ) -> Result<Share<I, u32>, Error> {
        let n = self.candidates;
        let lost = lower
            .restructure(&rivals(n, |i, j| (j < i).then(|| pair_index(n, j, i))))
            .restructure(&Structure::SumColumns);
        let won = upper
            .restructure(&rivals(n, |i, j| (j > i).then(|| pair_index(n, i, j))))
            .restructure(&Structure::SumColumns);
        let row = Structure::Reshape(Shape::row(n));
        let sum = lost.subtract(&won)?.restructure(&row);
        let above: Vec<f64> = (0..n).map(|i| (n - 1 - i) as f64).collect();
        machine.add_constants(sum, &above)
    }

    /// For each candidate i, how many of the `alive` beat it. No opening.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn ranks_among(&self, machine: &mut Machine<I>, alive: &MaskedBits<I>) -> Result<Share<I, u32>, Error> {
        let n = self.candidates;
        let shape = Shape::row(pairs(n).count());
        let first = machine.restructure_bits(alive, &Structure::Gather(shape, pairs(n).map(|(i, _)| i).collect()))?;
        let second = machine.restructure_bits(alive, &Structure::Gather(shape, pairs(n).map(|(_, j)| j).collect()))?;
        let ring = count_bits(n) + 1;
        // For i < j: i beats j and lives; and j lives, less j lives and i beats j.
        let beats_second = machine.bits_product::<u32>(&first, &self.wins, ring)?;
        let second_beaten = machine.bits_product::<u32>(&second, &self.wins, ring)?;
        let alive = machine.bits_to_share::<u32>(alive, ring)?;
        let lost = beats_second.restructure(&rivals(n, |i, j| (j < i).then(|| pair_index(n, j, i))));
        let later = alive.restructure(&rivals(n, |i, j| (j > i).then_some(j)));
        let beaten = second_beaten.restructure(&rivals(n, |i, j| (j > i).then(|| pair_index(n, i, j))));
        let sum = lost.add(&later)?.subtract(&beaten)?.restructure(&Structure::SumColumns);
        Ok(sum.restructure(&Structure::Reshape(Shape::row(n))))
    }
}

/// x_i − x_j for the pairs i < j.
fn differences<I: Interpreter>(x: &Masked<I, u64>) -> Result<Masked<I, u64>, Error> {
    let candidates = x.form().shape.columns;
    let shape = Shape::row(pairs(candidates).count());
    let first = x.restructure(&Structure::Gather(shape, pairs(candidates).map(|(i, _)| i).collect()));
    let second = x.restructure(&Structure::Gather(shape, pairs(candidates).map(|(_, j)| j).collect()));
    first.subtract(&second)
}

/// `[1, n, n]`: element (i, j) at the index given, or zero.
fn rivals(n: usize, index: impl Fn(usize, usize) -> Option<usize>) -> Structure {
    let indices = (0..n * n).map(|at| index(at / n, at % n).unwrap_or(Structure::NOTHING));
    Structure::Gather(Shape::matrix(n, n), indices.collect())
}

/// **Computes** the one-hot vector of the candidate whose count is zero. **Cost** one opening. The counts must lie in
/// their ring without wrapping.
///
/// # Errors
/// From the interpreter.
pub fn winner<I: Interpreter>(machine: &mut Machine<I>, ranks: Share<I, u32>) -> Result<Bits<I>, Error> {
    let entries = 1usize << ranks.form().bits;
    let ranks = machine.open(ranks)?;
    let table: Vec<bool> = (0..entries).map(|rank| rank == 0).collect();
    machine.lookup_bits(&ranks, &table)
}

/// **Computes** the one-hot vector of the largest of n values, ties to the lower index. **Shapes** `[1, 1, n]` masked,
/// to n shared bits. **Cost** three openings: comparison (2) and ranks; n(n − 1)/2 comparisons. **Security** see
/// [`comparison`](crate::protocols::comparison) and [`table`](crate::protocols::table). **Error** exact for values that
/// differ by at least 2^low, and for equal ones; three or more different values within 2^low may beat each other in a
/// circle, and then no bit is set. **Source** PPRoute's unsorted top-k, k = 1. **Differs from the source** in that ranks are
/// found by table, and ties are broken.
///
/// # Errors
/// If the window does not lie in the ring.
pub fn argmax<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    low: u32,
    digits: u32,
) -> Result<Bits<I>, Error> {
    if x.form().shape.columns == 1 {
        return Err(Error::Program("argmax needs two candidates or more".into()));
    }
    let order = Order::new(machine, x, low, digits)?;
    let ranks = order.ranks(machine)?;
    winner(machine, ranks)
}

/// **Computes** the row of the secret table `id` at the largest of n values: one-hot × table. **Shapes** `[1, 1, n]`
/// masked, table `[n, columns]`, to shares `[1, 1, columns]` of the table's fraction. **Cost** four openings: those of
/// [`argmax`] and the one-hot vector. **Security** as [`argmax`] and [`linear`](crate::protocols::linear). Exact.
/// **Source** one-hot selection, standard.
///
/// # Errors
/// If the shapes do not fit.
pub fn one_hot_row<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    low: u32,
    digits: u32,
    id: WeightId,
) -> Result<Share<I, u64>, Error> {
    let order = Order::new(machine, x, low, digits)?;
    let ranks = order.ranks(machine)?;
    let entries = 1usize << ranks.form().bits;
    let ranks = machine.open(ranks)?;
    let table: Vec<i64> = (0..entries).map(|rank| i64::from(rank == 0)).collect();
    let one_hot = machine.lookup::<u32, u64>(&ranks, &table, 64)?;
    let one_hot = machine.open(one_hot)?;
    machine.linear(&one_hot, id)
}
