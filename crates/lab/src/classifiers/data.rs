//! Labelled texts: one JSON object per line with the fields `text` and `label`, and `text2` where a task's texts are pairs.
//!
//! Labels are text or numbers. Numbers with fractions, as the scores of STS-B, are rounded to the nearest whole number, halves away from
//! zero. Labels are in numerical order if all are whole numbers then, and in the order of their text otherwise. Fields with other names
//! are ignored.

use super::ClassifierError;
use crate::data::DataError;
use crate::data::lines::{Lines, MAX_FILE_BYTES};
use crate::data::text::not_json;
use crate::routers::draws::shuffle;
use blindroute_routing::bundle::ClassifierTask;
use blindroute_routing::tokenizer::{Tokenizer, TokenizerError};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const HINT: &str = "give a file of JSON lines with the fields text and label";
/// Whole numbers up to this have an exact f64.
const LARGEST_NUMBER: f64 = 9_007_199_254_740_992.0;
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
    /// How many labels, in all files, were numbers with fractions and are rounded.
    pub rounded: usize,
}

/// How a task's files are read.
#[derive(Clone, Copy, Debug)]
pub struct TaskReading<'a> {
    /// The tokenizer of the bundle.
    pub tokenizer: &'a Tokenizer,
    /// Texts are truncated to so many tokens.
    pub longest: usize,
    /// The seed that chooses the texts that are held out.
    pub seed: u64,
}

impl LabelledTexts {
    /// Reads and tokenises the files of a new task, whose labels are those of its training texts.
    pub fn read(name: &str, files: &LabelledFiles, how: TaskReading<'_>) -> Result<Self, ClassifierError> {
        let train = Entries::read(&files.train)?;
        let labels = sorted_labels(&train.list);
        if labels.len() < 2 {
            return Err(ClassifierError::Task {
                task: name.to_owned(),
                found: format!("{} labels", labels.len()),
                expected: "2 or more; give a file with texts of each label".to_owned(),
            });
        }
        let pair = train.list.first().is_some_and(|entry| entry.second.is_some());
        let reading = Reading { labels: &labels, pair, of: "the task's training file", how };
        reading.texts(name, files, &train)
    }

    /// Reads and tokenises files for a task of a bundle, which has its labels already.
    pub fn read_for(
        task: &ClassifierTask,
        files: &LabelledFiles,
        how: TaskReading<'_>,
    ) -> Result<Self, ClassifierError> {
        let train = Entries::read(&files.train)?;
        let reading = Reading { labels: &task.labels, pair: task.pair, of: "the bundle's task", how };
        reading.texts(&task.name, files, &train)
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

/// The lines of a file.
struct Entries {
    list: Vec<Entry>,
    /// How many labels were rounded.
    rounded: usize,
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

impl Entries {
    fn read(path: &Path) -> Result<Self, DataError> {
        let mut lines = Lines::open(path, MAX_FILE_BYTES, HINT)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut rounded = 0;
        while let Some((line, text)) = lines.next()? {
            let wrong = |problem: &str| wrong(path, line, problem);
            let found: Line = serde_json::from_slice(text).map_err(|_| {
                wrong(&format!(
                    "it {}",
                    not_json(text, "is not a JSON object with texts in text and text2; correct it")
                ))
            })?;
            let first = found.text.ok_or_else(|| wrong("it has no field text; add it"))?;
            let label = match found.label {
                Some(Value::String(label)) => label,
                Some(Value::Number(label)) => {
                    let (whole, changed) = whole(&label).ok_or_else(|| {
                        wrong("its label is a number that is too large to be a label; correct it, or write it as text")
                    })?;
                    rounded += usize::from(changed);
                    whole
                }
                Some(_) => return Err(wrong("its label is neither text nor a number; correct it")),
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
        Ok(Self { list: entries, rounded })
    }
}

/// A number as a whole number, and whether it was rounded. None if it is too large to be known exactly.
fn whole(number: &serde_json::Number) -> Option<(String, bool)> {
    if number.is_i64() || number.is_u64() {
        return Some((number.to_string(), false));
    }
    let exact = number.as_f64().filter(|exact| exact.abs() <= LARGEST_NUMBER)?;
    Some(((exact.round() as i64).to_string(), exact.fract() != 0.0))
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

/// How files of a task with known labels are read.
struct Reading<'a> {
    labels: &'a [String],
    pair: bool,
    /// Where the labels and the number of texts per line are from.
    of: &'static str,
    how: TaskReading<'a>,
}

impl Reading<'_> {
    fn texts(&self, name: &str, files: &LabelledFiles, train: &Entries) -> Result<LabelledTexts, ClassifierError> {
        let mut rounded = train.rounded;
        let mut train = self.labelled(&files.train, &train.list)?;
        let mut read = |path: &PathBuf| {
            let entries = Entries::read(path)?;
            rounded += entries.rounded;
            self.labelled(path, &entries.list)
        };
        let dev = match &files.dev {
            Some(path) => read(path)?,
            None => train.hold_out(self.how.seed),
        };
        let test = files.test.as_ref().map(read).transpose()?;
        let (labels, pair) = (self.labels.to_vec(), self.pair);
        Ok(LabelledTexts { name: name.to_owned(), labels, pair, train, dev, test, rounded })
    }

    fn labelled(&self, path: &Path, entries: &[Entry]) -> Result<Labelled, DataError> {
        let places: HashMap<&str, usize> =
            self.labels.iter().enumerate().map(|(place, label)| (label.as_str(), place)).collect();
        let read = |entry: &Entry| {
            let wrong = |problem: &str| wrong(path, entry.line, problem);
            let label = places.get(entry.label.as_str()).copied();
            let label = label.ok_or_else(|| {
                wrong(&format!(
                    "its label does not occur in {}; remove the line, or train on texts of this label",
                    self.of
                ))
            })?;
            if entry.second.is_some() != self.pair {
                let has = if self.pair { "has" } else { "does not have" };
                return Err(wrong(&format!("{} {has} the field text2; give it in all files or none", self.of)));
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
            return Ok(self.how.tokenizer.encode_pair_within(&entry.first, second, self.how.longest)?.ids);
        }
        let mut ids = self.how.tokenizer.encode(&entry.first)?.ids;
        self.how.tokenizer.window().shorten(&mut ids, self.how.longest);
        Ok(ids)
    }
}
