//! What a pool is worth: its loss on development texts, and the cost that the meter states.

use super::SlimOptions;
use super::variant::Variant;
use crate::classifiers::features::{Answers, Reader};
use crate::classifiers::seconds::{Sessions, TextCost};
use crate::classifiers::{ClassifierError, Labelled, LabelledTexts};
use crate::encoders::student::limits;
use blindroute_routing::bundle::{Activation, Attention, Bundle, Norms, Widths};
use blindroute_routing::program::BundlePlan;
use serde::{Deserialize, Serialize};

/// What a pool is worth, in the mean over its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What is lowered: loss + penalty · excess + β · seconds, where the seconds are relative to those of the start.
    pub objective: f64,
    /// The cross entropy on development texts: of all texts at each exit, in the mean over the shares that leave there.
    pub loss: f64,
    /// By how much values exceed their limits.
    pub excess: f64,
    /// The share of right answers on the same texts, in the same mean.
    pub accuracy: f64,
    /// What a text costs.
    pub cost: TextCost,
}

/// Scores variants.
pub(super) struct Objective<'a> {
    bundle: &'a Bundle,
    tasks: &'a [LabelledTexts],
    /// By task, the texts of the loss.
    dev: Vec<Labelled>,
    options: &'a SlimOptions,
    /// Seconds per text at the start.
    unit: f64,
}

impl<'a> Objective<'a> {
    pub(super) fn new(
        bundle: &'a Bundle,
        tasks: &'a [LabelledTexts],
        (start, options): (&Variant, &'a SlimOptions),
    ) -> Result<Self, ClassifierError> {
        let some = |task: &LabelledTexts| {
            let (texts, count) = (task.dev.texts.len(), task.dev.texts.len().min(options.dev));
            let places = || (0..count).map(move |index| index * texts / count);
            Labelled {
                texts: places().map(|place| task.dev.texts[place].clone()).collect(),
                labels: places().map(|place| task.dev.labels[place]).collect(),
            }
        };
        let mut objective = Self { bundle, tasks, dev: tasks.iter().map(some).collect(), options, unit: 1.0 };
        objective.unit = objective.cost(start)?.seconds;
        Ok(objective)
    }

    /// The sessions of each task under a plan.
    fn sessions(&self, plan: &BundlePlan) -> Vec<Sessions> {
        let of = |(place, task): (usize, &LabelledTexts)| {
            let lengths = task.dev.texts.iter().map(Vec::len);
            Sessions::new(plan.clone(), self.options.routing.network, place, lengths)
        };
        self.tasks.iter().enumerate().map(of).collect()
    }

    /// What a text of each task costs.
    pub(super) fn costs(&self, of: &Variant) -> Result<Vec<TextCost>, ClassifierError> {
        let sessions = self.sessions(&of.plan(self.bundle));
        let by_task = sessions.iter().zip(&of.pool.tasks);
        by_task.map(|(sessions, classifier)| sessions.cost(&classifier.task.capacities)).collect()
    }

    /// The same in the mean.
    pub(super) fn cost(&self, of: &Variant) -> Result<TextCost, ClassifierError> {
        Ok(mean(&self.costs(of)?))
    }

    /// What the embedding of a text costs through all layers without exits: with this encoder, and with softmax attention, GELU and
    /// two norms in each layer in their places, as in published encoders.
    pub(super) fn replacements(&self, of: &Variant) -> Result<[TextCost; 2], ClassifierError> {
        let ours = of.plan(self.bundle);
        let mut published = ours.clone();
        let encoder = &mut published.encoder;
        (encoder.attention, encoder.activation, encoder.norms) = (Attention::Softmax, Activation::Gelu, Norms::Both);
        encoder.widths = Widths::default();
        let cost = |plan: &BundlePlan| {
            let costs = self.sessions(plan).iter().map(Sessions::of_embedding).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, ClassifierError>(mean(&costs))
        };
        Ok([cost(&ours)?, cost(&published)?])
    }

    /// The score of a variant.
    pub(super) fn score(&self, of: &Variant) -> Result<Score, ClassifierError> {
        self.score_at(of, self.cost(of)?)
    }

    /// The score of a variant of this cost.
    pub(super) fn score_at(&self, of: &Variant, cost: TextCost) -> Result<Score, ClassifierError> {
        let widths = &of.encoder.widths;
        let reader = Reader::of(self.bundle, (&of.encoder, &of.layers), &of.pool.exits)?;
        let reader = reader.within(limits(widths).with_ranges(widths));
        let (mut loss, mut excess, mut accuracy) = (0.0, 0.0, 0.0);
        for (classifier, dev) in of.pool.tasks.iter().zip(&self.dev) {
            let (answers, beyond) = reader.measured(&classifier.heads, dev)?;
            for (exit, share) in leaving(&classifier.task.capacities).into_iter().enumerate() {
                let (entropy, right) = at_exit(&answers, exit);
                loss += share * entropy;
                accuracy += share * right;
            }
            excess += beyond;
        }
        let count = self.dev.len().max(1) as f64;
        let (loss, excess, accuracy) = (loss / count, excess / count, accuracy / count);
        let SlimOptions { beta, penalty, .. } = self.options;
        let objective = loss + penalty * excess + beta * cost.seconds / self.unit;
        Ok(Score { objective, loss, excess, accuracy, cost })
    }
}

/// The cross entropy of texts at an exit, and the share of right answers.
fn at_exit(answers: &Answers, exit: usize) -> (f64, f64) {
    let count = answers.labels.len().max(1) as f64;
    let entropy = |chance: &f32| -f64::from(*chance).max(1e-9).ln();
    let entropy = answers.of_true_label(exit).iter().map(entropy).sum::<f64>() / count;
    let right = answers.right(exit).iter().filter(|right| **right).count() as f64 / count;
    (entropy, right)
}

/// By exit, which share of all texts leaves there.
pub(super) fn leaving(capacities: &[f32]) -> Vec<f64> {
    let mut here = 1.0;
    let mut shares = Vec::with_capacity(capacities.len() + 1);
    for going in capacities.iter().map(|share| f64::from(*share)).chain([0.0]) {
        shares.push(here - going);
        here = going;
    }
    shares
}

fn mean(costs: &[TextCost]) -> TextCost {
    let count = costs.len().max(1) as f64;
    let of = |value: fn(&TextCost) -> f64| costs.iter().map(value).sum::<f64>() / count;
    TextCost {
        seconds: of(|cost| cost.seconds),
        openings: of(|cost| cost.openings),
        bytes: of(|cost| cost.bytes),
        material: of(|cost| cost.material),
    }
}
