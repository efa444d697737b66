//! Which shares of texts go on, and what that costs and gives.
//!
//! Texts are served in batches. Of a batch of N texts, the ⌈share·N⌉ with the largest gains go on past an exit, among those that came
//! that far.

use super::LabelledTexts;
use super::features::Answers;
use super::gains::GainReport;
use crate::routers::draws::shuffle;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::Serialize;

/// Texts of a batch.
const BATCH: usize = 32;
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
    /// By exit but the last, which gain it has, and how good both are on the development texts.
    pub gains: Vec<GainReport>,
    /// On the development texts, with gains that have not seen the text.
    pub dev: SplitReport,
    /// On the test texts.
    pub test: Option<SplitReport>,
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

    fn route(&self, shares: &[f32]) -> Route {
        let leave = |priorities: &[Vec<f32>]| self.leave(priorities, shares);
        let exits = leave(&self.gain);
        let layers: usize = exits.iter().map(|exit| self.exits[*exit]).sum();
        Route {
            shares: shares.to_vec(),
            layers: layers as f64 / exits.len().max(1) as f64,
            gain: self.accuracy(&exits),
            random: self.accuracy(&leave(&self.random)),
            confidence: self.accuracy(&leave(&self.doubt)),
        }
    }

    fn routes(&self) -> Vec<Route> {
        let mut all: Vec<Vec<usize>> = vec![Vec::new()];
        for _ in 1..self.exits.len() {
            let longer = |shares: Vec<usize>| {
                let most = shares.last().copied().unwrap_or(PARTS);
                (1..=most).map(move |next| [shares.as_slice(), &[next]].concat())
            };
            all = all.into_iter().flat_map(longer).collect();
        }
        let share = |part: &usize| *part as f32 / PARTS as f32;
        all.iter().map(|shares| self.route(&shares.iter().map(share).collect::<Vec<_>>())).collect()
    }

    fn by_exit(&self) -> Vec<f64> {
        (0..self.exits.len()).map(|exit| self.accuracy(&vec![exit; self.order.len()])).collect()
    }
}

/// The shares with the fewest layers whose accuracy is close enough to that of the last exit; of equal ones, the most accurate.
pub(super) fn chosen(dev: &Candidates) -> Route {
    let last = dev.by_exit().last().copied().unwrap_or(0.0);
    let everything = dev.route(&vec![1.0; dev.exits.len() - 1]);
    let near = dev.routes().into_iter().filter(|route| route.gain + TOLERANCE >= last);
    let order = |a: &Route, b: &Route| a.layers.total_cmp(&b.layers).then(b.gain.total_cmp(&a.gain));
    near.min_by(order).unwrap_or(everything)
}

/// The results of a task with these shares.
pub(super) fn report(task: &LabelledTexts, chosen: &Route, dev: &Candidates, test: Option<&Candidates>) -> TaskReport {
    let of = |split: &Candidates| SplitReport {
        texts: split.order.len(),
        exits: split.by_exit(),
        chosen: split.route(&chosen.shares),
        routes: split.routes(),
    };
    TaskReport {
        task: task.name.clone(),
        labels: task.labels.len(),
        train: task.train.texts.len(),
        gains: Vec::new(),
        dev: of(dev),
        test: test.map(of),
    }
}
