//! Collecting scores that come one by one, in any order.

use super::prices::price;
use super::{Imported, Job};
use crate::data::format::MAX_MODELS;
use crate::data::write::{Native, counts};
use crate::data::{DataError, Prompt, Split};
use blindroute_routing::bundle::Model;
use std::collections::HashMap;
use std::path::Path;

/// Prompts, models and scores read so far.
#[derive(Default)]
pub(super) struct Gathered {
    models: Vec<String>,
    columns: HashMap<String, usize>,
    prompts: Vec<Prompt>,
    /// For each prompt, cells for the models that were known when its last score came.
    rows: Vec<Vec<Cell>>,
}

/// The values for one prompt and model.
#[derive(Clone, Copy, Default)]
struct Cell {
    sum: f64,
    values: u32,
}

/// Every prompt with every model's score.
pub(super) struct Complete {
    pub(super) models: Vec<String>,
    pub(super) prompts: Vec<Prompt>,
    /// Row by row.
    pub(super) scores: Vec<f64>,
    pub(super) dropped: usize,
    pub(super) averaged: usize,
}

impl Gathered {
    /// Adds a prompt and returns its index.
    pub(super) fn prompt(&mut self, prompt: Prompt) -> usize {
        self.prompts.push(prompt);
        self.rows.push(Vec::new());
        self.prompts.len() - 1
    }

    pub(super) fn text(&self, place: usize) -> &str {
        &self.prompts[place].text
    }

    /// Whether there are no values.
    pub(super) fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Adds one value for a prompt and model.
    pub(super) fn score(&mut self, place: usize, model: &str, value: f64) -> Result<(), String> {
        let column = match self.columns.get(model) {
            Some(column) => *column,
            None if self.models.len() == MAX_MODELS => {
                return Err(format!("there are more than {MAX_MODELS} models; remove some"));
            }
            None => {
                Model::check_name(model).map_err(|problem| format!("the model's name {problem}"))?;
                self.columns.insert(model.to_owned(), self.models.len());
                self.models.push(model.to_owned());
                self.models.len() - 1
            }
        };
        let row = &mut self.rows[place];
        if row.len() <= column {
            row.resize(column + 1, Cell::default());
        }
        row[column].sum += value;
        row[column].values += 1;
        Ok(())
    }

    /// The complete table. Prompts with a missing score are left out if `drop_incomplete`, and are an error otherwise.
    pub(super) fn complete(self, drop_incomplete: bool, from: &Path) -> Result<Complete, DataError> {
        let wrong = |problem: String| DataError::File { path: from.to_owned(), problem };
        let Self { models, prompts, mut rows, .. } = self;
        if models.len() < 2 {
            return Err(wrong(format!("it has {} models, expected at least two", models.len())));
        }
        rows.iter_mut().for_each(|row| row.resize(models.len(), Cell::default()));
        let whole = |row: &[Cell]| row.iter().all(|cell| cell.values > 0);
        let dropped = rows.iter().filter(|row| !whole(row)).count();
        if dropped > 0 && !drop_incomplete {
            let lacking = |model: usize| rows.iter().filter(|row| row[model].values == 0).count();
            let counts: Vec<usize> = (0..models.len()).map(lacking).collect();
            let most = (0..models.len()).max_by_key(|model| (counts[*model], usize::MAX - model)).unwrap_or(0);
            return Err(wrong(format!(
                "{dropped} of {} prompts lack the score of a model, most often of {:?} ({} prompts); add the scores, \
                 or leave these prompts out with --drop-incomplete",
                rows.len(),
                models[most],
                counts[most],
            )));
        }
        let (mut kept, mut scores, mut averaged) = (Vec::new(), Vec::new(), 0);
        for (prompt, row) in prompts.into_iter().zip(&rows).filter(|(_, row)| whole(row)) {
            kept.push(prompt);
            scores.extend(row.iter().map(|cell| cell.sum / f64::from(cell.values)));
            averaged += row.iter().filter(|cell| cell.values > 1).count();
        }
        check_splits(&kept, from, if dropped > 0 { "no prompt with every model's score" } else { "no prompt" })?;
        Ok(Complete { models, prompts: kept, scores, dropped, averaged })
    }
}

impl Complete {
    /// Writes the data set with these scores, from 0 to 1.
    pub(super) fn write(self, job: &Job, scores: &[f32]) -> Result<Imported, DataError> {
        let Self { models, prompts, dropped, averaged, .. } = self;
        let models = price(models, job.prices.as_deref(), &job.from)?;
        Native { models: &models, prompts: &prompts, scores, query_costs: None }.write(&job.out)?;
        Ok(Imported {
            out: job.out.clone(),
            models: models.len(),
            cost_unit: models[0].unit.clone(),
            query_costs: false,
            splits: counts(&prompts),
            dropped,
            averaged,
        })
    }
}

/// An error if a split has no prompt.
pub(super) fn check_splits(prompts: &[Prompt], from: &Path, what: &str) -> Result<(), DataError> {
    match Split::ALL.into_iter().find(|split| prompts.iter().all(|prompt| prompt.split != *split)) {
        Some(split) => {
            let problem = format!("the split {split} has {what}; use the whole set");
            Err(DataError::File { path: from.to_owned(), problem })
        }
        None => Ok(()),
    }
}
