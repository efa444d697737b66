//! CSCR (arXiv 2508.12491): a head that brings prompts into the space of the models' descriptors.
//!
//! The encoder is frozen; the head, two matrices with a ReLU between and no bias, is trained by Cost-Spectrum InfoNCE
//! ([`Spectrum`]) on embeddings. This is stage (a) of PPRoute's Algorithm 1 on a teacher's embeddings and stage (c) on a
//! student's, which may go on from the teacher's head ([`Options::start`]). The authors train for two passes over 10^5 prompts; our tables have 10^3 to 10^4, so passes go on while the
//! validation split's area grows, and the best head is kept.
//!
//! Descriptors are [outcome fingerprints](Probe), for our tables come without access to the models; descriptors from the
//! models' own log-probabilities can be given instead.

use crate::data::samples::cost_row;
use crate::data::vector::unit;
use crate::data::{Samples, TrainError};
use crate::evaluation::{self, Point};
use crate::routers::optimiser::{AdamW, rate};
use crate::routers::{LambdaRule, choose_lambda, draws, tensors};
use blindroute_routing::bundle::{Cscr, Matrix, Rule};
use candle_core::{DType, Device, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

mod descriptors;
mod loss;

pub use descriptors::Probe;
pub(crate) use loss::Bands;
pub use loss::Spectrum;

/// What to try, and how to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The loss's constants to try.
    pub spectra: Vec<Spectrum>,
    /// Widths of [outcome fingerprints](Probe) to try.
    pub widths: Vec<usize>,
    /// How many models survive the search, to try; those above the pool's size are cut to it.
    pub keep: Vec<usize>,
    /// Descriptors to use instead, `[M, D]`; then `widths` is not used.
    pub descriptors: Option<Matrix>,
    /// A router whose head to go on from, with its descriptors: stage (c) of PPRoute's Algorithm 1. Then neither `widths`
    /// nor `descriptors` is used.
    pub start: Option<Box<Cscr>>,
    /// The most passes over the train split.
    pub passes: usize,
    /// Prompts of a step.
    pub batch: usize,
    /// The largest learning rate.
    pub rate: f64,
    /// Every draw follows from it.
    pub seed: u64,
    /// How the default weight of cost is chosen.
    pub lambda: LambdaRule,
}

impl Default for Options {
    /// The authors' constants, and a grid about them.
    fn default() -> Self {
        let spectrum = Spectrum::default();
        Self {
            spectra: vec![
                spectrum,
                Spectrum { penalty: 0.0, ..spectrum },
                Spectrum { temperature: 0.1, ..spectrum },
                Spectrum { temperature: 0.02, slope: 0.1, ..spectrum },
            ],
            widths: vec![16, 64],
            keep: vec![4, 8, usize::MAX],
            descriptors: None,
            start: None,
            passes: 24,
            batch: 64,
            rate: 5e-4,
            seed: 0,
            lambda: LambdaRule::default(),
        }
    }
}

/// One combination that was tried, at its best pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The loss's constants.
    #[serde(flatten)]
    pub spectrum: Spectrum,
    /// The width of descriptors.
    pub descriptor: usize,
    /// How many models survive the search.
    pub keep: usize,
    /// After how many passes; 0 for a head that went on as it was.
    pub passes: usize,
    /// The area on the validation split.
    pub area: f64,
}

/// A trained router, and why it is this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Its numbers.
    pub router: Cscr,
    /// What its descriptors are measured against, to add a model later; none where they were given.
    pub probe: Option<Probe>,
    /// The default weight of cost.
    pub lambda: f32,
    /// What that reaches on the validation split.
    pub valid: Point,
    /// The combination that won.
    pub chosen: Trial,
    /// All that were tried, in order.
    pub tried: Vec<Trial>,
}

/// The largest magnitude of the head's hidden layer on the train split: far within the secure head's range.
const INNER: f32 = 8.0;
/// The length of the head's output on the train split, about.
const QUERY: f32 = 4.0;

