//! Training a student: an encoder that MPC likes, taught to give the embeddings of one that it does not.
//!
//! This is stage (b) of PPRoute's Algorithm 1 (arXiv 2604.15728), with [`Lessons`] in whole, without them what does not depend
//! on a routing table; stages (a) and (c) train a head on a frozen encoder's embeddings ([`crate::routers::cscr`]). The student starts from the teacher's weights under
//! its own, cheaper program ([`EncoderConfig`](blindroute_routing::bundle::EncoderConfig)), and is drawn towards the teacher's states. The embedding
//! tables are public and stay the teacher's: clients need no other ones, and looking words up is not what the student
//! has to learn again. Everything is seeded; a training that was cut goes on from its checkpoint to the same result.

mod checkpoint;
mod corpus;
mod distil;
mod lessons;
mod loss;
mod network;
mod start;
#[cfg(test)]
mod tests;

pub use checkpoint::CheckpointError;
pub use corpus::{Corpus, CorpusError};
pub use distil::{Course, DistilError, Options, Progress, distil};
pub use lessons::{Lessons, Tie};
