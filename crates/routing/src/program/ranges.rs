//! Checking that an encoder's values stay in the rings of the secure program.
//!
//! The sizes of the rings were measured with all-MiniLM-L6-v2, with room to spare. The values of another encoder may
//! exceed them. Its embeddings would then be wrong under MPC and correct in the clear, without an error. The check runs
//! the encoder in these rings on values that are not shared.

use super::inputs::RouteInputs;
use super::output::embedding;
use super::plan::BundlePlan;
use super::route::RouteProgram;
use super::task::Measurement;
use super::weights::weight_tensors;
use crate::bundle::Bundle;
use crate::embedding::{EmbeddingError, cosine};
use crate::tokenizer::{Tokenizer, TokenizerError};
use blindroute_protocol::{Clear, Error, Fixed};
use std::sync::Arc;

/// Texts of several kinds, truncated to the smallest bucket.
const TEXTS: [&str; 2] = [
    "Prove that the square root of 2 is irrational. fn main() { println!(\"{}\", (1..=10).sum::<u32>()); }",
    "Wie sp\u{e4}t ist es in Rio de Janeiro? 3.14159 \u{6f22}\u{5b57} ... THE THE THE the answer is 42!!!",
];
/// The bucket of these texts.
const BUCKET: usize = 32;
/// The smallest cosine between the embeddings in rings and in the clear. all-MiniLM-L6-v2 has 0.9999.
const LEAST_COSINE: f64 = 0.999;

/// Why an encoder should not run under MPC.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// A value does not fit in its ring.
    #[error("a value of the encoder leaves its ring: {0}")]
    Overflow(Error),
    /// No value overflows, but the embedding is inexact.
    #[error(
        "the encoder's embedding in fixed point has cosine {0:.4} to the exact one, expected at least {LEAST_COSINE}"
    )]
    Inexact(f64),
    /// A text could not be tokenised.
    #[error(transparent)]
    Tokens(#[from] TokenizerError),
    /// A text could not be embedded.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// The program could not be run.
    #[error(transparent)]
    Program(Error),
}

/// Runs the bundle's encoder in the rings of the secure program, on a few short texts that are not shared.
///
/// # Errors
/// If a value does not fit in its ring, or the embedding differs from that of the clear program. Success is no proof
/// for other texts.
pub fn check_ranges(bundle: &Bundle) -> Result<(), RangeError> {
    let parts = bundle.parts();
    let tokenizer = Tokenizer::from_json(&parts.tokenizer, parts.encoder.window)?;
    let plan = Arc::new(BundlePlan::of(bundle));
    let weights = weight_tensors(bundle, &plan).map_err(RangeError::Program)?;
    let program = RouteProgram::new(plan, Measurement::Embed { bucket: BUCKET }).map_err(RangeError::Program)?;
    for text in TEXTS {
        let mut ids = tokenizer.encode(text)?.ids;
        ids.truncate(BUCKET);
        let inputs = RouteInputs::embed(&parts.embedding, &parts.encoder, &ids, BUCKET)?.tensors;
        let (fixed, _) = Fixed::run(&program, &weights, &inputs).map_err(|error| match error {
            Error::Overflow { .. } => RangeError::Overflow(error),
            other => RangeError::Program(other),
        })?;
        let clear = Clear::run(&program, &weights, inputs).map_err(RangeError::Program)?;
        let near = cosine(embedding(&fixed), embedding(&clear));
        if near.is_nan() || near < LEAST_COSINE {
            return Err(RangeError::Inexact(near));
        }
    }
    Ok(())
}