/// Trains on `train`, chooses on `valid`; `cost` is [`relative_costs`](crate::data::relative_costs) of the pool. Each trial is told as it ends.
pub fn train(
    train: &Samples,
    valid: &Samples,
    cost: &[f32],
    options: &Options,
    on_trial: &mut dyn FnMut(&Trial),
) -> Result<Fitted, TrainError> {
    train.check(valid, cost)?;
    if options.keep.contains(&0) || options.passes == 0 || options.batch == 0 {
        let hint = "keep, passes and batch are at least 1";
        return Err(TrainError::Options { what: "size of zero", hint });
    }
    if options.widths.iter().any(|width| *width < 2) {
        let hint = "an outcome fingerprint has a coordinate for strength and at least one for a cluster";
        return Err(TrainError::Options { what: "width below 2", hint });
    }
    let given = options.start.as_ref().map(|start| &start.descriptors).or(options.descriptors.as_ref());
    let fingerprints: Vec<(Matrix, Option<Probe>)> = match given {
        Some(given) if given.rows() == train.models() => vec![(unit_rows(given), None)],
        Some(given) => {
            let (found, expected) = (given.rows(), train.models());
            return Err(TrainError::Shape { what: "the number of descriptors", found, expected });
        }
        None => (options.widths.iter())
            .map(|width| {
                let probe = Probe::new(train, *width, options.seed)?;
                Ok((probe.descriptors(train)?, Some(probe)))
            })
            .collect::<Result<_, TrainError>>()?,
    };
    let mut best: Option<(Trial, Cscr, Option<&Probe>)> = None;
    let mut tried = Vec::new();
    for (descriptors, probe) in &fingerprints {
        for spectrum in &options.spectra {
            let Some((trial, router)) = fit(train, valid, cost, descriptors, spectrum, options)? else { continue };
            on_trial(&trial);
            tried.push(trial);
            if best.as_ref().is_none_or(|(best, ..)| trial.area > best.area) {
                best = Some((trial, router, probe.as_ref()));
            }
        }
    }
    let hint = "give at least one width, one loss and one number of survivors";
    let (chosen, router, probe) = best.ok_or(TrainError::Options { what: "combination", hint })?;
    let (lambda, valid) = choose_lambda(&Rule::Cscr(router.clone()), valid, options.lambda);
    Ok(Fitted { router, probe: probe.cloned(), lambda, valid, chosen, tried })
}

/// The best head of one training, over its passes and numbers of survivors.
fn fit(
    train: &Samples,
    valid: &Samples,
    cost: &[f32],
    descriptors: &Matrix,
    spectrum: &Spectrum,
    options: &Options,
) -> Result<Option<(Trial, Cscr)>, TrainError> {
    let mut head = HeadTraining::new(train, cost, descriptors, spectrum, options)?;
    let mut best: Option<(Trial, Cscr)> = None;
    let mut keeps: Vec<usize> = options.keep.iter().map(|keep| (*keep).min(train.models())).collect();
    keeps.dedup();
    // A head that goes on may be best as it is.
    let first = usize::from(options.start.is_none());
    for pass in first..=options.passes {
        if pass > 0 {
            head.pass(pass)?;
        }
        let whole = head.router(train, descriptors, cost)?;
        for keep in &keeps {
            let router = Cscr { keep: *keep, ..whole.clone() };
            let area =
                evaluation::hull_area(&evaluation::sweep(&Rule::Cscr(router.clone()), valid, &evaluation::lambdas()));
            if best.as_ref().is_none_or(|(best, _)| area > best.area) {
                let descriptor = descriptors.columns();
                best = Some((Trial { spectrum: *spectrum, descriptor, keep: *keep, passes: pass, area }, router));
            }
        }
        // Six passes without gain: it has begun to learn the train split by heart.
        if best.as_ref().is_some_and(|(best, _)| pass >= best.passes + 6) {
            break;
        }
    }
    Ok(best)
}

/// A head while it is trained.
struct HeadTraining<'a> {
    inputs: Tensor,
    scores: Tensor,
    descriptors: Tensor,
    bands: Bands,
    w1: Var,
    w2: Var,
    optimiser: AdamW,
    options: &'a Options,
    prompts: usize,
}

