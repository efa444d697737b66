//! The score and cost of each model on each prompt.

use super::Point;
use crate::data::samples::{check_query_costs, check_scores, pick};
use crate::data::{Dataset, Samples, TableError};
use blindroute_routing::bundle::Matrix;

/// The score and cost of each model on each prompt.
///
/// Costs are relative: 1 is the cost, or mean cost, of the most expensive model. So the cost axis is \[0, 1\] for every pool.
/// Where the data have the cost of each answer, these costs count, and otherwise the models' prices: in the choice of settings, in
/// reports and in evaluations alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcomes {
    scores: Matrix,
    costs: Costs,
}

#[derive(Clone, Debug, PartialEq)]
enum Costs {
    /// One cost per model, for every prompt.
    Models(Vec<f32>),
    /// `[prompts, models]` in any unit, and the largest mean of a model.
    Queries(Matrix, f64),
}

impl Outcomes {
    /// Outcomes with one cost per model, as [`relative_costs`](crate::data::relative_costs) gives it.
    pub fn by_price(scores: Matrix, cost: &[f32]) -> Result<Self, TableError> {
        check_scores(&scores)?;
        if cost.len() != scores.columns() {
            return Err(TableError::Shape {
                what: "the number of costs",
                found: cost.len(),
                expected: scores.columns(),
            });
        }
        if cost.iter().any(|cost| !(0.0..=1.0).contains(cost)) {
            return Err(TableError::Number { what: "the list of relative costs" });
        }
        Ok(Self { scores, costs: Costs::Models(cost.to_vec()) })
    }

    /// Outcomes with one cost per query and model, `[prompts, models]`, in any unit.
    pub fn by_query(scores: Matrix, costs: Matrix) -> Result<Self, TableError> {
        check_scores(&scores)?;
        check_query_costs(&costs, &scores)?;
        Ok(Self { scores, costs: with_largest(costs) })
    }

    /// The outcomes of samples. `cost`, one per model, counts only if the samples have no cost of each answer.
    pub fn of_samples(samples: &Samples, cost: &[f32]) -> Result<Self, TableError> {
        Self::new(samples.scores().clone(), samples.query_costs().cloned(), cost)
    }

    /// The outcomes of some prompts of a data set, by their indices.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn of_dataset(dataset: &Dataset, places: &[usize]) -> Result<Self, TableError> {
        let costs = dataset.query_costs().map(|costs| pick(costs, places));
        Self::new(pick(dataset.scores(), places), costs, &dataset.relative_costs())
    }

    fn new(scores: Matrix, query_costs: Option<Matrix>, cost: &[f32]) -> Result<Self, TableError> {
        match query_costs {
            Some(costs) => Self::by_query(scores, costs),
            None => Self::by_price(scores, cost),
        }
    }

    /// The number of prompts.
    pub fn prompts(&self) -> usize {
        self.scores.rows()
    }

    /// The number of models.
    pub fn models(&self) -> usize {
        self.scores.columns()
    }

    /// Whether a model's cost depends on the prompt.
    pub fn is_by_query(&self) -> bool {
        matches!(self.costs, Costs::Queries(..))
    }

    /// The outcomes of some of the prompts. Costs of queries are then relative to the largest mean on these.
    pub fn only(&self, places: &[usize]) -> Self {
        let costs = match &self.costs {
            Costs::Models(cost) => Costs::Models(cost.clone()),
            Costs::Queries(costs, _) => with_largest(pick(costs, places)),
        };
        Self { scores: pick(&self.scores, places), costs }
    }

    /// The score and cost of each model alone. Each prompt counts as often as `times` says, or once.
    pub fn singles(&self, times: Option<&[u32]>) -> Vec<Point> {
        let mut sums = vec![Sum::default(); self.models()];
        for prompt in 0..self.prompts() {
            let times = times.map_or(1.0, |times| f64::from(times[prompt]));
            if times > 0.0 {
                for (model, sum) in sums.iter_mut().enumerate() {
                    sum.add(self.outcome(prompt, model), times);
                }
            }
        }
        let total = total(self.prompts(), times);
        sums.iter().map(|sum| self.mean(sum, total)).collect()
    }

    /// The score of one model on one prompt, and its cost in its own unit.
    pub(super) fn outcome(&self, prompt: usize, model: usize) -> Sum {
        let cost = match &self.costs {
            Costs::Models(cost) => cost[model],
            Costs::Queries(costs, _) => costs.row(prompt)[model],
        };
        Sum { score: f64::from(self.scores.row(prompt)[model]), cost: f64::from(cost) }
    }

    /// The mean of a sum over `total` prompts.
    pub(super) fn mean(&self, sum: &Sum, total: f64) -> Point {
        let unit = match &self.costs {
            Costs::Models(_) => 1.0,
            Costs::Queries(_, largest) if *largest > 0.0 => *largest,
            // All costs are 0.
            Costs::Queries(..) => 1.0,
        };
        Point { score: sum.score / total, cost: sum.cost / total / unit }
    }
}

