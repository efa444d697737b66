//! Puts lines into batches: lines that wait together and ask the same task of the servers share a session.

use super::Form;
use super::journal::Journal;
use super::object::Object;
use super::queue::{Line, MAX_LINE, Queue};
use blindroute_placement::RouteReport;
use blindroute_routing::program::Task;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a batch waits for more lines that come from another program or a person. Lines that were written together have
/// arrived by then, and a route takes much longer.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);
/// How many lines are looked at for a batch, as a multiple of its size. There are four buckets, so among that many lines enough
/// have the same.
const LOOK_AHEAD: usize = 4;

/// A line as a prompt, or what is wrong with it. Not printable: it holds a prompt.
pub(super) struct Prompt {
    /// Its place among the answers, from 0.
    pub(super) place: usize,
    /// Its number in the file, from 1.
    pub(super) number: usize,
    pub(super) id: Option<Box<RawValue>>,
    pub(super) text: Result<String, String>,
    /// What the reader should know of how it was read.
    pub(super) note: Option<String>,
    /// What it asks of the servers; none where they are not asked, or where nobody wants to know.
    pub(super) task: Option<Task>,
    /// The answer of an earlier run.
    pub(super) known: Option<Box<RouteReport>>,
}

/// Prompts of one task, which share a session; or one line alone that is bad or was answered by an earlier run.
pub(super) struct Batch {
    pub(super) prompts: Vec<Prompt>,
    /// The batch's size if it is full.
    pub(super) full: Option<usize>,
}

/// Takes lines from the queue and puts batches together, for several threads.
pub(super) struct Gatherer<'a, F> {
    pub(super) queue: &'a Queue,
    pub(super) form: Form,
    /// The most prompts of a batch.
    pub(super) most: usize,
    /// How long to wait for more lines; to the input's end where it is a file, whose next line is always there.
    pub(super) patience: Option<Duration>,
    /// What a prompt asks of the servers.
    pub(super) task: F,
    /// Answers of earlier runs.
    pub(super) journal: Option<&'a Journal>,
    /// Taken from the queue, and in no batch yet: of other tasks than the batches so far.
    pub(super) waiting: Mutex<VecDeque<Prompt>>,
    /// How many they are, and one more while somebody takes another.
    pub(super) held: AtomicUsize,
}

impl<F: Fn(&str) -> Result<Option<Task>, String>> Gatherer<'_, F> {
    /// The next batch, waiting for it; none after the last. It is that of the oldest line, so that no line waits for ever
    /// because others fill their batches.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut until = None;
        while !self.enough(&waiting) {
            let limit = if waiting.is_empty() { None } else { until };
            let limit = limit.map(|until: Instant| until.saturating_duration_since(Instant::now()));
            self.held.store(waiting.len() + 1, Ordering::Relaxed);
            let Some(line) = self.queue.next(limit) else { break };
            waiting.push_back(self.read(line));
            until = until.or_else(|| self.patience.map(|patience| Instant::now() + patience));
        }
        let batch = if self.queue.is_stopped() { None } else { self.take(&mut waiting) };
        self.held.store(waiting.len(), Ordering::Relaxed);
        batch
    }

    /// Whether all lines were read and are in a batch.
    pub(super) fn is_drained(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0 && self.queue.is_drained()
    }

    /// The lines before this place that are in no batch, once no more are begun.
    pub(super) fn left_before(&self, place: usize) -> Vec<Prompt> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.drain(..).filter(|prompt| prompt.place < place).collect()
    }

    /// Whether the oldest line's batch is full, or too much waits to look for more.
    fn enough(&self, waiting: &VecDeque<Prompt>) -> bool {
        let Some(oldest) = waiting.front() else { return false };
        let bytes = waiting.iter().filter_map(|prompt| prompt.text.as_ref().ok()).map(String::len).sum::<usize>();
        oldest.is_settled()
            || waiting.iter().filter(|prompt| prompt.goes_with(oldest)).count() >= self.size(oldest)
            || waiting.len() >= LOOK_AHEAD * self.most
            || bytes as u64 >= MAX_LINE
    }

    /// The oldest line, and those that go with it.
    fn take(&self, waiting: &mut VecDeque<Prompt>) -> Option<Batch> {
        let oldest = waiting.pop_front()?;
        let size = self.size(&oldest);
        let mut prompts = vec![oldest];
        for prompt in std::mem::take(waiting) {
            if prompts.len() < size && prompt.goes_with(&prompts[0]) {
                prompts.push(prompt);
            } else {
                waiting.push_back(prompt);
            }
        }
        let full = (prompts.len() == size && !prompts[0].is_settled()).then_some(size);
        Some(Batch { prompts, full })
    }

    /// The most prompts that a batch with this one takes.
    fn size(&self, prompt: &Prompt) -> usize {
        self.most.min(prompt.task.map_or(self.most, Task::most_prompts))
    }

    fn read(&self, line: Line) -> Prompt {
        let Line { place, number, text } = line;
        let Object { id, prompt: text, note } = match (self.form, text) {
            (_, Err(error)) => Object { prompt: Err(error), ..Object::default() },
            (Form::Prompt, Ok(text)) => Object { prompt: plain(&text), ..Object::default() },
            (Form::Object | Form::Text, Ok(text)) => Object::read(&text, number),
        };
        let (text, task) = match text.as_deref().map(&self.task) {
            Ok(Ok(task)) => (text, task),
            Ok(Err(error)) => (Err(error), None),
            Err(_) => (text, None),
        };
        let known = self.journal.zip(text.as_deref().ok()).and_then(|(journal, text)| journal.recall(number, text));
        let known = known.map(|report| Box::new(report.clone()));
        Prompt { place, number, id, text, note, task, known }
    }
}

