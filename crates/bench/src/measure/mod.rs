//! Tasks under MPC beside the same tasks in the clear.

pub(crate) mod classify;
pub(crate) mod classify_open;
pub(crate) mod encoder;
pub(crate) mod gateway;
pub(crate) mod head;
pub(crate) mod kernels;
pub(crate) mod latencies;
pub(crate) mod load;
pub(crate) mod prompts;
pub(crate) mod route;
pub(crate) mod runs;
pub(crate) mod selection;

use anyhow::Context;
use blindroute_console::program as this_program;
use blindroute_placement::PrivateRouter;
use blindroute_protocol::Output;
use blindroute_routing::bundle::{Activation, Attention, Bundle};
use blindroute_routing::{embedding, program, tokenizer};
use blindroute_runtime::SceneName;

/// The smallest cosine between an embedding under MPC and one in the clear that counts as the same.
pub(crate) const SAME: f64 = 0.999;

/// A router with children of its own.
pub(crate) fn start(bundle: &Bundle, scene: SceneName, progress: &dyn Fn(&str)) -> anyhow::Result<PrivateRouter> {
    let children = this_program::children()?.in_scene(scene.scene()).dangerously_serve_measurements();
    Ok(PrivateRouter::with_children(bundle, &children, progress)?)
}

/// The bundle with another encoder program on the same weights.
pub(crate) fn variant(
    bundle: Bundle,
    attention: Option<Attention>,
    activation: Option<Activation>,
) -> anyhow::Result<Bundle> {
    let mut parts = bundle.into_parts();
    parts.encoder.attention = attention.unwrap_or(parts.encoder.attention);
    parts.encoder.activation = activation.unwrap_or(parts.encoder.activation);
    Ok(Bundle::new(parts)?)
}

/// Text of ordinary words, to be truncated to any length.
const TEXT: &str = "A company sells three kinds of boxes and wants to know how many of each it should make next month, given \
    the orders of the last year, the price of paper, and the time that one worker needs for a box. Explain step by step. ";

/// Token ids of a text of this length.
pub(crate) fn ids(router: &PrivateRouter, tokens: usize) -> anyhow::Result<Vec<u32>> {
    ids_after(router, tokens, 0)
}

/// Token ids of a text of this length that begins so many words later: another for each number of words below 40.
pub(crate) fn ids_after(router: &PrivateRouter, tokens: usize, words: usize) -> anyhow::Result<Vec<u32>> {
    let text: Vec<String> = TEXT.repeat(9).split_whitespace().skip(words).map(str::to_owned).collect();
    let mut ids = router.tokens(&text.join(" "))?.ids;
    let end = ids.last().copied().context("the text has tokens")?;
    ids.truncate(tokens - 1);
    ids.push(end);
    Ok(ids)
}

/// Different texts, each with at most so many tokens and nearly that many.
pub(crate) fn texts(router: &PrivateRouter, count: usize, tokens: usize) -> anyhow::Result<Vec<String>> {
    let words: Vec<String> = TEXT.repeat(9).split_whitespace().map(str::to_owned).collect();
    let of_text = |text: usize| -> anyhow::Result<String> {
        let mut words = &words[text % 40..];
        loop {
            let joined = words.join(" ");
            let read = router.tokens(&joined)?;
            if words.len() == 1 || (read.ids.len() <= tokens && read.truncated.is_none()) {
                return Ok(joined);
            }
            words = &words[..words.len() - 1];
        }
    };
    (0..count).map(of_text).collect()
}

/// Refuses lengths that no prompt has.
pub(crate) fn check_tokens(tokens: &[usize]) -> anyhow::Result<()> {
    match tokens.iter().find(|tokens| !(3..=tokenizer::MAX_TOKENS).contains(*tokens)) {
        Some(tokens) => anyhow::bail!("unsupported --tokens {tokens}: expected 3 to {}", tokenizer::MAX_TOKENS),
        None => Ok(()),
    }
}

/// How alike two embeddings are.
pub fn cosine(a: &Output, b: &Output) -> f64 {
    let cosine = embedding::cosine(program::embedding(a), program::embedding(b));
    // Of something without direction: alike to nothing.
    if cosine.is_nan() { -1.0 } else { cosine }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_of_parallel_vectors_is_one() {
        let of = |values: [f64; 2]| Output { values: vec![values.to_vec()], bits: Vec::new() };
        assert!((cosine(&of([1.0, 2.0]), &of([2.0, 4.0])) - 1.0).abs() < 1e-12);
        assert!(cosine(&of([1.0, 0.0]), &of([0.0, 1.0])).abs() < 1e-12);
        assert!(cosine(&of([0.0, 0.0]), &of([0.0, 1.0])) < 0.0);
    }
}
