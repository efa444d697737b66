//! Embeddings by a bundle's own encoder, in the clear.

use std::{error::Error, sync::Arc};

use blindroute_protocol::{Clear, Tensor};
use blindroute_routing::{
    bundle::{Bundle, EmbeddingTables, EncoderConfig},
    program::{BundlePlan, Measurement, RouteInputs, RouteProgram, weight_tensors},
    tokenizer,
};
use rayon::prelude::*;

use crate::embedder::Embedder;

type Fault = Box<dyn Error + Send + Sync>;

/// A bundle's encoder run by the clear interpreter, one prompt per thread at a time: the very program that servers run,
/// so that a router is trained on what it will see.
#[derive(Debug)]
pub struct ClearEmbedder {
    plan: Arc<BundlePlan>,
    weights: Vec<Tensor<f32>>,
    tables: EmbeddingTables,
    config: EncoderConfig,
}

impl ClearEmbedder {
    /// For the encoder of this bundle; its routers are not used.
    pub fn new(bundle: &Bundle) -> Result<Self, Fault> {
        let plan = Arc::new(BundlePlan::of(bundle));
        let weights = weight_tensors(bundle, &plan)?;
        let parts = bundle.parts();
        Ok(Self { plan, weights, tables: parts.embedding.clone(), config: parts.encoder.clone() })
    }

    fn one(&self, ids: &[u32]) -> Result<Vec<f32>, Fault> {
        let bucket = tokenizer::bucket(ids.len()).ok_or("a prompt was not cut to the tokens that the encoder takes")?;
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
