//! A small neural network with one hidden layer that predicts the scores of all models from the embedding.
//!
//! The loss is the mean square error. The pass with the largest [`evaluation::hull_area`] on the validation split is kept.

use crate::data::Samples;
use crate::data::vector::unit;
use crate::evaluation::{self, Outcomes, Run};
use crate::routers::optimiser::{AdamW, rate};
use crate::routers::{TrainError, draws};
use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The width of the hidden layer.
    pub width: usize,
    /// The maximum number of passes over the train split.
    pub passes: usize,
    /// Prompts per step.
    pub batch: usize,
    /// The largest learning rate.
    pub rate: f64,
    /// AdamW's weight decay.
    pub decay: f64,
    /// The seed of all random draws.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { width: 128, passes: 20, batch: 64, rate: 1e-3, decay: 0.01, seed: 0 }
    }
}

/// A trained neural network.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The number of passes.
    pub passes: usize,
    /// The area on the validation split.
    pub area: f64,
    layers: [Tensor; 4],
    cost: Vec<f32>,
}

/// Trains on `train` and chooses on `valid`. `cost` is [`relative_costs`](crate::data::relative_costs) of the pool.
pub fn train(train: &Samples, valid: &Samples, cost: &[f32], options: &Options) -> Result<Fitted, TrainError> {
    train.check(valid, cost)?;
    if options.width == 0 || options.passes == 0 || options.batch == 0 {
        return Err(TrainError::Options { what: "size of zero", hint: "width, passes and batch must be at least 1" });
    }
    let device = Device::Cpu;
    let (hidden, models) = (train.embeddings().columns(), train.models());
    let mut draws = ChaCha8Rng::seed_from_u64(options.seed);
    let mut uniform = |rows, columns, inputs| draws::weight(rows, columns, inputs, &mut draws);
    let variables = [
        ("w1", uniform(hidden, options.width, hidden)?),
        ("b1", uniform(1, options.width, hidden)?),
        ("w2", uniform(options.width, models, options.width)?),
        ("b2", uniform(1, models, options.width)?),
    ];
    let named = variables.iter().map(|(name, variable)| ((*name).to_owned(), variable.clone())).collect();
    let mut optimiser = AdamW::new(named, options.decay)?;
    let layers = variables.map(|(_, variable)| variable.as_tensor().clone());
    let (inputs, scores) =
        (inputs(train, &device)?, Tensor::from_slice(train.scores().data(), train.scores().shape(), &device)?);
    let outcomes = Outcomes::of_samples(valid, cost)?;
    let steps = train.prompts().div_ceil(options.batch) * options.passes;
    let mut order: Vec<u32> = (0..train.prompts() as u32).collect();
    let mut best: Option<Fitted> = None;
    for pass in 1..=options.passes {
        draws::shuffle(&mut order, &mut draws);
        for batch in order.chunks(options.batch) {
            let places = Tensor::new(batch, &device)?;
            let found = forward(&layers, &inputs.index_select(&places, 0)?)?;
            let loss = (found - scores.index_select(&places, 0)?)?.sqr()?.mean_all()?;
            let rate = rate(optimiser.steps, steps, options.rate);
            optimiser.step(&loss.backward()?, rate)?;
        }
        // Variables change in place, so the kept layers are copies.
        let [w1, b1, w2, b2] = &layers;
        let layers = [w1.copy()?.detach(), b1.copy()?.detach(), w2.copy()?.detach(), b2.copy()?.detach()];
        let mut fitted = Fitted { passes: pass, area: 0.0, layers, cost: cost.to_vec() };
        let run = fitted.run(valid, &evaluation::lambdas())?;
        fitted.area = evaluation::hull_area(&evaluation::points(&run, &outcomes));
        if best.as_ref().is_none_or(|best| fitted.area > best.area) {
            best = Some(fitted);
        }
    }
    best.ok_or(TrainError::Options { what: "number of passes", hint: "give at least 1" })
}

impl Fitted {
    /// The choice for each prompt with each weight of cost.
    pub fn run(&self, samples: &Samples, lambdas: &[f32]) -> Result<Run, TrainError> {
        let predicted: Vec<Vec<f32>> = forward(&self.layers, &inputs(samples, &Device::Cpu)?)?.to_vec2()?;
        Ok(evaluation::run_of_utilities(&predicted, &self.cost, lambdas))
    }
}

/// Embeddings at a length that makes their entries about 1.
fn inputs(samples: &Samples, device: &Device) -> candle_core::Result<Tensor> {
    let embeddings = samples.embeddings();
    let data: Vec<f32> = embeddings.iter_rows().flat_map(unit).collect();
    Tensor::from_vec(data, embeddings.shape(), device)? * (embeddings.columns() as f64).sqrt()
}

fn forward([w1, b1, w2, b2]: &[Tensor; 4], inputs: &Tensor) -> candle_core::Result<Tensor> {
    inputs.matmul(w1)?.broadcast_add(b1)?.relu()?.matmul(w2)?.broadcast_add(b2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;

    #[test]
    fn it_beats_the_hull_and_is_reproducible() {
        let (train_split, valid, test, cost) = synthetic(8, 5);
        let options = Options { passes: 12, rate: 3e-3, ..Default::default() };
        let fitted = train(&train_split, &valid, &cost, &options).unwrap();
        let outcomes = Outcomes::by_price(test.scores().clone(), &cost).unwrap();
        let run = fitted.run(&test, &evaluation::lambdas()).unwrap();
        let area = evaluation::hull_area(&evaluation::points(&run, &outcomes));
        let hull = evaluation::hull_area(&evaluation::singles(&test, &cost));
        assert!(area > hull + 0.1, "{area} against {hull}");
        // The kept layers are those of the best pass, not of the last one.
        let again = train(&train_split, &valid, &cost, &options).unwrap();
        assert_eq!(again.run(&test, &[0.1]).unwrap(), fitted.run(&test, &[0.1]).unwrap());
        let kept = fitted.run(&valid, &evaluation::lambdas()).unwrap();
        let valid_outcomes = Outcomes::by_price(valid.scores().clone(), &cost).unwrap();
        assert_eq!(evaluation::hull_area(&evaluation::points(&kept, &valid_outcomes)), fitted.area);
        assert!(train(&train_split, &valid, &cost, &Options { width: 0, ..options }).is_err());
    }
}
