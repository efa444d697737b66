//! Many prompts of `blindroute route`: read line by line, several routed at once, answered in the order of the lines.

use anyhow::Context;
use blindroute_placement::{PrivateRouter, Request, RouteReport};
use blindroute_routing::program::Task;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Longest line taken: a prompt of 4 MiB, escaped.
const MAX_LINE: u64 = 32 << 20;

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
    /// Routes at once.
    pub(crate) concurrency: usize,
    /// Sessions to keep ready of each task that comes up.
    pub(crate) pool: usize,
}

/// A line of objects.
#[derive(Deserialize)]
struct Object {
    id: serde_json::Value,
    prompt: String,
}

/// A line of the output.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(flatten)]
    report: &'a RouteReport,
}

/// A line that was read. Not printable: it holds a prompt.
struct Line {
    /// Its place among the answers, from 0.
    place: usize,
    /// Its number in the file, from 1.
    number: usize,
    text: Result<Vec<u8>, String>,
}

/// A line's answer, as it is printed.
struct Answered {
    place: usize,
    text: String,
    failed: bool,
}

/// Opens the input before anything else is started.
pub(crate) fn open(path: &Path, form: Form) -> anyhow::Result<Box<dyn BufRead + Send>> {
    Ok(if path.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = std::fs::File::open(path);
        Box::new(BufReader::new(file.with_context(|| format!("cannot open {}; {}", path.display(), form.hint()))?))
    })
}

