//! The public program of a bundle: what the encoder computes, without its weights, and the models of the pool.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::BundleError;
use super::widths::Widths;
use crate::tokenizer::Window;

/// How attention scores become weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Attention {
    /// Softmax, as in published encoders.
    #[serde(rename = "softmax")]
    Softmax,
    /// ReLU of the scores, divided by their sum.
    #[serde(rename = "2relu")]
    TwoRelu,
    /// 1 + score, divided by the number of tokens: a polynomial, so nothing is compared, and the values meet the keys
    /// before the queries do, so the cost grows with the tokens and not with their square. The two coefficients of each
    /// attention head are in the weights around it.
    #[serde(rename = "linear")]
    Linear,
}

/// The non-linearity of the feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Activation {
    /// GELU with erf, as in published encoders.
    #[serde(rename = "gelu")]
    Gelu,
    /// max(x, 0).
    #[serde(rename = "relu")]
    Relu,
    /// x². The scale and position of the parabola are in the weights around it, and no comparison is needed.
    #[serde(rename = "square")]
    Square,
}

/// Where a layer divides its rows by their standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Norms {
    /// After attention and after the feed-forward network, as in published encoders.
    #[default]
    #[serde(rename = "both")]
    Both,
    /// Only after the feed-forward network. After attention, rows are centred by the weights before, and gain and bias
    /// are in the weights behind, so neither a division nor a square is needed.
    #[serde(rename = "output")]
    Output,
}

impl Norms {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the last hidden states become one embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pooling {
    /// Their mean over the real tokens.
    #[serde(rename = "mean")]
    Mean,
    /// The first token's.
    #[serde(rename = "cls")]
    Cls,
}

macro_rules! named {
    ($type:ty, $what:literal, $($variant:path => $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(match self { $($variant => $name),+ })
            }
        }

        impl std::str::FromStr for $type {
            type Err = BundleError;

            fn from_str(name: &str) -> Result<Self, BundleError> {
                match name {
                    $($name => Ok($variant),)+
                    _ => Err(setting($what, format!("{name:?}"), [$($name),+].join(" or "))),
                }
            }
        }
    };
}

named!(Attention, "attention", Attention::Softmax => "softmax", Attention::TwoRelu => "2relu", Attention::Linear => "linear");
named!(Activation, "activation", Activation::Gelu => "gelu", Activation::Relu => "relu", Activation::Square => "square");
named!(Norms, "norms", Norms::Both => "both", Norms::Output => "output");
named!(Pooling, "pooling", Pooling::Mean => "mean", Pooling::Cls => "cls");
named!(Window, "window", Window::Head => "head", Window::Tail => "tail", Window::Both => "both");

/// The encoder's program: a BERT with these shapes and functions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// Transformer layers.
    pub layers: usize,
    /// Numbers per token.
    pub hidden: usize,
    /// Attention heads. `hidden` is a multiple of them.
    pub heads: usize,
    /// Width of the feed-forward network.
    pub ffn: usize,
    /// Rows of the token table.
    pub vocabulary: usize,
    /// Rows of the segment table.
    pub segments: usize,
    /// The most tokens of one prompt, with `[CLS]` and `[SEP]`. The position table has as many rows.
    pub max_tokens: usize,
    /// Which tokens of a longer prompt are kept.
    #[serde(default, skip_serializing_if = "Window::is_default")]
    pub window: Window,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_epsilon: f32,
    /// How attention scores become weights.
    pub attention: Attention,
    /// The non-linearity of the feed-forward network.
    pub activation: Activation,
    /// Where rows are normalised.
    #[serde(default, skip_serializing_if = "Norms::is_default")]
    pub norms: Norms,
    /// How hidden states become one embedding.
    pub pooling: Pooling,
    /// The rings of an encoder with linear attention.
    #[serde(default, skip_serializing_if = "Widths::is_default")]
    pub widths: Widths,
}

