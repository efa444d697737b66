//! Argmax over few candidates, and rows of a secret table.
//!
//! **Why there is always exactly one winner.** A comparison that leaves low bits out rounds the difference of each pair
//! anew, by that pair's own mask: of three scores within one unit a may beat b, b beat c and c beat a, and then no
//! candidate has rank zero. So nothing here leaves bits out. [`sort_keys`] rounds each score once, to a key y_i that is
//! opened once; each pair compares y_i ≥ y_j on these same integers, with every bit of them in the window, so no
//! comparison rounds. For i < j, i beats j if y_i ≥ y_j, and j beats i otherwise: that is the order of the pairs
//! (y_i, −i), which is total, so the ranks are a permutation of 0..n and exactly one is zero. It needs that all
//! differences lie within the comparison's range; inputs that a client makes up can break this, and then several
//! candidates may win, or none.

use crate::error::Error;
use crate::form::Form;
use crate::gates::maximum::join_columns;
use crate::gates::ranking::{first_ranks, ranking};
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Bits, Machine, Masked, MaskedBits, Share};
use crate::protocols::comparison::Comparison;
use crate::spline::Function;
use crate::tuning::Tuning;
use crate::weight_spec::WeightId;
use blindroute_ring::Shape;

/// The order of n candidates in each row of a batch `[batch, 1, n]`: for each pair i < j, [x_i ≥ x_j]. Ties go to the
/// lower index.
///
/// **Cost** two openings, whatever n and the batch; n(n − 1)/2 comparisons per row, whose inputs are differences of opened
/// values and so need no opening of their own.
pub struct Order<I: Interpreter> {
    batch: usize,
    candidates: usize,
    wins: MaskedBits<I>,
}

impl<I: Interpreter> std::fmt::Debug for Order<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Order of {} in {} rows", self.candidates, self.batch)
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

/// Refuses comparisons that leave bits out: their order has circles.
fn check_exact(comparison: &Comparison) -> Result<(), Error> {
    if comparison.low == 0 && comparison.thresholds == [0] {
        return Ok(());
    }
    Err(Error::Program("candidates are ordered by exact comparisons with zero: round their scores before".into()))
}

/// **Computes** the keys that candidates are ordered by: each score's units of 2^shift, and n − 1 − i units more for
/// candidate i. **Shapes** scores `[batch, 1, n]` in shares, to shares in a ring of `ring` bits or what truncation leaves, to
/// be opened. **Cost** no opening. **Security** local. **Error** each key is off by less than one unit, so the order is
/// that of the scores where they differ by n units or more; equal scores go to the lower index, whichever way each is
/// rounded, for their keys differ by one unit per index before rounding. **Source** this project.
///
/// # Errors
/// If there are not that many fraction bits.
pub fn sort_keys<I: Interpreter>(
    machine: &mut Machine<I>,
    scores: Share<I, u64>,
    shift: u32,
    ring: u32,
) -> Result<Share<I, u64>, Error> {
    let keys = machine.truncate_reduce(scores, shift)?.narrowed(ring);
    let ahead = units_ahead(keys.form());
    machine.add_constants(keys, &ahead)
}

/// n − 1 − i units of the last place for candidate i of each row.
pub(crate) fn units_ahead(form: &Form) -> Vec<f64> {
    let unit = 2f64.powi(-(form.fraction as i32));
    let one_row = (0..form.shape.columns).rev().map(|behind| behind as f64 * unit);
    (0..form.shape.batch).flat_map(|_| one_row.clone()).collect()
}

impl<I: Interpreter> Order<I> {
    /// Compares all pairs of each row of `x`, exactly.
    ///
    /// # Errors
    /// If the comparison leaves bits out, its window does not lie in the ring, or `x` has more than one row per batch.
    pub fn new(machine: &mut Machine<I>, x: &Masked<I, u64>, comparison: &Comparison) -> Result<Self, Error> {
        check_exact(comparison)?;
        let wins = machine.compare(&differences(x)?, comparison)?;
        let Shape { batch, columns: candidates, .. } = x.form().shape;
        Ok(Self { batch, candidates, wins })
    }

