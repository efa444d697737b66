//! The training of the encoder and the heads.

use super::calibrate::TaskReport;
use super::features::features;
use super::gains::GainProgress;
use super::gains::{Joint, Pieces, pieces_of};
use super::heads::{Heads, loss};
use super::joint::Gates;
use super::quadratic::UNITS;
use super::router::{Routing, RoutingOptions, TrainedPool, check_dev};
use super::{ClassifierError, LabelledTexts};
use crate::encoders::student::checkpoint;
use crate::encoders::student::{
    BatchSize, CHECKPOINT_EVERY, Corpus, Form, Limits, NeuralEncoder, Schedule, batch_of, limits, quantise,
};
use crate::routers::optimiser::{AdamW, rate};
use blindroute_routing::bundle::{
    Bundle, Classifier, ClassifierPool, ClassifierTask, Gain, Layer, LinearLayer, Matrix,
};
use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};
use std::path::Path;

/// How a pool is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolOptions {
    /// After how many layers texts may leave, in rising order. The last is the encoder's number of layers.
    pub exits: Vec<usize>,
    /// The number of steps.
    pub steps: usize,
    /// Tokens per batch, with padding.
    pub tokens: usize,
    /// The maximum number of texts per batch.
    pub texts: usize,
    /// The largest learning rate of the layers. That of the heads is ten times as large.
    pub rate: f64,
    /// AdamW's weight decay.
    pub decay: f64,
    /// The seed of all random choices.
    pub seed: u64,
    /// How much values that come near the ends of the secure program's rings count.
    pub penalty: f64,
    /// How much the distance of the earlier exits' answers from the last one's counts.
    pub distillation: f64,
    /// Bits of a stored weight of the layers; training rounds to them at every step. Without them, weights are stored exactly.
    pub bits: Option<u8>,
    /// Whether a gate over the exits is trained together with layers and heads. Gains start from it then.
    pub gated: bool,
    /// How gains are trained and shares are chosen.
    pub routing: RoutingOptions,
}

impl PoolOptions {
    /// The defaults for a pool with these exits.
    pub fn new(exits: Vec<usize>) -> Self {
        Self {
            exits,
            steps: 2000,
            tokens: 1024,
            texts: 64,
            rate: 1e-4,
            decay: 0.01,
            seed: 0,
            penalty: 1.0,
            distillation: 0.5,
            bits: Some(10),
            gated: false,
            routing: RoutingOptions::default(),
        }
    }
}

/// The state of a training after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolProgress {
    /// Steps done.
    pub step: usize,
    /// Steps in total.
    pub steps: usize,
    /// The place of this step's task.
    pub task: usize,
    /// The cross entropy on this step's texts, by exit.
    pub entropies: Vec<f64>,
    /// How far values on this step's texts exceed the limits, if there are any.
    pub excess: Option<f64>,
}

/// Trains a pool of classifiers on the encoder of `start`, which has linear attention. With a checkpoint file, continues from it and
/// keeps it up to date. Calls `on_step` after every step.
pub fn train_pool(
    start: &Bundle,
    tasks: &[LabelledTexts],
    options: &PoolOptions,
    checkpoint: Option<&Path>,
    on_step: &mut dyn FnMut(&PoolProgress),
) -> Result<TrainedPool, ClassifierError> {
    // Whatever is wrong with exits and tasks is said before the training.
    let mut pool = empty(start, tasks, &options.exits);
    let parts = start.parts();
    assemble(start, parts.layers.clone(), pool.clone())?;
    check_dev(tasks)?;
    let routing = Routing::new(start, options.exits.clone(), &options.routing, options.seed)?;
    let gates = if options.gated && options.exits.len() > 1 {
        let encoder = (start, options.exits.as_slice());
        Some(Gates::new(encoder, &pool.tasks, tasks, &routing, (options.steps, options.seed))?)
    } else {
        None
    };
    let beginning =
        Beginning { bundle: start, tasks: &pool.tasks, limits: limits(&start.parts().encoder.widths), gates };
    let trained = trained(beginning, tasks, options, checkpoint, on_step)?;
    for (classifier, heads) in pool.tasks.iter_mut().zip(trained.heads) {
        classifier.heads = heads;
    }
    let encoder = assemble(start, trained.layers, pool.clone())?;
    let reports = routed(&encoder, &mut pool, (tasks, &trained.joints), options, &mut |_| ())?;
    Ok(TrainedPool { bundle: assemble(&encoder, encoder.parts().layers.clone(), pool)?, reports })
}

