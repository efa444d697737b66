//! Nearest neighbours: a model's score is predicted as its mean over the k prompts most similar to this one.
//!
//! Similarity is the cosine of embeddings. Prompts that are equally similar to this one share what remains of k: data sets have
//! many equal embeddings, for instance of prompts that begin alike and are truncated, and their order in the file must not decide.
//! A model's mean over all prompts counts too, as `prior` more neighbours: without it, a few lucky neighbours make a model of a large
//! pool look best. If the prior were 0, the order of the pool would decide between models with the same mean.
//!
//! k and the prior are those with the largest area in a cross-validation ([`evaluation::hull_area`]).

use super::folds::{Predictions, choose};
use crate::data::Samples;
use crate::data::vector::{dot, unit};
use crate::evaluation::{self, Run};
use crate::routers::TrainError;
use crate::{Stop, Stopped};
use rayon::prelude::*;

/// The numbers to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Numbers of neighbours. Numbers above three quarters of the prompts are skipped.
    pub neighbours: Vec<usize>,
    /// Weights of a model's mean over all prompts, in neighbours. They must be above 0.
    pub priors: Vec<f64>,
    /// The seed of the folds.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        let neighbours = vec![1, 3, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500];
        Self { neighbours, priors: vec![0.001, 3.0, 10.0, 30.0], seed: 0 }
    }
}

/// A trained router: the prompts themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The number of neighbours.
    pub neighbours: usize,
    /// The weight of a model's mean over all prompts.
    pub prior: f64,
    /// The area in the cross-validation.
    pub area: f64,
    /// Embeddings of the prompts at unit length.
    points: Vec<Vec<f32>>,
    samples: Samples,
    cost: Vec<f32>,
}

/// Keeps `samples`, and chooses k in a cross-validation on them. `cost` is [`relative_costs`](crate::data::relative_costs) of the
/// pool.
pub fn train(samples: &Samples, cost: &[f32], options: &Options, stop: &Stop) -> Result<Fitted, TrainError> {
    samples.check(samples, cost)?;
    if options.priors.iter().any(|prior| !(prior.is_finite() && *prior > 0.0)) {
        return Err(TrainError::Options { what: "prior of 0 or less", hint: "give numbers above 0" });
    }
    // So many are left in each fold's training.
    let most = samples.prompts() * 3 / 4;
    let numbers = options.neighbours.iter().copied().filter(|number| (1..=most).contains(number));
    let settings: Vec<(usize, f64)> =
        numbers.flat_map(|number| options.priors.iter().map(move |prior| (number, *prior))).collect();
    let held_out =
        |_: usize, train: &Samples, held: &Samples| Ok(predict(&points(train), train, held, &settings, stop)?);
    let chosen = choose(samples, cost, 1, options.seed, held_out)?;
    let hint = "give one from 1 to three quarters of the number of prompts, and at least one prior";
    let chosen = chosen.ok_or(TrainError::Options { what: "number of neighbours", hint })?;
    let (neighbours, prior) = settings[chosen.stage];
    let (points, samples, cost) = (points(samples), samples.clone(), cost.to_vec());
    Ok(Fitted { neighbours, prior, area: chosen.area, points, samples, cost })
}

impl Fitted {
    /// The choice for each prompt with each weight of cost.
    ///
    /// # Panics
    /// If the embeddings have another width than those of the prompts that were kept.
    pub fn run(&self, samples: &Samples, lambdas: &[f32], stop: &Stop) -> Result<Run, Stopped> {
        let predicted = predict(&self.points, &self.samples, samples, &[(self.neighbours, self.prior)], stop)?;
        Ok(evaluation::run_of_utilities(&predicted[0], &self.cost, lambdas))
    }
}

fn points(samples: &Samples) -> Vec<Vec<f32>> {
    samples.embeddings().iter_rows().map(unit).collect()
}

