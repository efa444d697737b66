//! RouterBench (Hu, Bieker, Li, Jiang, Keigwin, Ranganath, Keutzer, Upadhyay, 2024): 36,497 prompts, 11 models, a score
//! and a cost for every answer.
//!
//! Published as a pickle of the data set `withmartian/routerbench`, `routerbench_0shot.pkl` (or `_5shot`). Reading a pickle can
//! run code from the file, so users who trust it must convert it once:
//!
//! ```sh
//! python -c "import pandas as p; d = p.read_pickle('routerbench_0shot.pkl'); \
//!     d.drop(columns=[c for c in d if c.endswith('|model_response')]).to_csv('routerbench.csv', index=False)"
//! ```
//!
//! The columns are `sample_id`, `prompt`, `eval_name`, `oracle_model_to_route_to`, and for each model `MODEL` (its score),
//! `MODEL|total_cost` (USD) and `MODEL|model_response`. A prompt is usually the text of a Python list of
//! turns, `['…', '…']`, in some exports of a NumPy array, `['…' '…']`, or of messages, `[{'role': …, 'content': …}]`. Its turns
//! are joined by line breaks. Any other list is an error, and other text is kept unchanged. The columns of the oracle and of the
//! responses are ignored; any other column must be a model's.
//!
//! Sources: the authors' repository (`withmartian/routerbench`, `evaluate_routers.py`), a public description of the
//! pickle's columns and most frequent values, a public excerpt of its CSV, and `rezashkv/cscr` (the code of CSCR's paper,
//! `src/router/routerbench.py`). We have not seen the pickle itself; the project's `routerbench_slice` is a part of it.
//!
//! The set has no splits. The SHA-256 of a prompt's text decides its split, 70 % train, 10 % valid and 20 % test, so that repeated
//! texts, also with other white space, are in the same split. A model's price is the mean of its costs on train.

use super::gather::check_splits;
use super::{Imported, MAX_PUBLISHED_BYTES, turns};
use crate::data::format::MAX_MODELS;
use crate::data::table::{Row, Table, describe};
use crate::data::write::{Native, check_out, counts};
use crate::data::{DataError, Prompt, Split};
use blindroute_routing::bundle::Model;
use std::path::Path;

const HINT: &str = "RouterBench is a CSV file made of routerbench_0shot.pkl";
const EXPORT: &str = "python -c \"import pandas as p; d = p.read_pickle('routerbench_0shot.pkl'); \
     d.drop(columns=[c for c in d if c.endswith('|model_response')]).to_csv('routerbench.csv', index=False)\"";
const NEEDS: &str = "it needs sample_id, prompt, eval_name, and for each model MODEL and MODEL|total_cost";
const COST: &str = "|total_cost";
/// Columns that are ignored: the oracle, and the index that pandas writes by default.
const IGNORED: [&str; 3] = ["oracle_model_to_route_to", "", "Unnamed: 0"];
const UNIT: &str = "USD per query";

/// A model's columns.
struct Columns {
    model: String,
    score: usize,
    cost: usize,
}

