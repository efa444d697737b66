//! Many prompts of `blindroute route`: read line by line, several routed at once, or by one session, and answered in the
//! order of the lines.

mod form;
mod gather;
mod journal;
mod object;
mod queue;
mod shape;
mod stop;

use anyhow::Context;
use blindroute_console::terminal;
use blindroute_placement::{PlacementError, PrivateRouter, RouteOptions, RouteReport};
use blindroute_routing::program::{SessionRequest, Task};
pub(crate) use form::{Form, check, open};
use gather::{Batch, Gatherer, PATIENCE, Prompt};
use indicatif::ProgressBar;
use journal::{Journal, Terms};
use queue::Queue;
pub(crate) use queue::next_line;
use serde::Serialize;
use serde_json::value::RawValue;
pub(crate) use shape::without_mark;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use stop::Stop;

/// How to route many prompts.
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
    pub(crate) session_pool: usize,
    /// Where answers are kept for a later run.
    pub(crate) journal: Option<&'a Path>,
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

/// A line of the output for an object that could not be answered.
#[derive(Serialize)]
pub(crate) struct Failure<'a> {
    pub(crate) id: Option<&'a RawValue>,
    pub(crate) line: usize,
    pub(crate) error: &'a str,
}

/// A line's answer, as it is printed.
struct Answered {
    place: usize,
    number: usize,
    text: String,
    failed: bool,
    /// Whether it failed by an error that every other line meets too.
    left: bool,
}

/// What was printed.
#[derive(Debug, PartialEq, Eq)]
struct Printed {
    failed: usize,
    /// The first line that a later run has to route.
    left: Option<usize>,
}

/// Why a line has no answer.
#[derive(Clone)]
struct Fault {
    text: String,
    stops_all: bool,
}

impl From<&PlacementError> for Fault {
    fn from(error: &PlacementError) -> Self {
        Self { text: error.to_string(), stops_all: error.stops_all() }
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self { text, stops_all: false }
    }
}

