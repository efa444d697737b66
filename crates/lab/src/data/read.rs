//! Reading the native format.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use blindroute_routing::bundle::{Matrix, Model};
use serde::Deserialize;

use super::{DataError, Dataset, Prompt, Split};

/// The largest file that is read: data sets are held in memory.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// The largest line of `prompts.jsonl`: as much as the tokenizer takes, with room for escapes.
const MAX_LINE_BYTES: u64 = 16 << 20;
/// The most models.
const MAX_MODELS: usize = 4096;

#[derive(Deserialize)]
struct PromptLine {
    id: String,
    prompt: String,
    #[serde(default)]
    source: String,
    split: String,
}

#[derive(Deserialize)]
struct ModelEntry {
    name: String,
    cost: f64,
    #[serde(default)]
    cost_unit: String,
}

impl Dataset {
    /// Reads the folder of a data set in the native format. Every split must have a prompt.
    pub fn load(folder: &Path) -> Result<Self, DataError> {
        let models = models(&folder.join("models.json"))?;
        let prompts = prompts(&folder.join("prompts.jsonl"))?;
        let scores = outcomes(&folder.join("outcomes.csv"), &models, &prompts)?;
        Ok(Self { models, prompts, scores })
    }
}

fn open(path: &Path) -> Result<File, DataError> {
    let io = |source| DataError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() > MAX_FILE_BYTES {
        return Err(DataError::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    Ok(file)
}

fn models(path: &Path) -> Result<Vec<Model>, DataError> {
    let wrong = |problem: String| DataError::File { path: path.to_owned(), problem };
    // The limit holds even if the file grows meanwhile.
    let reader = BufReader::new(open(path)?.take(MAX_FILE_BYTES));
    let entries: Vec<ModelEntry> = serde_json::from_reader(reader)
        .map_err(|error| wrong(format!("{error}; it must be a list of objects with name, cost and cost_unit")))?;
    if entries.len() < 2 {
        return Err(wrong(format!("it has {} models, routing needs at least two; add models", entries.len())));
    }
    if entries.len() > MAX_MODELS {
        return Err(wrong(format!(
            "it has {} models, at most {MAX_MODELS} can be read; leave some out",
            entries.len()
        )));
    }
    let mut seen = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if seen.insert(entry.name.as_str(), index).is_some() {
            return Err(wrong(format!("the model {:?} appears twice; give each its own name", entry.name)));
        }
        if !(entry.cost.is_finite() && entry.cost >= 0.0) {
            return Err(wrong(format!("the cost of {:?} is {}, it must be from 0", entry.name, entry.cost)));
        }
    }
    Ok(entries.into_iter().map(|entry| Model { name: entry.name, price: entry.cost, unit: entry.cost_unit }).collect())
}

fn prompts(path: &Path) -> Result<Vec<Prompt>, DataError> {
    let mut lines = Lines { reader: BufReader::new(open(path)?), path: path.to_owned(), line: 0, text: Vec::new() };
    let mut prompts: Vec<Prompt> = Vec::new();
    let mut seen = HashMap::new();
    while let Some((line, text)) = lines.next()? {
        let wrong = |problem: String| DataError::Line { path: path.to_owned(), line, problem };
        // serde's messages name fields and places; they quote no more of a line than an unexpected scalar.
        let entry: PromptLine = serde_json::from_slice(text).map_err(|error| {
            let kind = match error.classify() {
                serde_json::error::Category::Data => "does not have the fields id, prompt and split as text",
                _ => "is not valid JSON",
            };
            wrong(format!("the line {kind} (column {}); correct it or remove it", error.column()))
        })?;
        let split = entry
            .split
            .parse::<Split>()
            .map_err(|()| wrong(format!("the split is {:?}, it must be train, valid or test", entry.split)))?;
        if let Some(first) = seen.insert(entry.id.clone(), line) {
            return Err(wrong(format!("the id {:?} was already on line {first}; give each prompt its own", entry.id)));
        }
        prompts.push(Prompt { id: entry.id, text: entry.prompt, source: entry.source, split });
    }
    match Split::ALL.into_iter().find(|split| prompts.iter().all(|prompt| prompt.split != *split)) {
        Some(split) => Err(DataError::File {
            path: path.to_owned(),
            problem: format!("the split {split} has no prompt; assign some to it"),
        }),
        None => Ok(prompts),
    }
}

/// Lines that are not blank, each bounded.
struct Lines {
    reader: BufReader<File>,
    path: PathBuf,
    line: u64,
    text: Vec<u8>,
}

impl Lines {
    fn next(&mut self) -> Result<Option<(u64, &[u8])>, DataError> {
        loop {
            self.text.clear();
            self.line += 1;
            let mut bounded = (&mut self.reader).take(MAX_LINE_BYTES + 1);
            let read = bounded
                .read_until(b'\n', &mut self.text)
                .map_err(|source| DataError::Io { path: self.path.clone(), source })?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 > MAX_LINE_BYTES {
                let problem = format!("the line is longer than {MAX_LINE_BYTES} bytes; shorten its prompt");
                return Err(DataError::Line { path: self.path.clone(), line: self.line, problem });
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(Some((self.line, self.text.trim_ascii())));
            }
        }
    }
}

fn outcomes(path: &Path, models: &[Model], prompts: &[Prompt]) -> Result<Matrix, DataError> {
    let wrong = |problem: String| DataError::File { path: path.to_owned(), problem };
    let mut reader = csv::Reader::from_reader(BufReader::new(open(path)?.take(MAX_FILE_BYTES)));
    let header = reader.headers().map_err(|error| csv_error(path, &error))?.clone();
    let columns = columns(&header, models).map_err(wrong)?;
    let places: HashMap<&str, usize> =
        prompts.iter().enumerate().map(|(place, prompt)| (prompt.id.as_str(), place)).collect();

    let mut scores = vec![f32::NAN; prompts.len() * models.len()];
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| csv_error(path, &error))? {
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |problem: String| DataError::Line { path: path.to_owned(), line, problem };
        let id = &record[columns.id];
        let place = *places.get(id).ok_or_else(|| wrong(format!("there is no prompt {id:?}; remove the line")))?;
        let row = &mut scores[place * models.len()..(place + 1) * models.len()];
        if row.iter().any(|score| !score.is_nan()) {
            return Err(wrong(format!("{id:?} has two rows; remove one")));
        }
        for (index, column) in columns.models.iter().enumerate() {
            let field = record[*column].trim();
            row[index] = field.parse::<f32>().ok().filter(|score| (0.0..=1.0).contains(score)).ok_or_else(|| {
                wrong(format!("the score of {:?} is {field:?}, it must be a number from 0 to 1", models[index].name))
            })?;
        }
    }
    if let Some(place) = scores.iter().position(|score| score.is_nan()) {
        let id = &prompts[place / models.len()].id;
        return Err(wrong(format!("the prompt {id:?} has no row; add one or remove the prompt")));
    }
    Matrix::new(prompts.len(), models.len(), scores).ok_or_else(|| wrong("it is too large".to_owned()))
}

struct Columns {
    id: usize,
    /// For each model its column.
    models: Vec<usize>,
}

fn columns(header: &csv::StringRecord, models: &[Model]) -> Result<Columns, String> {
    let find = |name: &str| {
        let mut found = (0..header.len()).filter(|column| header[*column] == *name);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (None, _) => {
                Err(format!("there is no column {name:?}; it needs id and one column for each of models.json"))
            }
            (Some(_), Some(_)) => Err(format!("there are two columns {name:?}; remove one")),
        }
    };
    if let Some(unknown) =
        header.iter().find(|column| *column != "id" && models.iter().all(|model| model.name != **column))
    {
        return Err(format!("the column {unknown:?} is no model of models.json; add the model or remove the column"));
    }
    Ok(Columns { id: find("id")?, models: models.iter().map(|model| find(&model.name)).collect::<Result<_, _>>()? })
}

fn csv_error(path: &Path, error: &csv::Error) -> DataError {
    let line = error.position().map_or(0, csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} fields, the header {expected_len}; complete it or remove it")
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8 text; save the file as UTF-8".to_owned(),
        _ => format!("{error}; save the file as comma-separated values with a header"),
    };
    DataError::Line { path: path.to_owned(), line, problem }
}
