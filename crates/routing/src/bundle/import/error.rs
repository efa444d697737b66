//! What can be wrong with published files.

use super::super::error::BundleError;
use crate::tokenizer::{MAX_TOKENS, TokenizerError};

/// What can be wrong with the files of a published encoder. No variant holds a weight.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file is something else than its name says.
    #[error("the {file} is {found}; {hint}")]
    OtherFile {
        /// Which of the files.
        file: &'static str,
        /// What it is.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The weights end before their last tensor does, or go on after it.
    #[error("the weights have {found} bytes, their own header says {expected}: the file is {}; download it again",
        if .found < .expected { "truncated" } else { "followed by other data" })]
    Length {
        /// Bytes of the file.
        found: u64,
        /// Bytes that its header needs.
        expected: u64,
    },
    /// The weights are not a safetensors file.
    #[error("the weights are not a safetensors file: {0}; give the model.safetensors of a BERT encoder")]
    NotSafetensors(String),
    /// A tensor of a BERT encoder is not there.
    #[error(
        "the weights have no tensor {name:?}; give the model.safetensors of a BERT encoder and its own config.json"
    )]
    Missing {
        /// Its published name.
        name: String,
    },
    /// There are several encoders in one file.
    #[error(
        "the weights hold {} encoders, with the prefixes {}; save the one to import to a file of its own",
        .prefixes.len(), list(.prefixes)
    )]
    SeveralEncoders {
        /// What stands before the tensors' names, once each.
        prefixes: Vec<String>,
    },
    /// A tensor's numbers are of a type that is not read.
    #[error("the tensor {name:?} is stored as {found}, which is not read; give weights in F32, F16 or BF16")]
    NumberType {
        /// Which tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// A tensor has another shape than config.json says.
    #[error(
        "the tensor {name:?} is {found:?}, config.json needs {expected:?}; give weights and config.json that belong together"
    )]
    Shape {
        /// Which tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// What it must be.
        expected: Vec<usize>,
    },
    /// The file has another number of layers than config.json says.
    #[error(
        "the weights have {found} layers, config.json says num_hidden_layers = {expected}; give weights and config.json that belong together"
    )]
    Layers {
        /// In the weights.
        found: usize,
        /// In config.json.
        expected: usize,
    },
    /// Tensors that the encoder would leave out.
    #[error(
        "the weights hold {} that a BERT encoder has no use for: {}; without them this would be another model than the published one",
        if .names.len() == 1 { "a tensor".to_owned() } else { format!("{} tensors", .names.len()) }, list(.names)
    )]
    Unused {
        /// Their published names.
        names: Vec<String>,
    },
    /// A tensor holds NaN or an infinite number.
    #[error(
        "the tensor {name:?} holds a number that is not finite; the file is damaged, or its training failed: give another"
    )]
    NotFinite {
        /// Which tensor.
        name: String,
    },
    /// A tensor holds a number that the secure program cannot carry.
    #[error(
        "the tensor {name:?} holds a number of magnitude {most} or more, which the program's rings cannot carry; the file is damaged: give another"
    )]
    TooLarge {
        /// Which tensor.
        name: String,
        /// The bound.
        most: f32,
    },
    /// One number is so large that rounding to its scale would lose the others.
    #[error(
        "the tensor {name:?} holds a number so large that rounding its {channel} to {bits} bits would lose the others there; \
         if the file is as published, import it with --exact"
    )]
    Rounding {
        /// Which tensor.
        name: String,
        /// Which row or column of it, as published.
        channel: String,
        /// Bits of a stored number.
        bits: u8,
    },
    /// A published JSON file cannot be used as JSON.
    #[error("the {file} cannot be read: {problem}; give the {file} that was published with the weights")]
    Json {
        /// Which file.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The model is of another architecture.
    #[error(
        "config.json says that this is a {found} model; the encoder here is BERT's (absolute positions, normalised after each \
         sum): give a BERT encoder such as all-MiniLM, bge, e5 or gte"
    )]
    Architecture {
        /// Its name.
        found: String,
    },
    /// A setting that the secure program does not have.
    #[error("{file} says {field} = {found}, it must be {expected}; {hint}")]
    Setting {
        /// Which file.
        file: &'static str,
        /// Which of its fields.
        field: String,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// The model has too few positions.
    #[error(
        "config.json says max_position_embeddings = {found}, and prompts have up to {MAX_TOKENS} tokens; give an encoder with {MAX_TOKENS} positions or more"
    )]
    Positions {
        /// How many it has.
        found: usize,
    },
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer gives ids that the token table does not have.
    #[error(
        "the tokenizer's token {token:?} has id {id}, and the token table has {rows} rows: every prompt with it would fail; give the \
         tokenizer.json that was published with these weights, or weights whose table was extended for it"
    )]
    TokenBeyondTable {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// The tokenizer is far smaller than the token table.
    #[error(
        "the tokenizer has {tokens} tokens and the token table {rows} rows: they are of different models; give the tokenizer.json that was published with these weights"
    )]
    OtherTokenizer {
        /// The tokenizer's ids.
        tokens: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// What was read makes no bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// The first few of many names.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
