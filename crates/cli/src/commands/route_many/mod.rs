//! Many prompts of `blindroute route`: read line by line, several routed at once, or by one session, and answered in the
//! order of the lines.

mod gather;
mod object;
mod queue;
mod shape;

use crate::terminal;
use anyhow::Context;
use blindroute_placement::{PrivateRouter, Request, RouteReport, TaskBatch};
use blindroute_routing::program::Task;
use gather::{Batch, Gatherer, PATIENCE, Prompt};
use indicatif::ProgressBar;
use queue::Queue;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

/// What a line of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An object with `id` and `prompt`; blank lines are skipped.
    Object,
    /// A prompt.
    Prompt,
}

impl Form {
    /// What the file should have been.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::Object => "give a file of {\"id\", \"prompt\"} lines, or - for standard input",
            Self::Prompt => "give a file with a prompt a line, or - for standard input",
        }
    }
}

/// How to route them.
pub(crate) struct Many<'a> {
    /// The input; `-` is standard input.
    pub(crate) path: &'a Path,
    pub(crate) form: Form,
    /// Objects are answered by JSON in any case.
    pub(crate) json: bool,
    /// Sessions at once.
    pub(crate) concurrency: usize,
    /// The most prompts of a session.
    pub(crate) batch: usize,
    /// Sessions to keep ready of each task that comes up, for full batches.
    pub(crate) pool: usize,
}

/// A line of the output.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// What the reader should know of how the prompt was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(flatten)]
    report: &'a RouteReport,
}

/// A line of the output for an object that could not be routed.
#[derive(Serialize)]
struct Failure<'a> {
    id: Option<&'a RawValue>,
    line: usize,
    error: &'a str,
}

/// A line's answer, as it is printed.
struct Answered {
    place: usize,
    text: String,
    failed: bool,
}

/// Whether the input can be opened and looks like what it is said to be, before anything else is started. Standard input is
/// looked at when it is read: what it brings may take its time.
///
/// # Errors
/// If the file is not there, is none, or is surely in another form.
pub(crate) fn check(path: &Path, form: Form) -> anyhow::Result<()> {
    let mut reader = open(path, form)?;
    if !path.is_file() {
        return Ok(());
    }
    let first = queue::first_line(&mut reader);
    let first = first.with_context(|| format!("cannot read {}; {}", path.display(), form.hint()))?;
    match first.map(|line| shape::look(&line, form)) {
        Some(Err(problem)) => anyhow::bail!("cannot route {}: {problem}", path.display()),
        _ => Ok(()),
    }
}

fn open(path: &Path, form: Form) -> anyhow::Result<Box<dyn BufRead + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = std::fs::File::open(path);
    let file = file.with_context(|| format!("cannot open {}; {}", path.display(), form.hint()))?;
    if path.is_dir() {
        anyhow::bail!("cannot read {}: it is a directory; {}", path.display(), form.hint());
    }
    Ok(Box::new(BufReader::new(file)))
}

