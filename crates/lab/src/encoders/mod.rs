//! Running a bundle's encoder in the clear, measuring it, and training a smaller one.
//!
//! [`ClearEmbedder`] runs the program that the servers run, on plain numbers; [`embed_dataset`] embeds a whole data set and
//! keeps the result in a file; [`Embedded`] is what routers read of the prompts. [`similarity`] compares an encoder's
//! similarities with people's judgement. [`student`] trains an encoder that is cheap under MPC to reproduce the embeddings of
//! another. [`widths`] chooses the rings of such an encoder.

pub mod similarity;
pub mod student;
pub mod widths;

mod cache;
mod clear;
mod embedded;
mod embedder;
mod embedding_file;
mod narrower;

pub use cache::{DatasetEmbedError, embed_dataset};
pub use clear::ClearEmbedder;
pub use embedded::Embedded;
pub use embedder::{EmbedError, EmbedEvent, EmbedProgress, Embedder, embed_all};
pub use embedding_file::EmbeddingFileError;
pub(crate) use narrower::{differences, narrower, width_names};
