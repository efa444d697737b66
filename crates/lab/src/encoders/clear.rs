//! Embeddings by a bundle's own encoder, in the clear.

use crate::encoders::Embedder;
use blindroute_protocol::{Clear, Tensor};
use blindroute_routing::bundle::{Bundle, EmbeddingTables, EncoderConfig};
use blindroute_routing::program::{BundlePlan, Measurement, RouteInputs, RouteProgram, weight_tensors};
use blindroute_routing::tokenizer;
use rayon::prelude::*;
use std::error::Error;
use std::sync::Arc;

type Fault = Box<dyn Error + Send + Sync>;

/// A bundle's encoder run by the clear interpreter, one prompt per thread at a time. It runs the program that the servers run, so
/// that a router is trained on the embeddings that it will see.
#[derive(Debug)]
pub struct ClearEmbedder {
    plan: Arc<BundlePlan>,
    weights: Vec<Tensor<f32>>,
    tables: EmbeddingTables,
    config: EncoderConfig,
}

impl ClearEmbedder {
    /// The encoder of this bundle. The bundle's routers are not used.
    pub fn new(bundle: &Bundle) -> Result<Self, Fault> {
        let plan = Arc::new(BundlePlan::of(bundle));
        let weights = weight_tensors(bundle, &plan)?;
        let parts = bundle.parts();
        Ok(Self { plan, weights, tables: parts.embedding.clone(), config: parts.encoder.clone() })
    }

    fn one(&self, ids: &[u32]) -> Result<Vec<f32>, Fault> {
        let bucket =
            tokenizer::bucket(ids.len()).ok_or("a prompt has more tokens than the encoder takes; truncate it")?;
        let program = RouteProgram::new(Arc::clone(&self.plan), Measurement::Embed { bucket })?;
        let inputs = RouteInputs::embed(&self.tables, &self.config, ids, bucket)?.tensors;
        let output = Clear::run(&program, &self.weights, inputs)?;
        let embedding = output.values.first().ok_or("the program revealed no embedding; please report this")?;
        Ok(embedding.iter().map(|value| *value as f32).collect())
    }
}

impl Embedder for ClearEmbedder {
    fn embed(&self, prompts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, Fault> {
        prompts.par_iter().map(|ids| self.one(ids)).collect()
    }
}
