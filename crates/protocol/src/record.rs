//! Prepared material on its way from a server's offline phase to its online phase, in program order.

use crate::bits::BitTensor;
use crate::error::Error;
use crate::protocols::opening::{Mask, MaskBits};
use crate::secret::Secret;
use crate::weights::{AnyFactor, Factor};
use blindroute_ring::MatrixWord;
use blindroute_ring::fss::HashKey;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// One piece of prepared material. Used once: the online phase takes it out by value.
#[derive(Debug)]
pub enum Record {
    /// Words of Z_2^32.
    U32(Arc<Secret<u32>>),
    /// Words of Z_2^64.
    U64(Arc<Secret<u64>>),
    /// Words of Z_2^128.
    U128(Arc<Secret<u128>>),
    /// Bits.
    Bits(BitTensor),
    /// Keys of function secret sharing.
    Keys(Keys),
    /// The mask of an opening.
    Mask(AnyMask),
}

/// The mask of one opening, in whichever word.
#[derive(Debug)]
pub enum AnyMask {
    /// Words of Z_2^32.
    U32(Mask<u32>),
    /// Words of Z_2^64.
    U64(Mask<u64>),
    /// Words of Z_2^128.
    U128(Mask<u128>),
    /// Bits.
    Bits(MaskBits),
}

impl AnyMask {
    fn bytes(&self) -> usize {
        match self {
            Self::U32(mask) => mask.shape().len() * 4,
            Self::U64(mask) => mask.shape().len() * 8,
            Self::U128(mask) => mask.shape().len() * 16,
            Self::Bits(mask) => BitTensor::byte_len(mask.planes(), mask.len()),
        }
    }
}

/// A server's keys of function secret sharing: its roots, and the corrections that both servers have, as they came.
/// Wiped on drop; prints its size only.
pub struct Keys {
    /// The session's hash, which is public.
    pub(crate) hash_key: Arc<HashKey>,
    /// One root a key.
    pub(crate) roots: Zeroizing<Vec<u128>>,
    /// What the protocol that uses them reads.
    pub(crate) corrections: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} of {} bytes, redacted)", self.roots.len(), self.corrections.len())
    }
}

impl Record {
    fn bytes(&self) -> usize {
        match self {
            Self::U32(words) => words.shape().len() * 4,
            Self::U64(words) => words.shape().len() * 8,
            Self::U128(words) => words.shape().len() * 16,
            Self::Bits(bits) => bits.words().len() * 8,
            Self::Keys(keys) => keys.roots.len() * 16 + keys.corrections.len(),
            Self::Mask(mask) => mask.bytes(),
        }
    }
}

/// A word that material can carry.
pub trait RingWord: MatrixWord {
    /// Wraps words as a record.
    fn record(words: Arc<Secret<Self>>) -> Record;
    /// Unwraps a record of this word.
    fn unrecord(record: Record) -> Option<Arc<Secret<Self>>>;
    /// Wraps a mask as a record.
    fn record_mask(mask: Mask<Self>) -> Record;
    /// Unwraps the record of a mask in this word.
    fn unrecord_mask(record: Record) -> Option<Mask<Self>>;
    /// A weight's factor, if it is in this word.
    fn factor(factor: &AnyFactor) -> Option<&Factor<Self>>;
}

macro_rules! ring_word {
    ($type:ty, $variant:ident, $factor:pat => $found:expr) => {
        impl RingWord for $type {
            fn record(words: Arc<Secret<Self>>) -> Record {
                Record::$variant(words)
            }
            fn unrecord(record: Record) -> Option<Arc<Secret<Self>>> {
                match record {
                    Record::$variant(words) => Some(words),
                    _ => None,
                }
            }
            fn record_mask(mask: Mask<Self>) -> Record {
                Record::Mask(AnyMask::$variant(mask))
            }
            fn unrecord_mask(record: Record) -> Option<Mask<Self>> {
                match record {
                    Record::Mask(AnyMask::$variant(mask)) => Some(mask),
                    _ => None,
                }
            }
            fn factor(factor: &AnyFactor) -> Option<&Factor<Self>> {
                match factor {
                    $factor => $found,
                    #[allow(unreachable_patterns)]
                    _ => None,
                }
            }
        }
    };
}

ring_word!(u32, U32, AnyFactor::U32(factor) => Some(factor));
ring_word!(u64, U64, AnyFactor::U64(factor) => Some(factor));
// No weight has a ring that wide.
ring_word!(u128, U128, _ => None);

#[derive(Default)]
struct State {
    records: VecDeque<Record>,
    bytes: usize,
    peak: usize,
    ended: Option<Result<(), Error>>,
    full: bool,
    reader_gone: bool,
    /// Who waits. Waking nobody is a system call too, and there are thousands of records a session.
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