    /// The orders of two batches of equal shape, in the openings of one.
    ///
    /// # Errors
    /// If the comparison leaves bits out, its window does not lie in the ring, the shapes or fractions differ, or they
    /// have more than one row per batch.
    pub fn two(
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
        y: &Masked<I, u64>,
        comparison: &Comparison,
    ) -> Result<(Self, Self), Error> {
        let Shape { batch, columns: candidates, .. } = x.form().shape;
        check_exact(comparison)?;
        if y.form().shape != x.form().shape {
            return Err(Error::Shape { what: "second row", expected: x.form().shape, found: y.form().shape });
        }
        let (first, second) = (differences(x)?, differences(y)?);
        let pairs = first.form().shape.columns;
        let both = join_columns(&first, &second)?;
        let wins = machine.compare(&both, comparison)?;
        let half = |start: usize| {
            let indices: Vec<usize> = (start..start + pairs).collect();
            Structure::gather_each(wins.shape(), (1, pairs), &indices)
        };
        let x_wins = machine.restructure_bits(&wins, &half(0))?;
        let y_wins = machine.restructure_bits(&wins, &half(pairs))?;
        Ok((Self { batch, candidates, wins: x_wins }, Self { batch, candidates, wins: y_wins }))
    }

    /// For each candidate, how many beat it: its rank, from 0. No opening. The ranks are a permutation, see the
    /// module.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn ranks(&self, machine: &mut Machine<I>) -> Result<Share<I, u32>, Error> {
        let wins = machine.bits_to_share::<u32>(&self.wins, count_bits(self.candidates))?;
        ranks(machine, &wins, self.row())
    }

    /// The shape of one value per candidate.
    fn row(&self) -> Shape {
        Shape::new(self.batch, 1, self.candidates)
    }

    /// For each candidate i, how many of the `alive` beat it. No opening.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn ranks_among(&self, machine: &mut Machine<I>, alive: &MaskedBits<I>) -> Result<Share<I, u32>, Error> {
        let n = self.candidates;
        let [first, second] = members(alive.shape());
        let first = machine.restructure_bits(alive, &first)?;
        let second = machine.restructure_bits(alive, &second)?;
        let ring = count_bits(n) + 1;
        // For i < j: [i beats j and is alive]; and [j is alive] − [j is alive and i beats j].
        let beats_second = machine.bits_product::<u32>(&first, &self.wins, ring)?;
        let second_beaten = machine.bits_product::<u32>(&second, &self.wins, ring)?;
        let alive = machine.bits_to_share::<u32>(alive, ring)?;
        let (of_pairs, of_one) = (beats_second.form().shape, alive.form().shape);
        let lost = beats_second.restructure(&rivals(of_pairs, n, |i, j| (j < i).then(|| pair_index(n, j, i))));
        let later = alive.restructure(&rivals(of_one, n, |i, j| (j > i).then_some(j)));
        let beaten = second_beaten.restructure(&rivals(of_pairs, n, |i, j| (j > i).then(|| pair_index(n, i, j))));
        let sum = lost.add(&later)?.subtract(&beaten)?.restructure(&Structure::SumColumns);
        Ok(sum.restructure(&Structure::Reshape(self.row())))
    }
}

/// For each candidate of `rows`, how many beat it, given [x_i ≥ x_j] for the pairs i < j: Σ over j < i of those, plus Σ
/// over j > i of 1 less those.
fn ranks<I: Interpreter>(machine: &mut Machine<I>, wins: &Share<I, u32>, rows: Shape) -> Result<Share<I, u32>, Error> {
    let (n, pairs) = (rows.columns, wins.form().shape);
    let lost = wins
        .restructure(&rivals(pairs, n, |i, j| (j < i).then(|| pair_index(n, j, i))))
        .restructure(&Structure::SumColumns);
    let won = wins
        .restructure(&rivals(pairs, n, |i, j| (j > i).then(|| pair_index(n, i, j))))
        .restructure(&Structure::SumColumns);
    let sum = lost.subtract(&won)?.restructure(&Structure::Reshape(rows));
    let above: Vec<f64> = (0..rows.batch).flat_map(|_| (0..n).map(|i| (n - 1 - i) as f64)).collect();
    machine.add_constants(sum, &above)
}

/// The ranks of each row's candidates, for callers that need nothing else of the order. Two openings, none if tuned to keys:
/// then keys give [x_i ≥ x_j] as integers at once.
pub(super) fn ranks_of<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    comparison: &Comparison,
) -> Result<Share<I, u32>, Error> {
    if machine.tuning() == Tuning::Near {
        return Order::new(machine, x, comparison)?.ranks(machine);
    }
    check_exact(comparison)?;
    let (differences, ring) = (differences(x)?, count_bits(x.form().shape.columns));
    let wins = machine.spline_of::<u64, u32>(&differences, comparison, 0, &Function::step(), (ring, 0))?;
    ranks(machine, &wins, x.form().shape)
}

/// From rows of candidates to the first of each pair i < j, and to the second.
fn members(rows: Shape) -> [Structure; 2] {
    let (first, second): (Vec<usize>, Vec<usize>) = pairs(rows.columns).unzip();
    [first, second].map(|indices| Structure::gather_each(rows, (1, indices.len()), &indices))
}

