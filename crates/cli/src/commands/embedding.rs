//! How commands show that prompts are being embedded.

use blindroute_console::progress::Progress;
use blindroute_console::terminal;
use blindroute_lab::encoders::EmbedEvent;

/// Shows what happens while prompts are embedded: a bar on a terminal, a line a minute elsewhere.
pub(crate) fn watch() -> impl FnMut(EmbedEvent) {
    let mut shown = Progress::new("embedding prompts");
    move |event| match event {
        EmbedEvent::Waiting => {
            terminal::say("another process uses the file of embeddings: waiting until it has finished");
        }
        EmbedEvent::Removed { bytes } => {
            tracing::warn!("the file of embeddings ended with an incomplete entry: its {bytes} bytes were removed");
        }
        EmbedEvent::Progress(at) => {
            if at.done == 0 {
                tracing::info!("{} different prompts to embed, {} are in the file of embeddings", at.all, at.found);
            }
            shown.at((at.done, at.all), (at.tokens, at.all_tokens), "tokens");
        }
    }
}
