//! The exit gate, with which gains are trained.
//!
//! At each exit but the last, a text goes on with the probability σ(gain + threshold), where the gain is what the secure program evaluates, so the
//! gate is a distribution over the exits for each text. The loss is
//! L_task + α·L_balance + β·L_cost: the cross entropy of the exits' answers mixed by a Gumbel-softmax draw from the gate (Jang et al.,
//! arXiv 1611.01144), whose temperature falls; the squared distance of the mean gate from the wanted mix of exits; and the expected
//! cost. The gradient of the first reaches features and heads too, where these are trained. Those of the other two stop at the
//! gains: layers and heads learn to answer, and only the gate learns to save.

use super::features::Answers;
use super::heads::log_softmax;
use super::quadratic::{excess, quadratic_form};
use blindroute_routing::bundle::Matrix;
use candle_core::{D, DType, Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The temperature at the first step and at the last. It falls exponentially between them.
const TEMPERATURES: (f64, f64) = (2.0, 0.5);

/// What a gate is to reach beside right answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Aims {
    /// α, the weight of the distance from the mix.
    pub(super) balance: f64,
    /// β, the weight of the expected cost.
    pub(super) cost: f64,
    /// The wanted share of texts that leave at each exit. The sum is 1.
    pub(super) mix: Vec<f64>,
    /// What a text that leaves at each exit costs, relative to the last.
    pub(super) costs: Vec<f64>,
}

/// The random part of a step.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    /// Draws from Gumbel's distribution, `[texts, exits]`.
    pub(super) noise: Tensor,
    pub(super) temperature: f64,
}

impl Draw {
    /// The draw of a step of a training, for so many texts and exits.
    pub(super) fn new((step, steps): (usize, usize), shape: (usize, usize), seed: u64) -> Result<Self> {
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        draws.set_stream(step as u64);
        let mut gumbel = || {
            let uniform = (f64::from(draws.next_u32()) + 0.5) / 2f64.powi(32);
            -(-uniform.ln()).ln()
        };
        let noise: Vec<f64> = (0..shape.0 * shape.1).map(|_| gumbel()).collect();
        let (first, last) = TEMPERATURES;
        let temperature = first * (last / first).powf(step as f64 / steps.max(1) as f64);
        Ok(Self { noise: Tensor::from_vec(noise, shape, &Device::Cpu)?, temperature })
    }
}

/// The gain of an exit and its threshold, while they are trained. The layer is the variables times the gate's factor.
#[derive(Debug)]
struct Stage {
    weight: Var,
    bias: Var,
    threshold: Var,
}

/// The gate of a task. Its features are standardised.
#[derive(Debug)]
pub(super) struct Gate {
    stages: Vec<Stage>,
    factor: f64,
}

/// The three parts of the loss, and the penalty of large units.
#[derive(Debug)]
pub(super) struct Losses {
    pub(super) task: Tensor,
    pub(super) balance: Tensor,
    pub(super) cost: Tensor,
    pub(super) excess: Tensor,
}

impl Losses {
    /// Their weighted sum.
    pub(super) fn sum(&self, aims: &Aims) -> Result<Tensor> {
        let routed = ((&self.balance * aims.balance)? + (&self.cost * aims.cost)?)?;
        (&self.task + routed)? + &self.excess
    }
}

impl Gate {
    /// A gate that starts from a weight, a bias and a threshold for each exit but the last, one after another. Variables learn as with a
    /// rate that is larger by this factor.
    pub(super) fn new(start: &[Tensor], factor: f64, dtype: DType) -> Result<Self> {
        let variable = |tensor: &Tensor| Var::from_tensor(&(tensor.to_dtype(dtype)? / factor)?);
        let stage = |start: &[Tensor]| {
            let [weight, bias, threshold] = start else { candle_core::bail!("a gate of {} tensors", start.len()) };
            Ok(Stage { weight: variable(weight)?, bias: variable(bias)?, threshold: variable(threshold)? })
        };
        Ok(Self { stages: start.chunks(3).map(stage).collect::<Result<_>>()?, factor })
    }

