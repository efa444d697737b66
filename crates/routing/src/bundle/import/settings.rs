//! Reading the encoder's program from the JSON files that are published with the weights.

use serde_json::Value;

use super::{ProgramChoices, PublishedFiles, error::ImportError, file_kind};
use crate::{
    bundle::config::{Activation, Attention, EncoderConfig, Norms, Pooling},
    bundle::widths::Widths,
    tokenizer::MAX_TOKENS,
};

const CONFIG: &str = "config.json";
const POOLING: &str = "1_Pooling/config.json";
const MODULES: &str = "modules.json";

/// The largest epsilon that is accepted. The secure LayerNorm adds no epsilon to the variance, which must be at least
/// 16 per row (0.04 per element of 384). At that variance this epsilon makes a difference of 0.1%, which is as large as
/// the error of the secure inverse root.
const MOST_EPSILON: f64 = 1e-4;

/// The result of reading the published settings.
pub(super) struct Settings {
    pub(super) encoder: EncoderConfig,
    /// Rows of the published position table, of which the first [`MAX_TOKENS`] are kept.
    pub(super) positions: usize,
    /// Sentences for people.
    pub(super) notes: Vec<String>,
}

/// A published JSON file.
struct Fields {
    file: &'static str,
    value: Value,
}

impl Fields {
    fn read(file: &'static str, bytes: &[u8]) -> Result<Self, ImportError> {
        file_kind::check(file, bytes)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let value = serde_json::from_slice(bytes);
        let value = value.map_err(|error| ImportError::Json { file, problem: error.to_string() })?;
        Ok(Self { file, value })
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.value[field].as_str()
    }

    fn size(&self, field: &str) -> Result<usize, ImportError> {
        let size = self.value[field].as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        size.ok_or_else(|| {
            self.unfit(field, "a whole number from 1", "give the file that was published with the weights")
        })
    }

    fn unfit(&self, field: &str, expected: &str, hint: &'static str) -> ImportError {
        let found = match &self.value[field] {
            Value::Null => "nothing".to_owned(),
            value => value.to_string(),
        };
        ImportError::Setting { file: self.file, field: field.to_owned(), found, expected: expected.to_owned(), hint }
    }
}

/// Reads all settings.
pub(super) fn read(published: &PublishedFiles<'_>, choices: &ProgramChoices) -> Result<Settings, ImportError> {
    let config = Fields::read(CONFIG, published.config)?;
    check_architecture(&config)?;
    let positions = config.size("max_position_embeddings")?;
    if positions < MAX_TOKENS {
        return Err(ImportError::Positions { found: positions });
    }
    let mut notes = Vec::new();
    let hidden = config.size("hidden_size")?;
    let encoder = EncoderConfig {
        layers: config.size("num_hidden_layers")?,
        hidden,
        heads: config.size("num_attention_heads")?,
        ffn: config.size("intermediate_size")?,
        vocabulary: config.size("vocab_size")?,
        segments: config.size("type_vocab_size")?,
        max_tokens: MAX_TOKENS,
        window: choices.window,
        layer_norm_epsilon: epsilon(&config)?,
        attention: attention(choices, &mut notes),
        activation: activation(&config, choices, &mut notes)?,
        norms: Norms::Both,
        widths: Widths::default(),
        pooling: pooling(published, choices, hidden, &mut notes)?,
    };
    encoder.check()?;
    Ok(Settings { encoder, positions, notes })
}