/// Reads the CSV file made of RouterBench's pickle and writes it in the native format; `seed` decides the splits.
pub fn import(from: &Path, out: &Path, seed: u64) -> Result<Imported, DataError> {
    check_out(out)?;
    if from.extension().is_some_and(|extension| extension == "pkl") {
        let problem = format!("this is a pickle, expected a CSV file; convert it with: {EXPORT}");
        return Err(DataError::File { path: from.to_owned(), problem });
    }
    let mut table = Table::open(from, MAX_PUBLISHED_BYTES, HINT)?;
    let column = |name| table.column(name, NEEDS);
    let (id, text, source) = (column("sample_id")?, column("prompt")?, column("eval_name")?);
    let models = models(&table, [id, text, source])?;
    let (mut prompts, mut scores, mut query_costs) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = std::collections::HashSet::new();
    while let Some(row) = table.next()? {
        let wrong = |problem: String| DataError::Line { path: from.to_owned(), line: row.line, problem };
        let id = row.field(id);
        if id.is_empty() || row.field(text).trim().is_empty() {
            return Err(wrong("the sample_id or the prompt is empty; complete the row or remove it".to_owned()));
        }
        if !seen.insert(id.to_owned()) {
            return Err(wrong(format!("the sample_id {id:?} is repeated; remove one of the rows")));
        }
        let text = turns::joined(row.field(text)).ok_or_else(|| {
            wrong(
                "the prompt is a list that cannot be read (of texts, or of messages with content); correct the row or \
                   remove it"
                    .to_owned(),
            )
        })?;
        let split = Split::of_text(&text, seed);
        prompts.push(Prompt { id: id.to_owned(), text, source: row.field(source).to_owned(), split });
        for Columns { model, score, cost } in &models {
            let number = |column, what: &str, range: std::ops::RangeInclusive<f32>, must: &str| {
                number(&row, column).filter(|number| range.contains(number)).ok_or_else(|| {
                    let found = describe(row.field(column));
                    wrong(format!("the {what} of {model:?} {found}, expected a number {must}; remove the row"))
                })
            };
            scores.push(number(*score, "score", 0.0..=1.0, "from 0 to 1")?);
            query_costs.push(number(*cost, "total_cost", 0.0..=f32::MAX, "of at least 0")?);
        }
    }
    check_splits(&prompts, from, "no prompt")?;
    let models = priced(models, &prompts, &query_costs);
    Native { models: &models, prompts: &prompts, scores: &scores, query_costs: Some(&query_costs) }.write(out)?;
    Ok(Imported {
        out: out.to_owned(),
        models: models.len(),
        cost_unit: UNIT.to_owned(),
        query_costs: true,
        splits: counts(&prompts),
        dropped: 0,
        averaged: 0,
    })
}

fn number(row: &Row<'_>, column: usize) -> Option<f32> {
    row.field(column).trim().parse().ok()
}

/// The models in the order of the table. A column that is neither known nor a model's is an error.
fn models(table: &Table, known: [usize; 3]) -> Result<Vec<Columns>, DataError> {
    let header = table.header();
    let mut models = Vec::new();
    for (place, name) in header.iter().enumerate() {
        let left_alone = IGNORED.contains(&name) || name.ends_with("|model_response");
        if known.contains(&place) || left_alone {
            continue;
        }
        let (model, partner) = match name.strip_suffix(COST) {
            Some(model) => (model, model.to_owned()),
            None => (name, format!("{name}{COST}")),
        };
        Model::check_name(model)
            .map_err(|problem| table.wrong(format!("the model's name in column {} {problem}", place + 1)))?;
        if header.iter().all(|other| other != partner) {
            return Err(
                table.wrong(format!("the column {name:?} needs a column {partner:?}; add it or remove the column"))
            );
        }
        if model == name {
            let (score, cost) = (table.column(name, NEEDS)?, table.column(&partner, NEEDS)?);
            models.push(Columns { model: name.to_owned(), score, cost });
        }
    }
    match models.len() {
        0 | 1 => Err(table.wrong(format!("it has {} models, expected at least two; {NEEDS}", models.len()))),
        2..=MAX_MODELS => Ok(models),
        many => Err(table.wrong(format!("it has {many} models, expected at most {MAX_MODELS}; remove some"))),
    }
}

fn priced(models: Vec<Columns>, prompts: &[Prompt], costs: &[f32]) -> Vec<Model> {
    let count = models.len();
    let train: Vec<&[f32]> = (costs.chunks_exact(count).zip(prompts))
        .filter(|(_, prompt)| prompt.split == Split::Train)
        .map(|(row, _)| row)
        .collect();
    let mean = |model: usize| train.iter().map(|row| f64::from(row[model])).sum::<f64>() / train.len() as f64;
    (models.into_iter().enumerate())
        .map(|(index, columns)| Model { name: columns.model, price: mean(index), unit: UNIT.to_owned() })
        .collect()
}
