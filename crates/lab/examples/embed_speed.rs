//! Measures how fast the clear interpreter embeds prompts.
//!
//! `cargo run --release -p blindroute-lab --example embed_speed -- BUNDLE [PROMPTS]`: random token ids of five lengths, and a mix of
//! all lengths. Prints microseconds per token: prompts given one at a time, and all at once; and the ratio of the two. The number of
//! threads is that of rayon (`RAYON_NUM_THREADS`). `scripts/onnx_time.py` gives ONNX Runtime's times for the published encoder, whose
//! graph `bundles/minilm.blindroute` computes.
#![allow(clippy::print_stdout)]

use blindroute_lab::Stop;
use blindroute_lab::encoders::{ClearEmbedder, Embedder};
use blindroute_routing::bundle::Bundle;
use std::env;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

type Fault = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Fault> {
    let mut arguments = env::args().skip(1);
    let bundle = arguments.next().ok_or("usage: embed_speed BUNDLE [PROMPTS]")?;
    let count: usize = arguments.next().map_or(Ok(64), |count| count.parse())?;
    let bundle = Bundle::open(Path::new(&bundle))?.bundle;
    let vocabulary = bundle.parts().encoder.vocabulary as u64;
    let embedder = ClearEmbedder::new(&bundle)?;
    println!("{:<10} {:>16} {:>16} {:>8}", "tokens", "one at a time", "all at once", "ratio");
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for length in [Some(16), Some(32), Some(100), Some(128), Some(256), None] {
        let prompts: Vec<Vec<u32>> = (0..count)
            .map(|_| {
                let length = length.unwrap_or_else(|| 3 + random(254));
                (0..length).map(|_| random(vocabulary) as u32).collect()
            })
            .collect();
        let tokens: usize = prompts.iter().map(Vec::len).sum();
        let singly = || prompts.chunks(1).try_for_each(|prompt| embedder.embed(prompt, &Stop::never()).map(|_| ()));
        let together = || embedder.embed(&prompts, &Stop::never()).map(|_| ());
        let (singly, together) = (micros_per_token(tokens, singly)?, micros_per_token(tokens, together)?);
        let name = length.map_or("3 to 256".to_owned(), |length| length.to_string());
        println!("{name:<10} {singly:>13.1} µs {together:>13.1} µs {:>8.2}", singly / together);
    }
    Ok(())
}

/// The best of three runs.
fn micros_per_token(tokens: usize, work: impl Fn() -> Result<(), Fault>) -> Result<f64, Fault> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let started = Instant::now();
        work()?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best * 1e6 / tokens as f64)
}