impl EncoderConfig {
    /// The published all-MiniLM-L6-v2. Prompts are truncated to their first 256 tokens, as in its authors' evaluation.
    pub fn minilm() -> Self {
        Self {
            layers: 6,
            hidden: 384,
            heads: 12,
            ffn: 1536,
            vocabulary: 30522,
            segments: 2,
            max_tokens: 256,
            window: Window::Head,
            layer_norm_epsilon: 1e-12,
            attention: Attention::Softmax,
            activation: Activation::Gelu,
            norms: Norms::Both,
            pooling: Pooling::Mean,
            widths: Widths::default(),
        }
    }

    /// Numbers per token and attention head.
    pub fn head_width(&self) -> usize {
        self.hidden / self.heads
    }

    pub(super) fn check(&self) -> Result<(), BundleError> {
        let sizes = [
            ("encoder.layers", self.layers, 64),
            ("encoder.hidden", self.hidden, 8192),
            ("encoder.heads", self.heads, 1024),
            ("encoder.ffn", self.ffn, 65536),
            ("encoder.vocabulary", self.vocabulary, 1 << 22),
            ("encoder.segments", self.segments, 16),
            ("encoder.max_tokens", self.max_tokens, 8192),
        ];
        for (name, size, most) in sizes {
            if size == 0 || size > most {
                return Err(setting(name, size, format!("from 1 to {most}")));
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(setting(
                "encoder.hidden",
                self.hidden,
                format!("a multiple of encoder.heads = {}", self.heads),
            ));
        }
        if !(self.layer_norm_epsilon >= 0.0 && self.layer_norm_epsilon < 1.0) {
            return Err(setting("encoder.layer_norm_epsilon", self.layer_norm_epsilon, "from 0 to below 1"));
        }
        self.widths.check()
    }
}

/// One LLM of the pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The name that its provider uses.
    pub name: String,
    /// What it costs, in `unit`.
    pub price: f64,
    /// The unit of `price`, for instance "USD per 1M tokens".
    pub unit: String,
}

/// The longest name of a model, and the longest unit of a price, in bytes.
const MAX_NAME_BYTES: usize = 256;

impl Model {
    /// Checks a model's name; the error says what is wrong and what is expected. Names come from files and are printed,
    /// one per line. Control characters could break lines or send commands to the terminal.
    pub fn check_name(name: &str) -> Result<(), String> {
        if name.trim().is_empty() {
            return Err("is empty; give each model a name".to_owned());
        }
        check_text(name)
    }

    /// Checks the unit of a price in the same way; it may be empty.
    pub fn check_unit(unit: &str) -> Result<(), String> {
        check_text(unit)
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_NAME_BYTES {
        return Err(format!("has {} bytes, at most {MAX_NAME_BYTES} are allowed; shorten it", text.len()));
    }
    match text.chars().find(|c| is_unprintable(*c)) {
        Some(found) => Err(format!("holds the control character U+{:04X}; remove it", u32::from(found))),
        None => Ok(()),
    }
}

/// Whether a character would end a line, control a terminal, or change the order of the text beside it.
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Checks the pool of models, which all routers of a bundle share.
pub(super) fn check_models(models: &[Model]) -> Result<(), BundleError> {
    if models.len() > 1 << 16 {
        return Err(setting("number of models", models.len(), "at most 65536"));
    }
    let mut names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(setting("list of models", format!("one with {:?} twice", pair[0]), "one with different names"));
    }
    for model in models {
        let Model { name, unit, .. } = model;
        let refused = |what: &str, text: &str, problem: String| {
            // Shortened, because a name may have any length. The hint after the semicolon does not apply to bundles.
            let (short, problem) =
                (text.chars().take(64).collect::<String>(), problem.split(';').next().unwrap_or_default());
            let found = format!("one in which the {what} {short:?} {problem}");
            setting("list of models", found, "one with printable names and units")
        };
        Model::check_name(name).map_err(|problem| refused("name", name, problem))?;
        Model::check_unit(unit).map_err(|problem| refused("unit", unit, problem))?;
        if !(model.price.is_finite() && model.price >= 0.0) {
            return Err(setting(&format!("price of {:?}", model.name), model.price, "a number from 0"));
        }
    }
    Ok(())
}

pub(super) fn setting(setting: &str, found: impl fmt::Display, expected: impl fmt::Display) -> BundleError {
    BundleError::Setting { setting: setting.to_owned(), found: found.to_string(), expected: expected.to_string() }
}
