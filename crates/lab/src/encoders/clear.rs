//! Embeddings by a bundle's own encoder, in the clear.

use crate::Stop;
use crate::encoders::Embedder;
use blindroute_protocol::{Clear, Tensor};
use blindroute_routing::bundle::{Bundle, EmbeddingTables, EncoderConfig};
use blindroute_routing::program::{BundlePlan, RouteInputs, RouteProgram, stack_inputs, weight_tensors};
use blindroute_routing::tokenizer::MAX_TOKENS;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

type Fault = Box<dyn Error + Send + Sync>;

/// A bundle's encoder run by the clear interpreter. It runs the program that the servers run, so that a router is trained on the
/// embeddings that it will see. Prompts of about the same length run together, one such batch per thread at a time; which prompts
/// these are makes no difference to an embedding.
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

    /// The embeddings of prompts of up to `length` tokens, one after another.
    fn batch(&self, prompts: &[&Vec<u32>], length: usize) -> Result<Vec<Vec<f32>>, Fault> {
        let program = RouteProgram::clear_embedding(Arc::clone(&self.plan), length, prompts.len())?;
        let inputs = prompts.iter().map(|ids| Ok(RouteInputs::embed(&self.tables, &self.config, ids, length)?.tensors));
        let inputs = stack_inputs(&inputs.collect::<Result<Vec<_>, Fault>>()?)?;
        let output = Clear::run(&program, &self.weights, inputs)?;
        let embeddings = output.values.first().ok_or("the program revealed no embedding; please report this")?;
        let rows = embeddings.chunks_exact(self.config.hidden);
        Ok(rows.map(|row| row.iter().map(|value| *value as f32).collect()).collect())
    }
}

/// Prompts are padded to a multiple of this: more of them then have one length, and the rows of products are whole tiles.
const STEP: usize = 8;
/// Tokens of a batch. Fewer would read the weights from memory for too few products; the values of more do not fit the caches.
const TOKENS: usize = 256;

/// Places of prompts whose padded length is the first number, at most [`TOKENS`] tokens together.
fn batches(prompts: &[Vec<u32>]) -> Vec<(usize, Vec<usize>)> {
    let mut of_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, ids) in prompts.iter().enumerate() {
        of_length.entry(ids.len().next_multiple_of(STEP)).or_default().push(place);
    }
    // The longest first, so that no thread begins them last.
    let split = |(length, places): (usize, Vec<usize>)| {
        let most = (TOKENS / length.max(1)).max(1);
        places.chunks(most).map(move |places| (length, places.to_vec())).collect::<Vec<_>>()
    };
    of_length.into_iter().rev().flat_map(split).collect()
}

impl Embedder for ClearEmbedder {
    fn embed(&self, prompts: &[Vec<u32>], stop: &Stop) -> Result<Vec<Vec<f32>>, Fault> {
        if prompts.iter().any(|ids| ids.is_empty() || ids.len() > MAX_TOKENS) {
            return Err(format!("a prompt has no tokens, or more than {MAX_TOKENS}; truncate it").into());
        }
        let embed = |(length, places): (usize, Vec<usize>)| {
            stop.check()?;
            let ids: Vec<&Vec<u32>> = places.iter().map(|place| &prompts[*place]).collect();
            Ok((places, self.batch(&ids, length)?))
        };
        let embedded: Vec<(Vec<usize>, Vec<Vec<f32>>)> =
            batches(prompts).into_par_iter().with_max_len(1).map(embed).collect::<Result<_, Fault>>()?;
        let mut rows = vec![Vec::new(); prompts.len()];
        for (place, row) in embedded.into_iter().flat_map(|(places, found)| places.into_iter().zip(found)) {
            rows[place] = row;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::small_encoder;
    use blindroute_routing::bundle::{Activation, Attention, Matrix};
    use blindroute_routing::program::Measurement;
    use blindroute_routing::tokenizer::bucket;

    /// An encoder that takes prompts of every bucket.
    fn long_encoder(attention: Attention, activation: Activation) -> Bundle {
        let mut parts = small_encoder(attention, activation).into_parts();
        let few = parts.embedding.position;
        let sign = |row: usize| if (row / few.rows()).is_multiple_of(2) { 1.0 } else { -1.0 };
        parts.embedding.position =
            Matrix::from_fn(MAX_TOKENS, few.columns(), |row, column| sign(row) * few.row(row % few.rows())[column]);
        parts.encoder.max_tokens = MAX_TOKENS;
        Bundle::new(parts).unwrap()
    }

    /// As the servers run it: one prompt, padded to its bucket.
    fn in_bucket(embedder: &ClearEmbedder, ids: &[u32]) -> Vec<f32> {
        let bucket = bucket(ids.len()).unwrap();
        let program = RouteProgram::new(Arc::clone(&embedder.plan), Measurement::Embed { bucket }).unwrap();
        let inputs = RouteInputs::embed(&embedder.tables, &embedder.config, ids, bucket).unwrap().tensors;
        let output = Clear::run(&program, &embedder.weights, inputs).unwrap();
        output.values[0].iter().map(|value| *value as f32).collect()
    }

    #[test]
    fn batches_single_prompts_and_buckets_give_the_same() {
        for (attention, activation) in [
            (Attention::Softmax, Activation::Gelu),
            (Attention::TwoRelu, Activation::Relu),
            (Attention::Linear, Activation::Square),
        ] {
            let bundle = long_encoder(attention, activation);
            let embedder = ClearEmbedder::new(&bundle).unwrap();
            let vocabulary = bundle.parts().encoder.vocabulary;
            // Every bucket, its ends, and lengths that share a batch.
            let lengths = [2, 3, 8, 9, 31, 32, 33, 40, 64, 65, 127, 128, 129, 250, 256, 3, 2, 9];
            let prompt = |(salt, length): (usize, &usize)| {
                (0..*length).map(|index| ((index * 7 + salt * 5 + index * index) % vocabulary) as u32).collect()
            };
            let prompts: Vec<Vec<u32>> = lengths.iter().enumerate().map(prompt).collect();
            let together = embedder.embed(&prompts, &Stop::never()).unwrap();
            for (ids, found) in prompts.iter().zip(&together) {
                let alone = embedder.embed(std::slice::from_ref(ids), &Stop::never()).unwrap();
                assert_eq!(alone[0], *found, "{attention:?}, {} tokens", ids.len());
                let expected = in_bucket(&embedder, ids);
                let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(apart <= 1e-4 * largest, "{attention:?}, {} tokens: {apart} of {largest}", ids.len());
            }
        }
    }

    #[test]
    fn batches_hold_prompts_of_one_length_and_few_tokens() {
        let prompts: Vec<Vec<u32>> = [5, 120, 256, 7, 8, 121, 9, 128].map(|length| vec![0; length]).to_vec();
        let expected = [(256, vec![2]), (128, vec![5, 7]), (120, vec![1]), (16, vec![6]), (8, vec![0, 3, 4])];
        assert_eq!(batches(&prompts), expected);
        assert_eq!(batches(&vec![vec![0; 8]; 33]).iter().map(|(_, places)| places.len()).collect::<Vec<_>>(), [32, 1]);
    }

    #[test]
    fn prompts_without_tokens_or_with_too_many_are_refused() {
        let embedder = ClearEmbedder::new(&small_encoder(Attention::Linear, Activation::Square)).unwrap();
        for length in [0, 257] {
            let error = embedder.embed(&[vec![1; 4], vec![1; length]], &Stop::never()).unwrap_err().to_string();
            assert!(error.contains("more than 256"), "{error}");
        }
    }
}
