//! Data sets from memory instead of files.

use super::format::Purpose;
use super::read::{COSTS, Cells, SCORES, check_splits};
use super::{DataError, Dataset, Prompt, Split, models};
use blindroute_routing::bundle::{Matrix, Model};
use std::collections::HashMap;

impl Dataset {
    /// A data set of these models and prompts, with `scores`, `[prompts, models]`, from 0 to 1, and, if known, the cost of each
    /// answer in USD in the same shape. What [`Dataset::load`] refuses is refused here too. Prompts without a split can have
    /// [`Split::of_text`].
    ///
    /// # Errors
    /// [`DataError::Given`] says what is wrong, and never quotes a prompt.
    pub fn new(
        models: Vec<Model>,
        prompts: Vec<Prompt>,
        scores: Matrix,
        query_costs: Option<Matrix>,
    ) -> Result<Self, DataError> {
        let wrong = |what| move |problem| DataError::Given { what, problem };
        models::check(&models, Purpose::Training).map_err(wrong("the list of models"))?;
        check_prompts(&prompts).map_err(wrong("the list of prompts"))?;
        SCORES.check(&scores, &models, prompts.len()).map_err(wrong("the table of scores"))?;
        if let Some(costs) = &query_costs {
            COSTS.check(costs, &models, prompts.len()).map_err(wrong("the table of costs"))?;
        }
        let set = Self { models, prompts, scores, query_costs };
        set.check_train().map_err(wrong("the table of scores"))?;
        Ok(set)
    }

    /// An error if nothing can be learned from train.
    pub(super) fn check_train(&self) -> Result<(), String> {
        if self.tells_apart(Split::Train) {
            return Ok(());
        }
        Err("every model scores the same on every prompt of the split train: a router cannot learn from it; \
             `blindroute data check` shows what the table holds"
            .to_owned())
    }
}

fn check_prompts(prompts: &[Prompt]) -> Result<(), String> {
    let mut seen = HashMap::new();
    for (place, Prompt { id, text, .. }) in prompts.iter().enumerate() {
        if text.trim().is_empty() {
            return Err(format!("prompt {place} (counted from 0) is blank; leave it out"));
        }
        if let Some(first) = seen.insert(id.as_str(), place) {
            return Err(format!(
                "prompts {first} and {place} (counted from 0) have the same id {id:?}; give each its own"
            ));
        }
    }
    check_splits(prompts)
}

/// An error if a table is not of scores of these models on so many prompts.
pub(crate) fn check_scores_of(scores: &Matrix, prompts: usize, models: &[Model]) -> Result<(), String> {
    SCORES.check(scores, models, prompts)
}

impl Cells {
    /// An error if a table does not fit, or one of its values is out of range.
    fn check(&self, table: &Matrix, models: &[Model], prompts: usize) -> Result<(), String> {
        if table.shape() != (prompts, models.len()) {
            let ((rows, columns), models) = (table.shape(), models.len());
            return Err(format!(
                "it has {rows} rows and {columns} columns, expected one row for each of {prompts} prompts and one column for \
                 each of {models} models"
            ));
        }
        let wrong = (table.iter_rows().enumerate())
            .find_map(|(row, values)| Some((row, values.iter().position(|value| !self.holds(*value))?)));
        match wrong {
            Some((row, column)) => {
                let (Self { what, must, .. }, model) = (self, &models[column].name);
                let value = table.row(row)[column];
                Err(format!("the {what} of {model:?} on prompt {row} (counted from 0) is {value}, expected {must}"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
