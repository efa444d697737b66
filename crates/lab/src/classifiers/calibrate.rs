//! Which shares of texts go on, and what that costs and gives.
//!
//! Texts are served in batches. Of a batch of N texts, the ⌈share·N⌉ with the largest gains go on past an exit, among those that came
//! that far. A share of one at an exit means that all go on: nothing is chosen there, which saves the openings of a choice.

use super::features::Answers;
use super::gains::GainReport;
use super::seconds::{BATCH, Sessions};
use super::{ClassifierError, LabelledTexts};
use crate::routers::draws::shuffle;
use blindroute_routing::bundle::ALL_GO;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::Serialize;

/// Shares are searched in steps of one over this.
const PARTS: usize = 8;
/// How far the accuracy with the chosen shares may be below that of the last exit.
const TOLERANCE: f64 = 0.005;

/// What shares cost and give, on one set of texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Route {
    /// By exit but the last, the share of all texts that goes on.
    pub shares: Vec<f32>,
    /// Layers per text, in the mean.
    pub layers: f64,
    /// Seconds per text on the stated network, estimated from the cost meter.
    pub seconds: f64,
    /// The share of right answers if gains choose the texts that go on.
    pub gain: f64,
    /// The same if they are random.
    pub random: f64,
    /// The same if those go on whose largest probability is the smallest. A server cannot see it; it is what others use in the clear.
    pub confidence: f64,
}

/// The results on one set of texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitReport {
    /// The number of texts.
    pub texts: usize,
    /// The share of right answers at each exit.
    pub exits: Vec<f64>,
    /// With the chosen shares.
    pub chosen: Route,
    /// With all shares that were tried.
    pub routes: Vec<Route>,
}

/// The results of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskReport {
    /// Its name.
    pub task: String,
    /// The number of labels.
    pub labels: usize,
    /// The number of training texts.
    pub train: usize,
    /// How many labels were rounded to whole numbers, in all of its files.
    pub rounded: usize,
    /// By exit but the last, which gain it has, and how good all rivals are on the development texts.
    pub gains: Vec<GainReport>,
    /// On the development texts, with gains that have not seen the text.
    pub dev: SplitReport,
    /// On the test texts.
    pub test: Option<SplitReport>,
    /// On the test texts, if each goes on whose gain exceeds the threshold.
    pub open: Option<Open>,
}

/// What thresholds of gains cost and give, on one set of texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Open {
    /// By exit but the last, the gain beyond which a text goes on.
    pub thresholds: Vec<f32>,
    /// Layers per text, in the mean.
    pub layers: f64,
    /// The share of right answers.
    pub accuracy: f64,
}

/// By exit but the last, the gain beyond which a text goes on, so that as many of these texts do as the shares say.
pub(super) fn thresholds(gains: &[Vec<f32>], shares: &[f32]) -> Vec<f32> {
    let texts = gains.first().map_or(0, Vec::len);
    let mut here: Vec<usize> = (0..texts).collect();
    let mut found = Vec::with_capacity(shares.len());
    for (gains, share) in gains.iter().zip(shares) {
        let going = ((f64::from(*share) * texts as f64).round() as usize).min(here.len());
        here.sort_by(|a, b| gains[*b].total_cmp(&gains[*a]));
        found.push(
            match (going.checked_sub(1).map(|last| gains[here[last]]), here.get(going).map(|next| gains[*next])) {
                (_, None) => ALL_GO,
                (None, Some(most)) => most,
                (Some(least), Some(most)) => f32::midpoint(least, most),
            },
        );
        here.truncate(going);
    }
    found
}

/// Lists of shares, with what a text costs under each in seconds.
pub(super) struct Lists(Vec<(Vec<f32>, f64)>);

impl Lists {
    /// All lists in steps of one over [`PARTS`], by the sessions of a task.
    pub(super) fn new(exits: usize, sessions: &Sessions) -> Result<Self, ClassifierError> {
        let mut all: Vec<Vec<usize>> = vec![Vec::new()];
        for _ in 1..exits {
            let longer = |parts: Vec<usize>| {
                let most = parts.last().copied().unwrap_or(PARTS);
                (1..=most).map(move |next| [parts.as_slice(), &[next]].concat())
            };
            all = all.into_iter().flat_map(longer).collect();
        }
        let priced = |parts: Vec<usize>| {
            let shares: Vec<f32> = parts.iter().map(|part| *part as f32 / PARTS as f32).collect();
            let seconds = sessions.with_shares(&shares)?;
            Ok((shares, seconds))
        };
        Ok(Self(all.into_iter().map(priced).collect::<Result<_, ClassifierError>>()?))
    }

    /// The shares of texts that go on from one encoder to a larger one, which take so many seconds for a text. None may go on.
    pub(super) fn of_cascade(small: f64, large: f64) -> Self {
        let share = |part: usize| part as f32 / PARTS as f32;
        Self((0..=PARTS).map(|part| (vec![share(part)], small + f64::from(share(part)) * large)).collect())
    }
}

/// Texts with what decides about them, and whether they are right at each exit.
pub(super) struct Candidates {
    exits: Vec<usize>,
    right: Vec<Vec<bool>>,
    /// By exit but the last.
    gain: Vec<Vec<f32>>,
    random: Vec<Vec<f32>>,
    doubt: Vec<Vec<f32>>,
    /// The order in which texts come.
    order: Vec<usize>,
}