/// Trains all gains of a pool on this encoder, and chooses its shares.
pub(super) fn routed(
    encoder: &Bundle,
    pool: &mut ClassifierPool,
    (tasks, joints): (&[LabelledTexts], &[Joint]),
    options: &PoolOptions,
    on_piece: &mut dyn FnMut(&GainProgress),
) -> Result<Vec<TaskReport>, ClassifierError> {
    let routing = Routing::new(encoder, options.exits.clone(), &options.routing, options.seed)?;
    let mut pieces = Pieces::new(None, tasks.len() * pieces_of(options.exits.len()), on_piece)?;
    let mut reports = Vec::with_capacity(tasks.len());
    for (place, (classifier, task)) in pool.tasks.iter_mut().zip(tasks).enumerate() {
        reports.push(routing.train(classifier, (task, joints.get(place)), &mut pieces)?);
    }
    Ok(reports)
}

/// The pool with weights of zero, in which all texts go on.
fn empty(start: &Bundle, tasks: &[LabelledTexts], exits: &[usize]) -> ClassifierPool {
    let zero = |columns| {
        let zeros = |rows| Matrix::from_fn(rows, columns, |_, _| 0.0);
        LinearLayer { weight: zeros(start.parts().encoder.hidden), bias: zeros(1) }
    };
    let classifier = |task: &LabelledTexts| Classifier {
        task: ClassifierTask {
            name: task.name.clone(),
            labels: task.labels.clone(),
            pair: task.pair,
            capacities: vec![1.0; exits.len().saturating_sub(1)],
            thresholds: Vec::new(),
        },
        heads: exits.iter().map(|_| zero(task.labels.len())).collect(),
        gains: exits.iter().skip(1).map(|_| Gain::Quadratic(zero(UNITS))).collect(),
    };
    ClassifierPool { exits: exits.to_vec(), tasks: tasks.iter().map(classifier).collect() }
}

/// A bundle with only these layers and this pool.
pub(super) fn assemble(start: &Bundle, layers: Vec<Layer>, pool: ClassifierPool) -> Result<Bundle, ClassifierError> {
    let mut parts = start.parts().clone();
    parts.layers = layers;
    parts.routers.clear();
    parts.models.clear();
    parts.pool = Some(pool);
    Ok(Bundle::new(parts)?)
}

/// Where a training starts.
pub(super) struct Beginning<'a> {
    /// The encoder.
    pub(super) bundle: &'a Bundle,
    /// The classifiers whose heads are trained.
    pub(super) tasks: &'a [Classifier],
    /// What values are kept below.
    pub(super) limits: Limits,
    /// The gates that are trained too, if any.
    pub(super) gates: Option<Gates>,
}

/// What was trained.
pub(super) struct Weights {
    /// The layers as they are stored.
    pub(super) layers: Vec<Layer>,
    /// By task and exit.
    pub(super) heads: Vec<Vec<LinearLayer>>,
    /// By task, if there are gates.
    pub(super) joints: Vec<Joint>,
}

