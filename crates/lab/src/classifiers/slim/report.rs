//! What is told of a pool that was made cheaper.

use super::objective::Score;
use crate::classifiers::gains::GainProgress;
use crate::classifiers::router::Measured;
use crate::classifiers::seconds::TextCost;
use crate::classifiers::train::PoolProgress;
use serde::{Deserialize, Serialize};

/// Which part of a cost a change saves. Negative if it costs more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Of the seconds per text.
    pub seconds: f64,
    /// Of the bytes per text.
    pub bytes: f64,
    /// Of the openings.
    pub openings: f64,
    /// Of the bytes of material per token.
    pub material: f64,
}

impl Saved {
    pub(super) fn of(before: &TextCost, after: &TextCost) -> Self {
        let part = |value: fn(&TextCost) -> f64| 1.0 - value(after) / value(before).max(f64::MIN_POSITIVE);
        Self {
            seconds: part(|cost| cost.seconds),
            bytes: part(|cost| cost.bytes),
            openings: part(|cost| cost.openings),
            material: part(|cost| cost.material),
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlimRow {
    /// The round in which it was accepted, from 1; 0 for a change alone.
    pub round: usize,
    /// What changes.
    pub change: String,
    /// The score after it.
    pub score: Score,
    /// What it saves against the pool before it.
    pub saved: Saved,
    /// How much the share of right answers on development texts rises by it.
    pub accuracy: f64,
}

impl SlimRow {
    pub(super) fn new(round: usize, change: String, (before, after): (&Score, Score)) -> Self {
        let saved = Saved::of(&before.cost, &after.cost);
        Self { round, change, score: after, saved, accuracy: after.accuracy - before.accuracy }
    }
}

/// The end of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// Which round, from 1.
    pub round: usize,
    /// How many changes it accepted.
    pub changes: usize,
    /// The score after the changes.
    pub changed: Score,
    /// The score after the training.
    pub trained: Score,
    /// Whether the objective fell by the training: if not, the weights from before it stay.
    pub kept: bool,
    /// The score with new gains and shares.
    pub routed: Score,
}

/// A task of a pool, with the pool's own gains and shares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskMeasures {
    /// Its name.
    pub task: String,
    /// On all development texts. The gains were trained on them.
    pub dev: Measured,
    /// On the test texts, if there are any.
    pub test: Option<Measured>,
    /// By exit but the last, which share of all texts goes on.
    pub shares: Vec<f32>,
    /// What a text costs.
    pub cost: TextCost,
}

/// All that is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlimReport {
    /// The score of the start.
    pub start: Score,
    /// Each change alone, from the start.
    pub alone: Vec<SlimRow>,
    /// The accepted changes, in order.
    pub accepted: Vec<SlimRow>,
    /// The rounds.
    pub rounds: Vec<RoundReport>,
    /// The score of the end.
    pub end: Score,
    /// What the whole saves.
    pub saved: Saved,
    /// The tasks before.
    pub before: Vec<TaskMeasures>,
    /// The tasks after.
    pub after: Vec<TaskMeasures>,
    /// What the embedding of a text costs through all layers of the start, without exits.
    pub embedding: TextCost,
    /// The same with softmax attention, GELU and two norms in each layer, as in published encoders.
    pub published: TextCost,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub enum SlimProgress {
    /// A change was tried alone.
    Alone(SlimRow),
    /// A change was accepted.
    Accepted(SlimRow),
    /// A step of the training after a round's changes.
    Training(PoolProgress),
    /// A piece of the training of the gains.
    Gains(GainProgress),
    /// A round is at its end.
    Round(RoundReport),
}
