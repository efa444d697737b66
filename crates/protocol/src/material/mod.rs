//! What the offline phase prepares: masks, correlated words and bits, keys; and the queue in which a server keeps them.
//!
//! Each room above stands on this one: an operation is written in terms of its records, weights are packed into its
//! factors, and a [`RingWord`] is a word that both can carry.

pub(crate) mod factor;
pub(crate) mod mask;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod stream;
pub(crate) mod word;
