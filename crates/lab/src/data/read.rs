//! Reading the native format.

use super::format::{HINT, Purpose};
use super::lines::{Lines, MAX_FILE_BYTES};
use super::models::Models;
use super::table::{self, Table};
use super::text::not_json;
use super::{DataError, Dataset, Prompt, Split};
use blindroute_routing::bundle::{Matrix, Model};
use serde::Deserialize;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;

const ALL_MISSING: &str = "`blindroute data check` lists all that are missing";

#[derive(Deserialize)]
struct PromptLine {
    id: String,
    prompt: String,
    #[serde(default)]
    source: String,
    split: String,
}

/// The contents of a data set's files.
pub(super) struct Contents {
    pub(super) models: Vec<Model>,
    pub(super) prompts: Vec<Prompt>,
    /// Row by row. NaN is a missing score, which only a check accepts.
    pub(super) scores: Vec<f32>,
    /// In the form of the scores.
    pub(super) query_costs: Option<Vec<f32>>,
}

impl Contents {
    pub(super) fn read(folder: &Path, purpose: Purpose) -> Result<Self, DataError> {
        let listed = folder.join("models.json");
        let models = Models::read(&listed)?;
        let outcomes = folder.join("outcomes.csv");
        let models = if models.is_whole_list {
            let table = Table::open(&outcomes, MAX_FILE_BYTES, HINT)?;
            models.pool(&listed, table.header(), purpose)?
        } else {
            models.pool(&listed, &csv::StringRecord::new(), purpose)?
        };
        let prompts = prompts(&folder.join("prompts.jsonl"), purpose)?;
        let scores = SCORES.read(&outcomes, &models, &prompts, purpose)?;
        let costs = folder.join("costs.csv");
        let there = costs.try_exists().map_err(|source| DataError::Io { path: costs.clone(), source, hint: HINT })?;
        let query_costs = there.then(|| COSTS.read(&costs, &models, &prompts, purpose)).transpose()?;
        Ok(Self { models, prompts, scores, query_costs })
    }
}

impl Dataset {
    /// Reads the folder of a data set in the native format. Every split must have a prompt, and on at least one prompt of train the
    /// models must have different scores.
    pub fn load(folder: &Path) -> Result<Self, DataError> {
        let Contents { models, prompts, scores, query_costs } = Contents::read(folder, Purpose::Training)?;
        let matrix = |cells| {
            Matrix::new(prompts.len(), models.len(), cells)
                .ok_or_else(|| DataError::File { path: folder.to_owned(), problem: "it is too large".to_owned() })
        };
        let (scores, query_costs) = (matrix(scores)?, query_costs.map(matrix).transpose()?);
        let read = Self { models, prompts, scores, query_costs };
        read.check_train().map_err(|problem| DataError::File { path: folder.join("outcomes.csv"), problem })?;
        Ok(read)
    }
}

fn prompts(path: &Path, purpose: Purpose) -> Result<Vec<Prompt>, DataError> {
    let mut lines = Lines::open(path, MAX_FILE_BYTES, HINT)?;
    let mut prompts: Vec<Prompt> = Vec::new();
    let mut seen = HashMap::new();
    while let Some((line, text)) = lines.next()? {
        let wrong = |problem: String| DataError::Line { path: path.to_owned(), line, problem };
        // Errors of serde may quote an unexpected value, so only their kind and column are used.
        let entry: PromptLine = serde_json::from_slice(text).map_err(|error| {
            let kind = match error.classify() {
                serde_json::error::Category::Data => "does not have the fields id, prompt and split as text",
                _ => "is not valid JSON",
            };
            let otherwise = format!("{kind} (column {}); correct it or remove it", error.column());
            wrong(format!("the line {}", not_json(text, &otherwise)))
        })?;
        let split = entry
            .split
            .parse::<Split>()
            .map_err(|()| wrong(format!("the split is {:?}, expected train, valid or test", entry.split)))?;
        if purpose == Purpose::Training && entry.prompt.trim().is_empty() {
            return Err(wrong("the prompt is blank; remove the line, and its row of outcomes.csv".to_owned()));
        }
        if let Some(first) = seen.insert(entry.id.clone(), line) {
            return Err(wrong(format!("the id {:?} was already on line {first}; give each prompt its own", entry.id)));
        }
        prompts.push(Prompt { id: entry.id, text: entry.prompt, source: entry.source, split });
    }
    let wrong = |problem: String| DataError::File { path: path.to_owned(), problem };
    if purpose == Purpose::Training {
        check_splits(&prompts).map_err(wrong)?;
    } else if prompts.is_empty() {
        return Err(wrong("it has no prompt; add some".to_owned()));
    }
    Ok(prompts)
}

