//! The projection during training.

use super::Options;
use super::loss::{Bands, Spectrum};
use crate::Stop;
use crate::data::samples::cost_row;
use crate::data::vector::unit_rows;
use crate::data::{Samples, TableError};
use crate::routers::optimiser::{AdamW, rate};
use crate::routers::{TrainError, draws, tensors};
use blindroute_routing::bundle::{Cscr, Matrix};
use candle_core::{DType, Device, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The largest magnitude in the hidden layer on the train split: well inside the range of the secure program.
const INNER: f32 = 8.0;
/// The approximate length of the output on the train split.
const QUERY: f32 = 4.0;

/// A projection during training.
pub(super) struct ProjectionTraining<'a> {
    inputs: Tensor,
    scores: Tensor,
    descriptors: Tensor,
    bands: Bands,
    w1: Var,
    w2: Var,
    optimiser: AdamW,
    options: &'a Options,
    seed: u64,
    prompts: usize,
}

impl<'a> ProjectionTraining<'a> {
    pub(super) fn new(
        (train, cost): (&Samples, &[f32]),
        (descriptors, spectrum): (&Matrix, &Spectrum),
        options: &'a Options,
        start: Option<&Cscr>,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let (device, hidden, width) = (Device::Cpu, train.embeddings().columns(), descriptors.columns());
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        let (w1, w2) = match start {
            Some(start) if start.w1.rows() == hidden => (resumed(&start.w1)?, resumed(&start.w2)?),
            Some(start) => {
                let (found, expected) = (start.w1.rows(), hidden);
                return Err(
                    TableError::Shape { what: "the width of the projection to start from", found, expected }.into()
                );
            }
            None => {
                (draws::weight(hidden, hidden, hidden, &mut draws)?, draws::weight(hidden, width, hidden, &mut draws)?)
            }
        };
        let tensor = |matrix: &Matrix| tensors::tensor(matrix, &device);
        // The rule uses directions only. At unit length all prompts have the same weight.
        let inputs = unit_rows(train.embeddings());
        Ok(Self {
            inputs: (tensor(&inputs)? * f64::from(hidden as u32).sqrt())?,
            scores: tensor(train.scores())?,
            descriptors: tensor(descriptors)?.t()?.contiguous()?,
            bands: Bands::new(cost, spectrum, DType::F32, &device)?,
            optimiser: AdamW::new(vec![("w1".to_owned(), w1.clone()), ("w2".to_owned(), w2.clone())], 0.01)?,
            w1,
            w2,
            options,
            seed,
            prompts: train.prompts(),
        })
    }

    /// One pass over the train split; `pass` counts from 1.
    pub(super) fn pass(&mut self, pass: usize, stop: &Stop) -> Result<(), TrainError> {
        let mut draws = ChaCha8Rng::seed_from_u64(self.seed);
        draws.set_stream(pass as u64);
        let mut order: Vec<u32> = (0..self.prompts as u32).collect();
        draws::shuffle(&mut order, &mut draws);
        let steps = self.prompts.div_ceil(self.options.batch) * self.options.passes;
        for batch in order.chunks(self.options.batch) {
            stop.check()?;
            let places = Tensor::new(batch, self.inputs.device())?;
            let query = self.project(&self.inputs.index_select(&places, 0)?)?;
            let loss = self.bands.loss(&query.matmul(&self.descriptors)?, &self.scores.index_select(&places, 0)?)?;
            let rate = rate(self.optimiser.steps, steps, self.options.rate);
            self.optimiser.step(&loss.backward()?, rate)?;
        }
        Ok(())
    }

    fn project(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        project(inputs, self.w1.as_tensor(), self.w2.as_tensor())
    }

    /// The current projection, scaled to the ranges of the secure program on the train split. Scaling changes no direction.
    pub(super) fn router(&self, train: &Samples, descriptors: &Matrix, cost: &[f32]) -> Result<Cscr, TrainError> {
        let embeddings = train.embeddings();
        let device = self.inputs.device();
        let raw = Tensor::from_slice(embeddings.data(), embeddings.shape(), device)?;
        let inner = raw.matmul(self.w1.as_tensor())?;
        let largest = inner.abs()?.max_all()?.to_scalar::<f32>()?;
        let first = if largest > 0.0 { INNER / largest } else { 1.0 };
        let query = (inner.relu()? * f64::from(first))?.matmul(self.w2.as_tensor())?;
        let square = query.sqr()?.sum_all()?.to_scalar::<f32>()? / embeddings.rows() as f32;
        let second = if square > 0.0 { QUERY / square.sqrt() } else { 1.0 };
        let matrix = |variable: &Var, scale: f32| tensors::matrix(&(variable.as_tensor() * f64::from(scale))?);
        Ok(Cscr {
            w1: matrix(&self.w1, first)?,
            w2: matrix(&self.w2, second)?,
            descriptors: descriptors.clone(),
            cost: cost_row(cost),
            keep: descriptors.rows(),
            score_lines: None,
        })
    }
}

/// The projection: relu(x·W1)·W2, with rows at unit length.
pub(crate) fn project(inputs: &Tensor, w1: &Tensor, w2: &Tensor) -> candle_core::Result<Tensor> {
    tensors::unit_rows(&inputs.matmul(w1)?.relu()?.matmul(w2)?)
}

/// A weight to continue from, scaled to the size of a fresh one. The bundle holds it at the scale of the secure program, for
/// which training steps would be too large or too small. Scaling changes no direction.
fn resumed(weight: &Matrix) -> candle_core::Result<Var> {
    let (rows, columns) = weight.shape();
    let square = weight.data().iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / (rows * columns) as f64;
    // The standard deviation of a uniform distribution within ±1/√rows.
    let usual = 1.0 / (3.0 * rows as f64).sqrt();
    let scale = if square > 0.0 { usual / square.sqrt() } else { 1.0 };
    Var::from_tensor(&(tensors::tensor(weight, &Device::Cpu)? * scale)?)
}
