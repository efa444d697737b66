//! A nested pool of classifiers: texts that leave the encoder at several depths, without a server learning which.
//!
//! All N texts of a batch run to the first exit. There each text's gain is predicted from the mean of its rows, the C texts with
//! the largest gain go on, gathered by a secret matrix, and the next layers run on C texts only; at the next exit C′ of these go on, and
//! so forth. At the end the labels' scores of each text are those of the deepest exit that it reached: they are scattered back from
//! exit to exit. N and the capacities are public, so messages and sizes are the same whatever the texts.
//!
//! **Openings** at an exit where texts are chosen, beside those of the layers: the mean of the rows, the units of the gain (with the scores of this exit), the keys, the
//! ranks, the matrix, and what was gathered: six, with comparisons by keys. A gain that is a lead takes those of [`gates::lead`] more. Scattering takes one for each such exit, and one for the last exit's scores. An exit where all texts go on takes none.
//!
//! **In the open** the client decides itself which texts go on: at the deepest exit of a program, the servers tell it which gains exceed a threshold,
//! with the labels of the others, and keep the rows of all. It then names those that go on in a program that begins there, so the servers learn
//! which. Asking takes four openings more than leaving there: the keys of the gains, their comparison, its result, and the label of texts
//! that leave only. Past the last exit a text goes on to another encoder, which starts from the text: servers keep nothing there.
//!
//! **Shapes** rows `[N, T, hidden]`, scores `[N, 1, labels]`. **Security** that of the operations; nothing depends on a text but shares. **Error** that of
//! the encoder; gathering and scattering are exact. **Source** the selection is PPRoute's unsorted top-k; SecureRouter (arXiv 2604.15499) chooses a model
//! per text and shows the choice to the servers. **Differs from the source** in that numbers of texts are fixed instead, as CryptoMoE (arXiv 2511.01197) fixes
//! those of the experts of a layer.

use super::linear::{Prompt, Under};
use super::{Encoder, find};
use crate::bundle::{PoolShape, TaskShape};
use crate::program::plan::{RULE_FRACTION, RULE_PRODUCT};
use blindroute_protocol::gates::{self, Chosen};
use blindroute_protocol::{
    Comparison, Error, Form, Interpreter, Machine, Masked, Pending, RingWord, Shape, Share, Structure,
};

/// Digits and bits of each of the comparisons of sort keys.
const KEY: (u32, u32) = (5, 5);
/// Fraction bits of the sort keys of scores and gains: differences are below 2^8.
const KEY_FRACTION: u32 = KEY.0 * KEY.1 - 8;
/// The ring of sort keys, with room for keys far from zero.
const KEY_RING: u32 = KEY.0 * KEY.1 + 6;
/// A score that is less than those of all labels.
const LEAST: f64 = -96.0;
/// Fraction bits of the units of a gain, which are below 2^6 in magnitude, and the ring of their squares' sum.
const UNIT: u32 = 12;
const UNIT_RING: u32 = 2 * UNIT + 2 * 6 + 8;
/// The smallest ring of units whose squares are sort keys as they are. Features of the last exit leave less, because they have more
/// fraction bits: their units are extended on the way.
const SQUARES_RING: u32 = KEY.0 * KEY.1 + 1 + 2 * UNIT - KEY_FRACTION;
/// The ring of a one-hot label.
const LABEL_RING: u32 = 2;

fn comparison() -> Comparison {
    Comparison::exact(KEY.0, KEY.1)
}

/// Which exits texts of a batch reach.
#[derive(Clone, Copy)]
pub(in crate::program) struct Depths<'a> {
    pub(in crate::program) pool: &'a PoolShape,
    pub(in crate::program) task: &'a TaskShape,
    /// The exit that the texts have left already.
    pub(in crate::program) begin: Option<usize>,
    /// The deepest exit.
    pub(in crate::program) exit: usize,
    /// Whether texts may go on past it: in a program that continues this one, or from the last exit to another encoder.
    pub(in crate::program) onward: bool,
    /// By exit before that, how many texts go on.
    pub(in crate::program) capacities: &'a [usize],
}

