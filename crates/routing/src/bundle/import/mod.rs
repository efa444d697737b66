//! Making a bundle from the files of a published encoder.
//!
//! The encoder's program is determined by `config.json`, never by defaults. Every tensor of the weights is either used,
//! or known not to belong to the encoder and listed in [`ImportedEncoder::leftovers`]. So a bundle holds the complete
//! published encoder, or the import fails.

mod error;
mod file_kind;
mod names;
mod settings;
mod sound;
mod weights;

pub use error::ImportError;

use super::{
    Bundle, BundleParts,
    config::{Activation, Attention, EncoderConfig, Pooling},
    encoder::{EmbeddingTables, Layer},
    matrix::Axis,
};
use crate::tokenizer::{self, Tokenizer, Window};
use weights::Weights;

/// How imported matrices are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As published: 4 bytes per number.
    Exact,
    /// In steps of a few bits: the token table with one scale per row, and the layers' matrices with one scale per
    /// output channel. Positions, segments, biases and LayerNorms stay f32, because they are small and every token uses
    /// them.
    Bits {
        /// For the token table.
        table: u8,
        /// For the layers' matrices.
        layers: u8,
    },
}

impl Default for Precision {
    /// 7 bits for the table and 10 for the layers. all-MiniLM-L6-v2 then takes 24.7 MB instead of 90.3 MB. Over the 60
    /// prompts of the reference, the embedding's cosine to that of the published weights is 0.99990 on average and
    /// 0.99973 at worst. With int8 for both it takes 23.5 MB, and the cosines are 0.99950 and 0.99911: the layers need
    /// the bits more than the table.
    fn default() -> Self {
        Self::Bits { table: 7, layers: 10 }
    }
}

/// The files of a published encoder, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct PublishedFiles<'a> {
    /// `model.safetensors`.
    pub weights: &'a [u8],
    /// `config.json`.
    pub config: &'a [u8],
    /// `tokenizer.json`.
    pub tokenizer: &'a [u8],
    /// `1_Pooling/config.json`, if there is one: encoders of sentence-transformers have it.
    pub pooling: Option<&'a [u8]>,
    /// `modules.json`, if there is one.
    pub modules: Option<&'a [u8]>,
}

/// What of the program should differ from the published encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramChoices {
    /// How attention scores become weights. Published encoders use softmax.
    pub attention: Option<Attention>,
    /// The non-linearity of the feed-forward network.
    pub activation: Option<Activation>,
    /// How hidden states become one embedding.
    pub pooling: Option<Pooling>,
    /// Which tokens of a prompt longer than the encoder reads are kept.
    pub window: Window,
}

/// Options of [`Bundle::import`].
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// How matrices are stored.
    pub precision: Precision,
    /// What should differ from the published encoder.
    pub choices: ProgramChoices,
    /// Where the weights come from and under which licence.
    pub origin: String,
}

/// The result of importing a published encoder.
#[derive(Debug)]
pub struct ImportedEncoder {
    /// The bundle, without models and routers.
    pub bundle: Bundle,
    /// Tensors of the file that do not belong to the encoder, by their names there.
    pub leftovers: Vec<String>,
    /// Sentences for people about what differs from the published encoder, or was not stated in its files.
    pub notes: Vec<String>,
}

impl Bundle {
    /// A bundle of a published BERT encoder (all-MiniLM, bge, e5, gte and similar), without models and routers.
    ///
    /// # Errors
    /// If the files are not those of such an encoder, do not belong together, or need something that the secure program
    /// does not support.
    pub fn import(published: &PublishedFiles<'_>, options: &ImportOptions) -> Result<ImportedEncoder, ImportError> {
        let settings::Settings { encoder, positions, mut notes } = settings::read(published, &options.choices)?;
        let tokenizer = tokenizer(published.tokenizer, &encoder, &mut notes)?;
        let mut weights = Weights::open(published.weights)?;
        if weights.layers() != encoder.layers {
            return Err(ImportError::Layers { found: weights.layers(), expected: encoder.layers });
        }
        let (embedding, layers) = tensors(&mut weights, &encoder, positions, options.precision)?;
        let leftovers = weights.leftovers()?;
        let bundle = Bundle::new(BundleParts {
            tokenizer,
            encoder,
            embedding,
            layers,
            models: Vec::new(),
            routers: Vec::new(),
            pool: None,
            origin: options.origin.clone(),
        })?;
        Ok(ImportedEncoder { bundle, leftovers, notes })
    }
}

fn tensors(
    weights: &mut Weights<'_>,
    encoder: &EncoderConfig,
    positions: usize,
    precision: Precision,
) -> Result<(EmbeddingTables, Vec<Layer>), ImportError> {
    let mut take = |name: &str, (rows, columns): (usize, usize)| {
        let linear = name.ends_with(".weight");
        let shape = match name {
            "embedding.position" => vec![positions, columns],
            // The published shape is [outputs, inputs].
            _ if linear => vec![columns, rows],
            _ if name.starts_with("embedding.") && !name.starts_with("embedding.norm") => vec![rows, columns],
            _ => vec![columns],
        };
        let weights::Taken { name: published, matrix } = weights.take(name, &shape)?;
        sound::check(&published, &matrix)?;
        match (precision, name) {
            // Positions beyond the longest prompt are never looked up.
            (_, "embedding.position") => Ok(matrix.first_rows(rows)),
            (Precision::Bits { table, .. }, "embedding.token") => {
                sound::quantised(&published, &matrix, Axis::Rows, table)
            }
            (Precision::Bits { layers, .. }, _) if linear => {
                sound::quantised(&published, &matrix.transposed(), Axis::Columns, layers)
            }
            _ if linear => Ok(matrix.transposed()),
            _ => Ok(matrix),
        }
    };
    let embedding = EmbeddingTables::build(&mut take, encoder)?;
    let layers = (0..encoder.layers).map(|index| Layer::build(&mut take, encoder, index)).collect::<Result<_, _>>()?;
    Ok((embedding, layers))
}

/// Token tables are padded to a multiple of 8 or 64, at most of 1,024. A table with more unused rows belongs to another
/// encoder.
const MOST_UNUSED: usize = 1024;

/// The tokenizer in the bundle's form, if all its ids are rows of the token table.
fn tokenizer(json: &[u8], encoder: &EncoderConfig, notes: &mut Vec<String>) -> Result<Vec<u8>, ImportError> {
    file_kind::check("tokenizer.json", json)?;
    let minimised = tokenizer::minimised(json)?;
    let tokenizer = Tokenizer::from_json(&minimised, encoder.window)?;
    let (tokens, rows) = (tokenizer.vocabulary(), encoder.vocabulary);
    if let Some((token, id)) = tokenizer.beyond(rows) {
        return Err(ImportError::TokenBeyondTable { token, id, rows });
    }
    if rows - tokens >= MOST_UNUSED {
        return Err(ImportError::OtherTokenizer { tokens, rows });
    }
    if rows != tokens {
        notes.push(format!("the token table has {rows} rows, of which the tokenizer uses {tokens}"));
    }
    Ok(minimised)
}
