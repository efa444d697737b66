//! Nearest neighbours: a model's score is predicted as its mean over the k train prompts most similar to this one.
//!
//! Similarity is the cosine of embeddings; on ties the earlier prompt comes first. k is the number with the largest
//! [`evaluation::hull_area`] on the validation split; on ties the largest k wins.

use crate::data::Samples;
use crate::data::vector::{dot, unit};
use crate::evaluation::{self, Outcomes, Run};
use crate::routers::TrainError;
use rayon::prelude::*;

/// The numbers to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Numbers of neighbours. Numbers above the number of train prompts are skipped.
    pub neighbours: Vec<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { neighbours: vec![1, 3, 5, 10, 20, 50, 100] }
    }
}

/// A trained router: the train split itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The number of neighbours.
    pub neighbours: usize,
    /// The area on the validation split.
    pub area: f64,
    /// Embeddings of the train prompts at unit length.
    points: Vec<Vec<f32>>,
    train: Samples,
    cost: Vec<f32>,
}

/// Keeps `train` and chooses on `valid`. `cost` is [`relative_costs`](crate::data::relative_costs) of the pool.
pub fn train(train: &Samples, valid: &Samples, cost: &[f32], options: &Options) -> Result<Fitted, TrainError> {
    train.check(valid, cost)?;
    let hint = "give one from 1 to the number of train prompts";
    let none = TrainError::Options { what: "number of neighbours", hint };
    let numbers = options.neighbours.iter().copied().filter(|number| (1..=train.prompts()).contains(number));
    let Some(largest) = numbers.clone().max() else { return Err(none) };
    let points: Vec<Vec<f32>> = train.embeddings().iter_rows().map(unit).collect();
    let order = nearest(&points, valid, largest);
    let outcomes = Outcomes::of_samples(valid, cost)?;
    let mut best: Option<(f64, usize)> = None;
    for number in numbers {
        let run = run(&order, number, train, cost, &evaluation::lambdas());
        let trial = (evaluation::hull_area(&evaluation::points(&run, &outcomes)), number);
        if best.is_none_or(|best| trial > best) {
            best = Some(trial);
        }
    }
    let (area, neighbours) = best.ok_or(none)?;
    Ok(Fitted { neighbours, area, points, train: train.clone(), cost: cost.to_vec() })
}

impl Fitted {
    /// The choice for each prompt with each weight of cost.
    ///
    /// # Panics
    /// If the embeddings have another width than those of the train split.
    pub fn run(&self, samples: &Samples, lambdas: &[f32]) -> Run {
        run(&nearest(&self.points, samples, self.neighbours), self.neighbours, &self.train, &self.cost, lambdas)
    }
}

/// For each prompt the indices of the most similar train prompts, the nearest first.
fn nearest(points: &[Vec<f32>], samples: &Samples, count: usize) -> Vec<Vec<usize>> {
    let rows: Vec<&[f32]> = samples.embeddings().iter_rows().collect();
    let one = |embedding: &&[f32]| {
        assert_eq!(embedding.len(), points[0].len());
        // The length of the query itself does not change the order.
        let likeness: Vec<f32> = points.iter().map(|point| dot(point, embedding)).collect();
        let mut order: Vec<usize> = (0..points.len()).collect();
        let nearer = |a: &usize, b: &usize| likeness[*b].total_cmp(&likeness[*a]).then(a.cmp(b));
        if count < order.len() {
            order.select_nth_unstable_by(count - 1, nearer);
            order.truncate(count);
        }
        order.sort_unstable_by(nearer);
        order
    };
    rows.par_iter().map(one).collect()
}

fn run(order: &[Vec<usize>], neighbours: usize, train: &Samples, cost: &[f32], lambdas: &[f32]) -> Run {
    let utilities = |order: &Vec<usize>| {
        let mut sums = vec![0.0f64; train.models()];
        for place in &order[..neighbours] {
            sums.iter_mut().zip(train.scores().row(*place)).for_each(|(sum, score)| *sum += f64::from(*score));
        }
        sums.iter().map(|sum| (sum / neighbours as f64) as f32).collect()
    };
    let utilities: Vec<Vec<f32>> = order.iter().map(utilities).collect();
    evaluation::run_of_utilities(&utilities, cost, lambdas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use crate::evaluation::Choices;
    use blindroute_routing::bundle::Matrix;

    fn matrix(rows: usize, columns: usize, data: &[f32]) -> Matrix {
        Matrix::new(rows, columns, data.to_vec()).unwrap()
    }

    #[test]
    fn neighbours_by_hand() {
        // Only directions count, not lengths.
        let points = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]].map(|point| unit(&point));
        let samples = Samples::new(matrix(2, 2, &[9.0, 2.0, 0.1, 0.9]), matrix(2, 2, &[0.0; 4])).unwrap();
        assert_eq!(nearest(&points, &samples, 3), [[0, 1, 2], [2, 1, 0]]);
        assert_eq!(nearest(&points, &samples, 1), [[0], [2]]);
        // On a tie the earlier one is first.
        let alike = [unit(&[1.0, 0.0]), unit(&[2.0, 0.0])];
        assert_eq!(nearest(&alike, &samples, 1), [[0], [0]]);

        let train =
            Samples::new(matrix(3, 2, &[1.0, 0.0, 0.8, 0.6, 0.0, 1.0]), matrix(3, 2, &[1.0, 0.0, 0.0, 1.0, 0.0, 0.5]));
        let order = [vec![0, 1], vec![2, 1]];
        let found = run(&order, 2, &train.unwrap(), &[0.0, 1.0], &[0.0, 0.5, 0.9]);
        // 0.5 and 0.5; 0 and 0.75.
        let choices = |lambda, models: [usize; 2]| Choices { lambda, models: models.to_vec() };
        assert_eq!(found, Run::Choices(vec![choices(0.0, [0, 1]), choices(0.5, [0, 1]), choices(0.9, [0, 0])]));
    }

    #[test]
    fn the_number_is_chosen_on_the_validation_split() {
        let (train_split, valid, test, cost) = synthetic(8, 5);
        let fitted = train(&train_split, &valid, &cost, &Options::default()).unwrap();
        // 50 train prompts per topic, with noise: one neighbour is too few.
        assert!((3..=50).contains(&fitted.neighbours), "{}", fitted.neighbours);
        let outcomes = Outcomes::by_price(test.scores().clone(), &cost).unwrap();
        let points = evaluation::points(&fitted.run(&test, &[0.0]), &outcomes);
        let best_single = test.mean_scores().into_iter().fold(0.0, f64::max);
        assert!(points[0].score > best_single + 0.2, "{points:?} against {best_single}");
        for neighbours in [vec![], vec![0, 1 << 20]] {
            let error = train(&train_split, &valid, &cost, &Options { neighbours }).unwrap_err();
            assert!(error.to_string().contains("number of neighbours"), "{error}");
        }
    }
}