impl Prompt {
    fn goes_with(&self, other: &Self) -> bool {
        !self.is_settled() && !other.is_settled() && self.task == other.task
    }

    /// Whether there is nothing to ask the servers.
    pub(super) fn is_settled(&self) -> bool {
        self.text.is_err() || self.known.is_some()
    }
}

fn plain(text: &[u8]) -> Result<String, String> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8; convert the file".to_owned())?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets by the first letter; a line that begins with b is bad.
    fn task(prompt: &str) -> Result<Option<Task>, String> {
        match prompt.as_bytes().first() {
            Some(b'b') => Err("bad".to_owned()),
            Some(b'l') => Ok(Some(Task::route(0, 256))),
            _ => Ok(Some(Task::route(0, 32))),
        }
    }

    /// The numbers of the lines of each batch, and which are full.
    fn batches(lines: &str, most: usize) -> Vec<(Vec<usize>, bool)> {
        let queue = Queue::new(1000);
        queue.fill(lines.as_bytes(), Form::Prompt);
        let gatherer = Gatherer {
            queue: &queue,
            form: Form::Prompt,
            most,
            patience: Some(Duration::ZERO),
            task,
            journal: None,
            waiting: Mutex::default(),
            held: AtomicUsize::default(),
        };
        let numbers =
            |batch: Batch| (batch.prompts.iter().map(|prompt| prompt.number).collect::<Vec<_>>(), batch.full.is_some());
        let mut found = Vec::new();
        while let Some(batch) = gatherer.next() {
            assert_eq!(gatherer.is_drained(), queue.is_drained() && gatherer.waiting.lock().unwrap().is_empty());
            found.push(numbers(batch));
        }
        assert!(gatherer.is_drained());
        found
    }

    #[test]
    fn lines_of_one_task_go_together_in_their_order_and_bad_ones_alone() {
        let found = batches("s\nl\ns\nb\ns\nl\ns\n", 3);
        let expected = [(vec![1, 3, 5], true), (vec![2, 6], false), (vec![4], false), (vec![7], false)];
        assert_eq!(found, expected);
        assert_eq!(batches("s\nl\nb\n", 1), [(vec![1], true), (vec![2], true), (vec![3], false)]);
        assert!(batches("", 8).is_empty());
    }

    #[test]
    fn a_batch_is_no_larger_than_its_task_takes() {
        let found = batches(&"l\n".repeat(20), 64);
        assert_eq!(
            found.iter().map(|(lines, full)| (lines.len(), *full)).collect::<Vec<_>>(),
            [(16, true), (4, false)]
        );
    }

    #[test]
    fn a_rare_task_does_not_wait_for_its_batch_to_be_full() {
        let found = batches(&format!("l\n{}l\n", "s\n".repeat(20)), 2);
        assert_eq!((&found[0], &found[1]), (&(vec![1], false), &(vec![2, 3], true)));
        assert_eq!(found.last(), Some(&(vec![22], false)));
    }

    #[test]
    fn a_prompt_is_its_line_without_the_end() {
        assert_eq!((plain(b"a\r\n"), plain(b" b\n"), plain(b"c")), (Ok("a".into()), Ok(" b".into()), Ok("c".into())));
        assert!(plain(b"\xff\n").is_err());
    }
}