/// What the texts of an exit have when they leave there.
struct Left<I: Interpreter> {
    /// The labels' scores as sort keys, `[N, 1, labels]`.
    scores: Masked<I, u64>,
    /// Rows outside the range of a norm since the exit before, `[N, 1, 1]`.
    outside: Masked<I, u64>,
}

/// The same on its way to the next exchange.
struct Leaving<I: Interpreter> {
    scores: Pending<I, u64>,
    outside: Pending<I, u64>,
}

/// An exit past which only some of the texts go.
struct Stage<I: Interpreter> {
    chosen: Chosen<I>,
    /// What each text would have that leaves there.
    left: Left<I>,
}

/// The answers of a batch, to be revealed.
pub(in crate::program) struct Classified<I: Interpreter> {
    /// The labels' scores, or which is largest, `[N, 1, labels]`.
    pub(in crate::program) answer: Share<I, u64>,
    /// 1 for texts that gain enough from going on past the deepest exit, `[N, 1, 1]`, if that was asked. Their answers are zero.
    pub(in crate::program) onward: Option<Share<I, u64>>,
    /// 1 for texts with values outside the range.
    pub(in crate::program) outside: Share<I, u32>,
}

impl Encoder<'_> {
    /// Classifies a batch of texts. `A` is the word of the sum after attention.
    pub(in crate::program) fn classify<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        mut under: Under<I, A>,
        depths: Depths<'_>,
        scores: bool,
    ) -> Result<Classified<I>, Error> {
        let mut stages = Vec::new();
        for exit in depths.begin.map_or(0, |begin| begin + 1)..depths.exit {
            let going = depths.capacities[exit];
            if going < under.x.form().shape.batch {
                self.run_layers(machine, &mut under, depths.pool.exits[exit])?;
                stages.push(self.choose(machine, &mut under, (&depths, exit))?);
            }
        }
        let last = depths.pool.exits[depths.exit];
        let stays = !depths.onward || depths.exit + 1 == depths.pool.exits.len();
        let features = if stays {
            self.run_layers(machine, &mut under, last - 1)?;
            let sum = self.linear_layer(machine, &mut under)?;
            self.mean_row(machine, sum, &mut under)?
        } else {
            self.run_layers(machine, &mut under, last)?;
            self.mean_of_rows(machine, &under)?
        };
        let (mut left, onward) = if depths.onward {
            let (left, gains) = self.at_exit(machine, &mut under, &features, (&depths, depths.exit))?;
            let onward = onward(machine, &gains, f64::from(depths.task.task.thresholds[depths.exit]))?;
            if !stays {
                self.keep(machine, &under)?;
            }
            (left, Some(machine.open(onward)?))
        } else {
            let leaving = self.leave(machine, &mut under, &features, (&depths, depths.exit))?;
            machine.exchange()?;
            (leaving.taken(machine)?, None)
        };
        while let Some(stage) = stages.pop() {
            left = back(machine, &stage, &left)?;
        }
        let outside = self.any_outside(machine, &left)?;
        let answer = answer(machine, &left, onward.as_ref(), scores)?;
        let onward = onward.map(|onward| machine.share_of(&onward.narrowed(LABEL_RING))).transpose()?;
        Ok(Classified { answer, onward, outside })
    }

    /// The features of each text at an exit before the last layer, whose rows are opened.
    fn mean_of_rows<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        under: &Under<I, A>,
    ) -> Result<Masked<I, u64>, Error> {
        let sums = under.x.restructure(&Structure::SumRows);
        self.over_tokens(machine, &sums, &under.prompt)
    }

    /// What each text has that leaves at an exit with a gain, and its gain there, `[N, 1, 1]`.
    fn at_exit<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        under: &mut Under<I, A>,
        features: &Masked<I, u64>,
        (depths, exit): (&Depths<'_>, usize),
    ) -> Result<(Left<I>, Share<I, u64>), Error> {
        let leaving = self.leave(machine, under, features, (depths, exit))?;
        if depths.task.units[exit] == 0 {
            machine.exchange()?;
            let left = leaving.taken(machine)?;
            let lead = gates::lead(machine, &left.scores, &comparison(), LEAST)?;
            return Ok((left, lead.scale(-1)));
        }
        let units = self.affine_of(machine, features, &depths.task.weight("gain", exit))?;
        let units = machine.truncate_to(units, UNIT)?.narrowed(UNIT_RING);
        let units = machine.open(units)?;
        let left = leaving.taken(machine)?;
        Ok((left, quadratic(machine, &units)?))
    }

    /// Leaves only the texts that go on from an exit.
    fn choose<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        under: &mut Under<I, A>,
        (depths, exit): (&Depths<'_>, usize),
    ) -> Result<Stage<I>, Error> {
        let features = self.mean_of_rows(machine, under)?;
        let (left, gains) = self.at_exit(machine, under, &features, (depths, exit))?;
        let gains = gains.restructure(&Structure::Reshape(Shape::row(gains.form().shape.batch)));
        let keys = keys(machine, gains)?;
        let x = &under.x;
        let ring = x.form().bits.max(KEY_RING);
        let chosen = Chosen::best(machine, &keys, depths.capacities[exit], &comparison(), ring)?;
        let rows = chosen.gathered(machine, x)?;
        let presence = chosen.gathered(machine, &under.prompt.presence)?;
        let inverse = chosen.gathered(machine, &under.prompt.inverse)?;
        let (presence, inverse) = (machine.defer(presence)?, machine.defer(inverse)?);
        let x = machine.open(rows)?;
        let prompt = Prompt { presence: machine.take(presence)?, inverse: machine.take(inverse)? };
        *under = Under::new(x, prompt, depths.pool.exits[exit]);
        Ok(Stage { chosen, left })
    }

    /// What texts have that leave at an exit, for the next exchange.
    fn leave<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        under: &mut Under<I, A>,
        features: &Masked<I, u64>,
        (depths, exit): (&Depths<'_>, usize),
    ) -> Result<Leaving<I>, Error> {
        let scores = self.affine_of(machine, features, &depths.task.weight("head", exit))?;
        let scores = gates::sort_keys(machine, scores, RULE_PRODUCT - KEY_FRACTION, KEY_RING)?;
        let outside = under.take_outside().ok_or_else(|| Error::Program("an exit before the first layer".into()))?;
        let outside = gates::outside_sum(machine, outside)?;
        Ok(Leaving { scores: machine.defer(scores)?, outside: machine.defer(outside)? })
    }

    /// features·W + b of a weight of the pool.
    fn affine_of<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        features: &Masked<I, u64>,
        name: &str,
    ) -> Result<Share<I, u64>, Error> {
        debug_assert_eq!(features.form().fraction, RULE_FRACTION);
        let product = machine.linear(features, find(self.specs, name)?)?;
        product.add(&machine.bias(find(self.specs, &format!("{name}.bias"))?, RULE_PRODUCT)?)
    }

    /// 1 for texts with rows outside the range.
    fn any_outside<I: Interpreter>(&self, machine: &mut Machine<I>, left: &Left<I>) -> Result<Share<I, u32>, Error> {
        let sum = machine.share_of(&left.outside)?;
        let count = gates::outside_margin(machine, sum)?;
        let count = machine.open(count)?;
        gates::any_outside(machine, &count)
    }
}

