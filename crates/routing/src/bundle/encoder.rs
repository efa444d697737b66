//! The encoder's tensors: the public embedding tables and the secret layers.

use super::{config::EncoderConfig, error::BundleError, matrix::Matrix};

/// A source of tensors. They are requested by name and shape, always in the same order.
pub(super) type Take<'a, E = BundleError> = dyn FnMut(&str, (usize, usize)) -> Result<Matrix, E> + 'a;

/// Tensors with their names, always in the same order.
pub(super) type Named<'a> = Vec<(String, &'a Matrix)>;

/// x ↦ x·W + b.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearLayer {
    /// W, `[inputs, outputs]`.
    pub weight: Matrix,
    /// b, `[1, outputs]`.
    pub bias: Matrix,
}

/// x ↦ gain · (x − mean) / √(variance + ε) + bias.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// `[1, hidden]`.
    pub gain: Matrix,
    /// `[1, hidden]`.
    pub bias: Matrix,
}

/// The public tensors, with which the client turns tokens into the encoder's input.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingTables {
    /// `[vocabulary, hidden]`.
    pub token: Matrix,
    /// `[max_tokens, hidden]`.
    pub position: Matrix,
    /// `[segments, hidden]`. All tokens of a prompt are in segment 0.
    pub segment: Matrix,
    /// The norm after the sum of the three.
    pub norm: LayerNorm,
}

/// One transformer layer: h = norm(x + attention(x)), y = norm(h + ffn(h)).
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Queries, `[hidden, hidden]`. Attention head h has the columns h·width to (h+1)·width.
    pub query: LinearLayer,
    /// Keys, `[hidden, hidden]`.
    pub key: LinearLayer,
    /// Values, `[hidden, hidden]`.
    pub value: LinearLayer,
    /// The layer after the attention heads, `[hidden, hidden]`.
    pub output: LinearLayer,
    /// The norm after the first residual sum.
    pub attention_norm: LayerNorm,
    /// The first layer of the feed-forward network, `[hidden, ffn]`.
    pub up: LinearLayer,
    /// The second layer of the feed-forward network, `[ffn, hidden]`.
    pub down: LinearLayer,
    /// The norm after the second residual sum.
    pub output_norm: LayerNorm,
}

impl LinearLayer {
    pub(super) fn build<E>(take: &mut Take<'_, E>, prefix: &str, inputs: usize, outputs: usize) -> Result<Self, E> {
        Ok(Self {
            weight: take(&format!("{prefix}.weight"), (inputs, outputs))?,
            bias: take(&format!("{prefix}.bias"), (1, outputs))?,
        })
    }

    pub(super) fn list<'a>(&'a self, prefix: &str, list: &mut Named<'a>) {
        list.push((format!("{prefix}.weight"), &self.weight));
        list.push((format!("{prefix}.bias"), &self.bias));
    }
}

impl LayerNorm {
    fn build<E>(take: &mut Take<'_, E>, prefix: &str, hidden: usize) -> Result<Self, E> {
        Ok(Self {
            gain: take(&format!("{prefix}.gain"), (1, hidden))?,
            bias: take(&format!("{prefix}.bias"), (1, hidden))?,
        })
    }

    pub(super) fn list<'a>(&'a self, prefix: &str, list: &mut Named<'a>) {
        list.push((format!("{prefix}.gain"), &self.gain));
        list.push((format!("{prefix}.bias"), &self.bias));
    }
}

impl EmbeddingTables {
    pub(super) fn build<E>(take: &mut Take<'_, E>, config: &EncoderConfig) -> Result<Self, E> {
        Ok(Self {
            token: take("embedding.token", (config.vocabulary, config.hidden))?,
            position: take("embedding.position", (config.max_tokens, config.hidden))?,
            segment: take("embedding.segment", (config.segments, config.hidden))?,
            norm: LayerNorm::build(take, "embedding.norm", config.hidden)?,
        })
    }

    pub(super) fn list<'a>(&'a self, list: &mut Named<'a>) {
        list.push(("embedding.token".to_owned(), &self.token));
        list.push(("embedding.position".to_owned(), &self.position));
        list.push(("embedding.segment".to_owned(), &self.segment));
        self.norm.list("embedding.norm", list);
    }
}

impl Layer {
    pub(super) fn build<E>(take: &mut Take<'_, E>, config: &EncoderConfig, index: usize) -> Result<Self, E> {
        let (hidden, ffn) = (config.hidden, config.ffn);
        let name = |part: &str| format!("layer.{index}.{part}");
        Ok(Self {
            query: LinearLayer::build(take, &name("query"), hidden, hidden)?,
            key: LinearLayer::build(take, &name("key"), hidden, hidden)?,
            value: LinearLayer::build(take, &name("value"), hidden, hidden)?,
            output: LinearLayer::build(take, &name("output"), hidden, hidden)?,
            attention_norm: LayerNorm::build(take, &name("attention_norm"), hidden)?,
            up: LinearLayer::build(take, &name("up"), hidden, ffn)?,
            down: LinearLayer::build(take, &name("down"), ffn, hidden)?,
            output_norm: LayerNorm::build(take, &name("output_norm"), hidden)?,
        })
    }

    pub(super) fn list<'a>(&'a self, index: usize, list: &mut Named<'a>) {
        let name = |part: &str| format!("layer.{index}.{part}");
        self.query.list(&name("query"), list);
        self.key.list(&name("key"), list);
        self.value.list(&name("value"), list);
        self.output.list(&name("output"), list);
        self.attention_norm.list(&name("attention_norm"), list);
        self.up.list(&name("up"), list);
        self.down.list(&name("down"), list);
        self.output_norm.list(&name("output_norm"), list);
    }
}
