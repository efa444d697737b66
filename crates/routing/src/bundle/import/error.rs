//! Errors of importing a published encoder.

use super::super::error::BundleError;
use crate::tokenizer::{MAX_TOKENS, TokenizerError};

/// Why the files of a published encoder cannot be imported. No variant holds a weight.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file is of another kind than its name says.
    #[error("the {file} is {found}; {hint}")]
    OtherFile {
        /// The name of the file.
        file: &'static str,
        /// What it is.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The file of the weights ends before its last tensor, or continues after it.
    #[error("the weights have {found} bytes, expected {expected} by their own header: the file is {}; download it again",
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
    /// A tensor of a BERT encoder is missing.
    #[error(
        "the weights have no tensor {name:?}; give the model.safetensors of a BERT encoder and its own config.json"
    )]
    Missing {
        /// Its published name.
        name: String,
    },
    /// The file holds several encoders.
    #[error(
        "the weights hold {} encoders with the prefixes {}, expected one; save the one to import in a file of its own",
        .prefixes.len(), list(.prefixes)
    )]
    SeveralEncoders {
        /// The prefixes of the tensors' names.
        prefixes: Vec<String>,
    },
    /// A tensor's numbers have an unsupported type.
    #[error("the tensor {name:?} is stored as {found}, expected F32, F16 or BF16; convert the weights to one of these")]
    NumberType {
        /// Which tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// A tensor has another shape than config.json says.
    #[error(
        "the tensor {name:?} is {found:?}, expected {expected:?} by config.json; give weights and config.json that belong together"
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
        "the weights have {found} layers, expected {expected} because config.json says num_hidden_layers = {expected}; give weights and config.json that belong together"
    )]
    Layers {
        /// In the weights.
        found: usize,
        /// In config.json.
        expected: usize,
    },
    /// The file holds tensors that a BERT encoder does not use.
    #[error(
        "the weights hold {} that a BERT encoder has no use for: {}; without them the encoder would differ from the published one: give a BERT encoder",
        if .names.len() == 1 { "a tensor".to_owned() } else { format!("{} tensors", .names.len()) }, list(.names)
    )]
    Unused {
        /// Their published names.
        names: Vec<String>,
    },
    /// A tensor holds NaN or an infinite number.
    #[error(
        "the tensor {name:?} holds a number that is not finite; the file is damaged or its training failed: give another file"
    )]
    NotFinite {
        /// Which tensor.
        name: String,
    },
    /// A tensor holds a number that is too large for the secure program.
    #[error(
        "the tensor {name:?} holds a number of magnitude {most} or more, which does not fit in the program's rings; the file is damaged: give another file"
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
        /// The row or column in the published file.
        channel: String,
        /// Bits of a stored number.
        bits: u8,
    },
    /// A published JSON file is not valid JSON.
    #[error("the {file} cannot be read: {problem}; give the {file} that was published with the weights")]
    Json {
        /// Which file.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The encoder has another architecture.
    #[error(
        "config.json says that this is a {found} encoder, expected BERT (absolute positions, normalised after each sum): give a \
         BERT encoder such as all-MiniLM, bge, e5 or gte"
    )]
    Architecture {
        /// Its name.
        found: String,
    },
    /// The secure program does not support a setting.
    #[error("{file} says {field} = {found}, expected {expected}; {hint}")]
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
    /// The encoder has too few positions.
    #[error(
        "config.json says max_position_embeddings = {found}, expected at least {MAX_TOKENS}, the most tokens of a prompt; give an encoder with more positions"
    )]
    Positions {
        /// How many it has.
        found: usize,
    },
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer has ids that are not rows of the token table.
    #[error(
        "the tokenizer's token {token:?} has id {id}, but the token table has {rows} rows, so prompts with this token would fail; \
         give the tokenizer.json that was published with these weights, or weights whose table was extended for it"
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
        "the tokenizer has {tokens} tokens and the token table {rows} rows, so they are of different encoders; give the tokenizer.json that was published with these weights"
    )]
    OtherTokenizer {
        /// The tokenizer's ids.
        tokens: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// The files do not make a valid bundle.
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
