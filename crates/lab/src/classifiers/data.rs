//! Labelled texts: one JSON object per line with the fields `text` and `label`, and `text2` where a task's texts are pairs.
//!
//! Labels are text or whole numbers. They are in numerical order if all are whole numbers, and in the order of their text
//! otherwise. Fields with other names are ignored.

use super::ClassifierError;
use crate::data::DataError;
use crate::data::lines::{Lines, MAX_FILE_BYTES};
use crate::data::text::not_json;
use crate::routers::draws::shuffle;
use blindroute_routing::tokenizer::{Tokenizer, TokenizerError};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const HINT: &str = "give a file of JSON lines with the fields text and label";
/// One of so many training texts is held out where there is no file of development texts.
const HELD_OUT: usize = 10;

/// Tokenised texts, and the place of each one's label. `Debug` shows only their number.
#[derive(Clone)]
pub struct Labelled {
    /// The token ids of each text.
    pub texts: Vec<Vec<u32>>,
    /// The place of each text's label among the task's labels.
    pub labels: Vec<usize>,
}

impl std::fmt::Debug for Labelled {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Labelled({} texts)", self.texts.len())
    }
}

/// The files of a task.
#[derive(Clone, Debug)]
pub struct LabelledFiles {
    /// Texts to train on.
    pub train: PathBuf,
    /// Texts for the gains and the shares. Without them, a tenth of the training texts.
    pub dev: Option<PathBuf>,
    /// Texts for the report.
    pub test: Option<PathBuf>,
}

/// A task's texts.
#[derive(Clone, Debug)]
pub struct LabelledTexts {
    /// The task's name in the bundle.
    pub name: String,
    /// Its labels, in order.
    pub labels: Vec<String>,
    /// Whether its texts are pairs.
    pub pair: bool,
    /// Texts that the encoder and the heads are trained on.
    pub train: Labelled,
    /// Texts that the gains are trained and the shares are chosen on.
    pub dev: Labelled,
    /// Texts for the report only.
    pub test: Option<Labelled>,
}

impl LabelledTexts {
    /// Reads and tokenises a task's files. Texts are truncated to `longest` tokens. The seed chooses the texts that are held out.
    pub fn read(
        name: &str,
        files: &LabelledFiles,
        tokenizer: &Tokenizer,
        longest: usize,
        seed: u64,
    ) -> Result<Self, ClassifierError> {
        let train = entries(&files.train)?;
        let labels = sorted_labels(&train);
        let task = |found: String, expected: &str| {
            Err(ClassifierError::Task { task: name.to_owned(), found, expected: expected.to_owned() })
        };
        if labels.len() < 2 {
            return task(format!("{} labels", labels.len()), "2 or more; give a file with texts of each label");
        }
        let pair = train.first().is_some_and(|entry| entry.second.is_some());
        let reading = Reading { labels: &labels, pair, tokenizer, longest };
        let mut train = reading.labelled(&files.train, &train)?;
        let read = |path: &PathBuf| reading.labelled(path, &entries(path)?);
        let dev = match &files.dev {
            Some(path) => read(path)?,
            None => train.hold_out(seed),
        };
        let test = files.test.as_ref().map(read).transpose()?;
        Ok(Self { name: name.to_owned(), labels: labels.clone(), pair, train, dev, test })
    }
}

impl Labelled {
    /// Takes out a random tenth of the texts.
    fn hold_out(&mut self, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        shuffle(&mut order, &mut ChaCha8Rng::seed_from_u64(seed));
        let rest = order.split_off(order.len() / HELD_OUT);
        let of = |places: &[usize]| Self {
            texts: places.iter().map(|place| self.texts[*place].clone()).collect(),
            labels: places.iter().map(|place| self.labels[*place]).collect(),
        };
        let held_out = of(&order);
        *self = of(&rest);
        held_out
    }
}

#[derive(Deserialize)]
struct Line {
    text: Option<String>,
    text2: Option<String>,
    label: Option<Value>,
}

