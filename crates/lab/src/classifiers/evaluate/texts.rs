//! Labelled texts to measure on: one JSON object per line with the fields `text` and `label`, and `text2` where the task takes pairs.

use crate::data::DataError;
use crate::data::lines::{Lines, MAX_FILE_BYTES};
use crate::data::text::not_json;
use blindroute_routing::bundle::ClassifierTask;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

const HINT: &str = "give a file of JSON lines with the fields text and label";
/// As many labels are named in an error.
const NAMED: usize = 10;

/// A text and its label. `Debug` shows neither.
#[derive(Clone)]
pub struct TestText {
    /// Its line in the file, counted from 1.
    pub line: u64,
    /// The text, or the first.
    pub text: String,
    /// The second of a pair.
    pub text2: Option<String>,
    /// The place of its label among the task's labels.
    pub label: usize,
    /// The number that its label is, if all labels of the task are whole numbers. That of the file may have a fraction.
    pub value: Option<f64>,
}

impl std::fmt::Debug for TestText {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "TestText(line {})", self.line)
    }
}

/// A task's texts to measure on, at least one.
#[derive(Clone, Debug)]
pub struct TestTexts(Vec<TestText>);

#[derive(Deserialize)]
struct Line {
    text: Option<String>,
    text2: Option<String>,
    label: Option<Value>,
}

impl TestTexts {
    /// Reads a file of texts for this task.
    ///
    /// # Errors
    /// If a line is no text with a label of the task, or a pair where the task takes single texts or the other way round, or there
    /// is no line.
    pub fn read(path: &Path, task: &ClassifierTask) -> Result<Self, DataError> {
        let mut lines = Lines::open(path, MAX_FILE_BYTES, HINT)?;
        let mut texts = Vec::new();
        while let Some((line, text)) = lines.next()? {
            let read = read_line(line, text, task);
            texts.push(read.map_err(|problem| DataError::Line { path: path.to_owned(), line, problem })?);
        }
        if texts.is_empty() {
            return Err(DataError::File { path: path.to_owned(), problem: format!("it has no lines; {HINT}") });
        }
        Ok(Self(texts))
    }

    /// The texts, in the order of the file.
    #[must_use]
    pub fn texts(&self) -> &[TestText] {
        &self.0
    }
}

/// A line's text, or what is wrong with it, without quoting it.
fn read_line(line: u64, text: &[u8], task: &ClassifierTask) -> Result<TestText, String> {
    let found: Line = serde_json::from_slice(text).map_err(|_| {
        format!("it {}", not_json(text, "is not a JSON object with texts in text and text2; correct it"))
    })?;
    let text = found.text.ok_or("it has no field text; add it")?;
    if [Some(&text), found.text2.as_ref()].into_iter().flatten().any(|text| text.trim().is_empty()) {
        return Err("a text is empty or blank; remove the line".to_owned());
    }
    let name = &task.name;
    match (task.pair, &found.text2) {
        (true, None) => return Err(format!("it has no field text2, and task {name:?} classifies pairs; add it")),
        (false, Some(_)) => {
            return Err(format!("it has a field text2, and task {name:?} classifies single texts; remove it"));
        }
        _ => {}
    }
    let (label, value) = label(found.label, task)?;
    Ok(TestText { line, text, text2: found.text2, label, value })
}

/// The place of a label among the task's labels, and its number.
fn label(label: Option<Value>, task: &ClassifierTask) -> Result<(usize, Option<f64>), String> {
    let numbers = numbers(&task.labels);
    let place = |name: &str| task.labels.iter().position(|label| label == name);
    let (place, exact) = match label {
        None => return Err("it has no field label; add it".to_owned()),
        Some(Value::String(label)) => (place(&label), None),
        Some(Value::Number(label)) if !label.is_f64() => (place(&label.to_string()), None),
        Some(Value::Number(label)) => {
            let exact = label.as_f64().unwrap_or(f64::NAN);
            let compared = numbers.as_ref().filter(|numbers| numbers.len() > 2 || exact.fract() == 0.0);
            let Some(numbers) = compared else {
                return Err(format!(
                    "its label is a number with a fraction, which only tasks of more than 2 labels, all whole numbers, compare; \
                     task {:?} expects {}",
                    task.name,
                    expected(&task.labels)
                ));
            };
            let near = exact.round();
            (numbers.iter().position(|number| (number - near).abs() < 0.25), Some(exact))
        }
        Some(_) => return Err("its label is neither text nor a number; correct it".to_owned()),
    };
    let place = place.ok_or_else(|| {
        format!(
            "its label is none of task {:?}; expected {}: correct or remove the line, or name another task",
            task.name,
            expected(&task.labels)
        )
    })?;
    Ok((place, exact.or_else(|| numbers.map(|numbers| numbers[place]))))
}

/// The numbers that labels are, if all are whole numbers.
pub(super) fn numbers(labels: &[String]) -> Option<Vec<f64>> {
    let number = |label: &String| label.parse::<i64>().ok().map(|number| number as f64);
    labels.iter().map(number).collect()
}

fn expected(labels: &[String]) -> String {
    let first = labels.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match labels.len() {
        all @ ..=NAMED => format!("one of the {all} labels {first}"),
        all => format!("one of {all} labels, of which the first are {first}"),
    }
}
