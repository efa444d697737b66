//! Small neural networks with one hidden layer that predict the scores of all models from the embedding; their mean prediction
//! counts.
//!
//! Inputs are standardised, and outputs are differences from each model's mean score. The loss is the mean square error. Dropout on
//! inputs and on the hidden layer, weight decay and early stopping limit overfitting. Width, dropout, weight decay and the number of
//! passes are those with the largest [`evaluation::hull_area`] in a cross-validation. The final networks differ in their seeds.

use super::folds::{Predictions, choose, mean};
use crate::Stop;
use crate::data::Samples;
use crate::evaluation::{self, Run};
use crate::routers::optimiser::{AdamW, rate};
use crate::routers::{TrainError, draws};
use blindroute_routing::bundle::Matrix;
use candle_core::{DType, Device, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The settings to try.
    pub settings: Vec<Settings>,
    /// The maximum number of passes over the prompts. The learning rate decreases over so many, even if fewer are chosen.
    pub passes: usize,
    /// Prompts per step.
    pub batch: usize,
    /// The largest learning rate.
    pub rate: f64,
    /// The number of networks whose predictions are averaged.
    pub networks: usize,
    /// The seed of all random draws.
    pub seed: u64,
}

/// What a cross-validation decides, besides the number of passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The width of the hidden layer.
    pub width: usize,
    /// AdamW's weight decay.
    pub decay: f64,
    /// The share of inputs and hidden values that is left out at each step.
    pub dropout: f64,
}

impl Default for Options {
    fn default() -> Self {
        let settings = [(64, 1.0, 0.5), (64, 10.0, 0.2), (64, 10.0, 0.0), (128, 10.0, 0.2)];
        let settings = settings.map(|(width, decay, dropout)| Settings { width, decay, dropout }).to_vec();
        Self { settings, passes: 20, batch: 128, rate: 1e-3, networks: 5, seed: 0 }
    }
}

/// Trained neural networks.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The settings that were chosen.
    pub settings: Settings,
    /// The number of passes.
    pub passes: usize,
    /// The area in the cross-validation, of one network.
    pub area: f64,
    networks: Vec<Network>,
    cost: Vec<f32>,
}

/// Trains on `samples`, and chooses its settings in a cross-validation on them. `cost` is
/// [`relative_costs`](crate::data::relative_costs) of the pool.
pub fn train(samples: &Samples, cost: &[f32], options: &Options, stop: &Stop) -> Result<Fitted, TrainError> {
    samples.check(samples, cost)?;
    let Options { settings, passes, batch, networks, .. } = options;
    if *batch == 0 || *networks == 0 || settings.iter().any(|settings| settings.width == 0) {
        return Err(TrainError::Options { what: "size of zero", hint: "width, batch and networks must be at least 1" });
    }
    if settings.iter().any(|settings| !(0.0..1.0).contains(&settings.dropout)) {
        return Err(TrainError::Options {
            what: "dropout outside 0 to 1",
            hint: "give numbers of at least 0, below 1",
        });
    }
    let held_out = |index: usize, train: &Samples, held: &Samples| {
        let mut stages = Vec::with_capacity(*passes);
        let mut training = Training::new(train, settings[index], options.seed, options)?;
        for _ in 0..*passes {
            training.pass(stop)?;
            stages.push(training.network.predict(held)?);
        }
        Ok(stages)
    };
    let chosen = choose(samples, cost, settings.len(), options.seed, held_out)?;
    let chosen =
        chosen.ok_or(TrainError::Options { what: "combination", hint: "give settings, and at least 1 pass" })?;
    let (settings, passes) = (settings[chosen.settings], chosen.stage + 1);
    let fit = |network: u64| {
        let mut training = Training::new(samples, settings, options.seed.wrapping_add(network), options)?;
        (0..passes).try_for_each(|_| training.pass(stop))?;
        Ok(training.network)
    };
    let networks = (0..*networks as u64).map(fit).collect::<Result<_, TrainError>>()?;
    Ok(Fitted { settings, passes, area: chosen.area, networks, cost: cost.to_vec() })
}

impl Fitted {
    /// The choice for each prompt with each weight of cost.
    pub fn run(&self, samples: &Samples, lambdas: &[f32]) -> Result<Run, TrainError> {
        let predicted = self.networks.iter().map(|network| network.predict(samples));
        let predicted = mean(&predicted.collect::<Result<Vec<_>, TrainError>>()?);
        Ok(evaluation::run_of_utilities(&predicted, &self.cost, lambdas))
    }
}

