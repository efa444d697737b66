//! Candidates that move: a key to order them by, a score for the choice among the best, and the index they came with.

use super::Window;
use crate::error::Error;
use crate::form::Form;
use crate::gates::argmax::{Order, count_bits, units_ahead, winner};
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Bits, Machine, Masked, MaskedBits, Share};
use crate::material::word::RingWord;
use crate::protocols::comparison::Comparison;
use blindroute_ring::Shape;

/// A row of candidates.
pub(super) struct Records<I: Interpreter> {
    pub(super) key: Masked<I, u64>,
    /// The score with its tie broken.
    pub(super) score: Masked<I, u64>,
    pub(super) index: Masked<I, u32>,
}

impl<I: Interpreter> Clone for Records<I> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), score: self.score.clone(), index: self.index.clone() }
    }
}

impl<I: Interpreter> Records<I> {
    /// The candidates in order.
    pub(super) fn new(machine: &mut Machine<I>, key: Masked<I, u64>, score: &Masked<I, u64>) -> Result<Self, Error> {
        Ok(Self { key, score: break_ties(machine, score)?, index: indices(machine, score.form().shape.columns)? })
    }

    pub(super) fn len(&self) -> usize {
        self.key.form().shape.columns
    }

    /// Those at `places`.
    pub(super) fn pick(&self, places: &[usize]) -> Self {
        let structure = Structure::Gather(Shape::row(places.len()), places.into());
        Self {
            key: self.key.restructure(&structure),
            score: self.score.restructure(&structure),
            index: self.index.restructure(&structure),
        }
    }

    /// `total` records, of which each part fills its places. No place may be left empty.
    pub(super) fn place(parts: &[(&Self, &[usize])], total: usize) -> Result<Self, Error> {
        Ok(Self {
            key: scatter(parts.iter().map(|(part, places)| (&part.key, *places)), total)?,
            score: scatter(parts.iter().map(|(part, places)| (&part.score, *places)), total)?,
            index: scatter(parts.iter().map(|(part, places)| (&part.index, *places)), total)?,
        })
    }

    /// **Computes** for each pair the record of the larger key and the other one; of equal keys `self`'s is the larger.
    /// **Cost** three openings: a comparison and the larger record. For m pairs, rings of r, s and b bits for key, score
    /// and index and G digits: 16·G·⌈m/64⌉ + ⌈m·r/8⌉ + ⌈m·s/8⌉ + ⌈m·b/8⌉ bytes each way; material of the comparison and
    /// twice the record's words.
    pub(super) fn exchange(
        &self,
        machine: &mut Machine<I>,
        other: &Self,
        comparison: &Comparison,
    ) -> Result<(Self, Self), Error> {
        let larger = machine.compare(&self.key.subtract(&other.key)?, comparison)?;
        let key = choose(machine, &larger, &self.key, &other.key)?;
        let score = choose(machine, &larger, &self.score, &other.score)?;
        let index = choose(machine, &larger, &self.index, &other.index)?;
        let (key, score, index) = (machine.defer(key)?, machine.defer(score)?, machine.defer(index)?);
        machine.exchange()?;
        let first = Self { key: machine.take(key)?, score: machine.take(score)?, index: machine.take(index)? };
        // The other record is what is left of the pair: nothing more to open.
        let second = Self {
            key: self.key.add(&other.key)?.subtract(&first.key)?,
            score: self.score.add(&other.score)?.subtract(&first.score)?,
            index: self.index.add(&other.index)?.subtract(&first.index)?,
        };
        Ok((first, second))
    }

    /// **Computes** the one-hot vector over n candidates of the record of the largest score. **Cost** five openings:
    /// comparison (2), ranks, the winner's bits and its index; none for one record.
    pub(super) fn best(self, machine: &mut Machine<I>, n: usize, window: Window) -> Result<Bits<I>, Error> {
        if self.len() == 1 {
            return one_hot(machine, &self.index, n);
        }
        let order = Order::new(machine, &self.score, &window.with_ties(n))?;
        let ranks = order.ranks(machine)?;
        let best = winner(machine, ranks)?;
        let best = machine.open_bits(best)?;
        let index = chosen(machine, &best, &self.index)?;
        let index = machine.open(index)?;
        one_hot(machine, &index, n)
    }
}

/// `yes` where the bit is 1, else `no`.
fn choose<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    bits: &MaskedBits<I>,
    yes: &Masked<I, W>,
    no: &Masked<I, W>,
) -> Result<Share<I, W>, Error> {
    let gain = machine.select(bits, &yes.subtract(no)?)?;
    machine.share_of(no)?.add(&gain)
}

/// The element of a row that a one-hot vector points at.
pub(super) fn chosen<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    one_hot: &MaskedBits<I>,
    x: &Masked<I, W>,
) -> Result<Share<I, W>, Error> {
    Ok(machine.select(one_hot, x)?.restructure(&Structure::SumColumns))
}

fn scatter<'a, I: Interpreter + 'a, W: RingWord>(
    parts: impl Iterator<Item = (&'a Masked<I, W>, &'a [usize])>,
    total: usize,
) -> Result<Masked<I, W>, Error> {
    let mut row: Option<Masked<I, W>> = None;
    for (part, places) in parts {
        let mut pick = vec![Structure::NOTHING; total];
        places.iter().enumerate().for_each(|(from, &to)| pick[to] = from);
        let part = part.restructure(&Structure::Gather(Shape::row(total), pick.into()));
        row = Some(match row {
            Some(row) => row.add(&part)?,
            None => part,
        });
    }
    row.ok_or_else(|| Error::Program("records of no parts".into()))
}

/// 0, 1, …, n − 1 in a ring that counts to n. No opening.
pub(super) fn indices<I: Interpreter>(machine: &mut Machine<I>, n: usize) -> Result<Masked<I, u32>, Error> {
    machine.constants(Form::new(Shape::row(n), count_bits(n), 0), &count(n))
}

/// 0, 1, …, n − 1.
fn count(n: usize) -> Vec<f64> {
    (0..n).map(|index| index as f64).collect()
}

/// The same order, but of equal values the one of the lower index is larger: the index goes below the last bit. No
/// opening. The ring must hold [`Window::with_ties`].
pub(super) fn break_ties<I: Interpreter>(
    machine: &mut Machine<I>,
    x: &Masked<I, u64>,
) -> Result<Masked<I, u64>, Error> {
    let n = x.form().shape.columns;
    let raised = x.raise(count_bits(n));
    let ahead = units_ahead(raised.form());
    let ahead = machine.constants(*raised.form(), &ahead)?;
    raised.add(&ahead)
}

/// The one-hot vector over n of a secret index. No opening: its n differences with 0, 1, … share one mask.
pub(super) fn one_hot<I: Interpreter>(
    machine: &mut Machine<I>,
    index: &Masked<I, u32>,
    n: usize,
) -> Result<Bits<I>, Error> {
    let places = machine.constants(index.form().with_shape(Shape::row(n)), &count(n))?;
    let copies = index.restructure(&Structure::Gather(Shape::row(n), vec![0; n].into()));
    let table: Vec<bool> = (0..1usize << index.form().bits).map(|difference| difference == 0).collect();
    machine.lookup_bits(&copies.subtract(&places)?, &table)
}
