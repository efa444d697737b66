//! Prepared material on its way from a server's offline phase to its online phase, in program order.

use super::record::Record;
use crate::error::Error;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct State {
    records: VecDeque<Record>,
    bytes: usize,
    peak: usize,
    ended: Option<Result<(), Error>>,
    full: bool,
    reader_gone: bool,
    /// Who waits. Waking nobody is a system call too, and there are thousands of records per session.
    writer_waits: bool,
    /// For a record, or for the end.
    reader_waits: Option<Wait>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Record,
    Ready,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    budget: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_to_write<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.writer_waits = true;
        let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.writer_waits = false;
        state
    }

    fn wait_to_read<'a>(&self, mut state: MutexGuard<'a, State>, what: Wait) -> MutexGuard<'a, State> {
        state.reader_waits = Some(what);
        let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.reader_waits = None;
        state
    }
}

/// A bounded queue of prepared material between the offline and the online thread of one server.
///
/// When it holds its budget of bytes the writer waits, and with it, through the transport, the dealer: memory stays
/// bounded however long the program is.
#[derive(Debug)]
pub struct MaterialQueue;

impl MaterialQueue {
    /// A queue that holds about `budget` bytes.
    pub fn bounded(budget: usize) -> (QueueWriter, QueueReader) {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), budget });
        (QueueWriter { shared: Arc::clone(&shared) }, QueueReader { shared })
    }
}

/// The offline end of a [`MaterialQueue`].
pub struct QueueWriter {
    shared: Arc<Shared>,
}

/// The online end of a [`MaterialQueue`].
pub struct QueueReader {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for QueueWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueueWriter")
    }
}

impl std::fmt::Debug for QueueReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueueReader")
    }
}

impl QueueWriter {
    /// Appends a record, waiting while the queue is full.
    ///
    /// # Errors
    /// If the reader has gone.
    pub fn push(&self, record: Record) -> Result<(), Error> {
        let bytes = record.bytes();
        let mut state = self.shared.lock();
        while state.bytes > 0 && state.bytes + bytes > self.shared.budget && !state.reader_gone {
            state.full = true;
            self.shared.changed.notify_all();
            state = self.shared.wait_to_write(state);
        }
        if state.reader_gone {
            return Err(Error::MaterialEnded);
        }
        state.bytes += bytes;
        state.peak = state.peak.max(state.bytes);
        state.records.push_back(record);
        if state.reader_waits == Some(Wait::Record) {
            self.shared.changed.notify_all();
        }
        Ok(())
    }

    /// Ends the stream of records, with the error that stopped it if there was one.
    pub fn finish(self, result: Result<(), Error>) {
        self.shared.lock().ended = Some(result);
        self.shared.changed.notify_all();
    }
}

impl Drop for QueueWriter {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended.get_or_insert(Err(Error::MaterialEnded));
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl QueueReader {
    /// The next record, waiting for it.
    ///
    /// # Errors
    /// The error that ended the preparation, or [`Error::MaterialEnded`].
    pub fn pop(&self) -> Result<Record, Error> {
        let mut state = self.shared.lock();
        loop {
            if let Some(record) = state.records.pop_front() {
                state.bytes -= record.bytes();
                if state.writer_waits {
                    self.shared.changed.notify_all();
                }
                return Ok(record);
            }
            if let Some(ended) = &mut state.ended {
                return Err(std::mem::replace(ended, Err(Error::MaterialEnded)).err().unwrap_or(Error::MaterialEnded));
            }
            state = self.shared.wait_to_read(state, Wait::Record);
        }
    }

    /// Waits until everything is prepared, or as much as the budget holds.
    ///
    /// # Errors
    /// The error that ended the preparation.
    pub fn wait_ready(&self) -> Result<(), Error> {
        let mut state = self.shared.lock();
        loop {
            let full = state.full;
            match &mut state.ended {
                Some(Ok(())) => return Ok(()),
                Some(ended) => return std::mem::replace(ended, Err(Error::MaterialEnded)),
                None if full => return Ok(()),
                None => state = self.shared.wait_to_read(state, Wait::Ready),
            }
        }
    }

    /// The most bytes held at once so far.
    pub fn peak_bytes(&self) -> usize {
        self.shared.lock().peak
    }
}

impl Drop for QueueReader {
    fn drop(&mut self) {
        self.shared.lock().reader_gone = true;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::material::word::RingWord;
    use crate::secret::Secret;
    use blindroute_ring::{Shape, Tensor};

    fn words(count: usize) -> Record {
        u64::record(Arc::new(Secret::new(Tensor::zeros(Shape::row(count)))))
    }

    #[test]
    fn a_full_queue_holds_its_writer_back() {
        let (writer, reader) = MaterialQueue::bounded(1000);
        let producer = std::thread::spawn(move || {
            for _ in 0..50 {
                writer.push(words(10)).unwrap();
            }
            writer.finish(Ok(()));
        });
        reader.wait_ready().unwrap();
        for _ in 0..50 {
            assert!(matches!(reader.pop().unwrap(), Record::U64(_)));
        }
        producer.join().unwrap();
        assert!(reader.peak_bytes() <= 1000);
        assert!(matches!(reader.pop(), Err(Error::MaterialEnded)));
    }

    #[test]
    fn a_writer_that_vanishes_ends_the_reader() {
        let (writer, reader) = MaterialQueue::bounded(1000);
        drop(writer);
        assert!(matches!(reader.wait_ready(), Err(Error::MaterialEnded)));
        assert!(matches!(reader.pop(), Err(Error::MaterialEnded)));
    }

    #[test]
    fn a_reader_that_vanishes_ends_the_writer() {
        let (writer, reader) = MaterialQueue::bounded(10);
        drop(reader);
        assert!(writer.push(words(1)).is_err());
    }
}
