//! The options of a training for how prompts are read: windows, and weights of lexical features.

use blindroute_routing::tokenizer::Window;

use super::bundle_import::one_of;

/// How the router reads prompts: each combination is trained.
#[derive(clap::Args, Debug)]
pub(super) struct ReadingArgs {
    /// Which 256 tokens of a longer prompt the encoder reads: the first (head), the last (tail), or the first 128 and the
    /// last 128 (both). With several, the one with the best area in the cross-validation is stored in the bundle. A change
    /// drops the bundle's other routers [default: the bundle's own].
    #[arg(long, value_delimiter = ',', value_name = "W,...", value_parser = one_of::<Window>(&["head", "tail", "both"]))]
    pub(super) window: Vec<Window>,
    /// Weights of lexical features (length, kinds of tokens, hashed tokens) beside the embedding, 0 for none. With several, the
    /// one with the best area in the cross-validation is kept [default: 0,0.7,1.4, for cscr 0,0.7, with --fine-tune those of
    /// the router that is named].
    #[arg(long, value_delimiter = ',', value_name = "W,...")]
    pub(super) lexical: Vec<f32>,
}
