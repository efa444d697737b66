//! Fewer units of the feed-forward networks.
//!
//! A unit that is removed is replaced by its mean on training texts, which goes into the bias after it. What is lost is then the
//! unit's variance times the squared length of its weights after the activation, as the program has them: with centred rows. In each
//! layer, those units go for which that is the least.

use super::variant::Variant;
use crate::classifiers::{ClassifierError, LabelledTexts};
use crate::encoders::student::{Form, NeuralEncoder, activated, batch_of, keep_units};
use blindroute_routing::bundle::{Activation, Bundle, Layer, Matrix};
use candle_core::{DType, Device};

/// Training texts of each task on which units are observed.
const SAMPLE: usize = 64;
/// Texts of a batch.
const BATCH: usize = 32;

/// The mean and the variance of a unit's activation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// Removes units.
pub(super) struct Pruner<'a> {
    bundle: &'a Bundle,
    texts: Vec<&'a [u32]>,
    /// How many units of each layer go at a time.
    step: usize,
}

impl<'a> Pruner<'a> {
    /// On the embeddings of this bundle and the training texts of these tasks.
    pub(super) fn new(bundle: &'a Bundle, tasks: &'a [LabelledTexts], step: usize) -> Self {
        let of = |task: &'a LabelledTexts| {
            let texts = &task.train.texts;
            let count = texts.len().min(SAMPLE);
            (0..count).map(move |index| texts[index * texts.len() / count].as_slice())
        };
        let mut texts: Vec<&[u32]> = tasks.iter().flat_map(of).collect();
        texts.sort_by_key(|text| text.len());
        Self { bundle, texts, step }
    }

    /// The variant with so many units fewer in each layer; none if too few would be left.
    pub(super) fn pruned(&self, of: &Variant) -> Result<Option<Variant>, ClassifierError> {
        if self.step == 0 || of.encoder.ffn <= self.step {
            return Ok(None);
        }
        let mut variant = of.clone();
        variant.encoder.ffn -= self.step;
        for (layer, spreads) in variant.layers.iter_mut().zip(self.spreads(of)?) {
            prune(layer, &spreads, variant.encoder.ffn);
        }
        Ok(Some(variant))
    }

    /// By layer, how the units' activations spread over the tokens of the texts.
    fn spreads(&self, of: &Variant) -> Result<Vec<Vec<Spread>>, ClassifierError> {
        let form = Form { trained: false, dtype: DType::F32, device: Device::Cpu, bits: None };
        let network = NeuralEncoder::new(&of.encoder, &of.layers, &form)?.rounding(of.encoder.widths);
        let mut rows: Vec<Vec<Vec<f32>>> = vec![Vec::new(); of.layers.len()];
        for texts in self.texts.chunks(BATCH) {
            let observed = network.observed(&batch_of(self.bundle, texts, &Device::Cpu)?)?;
            rows.iter_mut().zip(observed).for_each(|(rows, observed)| rows.extend(observed.inner));
        }
        Ok(rows.iter().map(|rows| spreads(rows, of.encoder.activation)).collect())
    }
}

/// How units spread whose inputs are these, one row per token.
fn spreads(inner: &[Vec<f32>], activation: Activation) -> Vec<Spread> {
    let (units, count) = (inner.first().map_or(0, Vec::len), inner.len().max(1) as f64);
    let mut sums = vec![(0.0, 0.0); units];
    for row in inner {
        for ((sum, square), x) in sums.iter_mut().zip(row) {
            let value = activated(activation, f64::from(*x));
            *sum += value;
            *square += value * value;
        }
    }
    let spread = |(sum, square): (f64, f64)| {
        let mean = sum / count;
        Spread { mean, variance: (square / count - mean * mean).max(0.0) }
    };
    sums.into_iter().map(spread).collect()
}

/// Keeps the `ffn` units without which the layer's output would change most, and the mean of the others.
pub(super) fn prune(layer: &mut Layer, spreads: &[Spread], ffn: usize) {
    let lost = |unit: usize| {
        let row = layer.down.weight.row(unit);
        let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / row.len().max(1) as f64;
        spreads[unit].variance * row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>()
    };
    let losses: Vec<f64> = (0..spreads.len()).map(lost).collect();
    let mut order: Vec<usize> = (0..spreads.len()).collect();
    order.sort_by(|a, b| losses[*b].total_cmp(&losses[*a]).then(a.cmp(b)));
    let removed = order.split_off(ffn.min(order.len()));
    order.sort_unstable();
    let bias = &layer.down.bias;
    let more = |column: usize| {
        removed.iter().map(|unit| spreads[*unit].mean * f64::from(layer.down.weight.row(*unit)[column])).sum::<f64>()
    };
    layer.down.bias =
        Matrix::from_fn(1, bias.columns(), |_, column| (f64::from(bias.data()[column]) + more(column)) as f32);
    keep_units(layer, &order);
}
