//! Why a batch ends before its last line, and how to go on.

use super::journal::Journal;
use super::queue::Queue;
use std::sync::{Mutex, PoisonError};

/// The first reason to begin no further line, if there is one.
pub(super) struct Stop<'a> {
    queue: &'a Queue,
    why: Mutex<Option<String>>,
}

impl<'a> Stop<'a> {
    pub(super) fn new(queue: &'a Queue) -> Self {
        Self { queue, why: Mutex::default() }
    }

    /// No further line is begun. Lines that are under way are finished.
    pub(super) fn stop(&self, why: &str) {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.to_owned());
        self.queue.stop();
    }

    pub(super) fn why(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The error of a batch that ended early; `left` is the first line that was not routed.
pub(super) fn explained(why: &str, left: Option<usize>, journal: Option<&Journal>) -> anyhow::Error {
    let from = left.map_or_else(|| "some lines".to_owned(), |line| format!("line {line} and those after it"));
    let go_on = match (journal, left) {
        (Some(journal), _) => format!(
            "the same command continues from there and takes the answers so far from {}, so that its output is complete",
            journal.path().display()
        ),
        (None, Some(line)) => format!(
            "go on with the input from line {line}; with --journal FILE the same command could be given again and would go \
             on by itself"
        ),
        (None, None) => "give the command again with --journal FILE, which keeps the answers".to_owned(),
    };
    anyhow::anyhow!("{from} were not routed: {why}; when that is repaired, {go_on}")
}