/// A sum of scores and costs. It is exact for stored outcomes, which are f32, except in huge tables.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) score: f64,
    pub(super) cost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, other: Self, times: f64) {
        self.score += times * other.score;
        self.cost += times * other.cost;
    }
}

/// The number of prompts of a mean.
pub(super) fn total(prompts: usize, times: Option<&[u32]>) -> f64 {
    times.map_or(prompts as f64, |times| times.iter().map(|times| f64::from(*times)).sum())
}

fn with_largest(costs: Matrix) -> Costs {
    let means = (0..costs.columns())
        .map(|model| costs.iter_rows().map(|row| f64::from(row[model])).sum::<f64>() / costs.rows() as f64);
    let largest = means.fold(0.0, f64::max);
    Costs::Queries(costs, largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, data: &[f32]) -> Matrix {
        Matrix::new(rows, columns, data.to_vec()).unwrap()
    }

    #[test]
    fn singles_by_hand() {
        let scores = matrix(2, 2, &[1.0, 0.5, 0.0, 1.0]);
        let by_price = Outcomes::by_price(scores.clone(), &[0.25, 1.0]).unwrap();
        let point = |score, cost| Point { score, cost };
        assert_eq!(by_price.singles(None), [point(0.5, 0.25), point(0.75, 1.0)]);
        assert_eq!(by_price.singles(Some(&[0, 2])), [point(0.0, 0.25), point(1.0, 1.0)]);
        // The most expensive model costs 6 on average.
        let by_query = Outcomes::by_query(scores, matrix(2, 2, &[3.0, 4.0, 0.0, 8.0])).unwrap();
        assert_eq!(by_query.singles(None), [point(0.5, 0.25), point(0.75, 1.0)]);
        assert_eq!(by_query.singles(Some(&[2, 0])), [point(1.0, 0.5), point(0.5, 4.0 / 6.0)]);
        // Of one prompt alone, the largest is that prompt's.
        assert_eq!(by_query.only(&[0]).singles(None), [point(1.0, 0.75), point(0.5, 1.0)]);
        assert_eq!(by_price.only(&[1]).singles(None), [point(0.0, 0.25), point(1.0, 1.0)]);
    }

    #[test]
    fn what_does_not_belong_together_says_so() {
        let scores = matrix(1, 2, &[1.0, 0.5]);
        assert!(matches!(Outcomes::by_price(scores.clone(), &[1.0]), Err(TableError::Shape { .. })));
        assert!(matches!(Outcomes::by_price(scores.clone(), &[1.0, 2.0]), Err(TableError::Number { .. })));
        assert!(matches!(Outcomes::by_query(scores.clone(), matrix(2, 1, &[1.0, 1.0])), Err(TableError::Shape { .. })));
        assert!(matches!(Outcomes::by_query(scores, matrix(1, 2, &[-1.0, 1.0])), Err(TableError::Number { .. })));
        let one_model = Outcomes::by_price(matrix(2, 1, &[1.0, 1.0]), &[1.0]);
        assert!(one_model.unwrap_err().to_string().contains("2 prompts and 1 models"));
        let no_prompt = Outcomes::by_price(matrix(0, 2, &[]), &[1.0, 1.0]);
        assert!(no_prompt.unwrap_err().to_string().contains("0 prompts"));
        assert!(Outcomes::by_price(matrix(1, 2, &[f32::NAN, 0.0]), &[1.0, 1.0]).is_err());
        let free = Outcomes::by_query(matrix(1, 2, &[1.0, 0.0]), matrix(1, 2, &[0.0, 0.0])).unwrap();
        assert_eq!(free.singles(None)[0], Point { score: 1.0, cost: 0.0 });
    }
}