/// The predicted scores of the prompts of `samples`, by each number of neighbours in `train` with its prior.
fn predict(
    points: &[Vec<f32>],
    train: &Samples,
    samples: &Samples,
    settings: &[(usize, f64)],
    stop: &Stop,
) -> Result<Vec<Predictions>, Stopped> {
    let rows: Vec<&[f32]> = samples.embeddings().iter_rows().collect();
    let means = train.mean_scores();
    let one = |embedding: &&[f32]| {
        stop.check()?;
        let order = Order::new(points, embedding);
        let score = |(number, prior): &(usize, f64)| {
            let sums = order.sums(*number, train);
            let smoothed = |(sum, mean): (&f64, &f64)| ((sum + prior * mean) / (*number as f64 + prior)) as f32;
            sums.iter().zip(&means).map(smoothed).collect::<Vec<f32>>()
        };
        Ok(settings.iter().map(score).collect::<Vec<_>>())
    };
    let mut by_prompt: Vec<Vec<Vec<f32>>> = rows.par_iter().map(one).collect::<Result<_, _>>()?;
    let mut of = |at: usize| by_prompt.iter_mut().map(|predicted| std::mem::take(&mut predicted[at])).collect();
    Ok((0..settings.len()).map(&mut of).collect())
}

/// All prompts by their similarity to one prompt.
struct Order {
    likeness: Vec<f32>,
    /// The most similar first.
    places: Vec<usize>,
}

impl Order {
    fn new(points: &[Vec<f32>], embedding: &[f32]) -> Self {
        assert_eq!(embedding.len(), points[0].len());
        // The length of the query itself does not change the order.
        let likeness: Vec<f32> = points.iter().map(|point| dot(point, embedding)).collect();
        let mut places: Vec<usize> = (0..points.len()).collect();
        places.sort_unstable_by(|a, b| likeness[*b].total_cmp(&likeness[*a]));
        Self { likeness, places }
    }

    /// The nearest prompts with their weights, which have `number` as their sum.
    fn nearest(&self, number: usize) -> impl Iterator<Item = (usize, f64)> {
        let last = self.likeness[self.places[number - 1]];
        let nearer = self.places.partition_point(|place| self.likeness[*place] > last);
        let tied = self.places.partition_point(|place| self.likeness[*place] >= last) - nearer;
        let share = (number - nearer) as f64 / tied as f64;
        let weight = move |rank: usize| if rank < nearer { 1.0 } else { share };
        self.places[..nearer + tied].iter().enumerate().map(move |(rank, place)| (*place, weight(rank)))
    }

    /// Each model's score, summed over the nearest prompts with their weights.
    fn sums(&self, number: usize, train: &Samples) -> Vec<f64> {
        let mut sums = vec![0.0; train.models()];
        for (place, weight) in self.nearest(number) {
            let scores = train.scores().row(place);
            sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += weight * f64::from(*score));
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use crate::evaluation::Outcomes;
    use blindroute_routing::bundle::Matrix;

    fn matrix(rows: usize, columns: usize, data: &[f32]) -> Matrix {
        Matrix::new(rows, columns, data.to_vec()).unwrap()
    }

    #[test]
    fn neighbours_by_hand() {
        // Only directions count, not lengths.
        let points = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]].map(|point| unit(&point));
        let near = |embedding: [f32; 2], number: usize| {
            Order::new(&points, &embedding).nearest(number).map(|found| found.0).collect::<Vec<_>>()
        };
        assert_eq!((near([9.0, 2.0], 3), near([0.1, 0.9], 3)), (vec![0, 1, 2], vec![2, 1, 0]));
        assert_eq!((near([9.0, 2.0], 1), near([0.1, 0.9], 1)), (vec![0], vec![2]));
        let train =
            Samples::new(matrix(3, 2, &[1.0, 0.0, 0.8, 0.6, 0.0, 1.0]), matrix(3, 2, &[1.0, 0.0, 0.0, 1.0, 0.0, 0.5]));
        let held = Samples::new(matrix(1, 2, &[0.1, 0.9]), matrix(1, 2, &[0.0; 2])).unwrap();
        let found = &predict(&points, &train.unwrap(), &held, &[(2, 4.0)], &Stop::never()).unwrap()[0][0];
        // The second and the third prompt have 0 and 1.5 in sum; the means over all are 1/3 and 1/2.
        let expected = [(4.0 / 3.0) / 6.0, (1.5 + 2.0) / 6.0];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn equally_near_prompts_share_the_remaining_weight() {
        // One prompt is nearest; the next three are equal, one of them in another length.
        let embeddings = [[1.0, 0.0], [0.6, 0.8], [0.6, 0.8], [0.6, 0.8], [0.0, 1.0]].map(|point| unit(&point));
        let order = Order::new(&embeddings, &[5.0, 0.0]);
        let weights = |number: usize| order.nearest(number).map(|found| found.1).collect::<Vec<_>>();
        assert_eq!(weights(1), [1.0]);
        assert_eq!(weights(2), [1.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]);
        assert_eq!((weights(4), weights(5)), (vec![1.0; 4], vec![1.0; 5]));
    }