impl Many<'_> {
    /// Routes every line; a bad line is reported in its place and the others go on.
    pub(crate) fn route(&self, router: &PrivateRouter, request: &Request, bar: &ProgressBar) -> anyhow::Result<()> {
        let queue = Arc::new(Queue { limit: self.concurrency, ..Queue::default() });
        let (reader, lines, form) = (open(self.path, self.form)?, Arc::clone(&queue), self.form);
        // On a thread of its own, which nobody waits for: a read of a terminal ends when its writer likes.
        let read = move || lines.fill(reader, form);
        std::thread::Builder::new().name("lines".into()).spawn(read).context("a thread could not be started")?;
        let known = Mutex::new(Vec::new());
        let (send, answers) = channel();
        let printed = std::thread::scope(|scope| {
            for _ in 0..self.concurrency {
                let (send, queue, known) = (send.clone(), &queue, &known);
                scope.spawn(move || {
                    while let Some(line) = queue.next() {
                        bar.set_message(format!("routing line {}", line.number));
                        if send.send(self.answer(router, request, known, queue, line)).is_err() {
                            return;
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
        let state = queue.lock();
        if let Some(error) = &state.failure {
            anyhow::bail!("cannot read {}: {error}; {}", self.path.display(), self.form.hint());
        }
        if failed > 0 {
            anyhow::bail!("{failed} of {} lines could not be routed; their lines in the output say why", state.read);
        }
        Ok(())
    }

    fn answer(
        &self,
        router: &PrivateRouter,
        request: &Request,
        known: &Mutex<Vec<Task>>,
        queue: &Queue,
        line: Line,
    ) -> Answered {
        let Line { place, number, text } = line;
        let route = |prompt: &str| {
            self.keep_ready(router, request, known, prompt)?;
            if queue.is_drained() {
                // Nobody comes after those that are under way.
                router.pause_filling(true);
            }
            router.route(prompt, request).map_err(|error| error.to_string())
        };
        let (id, routed) = match (self.form, text) {
            (_, Err(error)) => (None, Err(error)),
            (Form::Prompt, Ok(text)) => (None, plain(&text).and_then(route)),
            (Form::Object, Ok(text)) => match parse(&text, number) {
                Ok(Object { id, prompt }) => (Some(id), route(&prompt)),
                Err(error) => (None, Err(error)),
            },
        };
        let object = self.form == Form::Object;
        let text = match &routed {
            Ok(report) if object || self.json => {
                let answer = Answer { id: id.as_ref(), line: (!object).then_some(number), report };
                // Numbers and strings always have a JSON form.
                serde_json::to_string(&answer).unwrap_or_default()
            }
            Ok(report) => report.model.clone(),
            Err(error) if object => serde_json::json!({"id": id, "line": number, "error": error}).to_string(),
            Err(error) if self.json => serde_json::json!({"line": number, "error": error}).to_string(),
            Err(error) => format!("error: line {number}: {error}"),
        };
        Answered { place, text, failed: routed.is_err() }
    }

    /// Has sessions of this prompt's size kept ready from now on.
    fn keep_ready(
        &self,
        router: &PrivateRouter,
        request: &Request,
        known: &Mutex<Vec<Task>>,
        prompt: &str,
    ) -> Result<(), String> {
        if self.pool == 0 {
            return Ok(());
        }
        let task = router.task(prompt, request.placement, request.router.as_deref());
        let Some(task) = task.map_err(|error| error.to_string())? else { return Ok(()) };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&task) {
            return Ok(());
        }
        known.push(task);
        router.keep_ready(task, self.pool).map_err(|error| error.to_string())
    }
}

/// Prints answers in the order of their lines, and counts those that failed.
fn print(answers: impl Iterator<Item = Answered>) -> anyhow::Result<usize> {
    let (mut early, mut next, mut failed) = (BTreeMap::new(), 0, 0);
    for answer in answers {
        early.insert(answer.place, answer);
        while let Some(answer) = early.remove(&next) {
            let mut out = io::stdout().lock();
            writeln!(out, "{}", answer.text)?;
            out.flush()?;
            failed += usize::from(answer.failed);
            next += 1;
        }
    }
    Ok(failed)
}

fn plain(text: &[u8]) -> Result<&str, String> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    std::str::from_utf8(text).map_err(|_| "it is not UTF-8; convert the file".to_owned())
}

fn parse(text: &[u8], number: usize) -> Result<Object, String> {
    let text = std::str::from_utf8(text).map_err(|_| format!("line {number} is not UTF-8; convert the file"))?;
    serde_json::from_str(text).map_err(|error| {
        // The position, never the text: it may be a prompt.
        format!(
            "line {number} is no {{\"id\", \"prompt\"}} object (column {}); see `blindroute route --help`",
            error.column()
        )
    })
}

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    /// Lines read, blank ones too.
    read: usize,
    ended: bool,
    stopped: bool,
    failure: Option<io::Error>,
}

/// Lines on their way from the reader to those that route them: as many as are routed at once, so that a long input is
/// not held in memory.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads to the end, or until nobody wants more.
    fn fill(&self, mut reader: impl BufRead, form: Form) {
        let (mut place, mut number) = (0, 0);
        loop {
            let text = match next_line(&mut reader) {
                Ok(Some(text)) => text,
                end => {
                    let mut state = self.lock();
                    (state.ended, state.failure) = (true, end.err());
                    drop(state);
                    return self.changed.notify_all();
                }
            };
            number += 1;
            let blank =
                form == Form::Object && text.as_ref().is_ok_and(|text| text.iter().all(u8::is_ascii_whitespace));
            let full = |state: &mut State| state.lines.len() >= self.limit && !state.stopped;
            let mut state = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
            if state.stopped {
                return;
            }
            state.read = number;
            if !blank {
                state.lines.push_back(Line { place, number, text });
                place += 1;
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// The next line, waiting for it; none after the last.
    fn next(&self) -> Option<Line> {
        let empty = |state: &mut State| state.lines.is_empty() && !state.ended && !state.stopped;
        let mut state = self.changed.wait_while(self.lock(), empty).unwrap_or_else(PoisonError::into_inner);
        let line = if state.stopped { None } else { state.lines.pop_front() };
        drop(state);
        self.changed.notify_all();
        line
    }

    fn is_drained(&self) -> bool {
        let state = self.lock();
        state.ended && state.lines.is_empty()
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// The next line with its end, or what is wrong with it; none after the last.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, String>>> {
    let mut line = Vec::new();
    if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
        return Ok(Some(Err(format!("it is longer than {} MiB; shorten the prompt", MAX_LINE >> 20))));
    }
    Ok(Some(Ok(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], form: Form) -> Vec<(usize, usize, Result<Vec<u8>, String>)> {
        let queue = Queue { limit: 100, ..Queue::default() };
        queue.fill(text, form);
        assert!(!queue.is_drained() || text.is_empty());
        std::iter::from_fn(|| queue.next()).map(|line| (line.place, line.number, line.text)).collect()
    }

    #[test]
    fn lines_keep_their_numbers_and_blank_ones_are_bad_prompts_but_no_objects() {
        let line = |place, number, text: &[u8]| (place, number, Ok(text.to_vec()));
        let text = b"one\n\n \r\nlast";
        assert_eq!(
            read(text, Form::Prompt),
            [line(0, 1, b"one\n"), line(1, 2, b"\n"), line(2, 3, b" \r\n"), line(3, 4, b"last")]
        );
        assert_eq!(read(text, Form::Object), [line(0, 1, b"one\n"), line(1, 4, b"last")]);
        assert!(read(b"", Form::Prompt).is_empty());
        assert_eq!((plain(b"a\r\n"), plain(b" b\n"), plain(b"c")), (Ok("a"), Ok(" b"), Ok("c")));
        assert!(plain(b"\xff\n").is_err());
    }

    #[test]
    fn a_line_without_end_is_one_bad_line() {
        let mut text = vec![b'x'; MAX_LINE as usize + 5];
        text.extend_from_slice(b"\nnext\n");
        let lines = read(&text, Form::Prompt);
        assert!(lines.len() == 2 && lines[0].2.as_ref().is_err_and(|error| error.contains("32 MiB")));
        assert_eq!(lines[1], (1, 2, Ok(b"next\n".to_vec())));
    }

    #[test]
    fn answers_are_put_in_order_and_failures_counted() {
        let answer = |place, failed| Answered { place, text: String::new(), failed };
        assert_eq!(print([answer(2, true), answer(0, false), answer(1, true)].into_iter()).ok(), Some(2));
    }

    #[test]
    fn a_stopped_queue_lets_its_reader_and_its_takers_go() {
        let queue = Queue { limit: 1, ..Queue::default() };
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| queue.fill(&b"a\nb\nc\nd\n"[..], Form::Prompt));
            assert!(queue.next().is_some());
            queue.stop();
            reader.join().unwrap();
            assert!(queue.next().is_none());
        });
    }
}
