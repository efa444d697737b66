//! The training loop.

use super::checkpoint::{self, CheckpointError};
use super::corpus::{BatchSize, Corpus, Schedule};
use super::lessons::{Lessons, Projection};
use super::loss::{Distance, States, distance};
use super::neural_encoder::{Batch, Form, Former, Limits, NeuralEncoder};
use super::start::{adapt, narrow};
use crate::routers::TrainError;
use crate::routers::optimiser::{AdamW, rate};
use blindroute_routing::bundle::{
    Attention, Axis, Bundle, BundleError, BundleParts, EncoderConfig, Layer, Precision, Widths,
};
use blindroute_routing::embedding::{EmbeddingError, embed};
use candle_core::{DType, Device, Result as Candle, Tensor};
use sha2::{Digest, Sha256};
use std::path::Path;

/// How a student is made and trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The student's program. It may have fewer layers and a smaller feed-forward width than the teacher; the other sizes must
    /// be equal.
    pub encoder: EncoderConfig,
    /// The number of steps.
    pub steps: usize,
    /// Tokens per batch, with padding.
    pub tokens: usize,
    /// The maximum number of texts per batch.
    pub texts: usize,
    /// The largest learning rate.
    pub rate: f64,
    /// AdamW's weight decay.
    pub decay: f64,
    /// The seed of the order of texts.
    pub seed: u64,
    /// During this part of the steps, from 0 to 1, the student's program replaces that of the encoder that it starts from.
    pub blend: f64,
    /// How much values that come near the ends of the secure program's rings count. Only for linear attention.
    pub penalty: f64,
    /// The precision in which the student's layers are stored. Training rounds them in the same way at every step.
    pub precision: Precision,
    /// Whether training rounds weights and values as the secure program does with the student's widths, and keeps values below
    /// half of their ranges. Only for linear attention.
    pub rounding: bool,
}

impl Options {
    /// The share of the former program at a step.
    fn share(&self, step: usize) -> f64 {
        let steps = self.blend * self.steps as f64;
        if (step as f64) < steps { 1.0 - step as f64 / steps } else { 0.0 }
    }

    /// The defaults for a student of this program.
    pub fn new(encoder: EncoderConfig) -> Self {
        Self {
            encoder,
            steps: 2000,
            tokens: 2048,
            texts: 64,
            rate: 3e-4,
            decay: 0.01,
            seed: 0,
            blend: 0.25,
            penalty: 1.0,
            precision: Precision::default(),
            rounding: false,
        }
    }
}

/// What a student learns from.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// The encoder whose embeddings it learns.
    pub teacher: &'a Bundle,
    /// The texts on which it is compared with the teacher.
    pub corpus: &'a Corpus,
    /// An encoder whose weights the student starts from, such as an earlier student. Without one it starts from the teacher's.
    pub start: Option<&'a Bundle>,
    /// A routing table that it also learns from.
    pub lessons: Option<&'a Lessons>,
}

