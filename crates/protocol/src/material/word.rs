//! The words that rings are carried in.

use super::factor::{AnyFactor, Factor};
use super::mask::Mask;
use super::record::{AnyMask, Record};
use crate::error::Error;
use crate::secret::Secret;
use blindroute_ring::MatrixWord;
use std::sync::Arc;

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

impl AnyFactor {
    /// The factor in word `W`.
    ///
    /// # Errors
    /// If it is in another word.
    pub(crate) fn in_word<W: RingWord>(&self) -> Result<&Factor<W>, Error> {
        W::factor(self).ok_or_else(|| Error::Program(format!("a weight is not in words of {} bits", W::BITS)))
    }
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
