//! A made-up BERT encoder as the files that would be published of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{TOKENS, generator, tokenizer_json};

/// How a file of weights stores its numbers. Fewer bits shorten the fraction; numbers below 2^−14 are 0 in a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    /// As they are.
    F32,
    /// IEEE halves.
    F16,
    /// The upper halves of f32.
    Bf16,
}

impl NumberType {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    fn push(self, number: f32, bytes: &mut Vec<u8>) {
        let bits = number.to_bits();
        match self {
            Self::F32 => bytes.extend(bits.to_le_bytes()),
            Self::Bf16 => bytes.extend(((bits >> 16) as u16).to_le_bytes()),
            Self::F16 => {
                let (sign, exponent) = ((bits >> 16 & 0x8000) as u16, (bits >> 23 & 0xff) as i32 - 112);
                let rest =
                    if (1..31).contains(&exponent) { (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16 } else { 0 };
                bytes.extend((sign | rest).to_le_bytes());
            }
        }
    }

    /// The number that a file of this type holds for this one.
    pub fn stored(self, number: f32) -> f32 {
        match self {
            Self::F32 => number,
            Self::Bf16 => f32::from_bits(number.to_bits() & 0xffff_0000),
            Self::F16 if number.abs() < 2f32.powi(-14) => 0.0f32.copysign(number),
            Self::F16 => f32::from_bits(number.to_bits() & 0xffff_e000),
        }
    }
}

/// The tensors of a BERT encoder by their published names, and its sizes.
#[derive(Clone, Debug)]
pub struct PublishedEncoder {
    /// Transformer layers.
    pub layers: usize,
    /// Numbers a token.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward network.
    pub ffn: usize,
    /// Rows of the position table.
    pub positions: usize,
    /// Each with its shape.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl PublishedEncoder {
    /// One with weights of the size of a real encoder's, 300 positions, and the tokens [`TOKENS`].
    pub fn made_up(layers: usize, hidden: usize, heads: usize, ffn: usize) -> Self {
        let mut next = generator(14);
        let mut tensors = BTreeMap::new();
        let mut add = |name: String, shape: &[usize], centre: f64, size: f64| {
            let numbers = (0..shape.iter().product()).map(|_| (centre + size * next()) as f32).collect();
            tensors.insert(name, (shape.to_vec(), numbers));
        };
        let positions = 300;
        for (name, rows, size) in [("word", TOKENS.len(), 0.1), ("position", positions, 0.05), ("token_type", 2, 0.05)]
        {
            add(format!("embeddings.{name}_embeddings.weight"), &[rows, hidden], 0.0, size);
        }
        let mut norms = vec!["embeddings.LayerNorm".to_owned()];
        for layer in 0..layers {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            for (part, outputs, inputs) in [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", ffn, hidden),
                ("output.dense", hidden, ffn),
            ] {
                // Uniform in ±√3 has deviation 1.
                let size = 1.7 / (inputs as f64).sqrt();
                add(name(&format!("{part}.weight")), &[outputs, inputs], 0.0, size);
                add(name(&format!("{part}.bias")), &[outputs], 0.0, 0.2);
            }
            norms.extend([name("attention.output.LayerNorm"), name("output.LayerNorm")]);
        }
        for norm in norms {
            add(format!("{norm}.weight"), &[hidden], 0.9, 0.3);
            add(format!("{norm}.bias"), &[hidden], 0.0, 0.2);
        }
        Self { layers, hidden, heads, ffn, positions, tensors }
    }

    /// With every tensor's name changed.
    #[must_use]
    pub fn renamed(mut self, name: impl Fn(&str) -> String) -> Self {
        self.tensors = self.tensors.into_iter().map(|(old, tensor)| (name(&old), tensor)).collect();
        self
    }

    /// With every number as this type stores it.
    #[must_use]
    pub fn stored(mut self, numbers: NumberType) -> Self {
        let all = self.tensors.values_mut().flat_map(|(_, all)| all);
        all.for_each(|number| *number = numbers.stored(*number));
        self
    }

    /// `model.safetensors`.
    pub fn safetensors(&self, numbers: NumberType) -> Vec<u8> {
        let (mut header, mut data) = (String::new(), Vec::new());
        for (name, (shape, values)) in &self.tensors {
            let start = data.len();
            values.iter().for_each(|value| numbers.push(*value, &mut data));
            let (comma, kind, end) = (if start == 0 { '{' } else { ',' }, numbers.name(), data.len());
            let _ = write!(
                header,
                "{comma}{name:?}:{{\"dtype\":\"{kind}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"
            );
        }
        header.push('}');
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
    }

    /// `config.json`.
    pub fn config(&self) -> String {
        let Self { layers, hidden, heads, ffn, positions, .. } = self;
        format!(
            "{{\"model_type\": \"bert\", \"architectures\": [\"BertModel\"], \"hidden_act\": \"gelu\", \"num_hidden_layers\": \
             {layers}, \"hidden_size\": {hidden}, \"num_attention_heads\": {heads}, \"intermediate_size\": {ffn}, \
             \"max_position_embeddings\": {positions}, \"vocab_size\": {}, \"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12, \
             \"position_embedding_type\": \"absolute\"}}",
            TOKENS.len()
        )
    }

    /// `tokenizer.json`.
    pub fn tokenizer() -> String {
        tokenizer_json(TOKENS)
    }
}