impl Many<'_> {
    /// Routes every line; a bad line is reported in its place and the others go on.
    pub(crate) fn route(&self, router: &PrivateRouter, request: &Request, bar: &ProgressBar) -> anyhow::Result<()> {
        let queue = Arc::new(Queue::new(self.concurrency.max(self.batch)));
        let (reader, lines, form) = (open(self.path, self.form)?, Arc::clone(&queue), self.form);
        // On a thread of its own, which nobody waits for: a read of a terminal ends when its writer likes.
        let read = move || lines.fill(reader, form);
        std::thread::Builder::new().name("lines".into()).spawn(read).context("a thread could not be started")?;
        let gatherer = Gatherer {
            queue: &queue,
            form,
            most: self.batch,
            patience: (!self.path.is_file()).then_some(PATIENCE),
            task: |prompt: &str| self.task(router, request, prompt),
            waiting: Mutex::default(),
            held: AtomicUsize::default(),
        };
        let known = Mutex::new(Vec::new());
        let (send, answers) = channel();
        let printed = std::thread::scope(|scope| {
            for _ in 0..self.concurrency {
                let (send, gatherer, known) = (send.clone(), &gatherer, &known);
                scope.spawn(move || {
                    while let Some(batch) = gatherer.next() {
                        if let Some(first) = batch.prompts.first() {
                            bar.set_message(format!("routing line {}", first.number));
                        }
                        let kept = self.keep_ready(router, known, &batch);
                        if gatherer.is_drained() {
                            // Nobody comes after those that are under way.
                            router.pause_filling(true);
                        }
                        for answered in self.answer(router, request, batch, kept) {
                            if send.send(answered).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
            drop(send);
            let printed = print(answers.iter());
            // Nobody reads the rest: no further line is begun.
            queue.stop();
            printed
        });
        bar.finish_and_clear();
        let failed = printed?;
        let (read, failure) = queue.end();
        if let Some(error) = failure {
            anyhow::bail!("cannot read {}: {error}; {}", self.path.display(), self.form.hint());
        }
        if failed > 0 {
            anyhow::bail!("{failed} of {read} lines could not be routed; their lines in the output say why");
        }
        Ok(())
    }

    /// What a prompt asks of the servers, where somebody wants to know before it is routed.
    fn task(&self, router: &PrivateRouter, request: &Request, prompt: &str) -> Result<Option<Task>, String> {
        if self.batch == 1 && self.pool == 0 {
            return Ok(None);
        }
        let task = router.task(prompt, request.placement, request.router.as_deref());
        task.map_err(|error| error.to_string())
    }

    /// Routes a batch: an answer for each of its lines, in their order.
    fn answer(
        &self,
        router: &PrivateRouter,
        request: &Request,
        batch: Batch,
        kept: Result<(), String>,
    ) -> Vec<Answered> {
        let prompts: Vec<&str> = batch.prompts.iter().filter_map(|prompt| prompt.text.as_deref().ok()).collect();
        let routed = kept.and_then(|()| router.route_batch(&prompts, request).map_err(|error| error.to_string()));
        let mut routed: Vec<Result<RouteReport, String>> = match routed {
            Ok(answers) => answers.into_iter().map(|answer| answer.map_err(|error| error.to_string())).collect(),
            Err(error) => vec![Err(error); prompts.len()],
        };
        let mut routed = routed.drain(..);
        let mut answers = Vec::with_capacity(batch.prompts.len());
        for prompt in &batch.prompts {
            let answer = match &prompt.text {
                Err(error) => Err(error.clone()),
                Ok(_) => routed.next().unwrap_or_else(|| Err("it got no answer; please report this".to_owned())),
            };
            answers.push(self.answered(prompt, &answer));
        }
        answers
    }

    /// A line's answer in the form of the output.
    fn answered(&self, prompt: &Prompt, routed: &Result<RouteReport, String>) -> Answered {
        let Prompt { place, number, id, note, .. } = prompt;
        let (id, note) = (id.as_deref(), note.as_deref());
        let object = self.form == Form::Object;
        let text = match routed {
            Ok(report) if object || self.json => {
                let answer = Answer { id, line: (!object).then_some(*number), note, report };
                // Numbers, strings and what was JSON before always have a JSON form.
                serde_json::to_string(&answer).unwrap_or_default()
            }
            Ok(report) => {
                // A name alone cannot say that it was chosen by a part of the prompt.
                for note in report.cut_from.iter().chain(&report.unknown_note) {
                    tracing::warn!("line {number}: {note}");
                }
                report.model.clone()
            }
            Err(error) if object => serde_json::to_string(&Failure { id, line: *number, error }).unwrap_or_default(),
            Err(error) if self.json => serde_json::json!({"line": number, "error": error}).to_string(),
            Err(error) => format!("error: line {number}: {error}"),
        };
        Answered { place: *place, text, failed: routed.is_err() }
    }

    /// Has sessions for full batches of this one's task kept ready from now on. A batch that is not full is not kept
    /// for: the last ones are of any size.
    fn keep_ready(&self, router: &PrivateRouter, known: &Mutex<Vec<Task>>, batch: &Batch) -> Result<(), String> {
        let Some((batch, task)) = batch.full.zip(batch.prompts.first().and_then(|prompt| prompt.task)) else {
            return Ok(());
        };
        if self.pool == 0 {
            return Ok(());
        }
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&task) {
            return Ok(());
        }
        known.push(task);
        router.keep_ready(TaskBatch { task, batch }, self.pool).map_err(|error| error.to_string())
    }
}

/// Prints answers in the order of their lines, and counts those that failed.
fn print(answers: impl Iterator<Item = Answered>) -> anyhow::Result<usize> {
    let (mut early, mut next, mut failed) = (BTreeMap::new(), 0, 0);
    for answer in answers {
        early.insert(answer.place, answer);
        while let Some(answer) = early.remove(&next) {
            terminal::without_bars(|| {
                let mut out = io::stdout().lock();
                writeln!(out, "{}", answer.text)?;
                out.flush()
            })?;
            failed += usize::from(answer.failed);
            next += 1;
        }
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_put_in_order_and_failures_counted() {
        let answer = |place, failed| Answered { place, text: String::new(), failed };
        assert_eq!(print([answer(2, true), answer(0, false), answer(1, true)].into_iter()).ok(), Some(2));
    }
}
