//! What the trained encoder and heads say of texts.

use super::heads::log_softmax;
use super::{ClassifierError, Labelled};
use crate::encoders::student::{Batch, Form, Limits, NeuralEncoder, batch_of};
use crate::routers::tensors;
use blindroute_routing::bundle::{Bundle, EncoderConfig, Layer, LinearLayer, Matrix};
use candle_core::{DType, Device, Result, Tensor};

/// Tokens of a batch, with padding.
const TOKENS: usize = 2048;

/// The features of texts and the probabilities of their labels, by exit, one row per text, and the true labels.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) features: Vec<Matrix>,
    pub(super) probabilities: Vec<Matrix>,
    pub(super) labels: Vec<usize>,
}

impl Answers {
    /// The probability of the true label at an exit.
    pub(super) fn of_true_label(&self, exit: usize) -> Vec<f32> {
        let rows = self.probabilities[exit].iter_rows().zip(&self.labels);
        rows.map(|(row, label)| row[*label]).collect()
    }

    /// Whether the answer at an exit is right, by text.
    pub(super) fn right(&self, exit: usize) -> Vec<bool> {
        let best = |row: &[f32]| (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b]));
        let rows = self.probabilities[exit].iter_rows().zip(&self.labels);
        rows.map(|(row, label)| best(row) == Some(*label)).collect()
    }

    /// Those of these texts.
    pub(super) fn only(&self, texts: &[usize]) -> Self {
        let rows = |matrix: &Matrix| {
            Matrix::from_fn(texts.len(), matrix.columns(), |row, column| matrix.row(texts[row])[column])
        };
        Self {
            features: self.features.iter().map(rows).collect(),
            probabilities: self.probabilities.iter().map(rows).collect(),
            labels: texts.iter().map(|text| self.labels[*text]).collect(),
        }
    }

    /// One less the largest probability at an exit, by text.
    pub(super) fn doubt(&self, exit: usize) -> Vec<f32> {
        self.probabilities[exit].iter_rows().map(|row| 1.0 - row.iter().copied().fold(0.0, f32::max)).collect()
    }
}

/// The features of a batch at the exits, each `[texts, hidden]`, and by how much values exceed the limits, if there are any.
pub(super) fn features(
    network: &NeuralEncoder,
    batch: &Batch,
    exits: &[usize],
) -> Result<(Vec<Tensor>, Option<Tensor>)> {
    let pass = network.pass(batch, 0.0)?;
    let features = exits.iter().map(|exit| network.pool(&pass.hidden[exit - 1], batch)).collect::<Result<_>>()?;
    Ok((features, pass.excess))
}

/// Runs a bundle's encoder, rounding as the secure program does.
pub(super) struct Reader<'a> {
    bundle: &'a Bundle,
    exits: &'a [usize],
    network: NeuralEncoder,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bundle: &'a Bundle, exits: &'a [usize]) -> Result<Self> {
        let parts = bundle.parts();
        Self::of(bundle, (&parts.encoder, &parts.layers), exits)
    }

    /// Runs another encoder on the embeddings of a bundle.
    pub(super) fn of(
        bundle: &'a Bundle,
        (encoder, layers): (&EncoderConfig, &[Layer]),
        exits: &'a [usize],
    ) -> Result<Self> {
        let form = Form { trained: false, dtype: DType::F32, device: Device::Cpu, bits: None };
        let network = NeuralEncoder::new(encoder, layers, &form)?.rounding(encoder.widths);
        Ok(Self { bundle, exits, network })
    }

    /// With limits, of which [`measured`](Self::measured) says the excess.
    pub(super) fn within(self, limits: Limits) -> Self {
        Self { network: self.network.within(limits), ..self }
    }

    pub(super) fn answers(
        &self,
        heads: &[LinearLayer],
        of: &Labelled,
    ) -> std::result::Result<Answers, ClassifierError> {
        Ok(self.measured(heads, of)?.0)
    }

    /// The answers, and by how much values exceed the limits, in the mean over tokens: zero without limits.
    pub(super) fn measured(
        &self,
        heads: &[LinearLayer],
        of: &Labelled,
    ) -> std::result::Result<(Answers, f64), ClassifierError> {
        let (mut beyond, mut tokens) = (0.0, 0.0);
        let mut order: Vec<usize> = (0..of.texts.len()).collect();
        order.sort_by_key(|place| of.texts[*place].len());
        let mut features: Vec<Vec<Vec<f32>>> = vec![vec![Vec::new(); order.len()]; self.exits.len()];
        let mut probabilities = features.clone();
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            // The texts are sorted, so the last of a batch is its longest.
            let fits = |count: &usize| count * of.texts[rest[count - 1]].len() <= TOKENS;
            let count = (2..=rest.len()).take_while(fits).last().unwrap_or(1);
            let (places, others) = rest.split_at(count);
            rest = others;
            let texts: Vec<&[u32]> = places.iter().map(|place| of.texts[*place].as_slice()).collect();
            let batch = batch_of(self.bundle, &texts, &Device::Cpu)?;
            let (found, excess) = self::features(&self.network, &batch, self.exits)?;
            let here: usize = texts.iter().map(|text| text.len()).sum();
            if let Some(excess) = excess {
                beyond += here as f64 * f64::from(excess.to_scalar::<f32>()?);
            }
            tokens += here as f64;
            for (exit, (found, head)) in found.iter().zip(heads).enumerate() {
                let [weight, bias] = [&head.weight, &head.bias].map(|matrix| tensors::tensor(matrix, &Device::Cpu));
                let chances = log_softmax(&found.matmul(&weight?)?.broadcast_add(&bias?)?)?.exp()?;
                let rows = found.to_vec2()?.into_iter().zip(chances.to_vec2()?);
                for (place, (row, chances)) in places.iter().zip(rows) {
                    (features[exit][*place], probabilities[exit][*place]) = (row, chances);
                }
            }
        }
        let matrices = |all: Vec<Vec<Vec<f32>>>| {
            let matrix = |rows: &Vec<Vec<f32>>| {
                let columns = rows.first().map_or(0, Vec::len);
                Matrix::from_fn(rows.len(), columns, |row, column| rows[row][column])
            };
            all.iter().map(matrix).collect()
        };
        let (features, probabilities) = (matrices(features), matrices(probabilities));
        let answers = Answers { features, probabilities, labels: of.labels.clone() };
        Ok((answers, beyond / f64::max(tokens, 1.0)))
    }
}
