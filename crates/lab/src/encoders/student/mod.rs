//! Training a student: an MPC-friendly encoder that learns to reproduce the embeddings of another encoder, its teacher.
//!
//! This is stage (b) of PPRoute's Algorithm 1 (arXiv 2604.15728). With [`Lessons`] it is the whole stage; without them, the
//! part that needs no routing table. Stages (a) and (c) train a projection on a frozen encoder's embeddings
//! ([`crate::routers::cscr`]).
//!
//! The student starts from the teacher's weights under its own, cheaper program
//! ([`EncoderConfig`](blindroute_routing::bundle::EncoderConfig)), and is trained towards the teacher's hidden states and
//! embeddings. The embedding tables are public and remain the teacher's, so clients need no new ones. All random draws follow
//! from a seed. An interrupted training continues from its checkpoint and gives the same result.

pub(crate) mod checkpoint;
mod corpus;
mod distil;
mod lessons;
mod loss;
mod neural_encoder;
mod start;
#[cfg(test)]
mod tests;

pub use checkpoint::CheckpointError;
pub(crate) use corpus::{BatchSize, Schedule};
pub use corpus::{Corpus, CorpusError};
pub(crate) use distil::{CHECKPOINT_EVERY, batch_of, limits, quantise};
pub use distil::{Course, DistilError, Options, Progress, distil};
pub use lessons::{Lessons, Tie};
pub(crate) use neural_encoder::{Batch, Form, Limits, NeuralEncoder};
pub(crate) use start::{activated, keep_units};