/// Trains layers and heads. With a checkpoint file, continues from it and keeps it up to date.
pub(super) fn trained(
    Beginning { bundle: start, tasks: classifiers, limits, gates }: Beginning<'_>,
    tasks: &[LabelledTexts],
    options: &PoolOptions,
    checkpoint: Option<&Path>,
    on_step: &mut dyn FnMut(&PoolProgress),
) -> Result<Weights, ClassifierError> {
    let parts = start.parts();
    let widths = parts.encoder.widths;
    let form = Form { trained: true, dtype: DType::F32, device: Device::Cpu, bits: options.bits };
    let network = NeuralEncoder::new(&parts.encoder, &parts.layers, &form)?.rounding(widths);
    let network = if options.penalty > 0.0 { network.within(limits) } else { network };
    let heads = (classifiers.iter())
        .map(|classifier| Heads::new(&classifier.task.name, &classifier.heads, DType::F32))
        .collect::<Result<Vec<_>, _>>()?;
    let mut parameters = network.parameters();
    parameters.extend(heads.iter().flat_map(Heads::parameters));
    parameters.extend(gates.iter().flat_map(Gates::parameters));
    let mut optimiser = AdamW::new(parameters, options.decay)?;
    let corpora = tasks.iter().map(corpus).collect::<Result<Vec<_>, _>>()?;
    let identity = identity(start, tasks, &corpora, options);
    if let Some(path) = checkpoint {
        checkpoint::load(path, &mut optimiser, &identity)?;
    }
    let size = BatchSize { seed: options.seed, tokens: options.tokens, most: options.texts };
    let mut schedules: Vec<Schedule<'_>> = corpora.iter().map(|corpus| Schedule::new(corpus, size)).collect();
    let mut turns = Turns::new(tasks);
    for _ in 0..optimiser.steps {
        turns.next();
    }

    while optimiser.steps < options.steps {
        let step = optimiser.steps;
        let (task, turn) = turns.next();
        let (places, texts) = schedules[task].batch(turn);
        let labels: Vec<usize> = places.iter().map(|place| tasks[task].train.labels[*place]).collect();
        let batch = batch_of(start, &texts, &Device::Cpu)?;
        let (features, excess) = features(&network, &batch, &options.exits)?;
        let logs = heads[task].log_probabilities(&features)?;
        let (entropies, mut loss) = loss(&logs, &labels, options.distillation)?;
        if let Some(gates) = &gates {
            loss = (loss + gates.loss(task, step, (&features, &logs), &labels)?)?;
        }
        if let Some(excess) = &excess {
            loss = (loss + (excess * options.penalty)?)?;
        }
        if !number(&loss)?.is_finite() {
            return Err(ClassifierError::Diverged { step });
        }
        optimiser.step(&loss.backward()?, rate(step, options.steps, options.rate))?;
        if let Some(path) = checkpoint
            && (optimiser.steps.is_multiple_of(CHECKPOINT_EVERY) || optimiser.steps == options.steps)
        {
            checkpoint::save(path, &optimiser, &identity)?;
        }
        let entropies = entropies.iter().map(number).collect::<Result<_, _>>()?;
        let excess = excess.as_ref().map(number).transpose()?;
        on_step(&PoolProgress { step: step + 1, steps: options.steps, task, entropies, excess });
    }
    let mut layers = network.layers()?;
    if let Some(bits) = options.bits {
        layers.iter_mut().for_each(|layer| quantise(layer, bits));
    }
    let heads = heads.iter().map(Heads::layers).collect::<Result<_, _>>()?;
    let joints = gates.as_ref().map(Gates::joints).transpose()?.unwrap_or_default();
    Ok(Weights { layers, heads, joints })
}

pub(super) fn corpus(task: &LabelledTexts) -> Result<Corpus, ClassifierError> {
    let corpus = Corpus::new(task.train.texts.clone());
    corpus.map_err(|source| ClassifierError::Texts { task: task.name.clone(), source })
}

fn number(tensor: &Tensor) -> candle_core::Result<f64> {
    tensor.to_dtype(DType::F64)?.to_scalar()
}

/// Which task each step is of: each in proportion to the square root of its number of texts, as evenly as possible.
struct Turns {
    weights: Vec<f64>,
    credits: Vec<f64>,
    taken: Vec<usize>,
}

impl Turns {
    fn new(tasks: &[LabelledTexts]) -> Self {
        let roots: Vec<f64> = tasks.iter().map(|task| (task.train.texts.len() as f64).sqrt()).collect();
        let sum: f64 = roots.iter().sum();
        let weights = roots.iter().map(|root| root / sum).collect();
        Self { weights, credits: vec![0.0; tasks.len()], taken: vec![0; tasks.len()] }
    }

    /// The next step's task, and how many steps of this task were before.
    fn next(&mut self) -> (usize, usize) {
        self.credits.iter_mut().zip(&self.weights).for_each(|(credit, weight)| *credit += weight);
        let most = |a: &usize, b: &usize| self.credits[*a].total_cmp(&self.credits[*b]).then(b.cmp(a));
        let task = (0..self.credits.len()).max_by(most).unwrap_or(0);
        self.credits[task] -= 1.0;
        self.taken[task] += 1;
        (task, self.taken[task] - 1)
    }
}

/// The identity of the training that a checkpoint belongs to.
pub(super) fn identity(start: &Bundle, tasks: &[LabelledTexts], corpora: &[Corpus], options: &PoolOptions) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(start.digest().as_bytes());
    hash.update(format!("{options:?}").as_bytes());
    for (task, corpus) in tasks.iter().zip(corpora) {
        hash.update(format!("{:?} {:?} {}", task.name, task.labels, task.pair).as_bytes());
        hash.update(corpus.digest());
        task.train.labels.iter().for_each(|label| hash.update((*label as u64).to_le_bytes()));
    }
    hash.finalize().into()
}