struct Entry {
    line: u64,
    first: String,
    second: Option<String>,
    label: String,
}

fn wrong(path: &Path, line: u64, problem: impl Into<String>) -> DataError {
    DataError::Line { path: path.to_owned(), line, problem: problem.into() }
}

fn entries(path: &Path) -> Result<Vec<Entry>, DataError> {
    let mut lines = Lines::open(path, MAX_FILE_BYTES, HINT)?;
    let mut entries: Vec<Entry> = Vec::new();
    while let Some((line, text)) = lines.next()? {
        let wrong = |problem: &str| wrong(path, line, problem);
        let found: Line = serde_json::from_slice(text).map_err(|_| {
            wrong(&format!("it {}", not_json(text, "is not a JSON object with texts in text and text2; correct it")))
        })?;
        let first = found.text.ok_or_else(|| wrong("it has no field text; add it"))?;
        let label = match found.label {
            Some(Value::String(label)) => label,
            Some(Value::Number(label)) if label.is_i64() || label.is_u64() => label.to_string(),
            Some(Value::Number(_)) => {
                return Err(wrong(
                    "its label is a number with a fraction, and labels that are numbers with fractions (scores, as for \
                     regression) are not supported; expected text or a whole number",
                ));
            }
            Some(_) => return Err(wrong("its label is neither text nor a whole number; correct it")),
            None => return Err(wrong("it has no field label; add it")),
        };
        if entries.first().is_some_and(|entry| entry.second.is_some() != found.text2.is_some()) {
            let (has, first) = if found.text2.is_some() { ("has", "has none") } else { ("has no", "has one") };
            return Err(wrong(&format!(
                "it {has} field text2, but the first line {first}; give text2 in all lines or none"
            )));
        }
        entries.push(Entry { line, first, second: found.text2, label });
    }
    if entries.is_empty() {
        return Err(DataError::File { path: path.to_owned(), problem: format!("it has no lines; {HINT}") });
    }
    Ok(entries)
}

fn sorted_labels(entries: &[Entry]) -> Vec<String> {
    let mut labels: Vec<String> = entries.iter().map(|entry| entry.label.clone()).collect();
    labels.sort_unstable();
    labels.dedup();
    let number = |label: &String| label.parse::<i128>().ok();
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by_key(number);
    }
    labels
}

/// How files of a task are read.
struct Reading<'a> {
    labels: &'a [String],
    pair: bool,
    tokenizer: &'a Tokenizer,
    longest: usize,
}

impl Reading<'_> {
    fn labelled(&self, path: &Path, entries: &[Entry]) -> Result<Labelled, DataError> {
        let places: HashMap<&str, usize> =
            self.labels.iter().enumerate().map(|(place, label)| (label.as_str(), place)).collect();
        let read = |entry: &Entry| {
            let wrong = |problem: &str| wrong(path, entry.line, problem);
            let label = places.get(entry.label.as_str()).copied();
            let label = label.ok_or_else(|| {
                wrong("its label does not occur in the task's training file; remove the line, or train on texts of this label")
            })?;
            if entry.second.is_some() != self.pair {
                return Err(wrong("only some of the task's files have the field text2; give it in all or none"));
            }
            let ids = self.ids(entry).map_err(|error| match error {
                TokenizerError::Blank => wrong("a text is empty or blank; remove the line"),
                error => wrong(&format!("a text cannot be used: {error}")),
            })?;
            Ok((ids, label))
        };
        let (texts, labels) = entries.par_iter().map(read).collect::<Result<Vec<_>, DataError>>()?.into_iter().unzip();
        Ok(Labelled { texts, labels })
    }

    fn ids(&self, entry: &Entry) -> Result<Vec<u32>, TokenizerError> {
        if let Some(second) = &entry.second {
            return Ok(self.tokenizer.encode_pair_within(&entry.first, second, self.longest)?.ids);
        }
        let mut ids = self.tokenizer.encode(&entry.first)?.ids;
        self.tokenizer.window().shorten(&mut ids, self.longest);
        Ok(ids)
    }
}