/// The state of a training after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in total.
    pub steps: usize,
    /// Relative mean square error of the hidden states on this step's texts.
    pub hidden: f64,
    /// 1 − cosine of the embeddings on this step's texts.
    pub embedding: f64,
    /// Mean square error of the similarities among this step's texts.
    pub similarity: f64,
    /// How far values on this step's texts exceed the limits, if there are any.
    pub excess: Option<f64>,
    /// L_routing on this step's prompts of the routing table, and β.
    pub routing: Option<(f64, f64)>,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistilError {
    /// The student's program does not fit the teacher's.
    #[error("the student's {what} is {found}, expected {expected}")]
    Shape {
        /// Which size.
        what: &'static str,
        /// The requested size.
        found: usize,
        /// The possible sizes.
        expected: String,
    },
    /// The routing table cannot be used.
    #[error(transparent)]
    Lessons(#[from] TrainError),
    /// A text does not fit the teacher's embedding tables.
    #[error(transparent)]
    Text(#[from] EmbeddingError),
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The student does not make a valid bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A tensor operation failed.
    #[error("the training failed: {0}; please report this")]
    Tensor(#[from] candle_core::Error),
    /// The loss is not a finite number.
    #[error("the loss at step {step} is not finite; train with a smaller --rate")]
    Diverged {
        /// The step.
        step: usize,
    },
}

/// What training keeps the values of a polynomial below: at most an eighth of the default widths' ranges, and half of the
/// ranges of these widths.
pub(crate) fn limits(widths: &Widths) -> Limits {
    let half = |range: u32| f64::from(range).exp2() / 2.0;
    Limits {
        heads: 8.0,
        context: half(widths.context_range).min(8.0),
        residual: half(widths.sum_range).min(64.0),
        inner: half(widths.inner_range).min(8.0),
        ranges: None,
    }
}

/// How often a checkpoint is written, in steps.
pub(crate) const CHECKPOINT_EVERY: usize = 50;

/// Trains a student and returns it as a bundle. Without lessons the bundle has no routers; with lessons it has the teacher's
/// pool and the router whose projection was trained too. With a checkpoint file, continues from it and keeps it up to date.
/// Calls `on_step` after every step.
pub fn distil(
    course: &Course<'_>,
    options: &Options,
    checkpoint: Option<&Path>,
    on_step: &mut dyn FnMut(&Progress),
) -> Result<Bundle, DistilError> {
    let teacher = course.teacher;
    let parts = teacher.parts();
    let chosen = chosen_layers(&parts.encoder, &options.encoder)?;
    let device = Device::Cpu;
    let bits = match options.precision {
        Precision::Bits { layers, .. } => Some(layers),
        Precision::Exact => None,
    };
    let form = |trained, bits| Form { trained, dtype: DType::F32, device: device.clone(), bits };
    let theirs = NeuralEncoder::new(&parts.encoder, &parts.layers, &form(false, None))?;
    let size = BatchSize { seed: options.seed, tokens: options.tokens, most: options.texts };
    let mut schedule = Schedule::new(course.corpus, size);
    let (first, former) = first_layers(course.start.unwrap_or(teacher), &options.encoder, &schedule.batch(0).1)?;
    let mine =
        NeuralEncoder::new(&options.encoder, &first, &form(true, bits))?.with_former(&former, &form(true, bits))?;
    let linear = options.encoder.attention == Attention::Linear;
    let widths = options.encoder.widths;
    let mine = if linear && options.penalty > 0.0 { mine.within(limits(&widths)) } else { mine };
    let mine = if linear && options.rounding { mine.rounding(widths) } else { mine };
    let projection = course.lessons.map(|lessons| Projection::new(lessons, &device)).transpose()?;
    let mut prompts = projection.as_ref().map(|projection| projection.schedule(size));
    let mut parameters = mine.parameters();
    parameters.extend(projection.iter().flat_map(Projection::parameters));
    let mut optimiser = AdamW::new(parameters, options.decay)?;
    let identity = identity(course, options);
    if let Some(path) = checkpoint {
        checkpoint::load(path, &mut optimiser, &identity)?;
    }

    let every: Vec<usize> = (0..chosen.len()).collect();
    while optimiser.steps < options.steps {
        let step = optimiser.steps;
        let batch = batch_of(teacher, &schedule.batch(step).1, &device)?;
        let share = options.share(step);
        let (target, _) = states(&theirs, &batch, &chosen, 0.0)?;
        let (found, excess) = states(&mine, &batch, &every, share)?;
        let found = distance(&found, &target, &batch)?;
        let mut loss = found.total()?;
        let mut progress = progress(&found, step + 1, options.steps)?;
        if let Some(excess) = excess {
            progress.excess = Some(number(&excess)?);
            loss = (loss + (excess * options.penalty)?)?;
        }
        if let (Some(projection), Some(prompts)) = (&projection, &mut prompts) {
            let (places, texts) = prompts.batch(step);
            let pooled = states(&mine, &batch_of(teacher, &texts, &device)?, &every, share)?.0.pooled;
            let routing = projection.loss(&pooled, places)?;
            let (beta, distill) = (projection.beta()?, number(&loss)?);
            progress.routing = Some((number(&routing)?, beta));
            loss = (routing + (loss * beta)?)?;
            projection.tighten(distill)?;
        }
        if !number(&loss)?.is_finite() {
            return Err(DistilError::Diverged { step });
        }
        optimiser.step(&loss.backward()?, rate(step, options.steps, options.rate))?;
        if let Some(path) = checkpoint
            && (optimiser.steps.is_multiple_of(CHECKPOINT_EVERY) || optimiser.steps == options.steps)
        {
            checkpoint::save(path, &optimiser, &identity)?;
        }
        on_step(&progress);
    }
    bundle(course, options, mine.layers()?, projection.as_ref())
}

/// The layers of this bundle's encoder, adapted to the student's program with statistics on these texts, and what they
/// computed before.
pub(super) fn first_layers(
    from: &Bundle,
    student: &EncoderConfig,
    texts: &[&[u32]],
) -> Result<(Vec<Layer>, Vec<Former>), DistilError> {
    let BundleParts { encoder, layers, .. } = from.parts();
    let chosen = chosen_layers(encoder, student)?;
    let device = Device::Cpu;
    let network = NeuralEncoder::new(
        encoder,
        layers,
        &Form { trained: false, dtype: DType::F32, device: device.clone(), bits: None },
    )?;
    let observed = network.observed(&batch_of(from, texts, &device)?)?;
    let layer = |index: &usize| {
        let mut layer = layers[*index].clone();
        let mut former = adapt(&mut layer, encoder, student, &observed[*index]);
        narrow(&mut layer, &mut former, student.ffn);
        (layer, former)
    };
    Ok(chosen.iter().map(layer).unzip())
}

/// The layers of the teacher that a student with fewer layers starts from and is compared with: the first, the last, and
/// others between them at even distances; of one layer, the last.
fn chosen_layers(teacher: &EncoderConfig, student: &EncoderConfig) -> Result<Vec<usize>, DistilError> {
    let wrong = |what, found, expected| Err(DistilError::Shape { what, found, expected });
    if student.layers == 0 || student.layers > teacher.layers {
        return wrong("number of layers", student.layers, format!("from 1 to {}", teacher.layers));
    }
    if student.ffn == 0 || student.ffn > teacher.ffn {
        return wrong("feed-forward width", student.ffn, format!("from 1 to {}", teacher.ffn));
    }
    let sizes = [
        ("width", student.hidden, teacher.hidden),
        ("number of heads", student.heads, teacher.heads),
        ("vocabulary", student.vocabulary, teacher.vocabulary),
        ("number of positions", student.max_tokens, teacher.max_tokens),
    ];
    for (what, found, expected) in sizes {
        if found != expected {
            return wrong(what, found, format!("{expected}, as in the teacher"));
        }
    }
    let last = teacher.layers - 1;
    Ok((0..student.layers).map(|layer| (layer * last).checked_div(student.layers - 1).unwrap_or(last)).collect())
}

pub(crate) fn batch_of(teacher: &Bundle, texts: &[&[u32]], device: &Device) -> Result<Batch, DistilError> {
    let parts = teacher.parts();
    let hidden = parts.encoder.hidden;
    let length = texts.iter().map(|text| text.len()).max().unwrap_or(0);
    let mut input = vec![0.0f32; texts.len() * length * hidden];
    let mut mask = vec![0.0f32; texts.len() * length];
    for (index, text) in texts.iter().enumerate() {
        let embedded = embed(&parts.embedding, &parts.encoder, text)?;
        input[index * length * hidden..][..embedded.data().len()].copy_from_slice(embedded.data());
        mask[index * length..][..text.len()].fill(1.0);
    }
    Ok(Batch {
        input: Tensor::from_vec(input, (texts.len() * length, hidden), device)?,
        mask: Tensor::from_vec(mask, (texts.len(), length), device)?,
    })
}

/// The states of the chosen layers, `share` of them as the former encoder computed them, and the excess.
pub(super) fn states(
    network: &NeuralEncoder,
    batch: &Batch,
    chosen: &[usize],
    share: f64,
) -> Candle<(States, Option<Tensor>)> {
    let pass = network.pass(batch, share)?;
    let chosen: Vec<Tensor> = chosen.iter().map(|layer| pass.hidden[*layer].clone()).collect();
    let last = chosen.last().ok_or_else(|| candle_core::Error::Msg("there is no layer".to_owned()))?;
    Ok((States { pooled: network.pool(last, batch)?, hidden: chosen }, pass.excess))
}

fn number(tensor: &Tensor) -> Candle<f64> {
    tensor.to_dtype(DType::F64)?.to_scalar()
}

fn progress(distance: &Distance, step: usize, steps: usize) -> Candle<Progress> {
    Ok(Progress {
        step,
        steps,
        hidden: number(&distance.hidden)?,
        embedding: number(&distance.embedding)?,
        similarity: number(&distance.similarity)?,
        excess: None,
        routing: None,
    })
}

/// The identity of the training that a checkpoint belongs to.
fn identity(course: &Course<'_>, options: &Options) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(course.teacher.digest().as_bytes());
    hash.update(course.corpus.digest());
    hash.update(format!("{options:?}").as_bytes());
    course.start.iter().for_each(|start| hash.update(start.digest().as_bytes()));
    course.lessons.iter().for_each(|lessons| hash.update(lessons.digest()));
    hash.finalize().into()
}

fn bundle(
    course: &Course<'_>,
    options: &Options,
    layers: Vec<Layer>,
    projection: Option<&Projection<'_>>,
) -> Result<Bundle, DistilError> {
    let mut parts = course.teacher.parts().clone();
    parts.encoder = options.encoder.clone();
    parts.layers = layers;
    if let Precision::Bits { table, layers } = options.precision {
        parts.embedding.token = parts.embedding.token.quantised(Axis::Rows, table);
        parts.layers.iter_mut().for_each(|layer| quantise(layer, layers));
    }
    parts.routers.clear();
    match projection {
        Some(projection) => parts.routers.push(projection.router()?),
        None => parts.models.clear(),
    }
    Ok(Bundle::new(parts)?)
}

/// Rounds a layer's matrices to this number of bits, with one scale per output.
pub(crate) fn quantise(layer: &mut Layer, bits: u8) {
    let Layer { query, key, value, output, up, down, .. } = layer;
    for linear in [query, key, value, output, up, down] {
        linear.weight = linear.weight.quantised(Axis::Columns, bits);
    }
}
