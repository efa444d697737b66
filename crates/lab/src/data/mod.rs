//! Routing data sets: prompts, models, and the score of each model on each prompt.
//!
//! The native format is a folder with these files:
//!
//! - `prompts.jsonl`: one object per line with `id`, `prompt`, `source` and `split` (`train`, `valid` or `test`).
//! - `models.json`: a list of objects with `name`, `cost` (a number, or text that is a number) and `cost_unit`; other fields are
//!   ignored. It can also be OpenRouter's list of models (`{"data": [{"id", "pricing": {"prompt"}}]}`), of which the models with a
//!   column in `outcomes.csv` are used.
//! - `outcomes.csv`: a column `id` and one column per model in any order, with scores from 0 to 1. Every prompt has one row.
//! - `costs.csv` (optional): the cost of each answer in USD, in the shape of `outcomes.csv`, with numbers of at least 0.
//!
//! [`import`] makes such a folder from the published files of public sets. [`check()`] reports problems of a set before training.

use blindroute_routing::bundle::{Digest, Matrix, Model};
use samples::pick;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

pub mod import;

mod check;
mod division;
mod error;
mod format;
mod given;
pub(crate) mod lines;
mod models;
mod read;
mod reading;
pub(crate) mod samples;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod text_digest;
pub(crate) mod vector;
mod write;

pub use check::{Check, Missing, ModelCheck, PerSplit, PromptRef, Repeated, Undecided, check};
pub use error::DataError;
pub(crate) use given::check_scores_of;
pub use models::units_warning;
pub use reading::Reading;
pub use samples::{Samples, TableError, relative_costs};

/// The split of a prompt: what it may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// For training.
    Train,
    /// For choosing settings.
    Valid,
    /// For the report only.
    Test,
}

impl Split {
    /// All splits.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];
}

impl fmt::Display for Split {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        })
    }
}

impl FromStr for Split {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|split| split.to_string() == name).ok_or(())
    }
}

/// One prompt. `Debug` does not show its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Unique in its data set.
    pub id: String,
    /// The text of the prompt.
    pub text: String,
    /// The source, for example the task.
    pub source: String,
    /// The split.
    pub split: Split,
}

impl fmt::Debug for Prompt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Prompt({}, {}, {} bytes)", self.id, self.split, self.text.len())
    }
}

/// A routing data set in memory.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub(crate) models: Vec<Model>,
    pub(crate) prompts: Vec<Prompt>,
    pub(crate) scores: Matrix,
    pub(crate) query_costs: Option<Matrix>,
}

impl Dataset {
    /// The models, in the order of `models.json`.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The prompts, in file order.
    pub fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// The digest of the prompts' texts, in file order.
    pub fn prompts_digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for prompt in &self.prompts {
            hash.update((prompt.text.len() as u64).to_le_bytes());
            hash.update(prompt.text.as_bytes());
        }
        <[u8; 32]>::from(hash.finalize()).into()
    }

    /// `[prompts, models]`.
    pub fn scores(&self) -> &Matrix {
        &self.scores
    }

    /// The cost of each answer in USD, `[prompts, models]`, if the set has it.
    pub fn query_costs(&self) -> Option<&Matrix> {
        self.query_costs.as_ref()
    }

    /// The same prompts with the models at these indices, in this order.
    ///
    /// # Panics
    /// If an index is out of range.
    #[must_use]
    pub fn with_models(&self, places: &[usize]) -> Self {
        let pick = |matrix: &Matrix| {
            Matrix::from_fn(matrix.rows(), places.len(), |row, column| matrix.row(row)[places[column]])
        };
        Self {
            models: places.iter().map(|place| self.models[*place].clone()).collect(),
            prompts: self.prompts.clone(),
            scores: pick(&self.scores),
            query_costs: self.query_costs.as_ref().map(pick),
        }
    }

    /// The data set without the model at this index.
    ///
    /// # Panics
    /// If an index is out of range.
    #[must_use]
    pub fn without_model(&self, place: usize) -> Self {
        let others: Vec<usize> = (0..self.models.len()).filter(|other| *other != place).collect();
        self.with_models(&others)
    }

    /// Each model's price relative to the largest price.
    pub fn relative_costs(&self) -> Vec<f32> {
        relative_costs(&self.models)
    }

    /// The indices of a split's prompts.
    pub fn places(&self, split: Split) -> Vec<usize> {
        (0..self.prompts.len()).filter(|place| self.prompts[*place].split == split).collect()
    }

    /// Whether at least one prompt of a split has different scores for different models.
    pub fn tells_apart(&self, split: Split) -> bool {
        let differs = |row: &[f32]| row.iter().any(|score| *score != row[0]);
        self.places(split).into_iter().any(|place| differs(self.scores.row(place)))
    }

    /// The samples that a router is trained and its settings are chosen on: the train split, then the valid split.
    pub fn tuning_samples(&self, embeddings: &Matrix) -> Result<Samples, TableError> {
        self.samples(Split::Train, embeddings)?.joined(&self.samples(Split::Valid, embeddings)?)
    }

    /// A split as samples, with the costs of its answers if the set has them. `embeddings` are those of all prompts, `[prompts, hidden]`.
    pub fn samples(&self, split: Split, embeddings: &Matrix) -> Result<Samples, TableError> {
        if embeddings.rows() != self.prompts.len() {
            let (found, expected) = (embeddings.rows(), self.prompts.len());
            return Err(TableError::Shape { what: "the number of embeddings", found, expected });
        }
        let places = self.places(split);
        let samples = Samples::new(pick(embeddings, &places), pick(&self.scores, &places))?;
        match &self.query_costs {
            Some(costs) => samples.with_costs(pick(costs, &places)),
            None => Ok(samples),
        }
    }
}