/// An error if a split has no prompt.
pub(super) fn check_splits(prompts: &[Prompt]) -> Result<(), String> {
    match Split::ALL.into_iter().find(|split| prompts.iter().all(|prompt| prompt.split != *split)) {
        Some(split) => Err(format!("the split {split} has no prompt; assign some to it")),
        None => Ok(()),
    }
}

/// A table with a row for each prompt and a column for each model.
pub(super) struct Cells {
    /// The name of a cell's value.
    pub(super) what: &'static str,
    range: RangeInclusive<f32>,
    /// The range in words.
    pub(super) must: &'static str,
}

pub(super) const SCORES: Cells = Cells { what: "score", range: 0.0..=1.0, must: "a number from 0 to 1" };
pub(super) const COSTS: Cells = Cells { what: "cost", range: 0.0..=f32::MAX, must: "a number of at least 0" };

impl Cells {
    /// Whether a value is in the range.
    pub(super) fn holds(&self, value: f32) -> bool {
        self.range.contains(&value)
    }

    fn read(&self, path: &Path, models: &[Model], prompts: &[Prompt], purpose: Purpose) -> Result<Vec<f32>, DataError> {
        let mut table = Table::open(path, MAX_FILE_BYTES, HINT)?;
        let columns = Columns::find(&table, models)?;
        let places: HashMap<&str, usize> =
            prompts.iter().enumerate().map(|(place, prompt)| (prompt.id.as_str(), place)).collect();
        let mut cells = vec![f32::NAN; prompts.len() * models.len()];
        let mut seen = vec![false; prompts.len()];
        while let Some(row) = table.next()? {
            let wrong = |problem: String| DataError::Line { path: path.to_owned(), line: row.line, problem };
            let id = row.field(columns.id);
            let place = *places.get(id).ok_or_else(|| wrong(format!("there is no prompt {id:?}; remove the line")))?;
            if std::mem::replace(&mut seen[place], true) {
                return Err(wrong(format!("{id:?} has two rows; remove one")));
            }
            for (index, column) in columns.models.iter().enumerate() {
                let field = row.field(*column).trim();
                let missing = field.is_empty();
                if missing && purpose == Purpose::Check {
                    continue;
                }
                let value = field.parse::<f32>().ok().filter(|value| self.holds(*value));
                cells[place * models.len() + index] = value.ok_or_else(|| {
                    let (Self { what, must, .. }, model) = (self, &models[index].name);
                    let more = if missing { format!("; {ALL_MISSING}") } else { String::new() };
                    wrong(format!("the {what} of {model:?} {}, expected {must}{more}", table::describe(field)))
                })?;
            }
        }
        match seen.iter().position(|seen| !seen) {
            Some(place) if purpose == Purpose::Training => {
                let id = &prompts[place].id;
                Err(table.wrong(format!("the prompt {id:?} has no row; add one or remove the prompt; {ALL_MISSING}")))
            }
            _ => Ok(cells),
        }
    }
}

struct Columns {
    id: usize,
    /// For each model its column.
    models: Vec<usize>,
}

impl Columns {
    fn find(table: &Table, models: &[Model]) -> Result<Self, DataError> {
        let mut header = table.header().iter();
        if let Some(unknown) = header.find(|name| *name != "id" && models.iter().all(|model| model.name != **name)) {
            let raw = table.header().iter().any(|name| name.ends_with("|total_cost") || name == "eval_name");
            return Err(table.wrong(if raw {
                "it is RouterBench's published table; convert it with `blindroute data import routerbench`".to_owned()
            } else {
                format!("the column {unknown:?} is not a model of models.json; add the model or remove the column")
            }));
        }
        let find = |name| table.column(name, "it needs id and one column for each of models.json");
        Ok(Self { id: find("id")?, models: models.iter().map(|model| find(&model.name)).collect::<Result<_, _>>()? })
    }
}
