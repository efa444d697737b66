//! The journal of an agreement: a first line that says what routed, and one line of JSON per prompt that was routed.
//!
//! It holds ids and choices, no prompt: choices on a public data set's prompts, which whoever measures knows anyway.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// Which prompts were routed, and by what: the first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    /// The bundle's digest.
    pub(super) bundle: String,
    /// The digest of the data set's prompts: another set may have the same ids.
    pub(super) prompts: String,
    /// How many models there are to choose from.
    pub(super) models: usize,
    /// In the order of the choices.
    pub(super) routers: Vec<RouterSubject>,
}

/// A router of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RouterSubject {
    /// Its name.
    pub(super) name: String,
    /// How many weights of cost its rule chooses with.
    pub(super) lambdas: usize,
}

impl Subject {
    /// Whether an answer has a model of the pool for everything that was asked.
    fn fits(&self, answer: &Answer) -> bool {
        let fits = |(asked, found): (&RouterSubject, &Choices)| {
            let mut models = std::iter::once(&found.whole).chain(&found.head);
            found.head.len() == asked.lambdas && models.all(|model| *model < self.models)
        };
        answer.routers.len() == self.routers.len() && self.routers.iter().zip(&answer.routers).all(fits)
    }
}

/// One prompt's line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The prompt's.
    pub(super) id: String,
    /// Tokens, padding included.
    pub(super) bucket: usize,
    /// Of the embedding that was made under MPC with the clear one.
    pub(super) cosine: f64,
    /// Of each router.
    pub(super) routers: Vec<Choices>,
}

/// The models that one router chose, by their places in the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Choices {
    /// In a full route with the router's own weight of cost.
    pub(super) whole: usize,
    /// By the rule under MPC, from the embedding made under MPC, with each weight of cost.
    pub(super) head: Vec<usize>,
}

/// All answers so far, and the file that keeps them if there is one.
#[derive(Debug)]
pub(super) struct Journal {
    answers: HashMap<String, Answer>,
    file: Option<File>,
}

impl Journal {
    /// Reads what an earlier run kept of the same subject, or begins.
    pub(super) fn open(path: Option<&Path>, subject: &Subject) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self { answers: HashMap::new(), file: None }) };
        let shown = path.display();
        let begun = path.exists();
        let mut options = File::options();
        let mut file = options
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot write the journal {shown}; name a file that can be written"))?;
        let answers = if begun { read(&file, subject).with_context(|| format!("the journal {shown}"))? } else { None };
        if answers.is_none() {
            writeln!(file, "{}", serde_json::to_string(subject)?)?;
        }
        Ok(Self { answers: answers.unwrap_or_default(), file: Some(file) })
    }

    /// Whether this prompt was routed.
    pub(super) fn has(&self, id: &str) -> bool {
        self.answers.contains_key(id)
    }

    /// The answer to this prompt.
    pub(super) fn answer(&self, id: &str) -> anyhow::Result<&Answer> {
        self.answers.get(id).context("a prompt was skipped; please report this")
    }

    /// Keeps an answer.
    pub(super) fn keep(&mut self, answer: Answer) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            // In one write: after an interruption all lines are whole, except perhaps the last.
            let line = format!("{}\n", serde_json::to_string(&answer)?);
            file.write_all(line.as_bytes()).context("cannot write the journal")?;
        }
        self.answers.insert(answer.id.clone(), answer);
        Ok(())
    }
}

/// The answers of a journal; none if it is empty. A last line that is not whole is removed from the file.
fn read(file: &File, subject: &Subject) -> anyhow::Result<Option<HashMap<String, Answer>>> {
    let mut reader = BufReader::new(file);
    let mut answers = None;
    let (mut line, mut number, mut whole) = (String::new(), 0, 0u64);
    loop {
        line.clear();
        number += 1;
        let bytes = reader.read_line(&mut line).context("cannot be read")?;
        if bytes == 0 {
            return Ok(answers);
        }
        if !line.ends_with('\n') {
            file.set_len(whole).context("its last line, which is not whole, cannot be removed")?;
            return Ok(answers);
        }
        whole += bytes as u64;
        let hint = "name another file, or remove this one";
        match &mut answers {
            None => {
                let found: Subject =
                    serde_json::from_str(&line).map_err(|_| anyhow::anyhow!("it is not a journal; {hint}"))?;
                if found != *subject {
                    bail!("it is of another bundle, other prompts or other routers; {hint}");
                }
                answers = Some(HashMap::new());
            }
            Some(answers) => {
                let answer = serde_json::from_str::<Answer>(&line).ok();
                let answer = answer.filter(|answer| subject.fits(answer));
                let answer = answer.with_context(|| format!("line {number} is not an answer; {hint}"))?;
                answers.insert(answer.id.clone(), answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: &str) -> Answer {
        let routers = vec![Choices { whole: 1, head: vec![1, 0] }];
        Answer { id: id.to_owned(), bucket: 32, cosine: 0.9999, routers }
    }

    fn subject() -> Subject {
        let routers = vec![RouterSubject { name: "uniroute".to_owned(), lambdas: 2 }];
        Subject { bundle: "ab".to_owned(), prompts: "01".to_owned(), models: 2, routers }
    }

    #[test]
    fn a_cut_journal_goes_on_from_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let subject = subject();
        let open = |subject: &Subject| Journal::open(Some(&path), subject);
        let mut journal = open(&subject).unwrap();
        journal.keep(answer("a")).unwrap();
        journal.keep(answer("b")).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        for cut in [text.len(), text.len() - 1, text.len() - 20] {
            std::fs::write(&path, &text[..cut]).unwrap();
            let mut journal = open(&subject).unwrap();
            assert_eq!((journal.has("a"), journal.has("b")), (true, cut == text.len()));
            if !journal.has("b") {
                journal.keep(answer("b")).unwrap();
            }
            assert_eq!(journal.answer("b").unwrap(), &answer("b"));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert!(!open(&subject).unwrap().has("c"));

        let other = Subject { bundle: "cd".to_owned(), ..subject.clone() };
        assert!(format!("{:#}", open(&other).unwrap_err()).contains("of another bundle"));
        let other = Subject { prompts: "02".to_owned(), ..subject.clone() };
        assert!(format!("{:#}", open(&other).unwrap_err()).contains("other prompts"));
        for (from, to) in
            [("\"whole\":1", "\"whole\":\"x\""), ("\"whole\":1", "\"whole\":2"), ("\"head\":[1,0]", "\"head\":[1]")]
        {
            assert!(text.contains(from));
            std::fs::write(&path, text.replace(from, to)).unwrap();
            assert!(format!("{:#}", open(&subject).unwrap_err()).contains("line 2 is not an answer"));
        }
        std::fs::write(&path, "a diary\n").unwrap();
        assert!(format!("{:#}", open(&subject).unwrap_err()).contains("it is not a journal"));
    }

    #[test]
    fn without_a_file_answers_are_kept_in_memory() {
        let mut journal = Journal::open(None, &subject()).unwrap();
        journal.keep(answer("a")).unwrap();
        assert!(journal.has("a") && journal.answer("b").is_err());
    }
}
