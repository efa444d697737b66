//! How commands show that prompts are being embedded.

use blindroute_console::progress::Progress;
use blindroute_lab::encoders::EmbedEvent;
use std::time::Instant;

/// Shows what happens while prompts are embedded: a bar on a terminal, a line a minute elsewhere.
pub(crate) fn watch() -> impl FnMut(EmbedEvent) {
    let mut shown = Progress::new("embedding prompts");
    let started = Instant::now();
    move |event| match event {
        EmbedEvent::Waiting => shown.say("another process uses the file of embeddings: waiting until it has finished"),
        EmbedEvent::Removed { bytes } => {
            tracing::warn!("the file of embeddings ended with an incomplete entry: its {bytes} bytes were removed");
        }
        EmbedEvent::Progress(at) => {
            if at.done == 0 {
                tracing::info!("{} different prompts to embed, {} are in the file of embeddings", at.all, at.found);
            }
            let seconds = started.elapsed().as_secs_f64().max(1e-3);
            let speed = format!("{:.0} tokens/s", at.tokens as f64 / seconds);
            shown.at((at.done, at.all), at.tokens as f64 / (at.all_tokens as f64).max(1.0), &speed);
        }
    }
}