impl Many<'_> {
    /// Routes every line. A bad line is reported in its place and the others go on; an error that every line would meet ends the run.
    pub(crate) fn route(
        &self,
        router: &PrivateRouter,
        options: &RouteOptions,
        bar: &ProgressBar,
    ) -> anyhow::Result<()> {
        let journal = self.journal.map(|path| Journal::open(path, &terms(router, options)?)).transpose()?;
        let queue = Arc::new(Queue::new(self.concurrency.max(self.batch)));
        let (reader, lines, form) = (open(self.path, self.form)?, Arc::clone(&queue), self.form);
        // On a thread of its own, which nobody waits for: a read from a terminal ends only when its user writes.
        let read = move || lines.fill(reader, form);
        std::thread::Builder::new().name("lines".into()).spawn(read).context("a thread could not be started")?;
        let gatherer = Gatherer {
            queue: &queue,
            form,
            most: self.batch,
            patience: (!self.path.is_file()).then_some(PATIENCE),
            task: |prompt: &str| self.task(router, options, prompt),
            journal: journal.as_ref(),
            waiting: Mutex::default(),
            held: AtomicUsize::default(),
        };
        let (known, stop) = (Mutex::new(Vec::new()), Stop::new(&queue));
        let (send, answers) = channel();
        let printed = std::thread::scope(|scope| {
            for _ in 0..self.concurrency {
                let (send, gatherer, known, stop, journal) = (send.clone(), &gatherer, &known, &stop, journal.as_ref());
                scope.spawn(move || {
                    while let Some(batch) = gatherer.next() {
                        if let Some(first) = batch.prompts.first() {
                            bar.set_message(format!("routing line {}", first.number));
                        }
                        let kept = self.keep_ready(router, known, &batch);
                        if gatherer.is_drained() {
                            // No further batch follows those that are under way.
                            router.pause_filling(true);
                        }
                        for answered in self.answer((router, options), batch, kept, journal, stop) {
                            if send.send(answered).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
            drop(send);
            let printed = print(answers.iter(), |place| {
                let left = gatherer.left_before(place);
                let fault =
                    Fault { text: "it was not routed: the error of another line says why".into(), stops_all: true };
                left.iter().map(|prompt| self.answered(prompt, &Err(fault.clone()))).collect()
            });
            // Nobody reads the rest: no further line is begun.
            queue.stop();
            printed
        });
        bar.finish_and_clear();
        let Printed { failed, left } = printed?;
        if let Some(why) = stop.why() {
            return Err(stop::explained(&why, left, journal.as_ref()));
        }
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
    fn task(&self, router: &PrivateRouter, options: &RouteOptions, prompt: &str) -> Result<Option<Task>, String> {
        if self.batch == 1 && self.session_pool == 0 {
            return Ok(None);
        }
        let task = router.task(prompt, options);
        task.map_err(|error| error.to_string())
    }

    /// Routes a batch: an answer for each of its lines, in their order.
    fn answer(
        &self,
        (router, options): (&PrivateRouter, &RouteOptions),
        batch: Batch,
        kept: Result<(), Fault>,
        journal: Option<&Journal>,
        stop: &Stop<'_>,
    ) -> Vec<Answered> {
        let asked = batch.prompts.iter().filter(|prompt| !prompt.is_settled());
        let prompts: Vec<&str> = asked.filter_map(|prompt| prompt.text.as_deref().ok()).collect();
        let routed = kept.and_then(|()| router.route_batch(&prompts, options).map_err(|error| Fault::from(&error)));
        let mut routed: Vec<Result<RouteReport, Fault>> = match routed {
            Ok(answers) => answers.into_iter().map(|answer| answer.map_err(|error| Fault::from(&error))).collect(),
            Err(fault) => vec![Err(fault); prompts.len()],
        };
        let mut routed = routed.drain(..);
        let mut answers = Vec::with_capacity(batch.prompts.len());
        for prompt in &batch.prompts {
            let answer = match (&prompt.text, &prompt.known) {
                (Err(error), _) => Err(error.clone().into()),
                (Ok(_), Some(report)) => Ok((**report).clone()),
                (Ok(text), None) => {
                    let answer =
                        routed.next().unwrap_or_else(|| Err("it got no answer; please report this".to_owned().into()));
                    if let (Ok(report), Some(journal)) = (&answer, journal)
                        && let Err(error) = journal.keep(prompt.number, text, report)
                    {
                        stop.stop(&format!("{error:#}"));
                    }
                    answer
                }
            };
            if let Err(Fault { text, stops_all: true }) = &answer {
                stop.stop(text);
            }
            answers.push(self.answered(prompt, &answer));
        }
        answers
    }

    /// A line's answer in the form of the output.
    fn answered(&self, prompt: &Prompt, routed: &Result<RouteReport, Fault>) -> Answered {
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
                // The name alone does not say that only a part of the prompt was read.
                for note in report.cut_from.iter().chain(&report.unknown_note) {
                    tracing::warn!("line {number}: {note}");
                }
                report.ranking.iter().map(|ranked| ranked.model.as_str()).collect::<Vec<_>>().join("\t")
            }
            Err(Fault { text: error, .. }) if object => {
                serde_json::to_string(&Failure { id, line: *number, error }).unwrap_or_default()
            }
            Err(Fault { text, .. }) if self.json => serde_json::json!({"line": number, "error": text}).to_string(),
            Err(Fault { text, .. }) => format!("error: line {number}: {text}"),
        };
        let left = routed.as_ref().is_err_and(|fault| fault.stops_all);
        Answered { place: *place, number: *number, text, failed: routed.is_err(), left }
    }

    /// From now on keeps sessions ready for full batches of this batch's task. There are none for batches that are not full: the
    /// last ones have any size.
    fn keep_ready(&self, router: &PrivateRouter, known: &Mutex<Vec<Task>>, batch: &Batch) -> Result<(), Fault> {
        let Some((batch, task)) = batch.full.zip(batch.prompts.first().and_then(|prompt| prompt.task)) else {
            return Ok(());
        };
        if self.session_pool == 0 {
            return Ok(());
        }
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&task) {
            return Ok(());
        }
        known.push(task);
        let request = SessionRequest::new(task).with_batch(batch);
        router.keep_ready(request, self.session_pool).map_err(|error| Fault::from(&error))
    }
}

/// What decides every answer, beside the prompts.
fn terms(router: &PrivateRouter, options: &RouteOptions) -> anyhow::Result<Terms> {
    let (public, index) = (router.public(), router.router_index(options.router.as_deref())?);
    Ok(Terms {
        bundle: router.bundle().digest.clone(),
        placement: options.placement,
        router: public.plan.routers[index].name.clone(),
        lambda: options.lambda.unwrap_or(public.lambdas[index]),
        unknown: options.unknown_text.clone(),
        ranked: options.ranking,
    })
}

/// Prints answers in the order of their lines. Where the batch ended early, `left_before` gives the lines before a place
/// that were not begun, so that each line of the output stays its line's of the input.
fn print(
    answers: impl Iterator<Item = Answered>,
    left_before: impl FnOnce(usize) -> Vec<Answered>,
) -> anyhow::Result<Printed> {
    let (mut early, mut next, mut printed) = (BTreeMap::new(), 0, Printed { failed: 0, left: None });
    let mut write = |answer: Answered| -> anyhow::Result<()> {
        terminal::without_bars(|| {
            let mut out = io::stdout().lock();
            writeln!(out, "{}", answer.text)?;
            out.flush()
        })?;
        printed.failed += usize::from(answer.failed);
        printed.left = printed.left.or(answer.left.then_some(answer.number));
        Ok(())
    };
    for answer in answers {
        early.insert(answer.place, answer);
        while let Some(answer) = early.remove(&next) {
            write(answer)?;
            next += 1;
        }
    }
    if let Some(last) = early.keys().next_back() {
        early.extend(left_before(*last).into_iter().map(|answer| (answer.place, answer)));
        early.into_values().try_for_each(write)?;
    }
    Ok(printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(place: usize, failed: bool, left: bool) -> Answered {
        Answered { place, number: place + 1, text: String::new(), failed, left }
    }

    #[test]
    fn answers_are_put_in_order_and_failures_counted() {
        let answers = [answer(2, true, false), answer(0, false, false), answer(1, true, false)];
        let printed = print(answers.into_iter(), |_| panic!("nothing is left"));
        assert_eq!(printed.ok(), Some(Printed { failed: 2, left: None }));
    }

    #[test]
    fn what_was_not_begun_is_printed_in_its_place_and_named() {
        let answers = [answer(0, false, false), answer(4, true, true), answer(3, false, false)];
        let left = |place| {
            assert_eq!(place, 4);
            vec![answer(2, true, true), answer(1, true, true)]
        };
        assert_eq!(print(answers.into_iter(), left).ok(), Some(Printed { failed: 3, left: Some(2) }));
    }
}