/// The units of the last place by which sort keys of so many candidates are raised.
fn ahead(candidates: usize) -> impl Iterator<Item = f64> {
    let unit = 2f64.powi(-(KEY_FRACTION as i32));
    (0..candidates).rev().map(move |behind| behind as f64 * unit)
}

/// The squares of the first half of the units less those of the others.
fn quadratic<I: Interpreter>(machine: &mut Machine<I>, units: &Masked<I, u64>) -> Result<Share<I, u64>, Error> {
    let Shape { batch, columns, .. } = units.form().shape;
    let squares = if units.form().bits < SQUARES_RING {
        let rows = units.restructure(&Structure::Reshape(Shape::new(batch, columns, 1)));
        let squares = machine.product_extended::<u64, u64, u64>((&rows, 0), (&rows, 0), UNIT_RING)?;
        squares.restructure(&Structure::Reshape(units.form().shape))
    } else {
        machine.product(units, units)?
    };
    let half =
        |start: usize| squares.restructure(&Structure::Columns(start, columns / 2)).restructure(&Structure::SumColumns);
    half(0).subtract(&half(columns / 2))
}

/// The sort keys of gains, opened.
fn keys<I: Interpreter>(machine: &mut Machine<I>, gains: Share<I, u64>) -> Result<Masked<I, u64>, Error> {
    let shift = gains.form().fraction - KEY_FRACTION;
    let keys = gates::sort_keys(machine, gains, shift, KEY_RING)?;
    machine.open(keys)
}

