//! EmbedLLM (Zhuang, Wu, Wen, Li, Jiao, Ramchandran, ICLR 2025): 112 models, 36,054 questions, right or wrong.
//!
//! Published as `train.csv` (2.7 GB), `val.csv` and `test.csv` of the data set `RZ412/EmbedLLM`, with one row per question and
//! model. This module reads `prompt_id`, `model_name`, `category`, `label` (0 or 1) and `prompt`. It ignores other columns and
//! the authors' files `model_order.csv` and `question_order.csv`.
//!
//! Sources: the authors' repository (`richardzhuang0412/EmbedLLM`, `algorithm/mf.py`), the file list of the data set, and code
//! that reads it: `rezashkv/cscr` (the code of CSCR's paper, `src/router/embedllm.py`) and a public script that counts
//! 3,814,272, 383,488 and 388,528 rows. These are more than questions times models: a question can be in several task variants,
//! sometimes with different labels. Its score is the mean of its labels (CSCR takes the last one). We have not seen the files
//! themselves.
//!
//! The authors' splits are kept. An id consists of the split and the question's id, because a question may be in two splits. There
//! are no prices; papers use the number of parameters.

use super::gather::Gathered;
use super::{Imported, Job, MAX_PUBLISHED_BYTES};
use crate::data::table::{Table, describe};
use crate::data::write::check_out;
use crate::data::{DataError, Prompt, Split};
use std::collections::HashMap;

const HINT: &str = "EmbedLLM is a folder with train.csv, val.csv and test.csv";
const NEEDS: &str = "it needs prompt_id, model_name, category, label and prompt";

/// Reads the folder of EmbedLLM's `train.csv`, `val.csv` and `test.csv` and writes it in the native format.
pub fn import(job: &Job) -> Result<Imported, DataError> {
    check_out(&job.out)?;
    let mut gathered = Gathered::default();
    for (split, name) in [(Split::Train, "train.csv"), (Split::Valid, "val.csv"), (Split::Test, "test.csv")] {
        let path = job.from.join(name);
        let mut table = Table::open(&path, MAX_PUBLISHED_BYTES, HINT)?;
        let column = |name| table.column(name, NEEDS);
        let (id, model, category) = (column("prompt_id")?, column("model_name")?, column("category")?);
        let (label, prompt) = (column("label")?, column("prompt")?);
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some(row) = table.next()? {
            let wrong = |problem: String| DataError::Line { path: path.clone(), line: row.line, problem };
            let [id, model, text] = [id, model, prompt].map(|column| row.field(column));
            for (what, field) in [("prompt_id", id), ("model_name", model), ("prompt", text)] {
                if field.trim().is_empty() {
                    return Err(wrong(format!("the {what} is empty; complete the row or remove it")));
                }
            }
            let field = row.field(label);
            let value = field.trim().parse::<f64>().ok().filter(|value| (0.0..=1.0).contains(value));
            let value = value.ok_or_else(|| {
                wrong(format!("the label {}, expected 0 or 1; correct the row or remove it", describe(field)))
            })?;
            let place = match places.get(id) {
                Some(place) if gathered.text(*place) == text => *place,
                Some(_) => {
                    return Err(wrong(format!(
                        "the prompt_id {id:?} already has another prompt; give each prompt its own id"
                    )));
                }
                None => {
                    let prompt = Prompt {
                        id: format!("{split}-{id}"),
                        text: text.to_owned(),
                        source: row.field(category).to_owned(),
                        split,
                    };
                    let place = gathered.prompt(prompt);
                    places.insert(id.to_owned(), place);
                    place
                }
            };
            gathered.score(place, model, value).map_err(wrong)?;
        }
    }
    let complete = gathered.complete(job.drop_incomplete, &job.from)?;
    let scores: Vec<f32> = complete.scores.iter().map(|score| *score as f32).collect();
    complete.write(job, &scores)
}