impl<'a> HeadTraining<'a> {
    fn new(
        train: &Samples,
        cost: &[f32],
        descriptors: &Matrix,
        spectrum: &Spectrum,
        options: &'a Options,
    ) -> Result<Self, TrainError> {
        let (device, hidden, width) = (Device::Cpu, train.embeddings().columns(), descriptors.columns());
        let mut draws = ChaCha8Rng::seed_from_u64(options.seed);
        let (w1, w2) = match &options.start {
            Some(start) if start.w1.rows() == hidden => (resumed(&start.w1)?, resumed(&start.w2)?),
            Some(start) => {
                let (found, expected) = (start.w1.rows(), hidden);
                return Err(TrainError::Shape { what: "the width of the head to start from", found, expected });
            }
            None => {
                (draws::weight(hidden, hidden, hidden, &mut draws)?, draws::weight(hidden, width, hidden, &mut draws)?)
            }
        };
        let tensor = |matrix: &Matrix| tensors::tensor(matrix, &device);
        // The rule looks at directions only; at unit length no prompt weighs more than another.
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
            prompts: train.prompts(),
        })
    }

    /// One pass over the train split; `pass` counts from 1.
    fn pass(&mut self, pass: usize) -> Result<(), TrainError> {
        let mut draws = ChaCha8Rng::seed_from_u64(self.options.seed);
        draws.set_stream(pass as u64);
        let mut order: Vec<u32> = (0..self.prompts as u32).collect();
        draws::shuffle(&mut order, &mut draws);
        let steps = self.prompts.div_ceil(self.options.batch) * self.options.passes;
        for batch in order.chunks(self.options.batch) {
            let places = Tensor::new(batch, self.inputs.device())?;
            let query = self.query(&self.inputs.index_select(&places, 0)?)?;
            let loss = self.bands.loss(&query.matmul(&self.descriptors)?, &self.scores.index_select(&places, 0)?)?;
            let rate = rate(self.optimiser.steps, steps, self.options.rate);
            self.optimiser.step(&loss.backward()?, rate)?;
        }
        Ok(())
    }

    fn query(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        query(inputs, self.w1.as_tensor(), self.w2.as_tensor())
    }

    /// The head as it is, scaled to the secure head's ranges on the train split: scaling changes no direction.
    fn router(&self, train: &Samples, descriptors: &Matrix, cost: &[f32]) -> Result<Cscr, TrainError> {
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
        })
    }
}

/// The head: unit rows of relu(x·W1)·W2.
pub(crate) fn query(inputs: &Tensor, w1: &Tensor, w2: &Tensor) -> candle_core::Result<Tensor> {
    tensors::unit_rows(&inputs.matmul(w1)?.relu()?.matmul(w2)?)
}

/// A weight to go on from, as large as one that training starts with: the secure head's scale is another, and changes no
/// direction, but steps would be too large or too small for it.
fn resumed(weight: &Matrix) -> candle_core::Result<Var> {
    let (rows, columns) = weight.shape();
    let square = weight.data().iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / (rows * columns) as f64;
    // The deviation of what is uniform within 1/√rows.
    let usual = 1.0 / (3.0 * rows as f64).sqrt();
    let scale = if square > 0.0 { usual / square.sqrt() } else { 1.0 };
    Var::from_tensor(&(tensors::tensor(weight, &Device::Cpu)? * scale)?)
}