/// x_i − x_j for the pairs i < j.
fn differences<I: Interpreter>(x: &Masked<I, u64>) -> Result<Masked<I, u64>, Error> {
    let shape = x.form().shape;
    if shape.rows != 1 {
        return Err(Error::Program(format!("an order of {shape}: expected one row per batch")));
    }
    let [first, second] = members(shape).map(|members| x.restructure(&members));
    first.subtract(&second)
}

/// From rows of shape `from` to `[batch, n, n]`: element (i, j) at the index given of its row, or zero.
fn rivals(from: Shape, n: usize, index: impl Fn(usize, usize) -> Option<usize>) -> Structure {
    let indices: Vec<usize> = (0..n * n).map(|at| index(at / n, at % n).unwrap_or(Structure::NOTHING)).collect();
    Structure::gather_each(from, (n, n), &indices)
}

/// **Computes** in each row the one-hot vector of the candidate whose count is zero. **Cost** one opening. The counts
/// must lie in their ring without wrapping.
///
/// # Errors
/// From the interpreter.
pub fn winner<I: Interpreter>(machine: &mut Machine<I>, ranks: Share<I, u32>) -> Result<Bits<I>, Error> {
    first_ranks(machine, ranks, 1)
}

/// **Computes** in each row the one-hot vector of the largest of n values, ties to the lower index. **Shapes**
/// `[batch, 1, n]` masked, to as many shared bits. **Cost** three openings: comparison (2, none if tuned to
/// keys) and ranks; n(n − 1)/2 comparisons per row. **Security** see
/// [`comparison`](crate::protocols::comparison) and [`table`](crate::protocols::table). **Error** none, if no two values
/// differ by more than the comparison's range: exactly one bit is set. Scores with more bits than that are rounded
/// before they are opened, by [`sort_keys`]. **Source** PPRoute's unsorted top-k, k = 1. **Differs from the source** in that
/// ranks are found by table, and ties are broken.
///
/// # Errors
/// If the comparison leaves bits out, or its window does not lie in the ring.
pub fn argmax<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    comparison: &Comparison,
) -> Result<Bits<I>, Error> {
    ranking(machine, x, 1, comparison)
}

/// **Computes** the parts of each row as rows of their own. **Shapes** `[batch, 1, parts · n]` in shares, to `[batch · parts, 1,
/// n]`. **Cost** none. **Security** local. **Source** this project.
pub fn rows_of_parts<I: Interpreter>(x: &Share<I, u64>, parts: usize) -> Share<I, u64> {
    let Shape { batch, columns, .. } = x.form().shape;
    x.restructure(&Structure::Reshape(Shape::new(batch * parts, 1, columns / parts.max(1))))
}

/// **Computes** for `parts` rows at a time the sum of the secret table's rows at the largest of the n values of each: one-hot × table
/// `id`. **Shapes** `[batch · parts, 1, n]` masked ([`rows_of_parts`]), table `[parts · n, columns]`, to shares `[batch, 1,
/// columns]` of the table's fraction. **Cost** one opening more than [`argmax`], whatever the parts: the one-hot vectors. **Security** as [`argmax`] and [`linear`](crate::protocols::linear). Exact.
/// **Source** one-hot selection, standard.
///
/// # Errors
/// If the comparison leaves bits out, or the shapes do not fit.
pub fn one_hot_rows<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
    comparison: &Comparison,
    parts: usize,
    id: WeightId,
) -> Result<Share<I, u64>, Error> {
    let one_hot = one_hot(machine, x, comparison, 64)?;
    let one_hot = machine.open(one_hot)?;
    let Shape { batch, columns, .. } = one_hot.form().shape;
    let joined = Shape::new(batch / parts.max(1), 1, columns * parts);
    machine.linear(&one_hot.restructure(&Structure::Reshape(joined)), id)
}

/// The one-hot vector of each row's largest key, as integers. One opening, and those of the comparison.
pub(super) fn one_hot<I: Interpreter>(
    machine: &mut Machine<I>,
    keys: &Masked<I, u64>,
    comparison: &Comparison,
    ring: u32,
) -> Result<Share<I, u64>, Error> {
    let ranks = ranks_of(machine, keys, comparison)?;
    let entries = 1usize << ranks.form().bits;
    let ranks = machine.open(ranks)?;
    let table: Vec<i64> = (0..entries).map(|rank| i64::from(rank == 0)).collect();
    machine.lookup::<u32, u64>(&ranks, &table, ring)
}