/// A network. The layers are variables' tensors, so training changes them in place.
#[derive(Clone, Debug)]
struct Network {
    layers: [Tensor; 4],
    /// Per input its mean, and the factor that makes its standard deviation 1.
    scaling: Vec<(f32, f32)>,
    /// Each model's mean score.
    mean: Vec<f32>,
}

impl Network {
    fn predict(&self, samples: &Samples) -> Result<Predictions, TrainError> {
        let [w1, b1, w2, b2] = &self.layers;
        let hidden = inputs(samples.embeddings(), &self.scaling)?.matmul(w1)?.broadcast_add(b1)?.relu()?;
        let mut found: Predictions = hidden.matmul(w2)?.broadcast_add(b2)?.to_vec2()?;
        found.iter_mut().for_each(|row| row.iter_mut().zip(&self.mean).for_each(|(score, mean)| *score += mean));
        Ok(found)
    }
}

/// A network in training.
struct Training {
    network: Network,
    optimiser: AdamW,
    inputs: Tensor,
    outputs: Tensor,
    order: Vec<u32>,
    draws: ChaCha8Rng,
    dropout: f64,
    batch: usize,
    /// The largest learning rate, and the number of steps over which it decreases.
    schedule: (f64, usize),
}

impl Training {
    fn new(samples: &Samples, settings: Settings, seed: u64, options: &Options) -> Result<Self, TrainError> {
        let (hidden, models) = (samples.embeddings().columns(), samples.models());
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |rows, columns, inputs| draws::weight(rows, columns, inputs, &mut draws);
        let variables: [(&str, Var); 4] = [
            ("w1", uniform(hidden, settings.width, hidden)?),
            ("b1", uniform(1, settings.width, hidden)?),
            // An untrained network predicts the mean scores.
            ("w2", Var::zeros((settings.width, models), DType::F32, &Device::Cpu)?),
            ("b2", Var::zeros((1, models), DType::F32, &Device::Cpu)?),
        ];
        let named = variables.iter().map(|(name, variable)| ((*name).to_owned(), variable.clone())).collect();
        let scaling = scaling(samples.embeddings());
        let mean: Vec<f32> = samples.mean_scores().iter().map(|mean| *mean as f32).collect();
        let outputs =
            Matrix::from_fn(samples.prompts(), models, |row, model| samples.scores().row(row)[model] - mean[model]);
        let inputs = inputs(samples.embeddings(), &scaling)?;
        let layers = variables.map(|(_, variable)| variable.as_tensor().clone());
        Ok(Self {
            network: Network { layers, scaling, mean },
            optimiser: AdamW::new(named, settings.decay)?,
            inputs,
            outputs: Tensor::from_slice(outputs.data(), outputs.shape(), &Device::Cpu)?,
            order: (0..samples.prompts() as u32).collect(),
            draws,
            dropout: settings.dropout,
            batch: options.batch,
            schedule: (options.rate, samples.prompts().div_ceil(options.batch) * options.passes),
        })
    }

    fn pass(&mut self, stop: &Stop) -> Result<(), TrainError> {
        let mut order = std::mem::take(&mut self.order);
        draws::shuffle(&mut order, &mut self.draws);
        for batch in order.chunks(self.batch) {
            stop.check()?;
            let places = Tensor::new(batch, &Device::Cpu)?;
            let inputs = self.dropped(self.inputs.index_select(&places, 0)?)?;
            let [w1, b1, w2, b2] = self.network.layers.clone();
            let hidden = self.dropped(inputs.matmul(&w1)?.broadcast_add(&b1)?.relu()?)?;
            let found = hidden.matmul(&w2)?.broadcast_add(&b2)?;
            let loss = (found - self.outputs.index_select(&places, 0)?)?.sqr()?.mean_all()?;
            let rate = rate(self.optimiser.steps, self.schedule.1, self.schedule.0);
            self.optimiser.step(&loss.backward()?, rate)?;
        }
        self.order = order;
        Ok(())
    }

    /// The values with a random part set to 0 and the others increased, so that the expected sum stays.
    fn dropped(&mut self, values: Tensor) -> Result<Tensor, TrainError> {
        if self.dropout == 0.0 {
            return Ok(values);
        }
        let kept = (1.0 / (1.0 - self.dropout)) as f32;
        let below = (self.dropout * f64::from(u32::MAX)) as u32;
        let factors = (0..values.elem_count()).map(|_| if self.draws.next_u32() < below { 0.0 } else { kept });
        let factors = Tensor::from_vec(factors.collect(), values.shape(), &Device::Cpu)?;
        Ok((values * factors)?)
    }
}

