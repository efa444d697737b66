//! MixInstruct (Jiang, Ren, Lin: LLM-Blender, ACL 2023): 110,000 instructions, 11 models, automatic metrics.
//!
//! Published as `train_data_prepared.jsonl` (1.4 GB), `val_data_prepared.jsonl` and `test_data_prepared.jsonl` of the data
//! set `llm-blender/mix-instruct`, with one instruction per line: `id`, `instruction`, `input`, `output`, and `candidates`, each
//! with `model`, `decoding_method` (some copies: `decoder_method`), `text` and `scores`, an object of metrics
//! (`logprobs`, `bleu`, `rougeL`, …, `bertscore`, `bleurt`, `bartscore`). This module reads id, instruction
//! and input, which form the prompt, and each candidate's model and one metric. A metric that is null or absent is a missing
//! score.
//!
//! Sources: the data set's card and listing, the authors' code (`yuchenlin/LLM-Blender`,
//! `llm_blender/pair_ranker/data.py`, which also reads metrics as text), and `rezashkv/cscr` (the code of CSCR's
//! paper, `src/router/mix_instruct.py`), where `mpt-7b` and `mpt-7b-instruct` are names of one model, as here. We have not
//! seen the files themselves.
//!
//! The authors' splits are kept. The source is the part of the id before the slash. There are no prices; papers use the number of
//! parameters, which not all names contain.

use super::gather::{Complete, Gathered};
use super::{Imported, Job, MAX_PUBLISHED_BYTES};
use crate::data::lines::Lines;
use crate::data::table::describe;
use crate::data::text::not_json;
use crate::data::write::check_out;
use crate::data::{DataError, Prompt, Split};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

const HINT: &str =
    "MixInstruct is a folder with train_data_prepared.jsonl, val_data_prepared.jsonl and test_data_prepared.jsonl";

/// How a metric becomes a score from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// The smallest value on train becomes 0 and the largest 1. Values beyond them in other splits are clamped to 0 or 1.
    #[default]
    MinMax,
    /// The logarithm of a likelihood, such as `bartscore`, becomes the likelihood, as in the code of CSCR's paper.
    Exp,
}

impl Scale {
    /// All scales.
    pub const ALL: [Self; 2] = [Self::MinMax, Self::Exp];
}

impl fmt::Display for Scale {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::MinMax => "min-max",
            Self::Exp => "exp",
        })
    }
}

impl FromStr for Scale {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|scale| scale.to_string() == name).ok_or(())
    }
}

#[derive(Deserialize)]
struct Example {
    id: String,
    instruction: Option<String>,
    input: Option<String>,
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    model: String,
    scores: serde_json::Map<String, Value>,
}

/// Reads MixInstruct's folder and writes it in the native format, with one of its metrics as score.
pub fn import(job: &Job, metric: &str, scale: Scale) -> Result<Imported, DataError> {
    check_out(&job.out)?;
    let mut gathered = Gathered::default();
    let mut seen = std::collections::HashSet::new();
    let mut last = None;
    for (split, name) in [(Split::Train, "train"), (Split::Valid, "val"), (Split::Test, "test")] {
        let path = job.from.join(format!("{name}_data_prepared.jsonl"));
        let mut lines = Lines::open(&path, MAX_PUBLISHED_BYTES, HINT)?;
        while let Some((line, text)) = lines.next()? {
            let wrong = |problem: String| DataError::Line { path: path.clone(), line, problem };
            let example: Example = serde_json::from_slice(text).map_err(|error| {
                let kind = match error.classify() {
                    serde_json::error::Category::Data => "does not have id and candidates with model and scores",
                    _ => "is not valid JSON (use one object per line, not a list of all examples)",
                };
                let otherwise = format!("{kind} (column {}); correct it or remove it", error.column());
                wrong(format!("the line {}", not_json(text, &otherwise)))
            })?;
            if !seen.insert(example.id.clone()) {
                return Err(wrong(format!("the id {:?} is repeated; remove one of the lines", example.id)));
            }
            let source = example.id.split('/').next().unwrap_or_default().to_owned();
            let place =
                gathered.prompt(Prompt { text: prompt(&example).map_err(wrong)?, id: example.id, source, split });
            for candidate in &example.candidates {
                last = Some(candidate.scores.keys().cloned().collect::<Vec<_>>());
                if let Some(value) = value(candidate, metric).map_err(wrong)? {
                    gathered.score(place, canonical(&candidate.model), value).map_err(wrong)?;
                }
            }
        }
    }
    let wrong = |problem: String| DataError::File { path: job.from.clone(), problem };
    if gathered.is_empty() {
        let there = last.unwrap_or_default().join(", ");
        return Err(wrong(format!("no candidate has the metric {metric:?}; name one of: {there}")));
    }
    let complete = gathered.complete(job.drop_incomplete, &job.from)?;
    let scores = scaled(&complete, metric, scale).map_err(wrong)?;
    complete.write(job, &scores)
}

/// Instruction and input, with a blank line between them.
fn prompt(example: &Example) -> Result<String, String> {
    let parts = [&example.instruction, &example.input];
    let parts: Vec<&str> =
        parts.into_iter().flatten().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err("instruction and input are empty; complete the line or remove it".to_owned());
    }
    Ok(parts.join("\n\n"))
}

/// The published files use two names for one model.
fn canonical(model: &str) -> &str {
    if model == "mpt-7b" { "mpt-7b-instruct" } else { model }
}

fn value(candidate: &Candidate, metric: &str) -> Result<Option<f64>, String> {
    let wrong =
        |what: String| Err(format!("the {metric} of {:?} {what}; correct it or remove the line", candidate.model));
    let number = match candidate.scores.get(metric) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => match text.trim().parse::<f64>() {
            Ok(number) => Some(number),
            Err(_) => return wrong(describe(text)),
        },
        Some(_) => return wrong("is not a number".to_owned()),
    };
    match number {
        Some(number) if number.is_finite() => Ok(Some(number)),
        _ => wrong("is not finite".to_owned()),
    }
}

fn scaled(complete: &Complete, metric: &str, scale: Scale) -> Result<Vec<f32>, String> {
    match scale {
        Scale::MinMax => {
            let rows = complete.scores.chunks_exact(complete.models.len()).zip(&complete.prompts);
            let train = rows.filter(|(_, prompt)| prompt.split == Split::Train).flat_map(|(row, _)| row);
            let (least, most) = train
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (value.min(least), value.max(most)));
            if least >= most {
                return Err(format!("every {metric} on train is {least}; choose another metric"));
            }
            Ok(complete.scores.iter().map(|value| ((value - least) / (most - least)).clamp(0.0, 1.0) as f32).collect())
        }
        Scale::Exp => match complete.scores.iter().find(|value| **value > 0.0) {
            Some(value) => Err(format!(
                "a {metric} is {value}, not the logarithm of a likelihood, which is at most 0; choose --scale min-max"
            )),
            None => Ok(complete.scores.iter().map(|value| value.exp() as f32).collect()),
        },
    }
}
