//! The prompts that routers are evaluated on.

use super::{EvaluationError, Outcomes};
use crate::data::{Dataset, Reading, Split, TableError};
use blindroute_routing::bundle::Model;
use serde::Serialize;

/// The head of a report. All of it is given, including the date: the lab reads no clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct About {
    /// The data set's name.
    pub data: String,
    /// The split.
    pub split: String,
    /// The date of the report.
    pub date: Option<String>,
    /// The source of the data and its licence.
    pub source: Option<String>,
    /// How the encoders of the routers read the prompts of the split.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
    /// Further notes, one sentence each.
    pub notes: Vec<String>,
}

/// The prompts that routers are evaluated on.
#[derive(Clone, Debug, PartialEq)]
pub struct TestSet {
    pub(super) about: About,
    pub(super) models: Vec<Model>,
    pub(super) tasks: Vec<String>,
    pub(super) outcomes: Outcomes,
}

impl TestSet {
    /// A test set from the models, each prompt's task, and the outcomes, in the order of the outcomes.
    pub fn new(
        about: About,
        models: Vec<Model>,
        tasks: Vec<String>,
        outcomes: Outcomes,
    ) -> Result<Self, EvaluationError> {
        for (what, found, expected) in [
            ("the number of models", models.len(), outcomes.models()),
            ("the number of prompts with a task", tasks.len(), outcomes.prompts()),
        ] {
            if found != expected {
                return Err(TableError::Shape { what, found, expected }.into());
            }
        }
        Ok(Self { about, models, tasks, outcomes })
    }

    /// A split of a data set.
    pub fn of_split(about: About, dataset: &Dataset, split: Split) -> Result<Self, EvaluationError> {
        if !dataset.tells_apart(split) {
            return Err(EvaluationError::AllEqual { split: split.to_string() });
        }
        let places = dataset.places(split);
        let outcomes = Outcomes::of_dataset(dataset, &places)?;
        let tasks = places.iter().map(|place| dataset.prompts()[*place].source.clone()).collect();
        Self::new(about, dataset.models().to_vec(), tasks, outcomes)
    }

    /// The pool.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The score and cost of each model on each prompt.
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }
}