pub(crate) fn unit_rows(matrix: &Matrix) -> Matrix {
    let rows: Vec<Vec<f32>> = matrix.iter_rows().map(unit).collect();
    Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| rows[row][column])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use crate::data::vector::dot;
    use crate::evaluation::rule::choose;

    fn quick() -> Options {
        Options { spectra: vec![Spectrum::default()], widths: vec![8], passes: 12, rate: 3e-3, ..Default::default() }
    }

    #[test]
    fn specialists_are_found_where_they_are() {
        let (train_split, valid, test, cost) = synthetic(8, 6);
        let mut told = 0;
        let fitted = train(&train_split, &valid, &cost, &quick(), &mut |_| told += 1).unwrap();
        assert_eq!((told, fitted.tried.len()), (1, 1));
        let router = &fitted.router;
        assert_eq!((router.w1.shape(), router.w2.shape(), router.descriptors.shape()), ((32, 32), (32, 8), (6, 8)));
        assert!(router.descriptors.iter_rows().all(|row| (dot(row, row) - 1.0).abs() < 1e-5));
        let rule = Rule::Cscr(router.clone());
        let area = evaluation::hull_area(&evaluation::sweep(&rule, &test, &evaluation::lambdas()));
        let hull = evaluation::hull_area(&evaluation::singles(&test, &cost));
        assert!(area > hull + 0.1, "{area} against {hull}");
        let differs = |row| {
            let embedding = test.embeddings().row(row);
            choose(&rule, embedding, 5.0) != choose(&rule, embedding, 0.0)
        };
        assert!((0..200).any(differs));
        let again = train(&train_split, &valid, &cost, &quick(), &mut |_| ()).unwrap();
        assert_eq!(again, fitted);
    }

    /// A model left out of training joins with its descriptor and price alone, and is chosen where it is right.
    #[test]
    fn a_model_joins_without_training() {
        let (train_split, valid, test, cost) = synthetic(8, 6);
        let (mut right, mut wrong) = (Share::default(), Share::default());
        for model in 0..6 {
            let without = |samples: &Samples| {
                let scores = samples.scores();
                let old = |column: usize| column + usize::from(column >= model);
                let left = Matrix::from_fn(scores.rows(), 5, |row, column| scores.row(row)[old(column)]);
                Samples::new(samples.embeddings().clone(), left).unwrap()
            };
            let rest: Vec<f32> = (0..6).filter(|other| *other != model).map(|other| cost[other]).collect();
            let fitted = train(&without(&train_split), &without(&valid), &rest, &quick(), &mut |_| ()).unwrap();
            let scores: Vec<f32> = train_split.scores().iter_rows().map(|row| row[model]).collect();
            let new = fitted.probe.unwrap().descriptor(train_split.embeddings(), &scores).unwrap();
            let old = &fitted.router.descriptors;
            let descriptors = Matrix::from_fn(6, old.columns(), |row, column| match row {
                _ if row == model => new[column],
                _ => old.row(row - usize::from(row > model))[column],
            });
            let joined = Rule::Cscr(Cscr { descriptors, cost: cost_row(&cost), keep: 6, ..fitted.router });
            for (embedding, scores) in test.embeddings().iter_rows().zip(test.scores().iter_rows()) {
                let share = if scores[model] > 0.5 { &mut right } else { &mut wrong };
                share.add(choose(&joined, embedding, 0.0) == model);
            }
        }
        assert!(right.mean() > 1.5 * wrong.mean(), "{} and {}", right.mean(), wrong.mean());
    }

    #[derive(Default)]
    struct Share(f64, f64);

    impl Share {
        fn add(&mut self, counted: bool) {
            self.0 += f64::from(u8::from(counted));
            self.1 += 1.0;
        }

        fn mean(&self) -> f64 {
            self.0 / self.1
        }
    }

    /// Stage (c): the head of another encoder is a better start than none.
    #[test]
    fn a_head_goes_on_where_it_was() {
        let (train_split, valid, _, cost) = synthetic(8, 6);
        let first = train(&train_split, &valid, &cost, &quick(), &mut |_| ()).unwrap();
        let few = Options { passes: 1, rate: 1e-4, ..quick() };
        let fresh = train(&train_split, &valid, &cost, &few, &mut |_| ()).unwrap();
        let on = Options { start: Some(Box::new(first.router.clone())), ..few };
        let tuned = train(&train_split, &valid, &cost, &on, &mut |_| ()).unwrap();
        assert!(tuned.chosen.area > fresh.chosen.area + 0.05, "{:?}, {:?}", tuned.chosen, fresh.chosen);
        // It was the best of its own passes, and is tried as it is.
        assert!(tuned.chosen.area >= first.chosen.area, "{:?}, {:?}", tuned.chosen, first.chosen);
        assert_eq!((tuned.router.descriptors.clone(), tuned.probe), (first.router.descriptors, None));
        let narrow = Cscr { w1: Matrix::from_fn(16, 16, |_, _| 1.0), ..tuned.router };
        let fault = train(&train_split, &valid, &cost, &Options { start: Some(Box::new(narrow)), ..on }, &mut |_| ())
            .unwrap_err();
        assert!(fault.to_string().contains("head to start from is 16 and must be 32"), "{fault}");
    }

    #[test]
    fn impossible_options_say_so() {
        let (train_split, valid, _, cost) = synthetic(4, 3);
        let fault =
            |options: Options| train(&train_split, &valid, &cost, &options, &mut |_| ()).unwrap_err().to_string();
        assert!(fault(Options { keep: vec![0], ..quick() }).contains("at least 1"));
        assert!(fault(Options { widths: vec![], ..quick() }).contains("no combination"));
        assert!(fault(Options { widths: vec![8, 1], ..quick() }).contains("width below 2"));
        let descriptors = Some(Matrix::from_fn(2, 4, |_, _| 1.0));
        assert!(fault(Options { descriptors, ..quick() }).contains("the number of descriptors is 2 and must be 3"));
        assert!(train(&train_split, &valid, &cost[1..], &quick(), &mut |_| ()).is_err());
    }
}