    #[test]
    fn the_order_of_the_prompts_decides_nothing() {
        // Three kinds of prompts with equal embeddings and different outcomes.
        let samples = |order: &dyn Fn(usize) -> usize| {
            let embeddings =
                Matrix::from_fn(60, 2, |row, column| [[1.0, 0.2], [0.1, 1.0], [1.0, 1.0]][order(row) % 3][column]);
            let scores = Matrix::from_fn(60, 3, |row, model| f32::from(u8::from((order(row) * 7 + model) % 5 < 2)));
            Samples::new(embeddings, scores).unwrap()
        };
        let (forwards, backwards) = (samples(&|row| row), samples(&|row| 59 - row));
        for number in [1, 3, 20, 25] {
            let of = |train: &Samples| {
                predict(&points(train), train, &forwards, &[(number, 0.001)], &Stop::never()).unwrap().remove(0)
            };
            for (a, b) in of(&forwards).iter().flatten().zip(of(&backwards).iter().flatten()) {
                assert!((a - b).abs() < 1e-6, "{number} neighbours: {a} and {b}");
            }
        }
    }

    #[test]
    fn equal_predictions_go_to_the_better_model() {
        // Both models answer the prompts like this one; the second answers others too.
        let embeddings = matrix(3, 2, &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
        let train = Samples::new(embeddings, matrix(3, 2, &[1.0, 1.0, 1.0, 1.0, 0.0, 1.0])).unwrap();
        let found = predict(&points(&train), &train, &train, &[(1, 0.001)], &Stop::never()).unwrap().remove(0);
        assert!(found[0][1] > found[0][0], "{found:?}");
    }

    #[test]
    fn the_number_is_chosen_in_a_cross_validation() {
        let (train_split, _, test, cost) = synthetic(8, 5);
        let fitted = train(&train_split, &cost, &Options::default(), &Stop::never()).unwrap();
        // 50 prompts per topic, with noise: one neighbour is too few.
        assert!((3..=50).contains(&fitted.neighbours), "{}", fitted.neighbours);
        let outcomes = Outcomes::by_price(test.scores().clone(), &cost).unwrap();
        let points = evaluation::points(&fitted.run(&test, &[0.0], &Stop::never()).unwrap(), &outcomes);
        let best_single = test.mean_scores().into_iter().fold(0.0, f64::max);
        assert!(points[0].score > best_single + 0.2, "{points:?} against {best_single}");
        for neighbours in [vec![], vec![0, 1 << 20]] {
            let error =
                train(&train_split, &cost, &Options { neighbours, ..Default::default() }, &Stop::never()).unwrap_err();
            assert!(error.to_string().contains("number of neighbours"), "{error}");
        }
        let error = train(&train_split, &cost, &Options { priors: vec![0.0], ..Default::default() }, &Stop::never())
            .unwrap_err();
        assert!(error.to_string().contains("above 0"), "{error}");
    }
}
