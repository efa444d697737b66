//! Lines on their way from the reader to those that route them.

use super::{Form, shape};
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest line taken: a prompt of 4 MiB, escaped.
pub(super) const MAX_LINE: u64 = 32 << 20;

/// A line that was read. Not printable: it holds a prompt.
pub(super) struct Line {
    /// Its place among the answers, from 0.
    pub(super) place: usize,
    /// Its number in the file, from 1.
    pub(super) number: usize,
    pub(super) text: Result<Vec<u8>, String>,
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

/// As many lines as are routed at once, so that a long input is not held in memory.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads to the end, or until nobody wants more.
    pub(super) fn fill(&self, mut reader: impl BufRead, form: Form) {
        let (mut place, mut number, mut looked) = (0, 0, false);
        loop {
            let text = match next_line(&mut reader) {
                Ok(Some(text)) if number == 0 => text.map(shape::without_mark),
                Ok(Some(text)) => text,
                end => {
                    let mut state = self.lock();
                    (state.ended, state.failure) = (true, end.err());
                    drop(state);
                    return self.changed.notify_all();
                }
            };
            number += 1;
            let blank = text.as_ref().is_ok_and(|text| text.iter().all(u8::is_ascii_whitespace));
            if let (false, false, Ok(line)) = (looked, blank, &text) {
                looked = true;
                match shape::look(line, form) {
                    Ok(None) => {}
                    Ok(Some(warning)) => tracing::warn!("{warning}"),
                    Err(problem) => {
                        let mut state = self.lock();
                        (state.ended, state.failure) =
                            (true, Some(io::Error::new(io::ErrorKind::InvalidData, problem)));
                        drop(state);
                        return self.changed.notify_all();
                    }
                }
            }
            let blank = form == Form::Object && blank;
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

    /// The next line, waiting for it for so long at most if there is a limit; none after the last, or if none came.
    pub(super) fn next(&self, limit: Option<Duration>) -> Option<Line> {
        let empty = |state: &mut State| state.lines.is_empty() && !state.ended && !state.stopped;
        let state = self.lock();
        let mut state = match limit {
            None => self.changed.wait_while(state, empty).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                self.changed.wait_timeout_while(state, limit, empty).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        let line = if state.stopped { None } else { state.lines.pop_front() };
        drop(state);
        self.changed.notify_all();
        line
    }

    /// Whether all lines were read and taken.
    pub(super) fn is_drained(&self) -> bool {
        let state = self.lock();
        state.ended && state.lines.is_empty()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// How many lines were read, and why no more could be.
    pub(super) fn end(&self) -> (usize, Option<io::Error>) {
        let mut state = self.lock();
        (state.read, state.failure.take())
    }
}

/// An input's first line that is not blank, without the mark that a file may begin with.
pub(super) fn first_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut first = true;
    while let Some(line) = next_line(reader)? {
        let line = line.unwrap_or_default();
        let line = if std::mem::take(&mut first) { shape::without_mark(line) } else { line };
        if !line.iter().all(u8::is_ascii_whitespace) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// The next line with its end, or what is wrong with it; none after the last.
pub(crate) fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, String>>> {
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
        let queue = Queue::new(100);
        queue.fill(text, form);
        assert!(!queue.is_drained() || text.is_empty());
        std::iter::from_fn(|| queue.next(None)).map(|line| (line.place, line.number, line.text)).collect()
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
    fn a_stopped_queue_lets_its_reader_and_its_takers_go() {
        let queue = Queue::new(1);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| queue.fill(&b"a\nb\nc\nd\n"[..], Form::Prompt));
            assert!(queue.next(None).is_some());
            queue.stop();
            reader.join().unwrap();
            assert!(queue.next(None).is_none());
        });
    }

    #[test]
    fn a_line_that_does_not_come_is_waited_for_no_longer_than_said() {
        let queue = Queue::new(1);
        assert!(queue.next(Some(Duration::from_millis(5))).is_none() && !queue.is_drained());
    }
}