    /// Every variable with its name, in a fixed order.
    pub(super) fn parameters(&self, name: &str) -> Vec<(String, Var)> {
        let of = |(exit, stage): (usize, &Stage)| {
            let name = |part| format!("{name}.gate.{exit}.{part}");
            let Stage { weight, bias, threshold } = stage;
            [("weight", weight), ("bias", bias), ("threshold", threshold)].map(|(part, var)| (name(part), var.clone()))
        };
        self.stages.iter().enumerate().flat_map(of).collect()
    }

    /// The weight, the bias and the threshold of each exit but the last, one after another.
    pub(super) fn values(&self) -> Result<Vec<Tensor>> {
        let of = |stage: &Stage| {
            let Stage { weight, bias, threshold } = stage;
            [weight, bias, threshold].map(|variable| variable.as_detached_tensor() * self.factor)
        };
        self.stages.iter().flat_map(of).collect()
    }

    /// The logarithms of the gate, `[texts, exits]`, and the penalty of large units, from the features at each exit.
    pub(super) fn logs(&self, features: &[Tensor]) -> Result<(Tensor, Tensor)> {
        let Some(last) = features.last() else { candle_core::bail!("there is no exit") };
        let mut here = Tensor::zeros((last.dim(0)?, 1), last.dtype(), last.device())?;
        let mut penalty = Tensor::zeros((), last.dtype(), last.device())?;
        let mut logs = Vec::with_capacity(features.len());
        for (stage, x) in self.stages.iter().zip(features) {
            let times = |variable: &Var| variable.as_tensor() * self.factor;
            let units = x.matmul(&times(&stage.weight)?)?.broadcast_add(&times(&stage.bias)?)?;
            let on = quadratic_form(&units)?.broadcast_add(&times(&stage.threshold)?)?;
            logs.push((&here - softplus(&on)?)?);
            here = (here - softplus(&on.neg()?)?)?;
            penalty = (penalty + excess(&units)?)?;
        }
        logs.push(here);
        Ok((Tensor::cat(&logs, 1)?, penalty))
    }

    /// The losses of texts with these features at each exit and these probabilities of the true label, `[texts, exits]`.
    pub(super) fn losses(&self, features: &[Tensor], likelihoods: &Tensor, draw: &Draw, aims: &Aims) -> Result<Losses> {
        let (dtype, device) = (likelihoods.dtype(), likelihoods.device());
        let row = |values: &[f64]| Tensor::from_vec(values.to_vec(), (1, values.len()), device)?.to_dtype(dtype);
        let (logs, _) = self.logs(features)?;
        let drawn = ((logs + draw.noise.to_dtype(dtype)?)? / draw.temperature)?;
        let mixed = (log_softmax(&drawn)?.exp()? * likelihoods)?.sum(D::Minus1)?;
        let task = (mixed + 1e-9)?.log()?.mean_all()?.neg()?;
        // Balance and cost teach the gains alone.
        let detached: Vec<Tensor> = features.iter().map(Tensor::detach).collect();
        let (logs, excess) = self.logs(&detached)?;
        let gate = logs.exp()?;
        let balance = (gate.mean_keepdim(0)? - row(&aims.mix)?)?.sqr()?.sum_all()?;
        let cost = gate.broadcast_mul(&row(&aims.costs)?)?.sum(D::Minus1)?.mean_all()?;
        Ok(Losses { task, balance, cost, excess })
    }
}

/// ln(1 + eˣ), without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// The probabilities of the true label of these rows, `[rows, exits]`.
pub(super) fn likelihoods(answers: &Answers, rows: &[usize]) -> Matrix {
    let by_exit: Vec<Vec<f32>> = (0..answers.features.len()).map(|exit| answers.of_true_label(exit)).collect();
    Matrix::from_fn(rows.len(), by_exit.len(), |row, exit| by_exit[exit][rows[row]])
}