/// 1 for texts whose gain exceeds the threshold, else 0, `[N, 1, 1]`. Two openings, with comparisons by keys.
fn onward<I: Interpreter>(
    machine: &mut Machine<I>,
    gains: &Share<I, u64>,
    threshold: f64,
) -> Result<Share<I, u64>, Error> {
    let Form { shape, .. } = *gains.form();
    let both = gains.restructure(&Structure::gather_each(shape, (1, 2), &[0, Structure::NOTHING]));
    let both = machine.add_constants(both, &[0.0, threshold].repeat(shape.batch))?;
    let keys = keys(machine, both)?;
    let larger = gates::largest(machine, &keys, &comparison(), LEAST, KEY_RING)?;
    Ok(larger.restructure(&Structure::Columns(0, 1)))
}

/// The labels' scores, or which is largest; zero for texts that go on.
fn answer<I: Interpreter>(
    machine: &mut Machine<I>,
    left: &Left<I>,
    onward: Option<&Masked<I, u64>>,
    scores: bool,
) -> Result<Share<I, u64>, Error> {
    let Form { shape: Shape { batch, columns: labels, .. }, .. } = *left.scores.form();
    let leaves = onward.map(|onward| {
        let one = machine.constants::<u64>(*onward.form(), &vec![1.0; batch])?;
        one.subtract(onward)
    });
    let leaves = leaves.transpose()?;
    if scores {
        let shares = match &leaves {
            Some(leaves) => machine.product(&left.scores, leaves)?,
            None => machine.share_of(&left.scores)?,
        };
        let ahead: Vec<f64> = (0..batch).flat_map(|_| ahead(labels)).map(|units| -units).collect();
        return machine.add_constants(shares, &ahead);
    }
    let label = gates::largest(machine, &left.scores, &comparison(), LEAST, LABEL_RING)?;
    let Some(leaves) = leaves else { return Ok(label) };
    let label = machine.open(label)?;
    machine.product(&label, &leaves.narrowed(LABEL_RING))
}

/// What all texts of an exit have in the end: what they had there, or those that went on, what they have since. One opening.
fn back<I: Interpreter>(machine: &mut Machine<I>, stage: &Stage<I>, deep: &Left<I>) -> Result<Left<I>, Error> {
    let Stage { chosen, left: shallow } = stage;
    let scores = chosen.without(machine, &shallow.scores)?.add(&chosen.scattered(machine, &deep.scores)?)?;
    let outside = machine.share_of(&shallow.outside)?.add(&chosen.scattered(machine, &deep.outside)?)?;
    let leaving = Leaving { scores: machine.defer(scores)?, outside: machine.defer(outside)? };
    machine.exchange()?;
    leaving.taken(machine)
}

impl<I: Interpreter> Leaving<I> {
    fn taken(self, machine: &mut Machine<I>) -> Result<Left<I>, Error> {
        Ok(Left { scores: machine.take(self.scores)?, outside: machine.take(self.outside)? })
    }
}