/// Per column its mean, and the factor that makes its standard deviation 1.
fn scaling(embeddings: &Matrix) -> Vec<(f32, f32)> {
    let (rows, columns) = embeddings.shape();
    let moment = |column: usize, of: &dyn Fn(f64) -> f64| {
        embeddings.iter_rows().map(|row| of(f64::from(row[column]))).sum::<f64>() / rows as f64
    };
    let one = |column: usize| {
        let mean = moment(column, &|value| value);
        let deviation = moment(column, &|value| (value - mean).powi(2)).sqrt();
        (mean as f32, if deviation > 1e-9 { (1.0 / deviation) as f32 } else { 0.0 })
    };
    (0..columns).map(one).collect()
}

fn inputs(embeddings: &Matrix, scaling: &[(f32, f32)]) -> candle_core::Result<Tensor> {
    let scaled = |row: &[f32]| row.iter().zip(scaling).map(|(value, (mean, factor))| (value - mean) * factor).collect();
    let data: Vec<f32> = embeddings.iter_rows().flat_map(|row| -> Vec<f32> { scaled(row) }).collect();
    Tensor::from_vec(data, embeddings.shape(), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use crate::evaluation::Outcomes;

    fn quick() -> Options {
        let settings =
            vec![Settings { width: 1, decay: 0.1, dropout: 0.9 }, Settings { width: 64, decay: 0.1, dropout: 0.2 }];
        Options { settings, passes: 12, batch: 32, rate: 3e-3, networks: 2, seed: 0 }
    }

    #[test]
    fn it_beats_the_hull_and_is_reproducible() {
        let (train_split, _, test, cost) = synthetic(8, 5);
        let fitted = train(&train_split, &cost, &quick(), &Stop::never()).unwrap();
        assert_eq!(fitted.settings.width, 64);
        let outcomes = Outcomes::of_samples(&test, &cost).unwrap();
        let run = fitted.run(&test, &evaluation::lambdas()).unwrap();
        let area = evaluation::hull_area(&evaluation::points(&run, &outcomes));
        let hull = evaluation::hull_area(&evaluation::singles(&test, &cost));
        assert!(area > hull + 0.1, "{area} against {hull}");
        let again = train(&train_split, &cost, &quick(), &Stop::never()).unwrap();
        assert_eq!(again.run(&test, &[0.1]).unwrap(), fitted.run(&test, &[0.1]).unwrap());
        let [first, second] = &fitted.networks[..] else { panic!("{} networks", fitted.networks.len()) };
        assert_ne!(first.predict(&test).unwrap(), second.predict(&test).unwrap());
    }

    #[test]
    fn inputs_are_standardised() {
        let embeddings = Matrix::new(4, 2, vec![1.0, 7.0, 3.0, 7.0, 5.0, 7.0, 7.0, 7.0]).unwrap();
        let found: Vec<Vec<f32>> = inputs(&embeddings, &scaling(&embeddings)).unwrap().to_vec2().unwrap();
        let column: Vec<f32> = found.iter().map(|row| row[0]).collect();
        assert!(column.iter().sum::<f32>().abs() < 1e-6);
        assert!((column.iter().map(|value| value * value).sum::<f32>() / 4.0 - 1.0).abs() < 1e-6);
        assert!(found.iter().all(|row| row[1] == 0.0));
    }

    #[test]
    fn dropout_keeps_the_expected_sum() {
        let (train_split, ..) = synthetic(8, 5);
        let settings = Settings { dropout: 0.3, ..quick().settings[1] };
        let mut training = Training::new(&train_split, settings, 0, &quick()).unwrap();
        let ones = Tensor::ones((100, 100), DType::F32, &Device::Cpu).unwrap();
        let found: Vec<f32> = training.dropped(ones).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let zeros = found.iter().filter(|value| **value == 0.0).count();
        assert!((2800..3200).contains(&zeros), "{zeros}");
        assert!((found.iter().sum::<f32>() / 10_000.0 - 1.0).abs() < 0.03);
    }

    #[test]
    fn impossible_options_are_refused() {
        let (train_split, _, _, cost) = synthetic(4, 3);
        let fault = |options: Options| train(&train_split, &cost, &options, &Stop::never()).unwrap_err().to_string();
        let with = |settings: Settings| Options { settings: vec![settings], ..quick() };
        let good = quick().settings[1];
        assert!(fault(with(Settings { width: 0, ..good })).contains("at least 1"));
        assert!(fault(with(Settings { dropout: 1.0, ..good })).contains("below 1"));
        assert!(fault(Options { settings: vec![], ..quick() }).contains("no combination"));
        assert!(fault(Options { passes: 0, ..quick() }).contains("at least 1 pass"));
    }
}