/// An error if this is not a BERT of the supported architecture.
fn check_architecture(config: &Fields) -> Result<(), ImportError> {
    let refuse = |found: &str| Err(ImportError::Architecture { found: found.to_owned() });
    match config.text("model_type") {
        None | Some("bert") => {}
        Some(other) => return refuse(other),
    }
    // Some encoders with other architectures, for instance JinaBert, also state the type "bert".
    let classes = config.value["architectures"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(other) = classes.into_iter().find(|class| !class.starts_with("Bert")) {
        return refuse(other);
    }
    const HINT: &str = "give a BERT encoder such as all-MiniLM, bge, e5 or gte";
    if !matches!(config.text("position_embedding_type"), None | Some("absolute")) {
        return Err(config.unfit("position_embedding_type", "\"absolute\"", HINT));
    }
    for field in ["is_decoder", "add_cross_attention"] {
        if config.value[field] == true {
            return Err(config.unfit(field, "false", HINT));
        }
    }
    Ok(())
}

fn epsilon(config: &Fields) -> Result<f32, ImportError> {
    // The first BERTs do not have this field; their program uses 1e-12.
    let epsilon = match &config.value["layer_norm_eps"] {
        Value::Null => Some(1e-12),
        value => value.as_f64(),
    };
    match epsilon.filter(|epsilon| (0.0..=MOST_EPSILON).contains(epsilon)) {
        Some(epsilon) => Ok(epsilon as f32),
        None => Err(config.unfit(
            "layer_norm_eps",
            &format!("from 0 to {MOST_EPSILON}"),
            "the secure program uses no epsilon, which is possible only if it is this small: give another encoder",
        )),
    }
}

fn attention(choices: &ProgramChoices, notes: &mut Vec<String>) -> Attention {
    let chosen = choices.attention.unwrap_or(Attention::Softmax);
    if chosen != Attention::Softmax {
        notes.push(format!(
            "attention is {chosen}, but the weights were trained with softmax: embeddings are worse until the encoder is trained \
             with `blindroute distil`"
        ));
    }
    chosen
}

fn activation(config: &Fields, choices: &ProgramChoices, notes: &mut Vec<String>) -> Result<Activation, ImportError> {
    let name = match &config.value["hidden_act"] {
        // BERT's own.
        Value::Null => Some("gelu"),
        value => value.as_str(),
    };
    let trained = match name {
        Some("gelu" | "gelu_python") => Some(Activation::Gelu),
        Some("relu") => Some(Activation::Relu),
        Some(near @ ("gelu_new" | "gelu_fast" | "gelu_accurate" | "gelu_pytorch_tanh")) => {
            // At most 0.00048 apart.
            notes.push(format!("hidden_act {near} is taken as gelu, from which it differs by less than 0.001"));
            Some(Activation::Gelu)
        }
        _ => None,
    };
    match (choices.activation, trained) {
        (None, Some(trained)) => Ok(trained),
        (Some(chosen), trained) => {
            if trained != Some(chosen) {
                notes.push(format!(
                    "the feed-forward network's activation is {chosen}, the weights were trained with {}: embeddings are worse \
                     until `blindroute distil` has taught them",
                    name.unwrap_or("another")
                ));
            }
            Ok(chosen)
        }
        (None, None) => Err(config.unfit(
            "hidden_act",
            "\"gelu\" or \"relu\"",
            "choose one with --ffn, and train the encoder with `blindroute distil`",
        )),
    }
}

fn pooling(
    published: &PublishedFiles<'_>,
    choices: &ProgramChoices,
    hidden: usize,
    notes: &mut Vec<String>,
) -> Result<Pooling, ImportError> {
    if let Some(modules) = published.modules {
        check_modules(&Fields::read(MODULES, modules)?)?;
    }
    let Some(settings) = published.pooling else {
        return Ok(choices.pooling.unwrap_or_else(|| {
            notes.push(
                "there is no 1_Pooling/config.json beside config.json, so the embedding is the mean over the tokens (for bge encoders, \
                 which use the first token, give --pooling cls)"
                    .to_owned(),
            );
            Pooling::Mean
        }));
    };
    let settings = Fields::read(POOLING, settings)?;
    let width = &settings.value["word_embedding_dimension"];
    if !width.is_null() && width.as_u64() != Some(hidden as u64) {
        let hint = "give the 1_Pooling/config.json that was published with the weights";
        return Err(settings.unfit("word_embedding_dimension", &format!("hidden_size = {hidden}"), hint));
    }
    let trained = modes(&settings);
    match (choices.pooling, trained.as_slice()) {
        (None, ["mean" | "mean_tokens"]) => Ok(Pooling::Mean),
        (None, ["cls" | "cls_token"]) => Ok(Pooling::Cls),
        (None, modes) => Err(ImportError::Setting {
            file: POOLING,
            field: "the pooling mode".to_owned(),
            found: if modes.is_empty() { "nothing".to_owned() } else { modes.join(" and ") },
            expected: "mean or cls".to_owned(),
            hint: "choose one with --pooling; the embeddings then differ from the published ones",
        }),
        (Some(chosen), modes) => {
            if modes != [chosen.to_string()]
                && modes != [format!("{chosen}_token")]
                && modes != [format!("{chosen}_tokens")]
            {
                notes.push(format!("pooling is {chosen}, but the published encoder uses {}", modes.join(" and ")));
            }
            Ok(chosen)
        }
    }
}

/// The pooling modes that are on. Files either name one, or have a field for each.
fn modes(settings: &Fields) -> Vec<&str> {
    if let Some(mode) = settings.text("pooling_mode") {
        return vec![mode];
    }
    let fields = settings.value.as_object().into_iter().flatten();
    fields.filter(|(_, on)| **on == true).filter_map(|(name, _)| name.strip_prefix("pooling_mode_")).collect()
}

/// An error if there is a module after pooling other than a normalisation, which does not affect routers.
fn check_modules(modules: &Fields) -> Result<(), ImportError> {
    for module in modules.value.as_array().into_iter().flatten() {
        let kind = module["type"].as_str().unwrap_or("unknown");
        let kind = kind.rsplit('.').next().unwrap_or(kind);
        if !matches!(kind, "Transformer" | "Pooling" | "Normalize") {
            return Err(ImportError::Setting {
                file: MODULES,
                field: "a module".to_owned(),
                found: kind.to_owned(),
                expected: "Transformer, Pooling or Normalize".to_owned(),
                hint: "the published embeddings need this module, and the secure program does not support it: give another encoder",
            });
        }
    }
    Ok(())
}
