//! A user's own prompts: JSON lines with `prompt` and, if known, `scores` by model.

use crate::data::DataError;
use crate::data::check_scores_of;
use crate::data::lines::{Lines, MAX_FILE_BYTES};
use crate::data::text::not_json;
use blindroute_routing::bundle::{Matrix, Model};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const HINT: &str = "use JSON lines with prompt and, if known, scores by model";

/// Prompts, and for all of them or none the score of each model of the pool. `Debug` shows no prompt.
#[derive(Clone, PartialEq)]
pub struct UserPrompts {
    /// The prompts, in file order.
    pub prompts: Vec<String>,
    /// `[prompts, models]`, from 0 to 1.
    pub scores: Option<Matrix>,
}

impl std::fmt::Debug for UserPrompts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "UserPrompts({}, scores: {})", self.prompts.len(), self.scores.is_some())
    }
}

/// What can be wrong with a file of prompts. No variant holds a prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptsError {
    /// The file or one of its lines could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The file has no prompt.
    #[error("{} has no prompt; {HINT}", .path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

#[derive(Deserialize)]
struct Line {
    prompt: String,
    #[serde(default)]
    scores: Option<HashMap<String, f64>>,
}

impl UserPrompts {
    /// Prompts for this pool, with `scores`, `[prompts, models]`, from 0 to 1, or none.
    ///
    /// # Errors
    /// If there is no prompt or one is blank, or the scores do not fit.
    pub fn new(prompts: Vec<String>, scores: Option<Matrix>, models: &[Model]) -> Result<Self, PromptsError> {
        let wrong = |what, problem| Err(DataError::Given { what, problem }.into());
        if prompts.is_empty() {
            return wrong("the list of prompts", "it is empty; give some".to_owned());
        }
        if let Some(place) = prompts.iter().position(|prompt| prompt.trim().is_empty()) {
            return wrong("the list of prompts", format!("prompt {place} (counted from 0) is blank; leave it out"));
        }
        if let Some(scores) = &scores
            && let Err(problem) = check_scores_of(scores, prompts.len(), models)
        {
            return wrong("the table of scores", problem);
        }
        Ok(Self { prompts, scores })
    }

    /// Reads prompts for this pool.
    pub fn read(path: &Path, models: &[Model]) -> Result<Self, PromptsError> {
        let mut lines = Lines::open(path, MAX_FILE_BYTES, HINT)?;
        let mut prompts = Vec::new();
        let mut scores: Vec<f32> = Vec::new();
        let mut with_scores = None;
        while let Some((line, text)) = lines.next()? {
            let wrong = |problem: String| DataError::Line { path: path.to_owned(), line, problem };
            let entry: Line = serde_json::from_slice(text).map_err(|_| {
                let otherwise =
                    "is not a JSON object with the text prompt (and numbers in scores); correct it or remove it";
                wrong(format!("it {}", not_json(text, otherwise)))
            })?;
            if entry.prompt.trim().is_empty() {
                return Err(wrong("its prompt is empty; remove the line".to_owned()).into());
            }
            if *with_scores.get_or_insert(entry.scores.is_some()) != entry.scores.is_some() {
                let problem = "some lines have scores and others do not; add them to all lines or remove them";
                return Err(wrong(problem.to_owned()).into());
            }
            if let Some(given) = entry.scores {
                scores.extend(row(given, models).map_err(wrong)?);
            }
            prompts.push(entry.prompt);
        }
        if prompts.is_empty() {
            return Err(PromptsError::Empty { path: path.to_owned() });
        }
        let scores = (with_scores == Some(true)).then(|| Matrix::new(prompts.len(), models.len(), scores)).flatten();
        Ok(Self { prompts, scores })
    }
}

fn row(mut given: HashMap<String, f64>, models: &[Model]) -> Result<Vec<f32>, String> {
    let mut row = Vec::with_capacity(models.len());
    for model in models {
        let score = given.remove(&model.name);
        let score = score.ok_or_else(|| format!("the score of {:?} is missing; add it", model.name))?;
        if !(0.0..=1.0).contains(&score) {
            return Err(format!("the score of {:?} is {score}, expected a number from 0 to 1", model.name));
        }
        row.push(score as f32);
    }
    match given.keys().next() {
        Some(unknown) => Err(format!("{unknown:?} is not a model of the pool; remove its score")),
        None => Ok(row),
    }
}