impl Candidates {
    pub(super) fn new(answers: &Answers, gain: Vec<Vec<f32>>, exits: &[usize], seed: u64) -> Self {
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..answers.labels.len()).collect();
        shuffle(&mut order, &mut draws);
        let early = 0..exits.len() - 1;
        let random = early.clone().map(|_| order.iter().map(|_| draws.next_u32() as f32).collect()).collect();
        Self {
            exits: exits.to_vec(),
            right: (0..exits.len()).map(|exit| answers.right(exit)).collect(),
            gain,
            random,
            doubt: early.map(|exit| answers.doubt(exit)).collect(),
            order,
        }
    }

    /// The exit of each text if those with the largest priorities go on.
    fn leave(&self, priorities: &[Vec<f32>], shares: &[f32]) -> Vec<usize> {
        let mut exits = vec![0; self.order.len()];
        for batch in self.order.chunks(BATCH) {
            let mut here = batch.to_vec();
            for (exit, (share, priority)) in shares.iter().zip(priorities).enumerate() {
                here.sort_by(|a, b| priority[*b].total_cmp(&priority[*a]));
                here.truncate((share * batch.len() as f32).ceil() as usize);
                here.iter().for_each(|place| exits[*place] = exit + 1);
            }
        }
        exits
    }

    fn accuracy(&self, exits: &[usize]) -> f64 {
        let right = exits.iter().enumerate().filter(|(text, exit)| self.right[**exit][*text]).count();
        right as f64 / exits.len().max(1) as f64
    }

    pub(super) fn route(&self, shares: &[f32], seconds: f64) -> Route {
        let leave = |priorities: &[Vec<f32>]| self.leave(priorities, shares);
        let exits = leave(&self.gain);
        let layers: usize = exits.iter().map(|exit| self.exits[*exit]).sum();
        Route {
            shares: shares.to_vec(),
            layers: layers as f64 / exits.len().max(1) as f64,
            seconds,
            gain: self.accuracy(&exits),
            random: self.accuracy(&leave(&self.random)),
            confidence: self.accuracy(&leave(&self.doubt)),
        }
    }

    fn routes(&self, lists: &Lists) -> Vec<Route> {
        lists.0.iter().map(|(shares, seconds)| self.route(shares, *seconds)).collect()
    }

    /// Texts leave at the first exit where their gain does not exceed the threshold.
    pub(super) fn open(&self, thresholds: &[f32]) -> Open {
        let leaves = |text: &usize| {
            let stays = (0..thresholds.len()).find(|exit| self.gain[*exit][*text] <= thresholds[*exit]);
            stays.unwrap_or(thresholds.len())
        };
        let exits: Vec<usize> = (0..self.order.len()).map(|text| leaves(&text)).collect();
        let layers: usize = exits.iter().map(|exit| self.exits[*exit]).sum();
        let layers = layers as f64 / exits.len().max(1) as f64;
        Open { thresholds: thresholds.to_vec(), layers, accuracy: self.accuracy(&exits) }
    }

    pub(super) fn by_exit(&self) -> Vec<f64> {
        (0..self.exits.len()).map(|exit| self.accuracy(&vec![exit; self.order.len()])).collect()
    }
}

/// Of the shares whose accuracy is close enough to that of the last exit, those with the largest accuracy − λ · seconds, where the seconds are
/// relative to those of the last exit; of equal ones, the most accurate.
pub(super) fn chosen(dev: &Candidates, lists: &Lists, lambda: f64) -> Route {
    let last = dev.by_exit().last().copied().unwrap_or(0.0);
    let near: Vec<Route> = dev.routes(lists).into_iter().filter(|route| route.gain + TOLERANCE >= last).collect();
    // The dearest list of all may be one that chooses at every exit, so the unit is the one that chooses at none.
    let everything = |route: &&(Vec<f32>, f64)| route.0.iter().all(|share| *share == 1.0);
    let unit = lists.0.iter().find(everything).map_or(1.0, |route| route.1);
    let utility = |route: &Route| route.gain - lambda * route.seconds / unit;
    let order = |a: &Route, b: &Route| utility(a).total_cmp(&utility(b)).then(a.gain.total_cmp(&b.gain));
    let all = || dev.route(&vec![1.0; dev.exits.len() - 1], unit);
    near.into_iter().max_by(order).unwrap_or_else(all)
}

/// The results of a task with these shares.
pub(super) fn report(
    task: &LabelledTexts,
    chosen: &Route,
    lists: &Lists,
    dev: &Candidates,
    test: Option<&Candidates>,
) -> TaskReport {
    let of = |split: &Candidates| SplitReport {
        texts: split.order.len(),
        exits: split.by_exit(),
        chosen: split.route(&chosen.shares, chosen.seconds),
        routes: split.routes(lists),
    };
    TaskReport {
        task: task.name.clone(),
        labels: task.labels.len(),
        train: task.train.texts.len(),
        rounded: task.rounded,
        gains: Vec::new(),
        open: None,
        dev: of(dev),
        test: test.map(of),
    }
}
