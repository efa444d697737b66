//! Different prompts of one bucket, whose answers do not depend on rounding.

use super::ids_after;
use anyhow::Context;
use blindroute_placement::PrivateRouter;
use blindroute_protocol::{Output, Tensor};
use blindroute_routing::program::{Measurement, Task, embedding};
use blindroute_routing::tokenizer;

/// A prompt's inputs of a route, and the clear interpreter's answer.
pub(crate) struct Prompt {
    pub(crate) inputs: Vec<Tensor<f32>>,
    pub(crate) expected: Output,
}

/// Prompts whose texts begin differently.
const DIFFERENT: usize = 40;
/// How many changed embeddings must give the same choice.
const TRIALS: u64 = 16;
/// How far they are changed, relative to their length: more than twice as far as [`super::SAME`] allows, because rounding does not
/// change an embedding as much in all directions, and a few random ones hardly meet the border.
const CHANGE: f64 = 0.1;

/// Makes `count` prompts: the first has `tokens` tokens, the others have as many or fewer.
///
/// A prompt whose choice changes with a small change of its embedding is left out. Two models are equally good for it, and an
/// answer under MPC, which is rounded differently, may correctly name the other.
pub(crate) fn prompts(
    router: &PrivateRouter,
    index: usize,
    tokens: usize,
    count: usize,
) -> anyhow::Result<Vec<Prompt>> {
    let bucket = tokenizer::bucket(tokens).context("a bucket")?;
    let lambda = router.public().lambdas[index];
    let mut found = Vec::with_capacity(count);
    // A bucket may have few lengths: then some are used twice.
    for (words, length) in lengths(tokens).cycle().enumerate().take(8 * count.max(DIFFERENT)) {
        if found.len() == count {
            break;
        }
        let ids = ids_after(router, length, words % DIFFERENT)?;
        let output = router.clear(Measurement::Embed { bucket }, router.encoder_inputs(&ids, bucket)?.tensors)?.0;
        let embedding = embedding(&output).to_vec();
        let inputs = router.route_inputs(index, &ids, bucket, lambda)?;
        let expected = router.clear(Task::route(index, bucket), inputs.clone())?.0;
        if settled(router, index, (&ids, &embedding), &expected)? {
            found.push(Prompt { inputs, expected });
        }
    }
    if found.len() < count {
        anyhow::bail!("too few prompts of {tokens} tokens have a clear choice by this router; try another length");
    }
    Ok(found)
}

/// Whether the choice is the same for every change of the embedding that is tried. Lexical features are the client's own numbers,
/// which no rounding changes.
fn settled(
    router: &PrivateRouter,
    index: usize,
    (ids, embedding): (&[u32], &[f64]),
    expected: &Output,
) -> anyhow::Result<bool> {
    let lambda = router.public().lambdas[index];
    for trial in 0..TRIALS {
        let inputs = router.head_inputs(index, ids, &changed(embedding, trial), lambda);
        let (output, _) = router.clear(Task::head(index), inputs)?;
        if output.bits != expected.bits {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An embedding moved in a fixed direction, another one for each trial.
fn changed(embedding: &[f64], trial: u64) -> Vec<f32> {
    let length = embedding.iter().map(|x| x * x).sum::<f64>().sqrt();
    let step = CHANGE * length / (embedding.len().max(1) as f64).sqrt();
    // Pseudorandom numbers: multiples of an odd constant, mixed.
    let mixed = |number: u64| {
        let number = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (number ^ (number >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    };
    let sign = |column: usize| if mixed(column as u64 + (trial << 32) + 1) >> 63 == 0 { step } else { -step };
    embedding.iter().enumerate().map(|(column, x)| (x + sign(column)) as f32).collect()
}

/// The lengths of a bucket's prompts, the longest first.
fn lengths(tokens: usize) -> impl Iterator<Item = usize> + Clone {
    (3..=tokens).rev().take_while(move |length| tokenizer::bucket(*length) == tokenizer::bucket(tokens))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_of_one_bucket() {
        assert_eq!(lengths(66).collect::<Vec<_>>(), [66, 65]);
        assert_eq!(lengths(5).collect::<Vec<_>>(), [5, 4, 3]);
        assert_eq!(lengths(256).count(), 128);
    }

    #[test]
    fn each_trial_moves_an_embedding_as_far_in_another_direction() {
        let embedding = [0.5, -0.5, 0.5, 0.5].repeat(96);
        let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let moved = |trial| {
            let changed = changed(&embedding, trial);
            embedding.iter().zip(changed).map(|(a, b)| f64::from(b) - a).collect::<Vec<_>>()
        };
        for trial in 0..TRIALS {
            assert!((length(&moved(trial)) / length(&embedding) - CHANGE).abs() < 1e-6);
            let same = moved(trial).iter().zip(moved(trial + 1)).filter(|(a, b)| a.signum() == b.signum()).count();
            assert!((120..264).contains(&same), "{same} of 384 directions alike");
        }
    }
}
