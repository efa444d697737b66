//! Samples: the view of a data set in training and evaluation.

use blindroute_routing::bundle::{Matrix, Model};

/// Embedded prompts and the score of each model on them, row by row, with the cost of each answer where the data have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    embeddings: Matrix,
    scores: Matrix,
    query_costs: Option<Matrix>,
}

/// What is wrong with tables of embeddings, scores or costs that are to be used together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Too few prompts or models.
    #[error(
        "{prompts} prompts and {models} models: expected at least 1 prompt and 2 models; check the split of the data set"
    )]
    TooFew {
        /// The number of prompts.
        prompts: usize,
        /// The number of models.
        models: usize,
    },
    /// Two sizes that must agree do not.
    #[error("{what} is {found}, expected {expected}: use data that belong together")]
    Shape {
        /// What was measured.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The size it must have.
        expected: usize,
    },
    /// A number that cannot be used.
    #[error("{what} has a number that is not finite or out of its range: check the data and the encoder")]
    Number {
        /// Which table.
        what: &'static str,
    },
}

impl Samples {
    /// Samples from `embeddings`, `[prompts, hidden]`, and `scores`, `[prompts, models]`, from 0 to 1.
    pub fn new(embeddings: Matrix, scores: Matrix) -> Result<Self, TableError> {
        check_scores(&scores)?;
        if embeddings.rows() != scores.rows() {
            let (found, expected) = (embeddings.rows(), scores.rows());
            return Err(TableError::Shape { what: "the number of embeddings", found, expected });
        }
        if embeddings.columns() == 0 || embeddings.data().iter().any(|value| !value.is_finite()) {
            return Err(TableError::Number { what: "an embedding" });
        }
        Ok(Self { embeddings, scores, query_costs: None })
    }

    /// The same samples with the cost of each answer, `[prompts, models]`, in any unit. Evaluation then counts these costs
    /// instead of the models' prices.
    pub fn with_costs(self, query_costs: Matrix) -> Result<Self, TableError> {
        check_query_costs(&query_costs, &self.scores)?;
        Ok(Self { query_costs: Some(query_costs), ..self })
    }

    /// The embeddings, `[prompts, hidden]`.
    pub fn embeddings(&self) -> &Matrix {
        &self.embeddings
    }

    /// The scores, `[prompts, models]`.
    pub fn scores(&self) -> &Matrix {
        &self.scores
    }

    /// The cost of each answer, `[prompts, models]`, if the data have it.
    pub fn query_costs(&self) -> Option<&Matrix> {
        self.query_costs.as_ref()
    }

    /// The number of prompts.
    pub fn prompts(&self) -> usize {
        self.scores.rows()
    }

    /// The number of models.
    pub fn models(&self) -> usize {
        self.scores.columns()
    }

    /// The samples at these places, in this order; a place may occur more than once.
    ///
    /// # Panics
    /// If a place is beyond the last sample.
    pub fn only(&self, places: &[usize]) -> Self {
        let pick = |matrix: &Matrix| pick(matrix, places);
        Self {
            embeddings: pick(&self.embeddings),
            scores: pick(&self.scores),
            query_costs: self.query_costs.as_ref().map(pick),
        }
    }

    /// These samples, then the others.
    ///
    /// # Errors
    /// If the others have other models or embeddings of another width, or if only one of the two has costs of answers.
    pub fn joined(&self, others: &Self) -> Result<Self, TableError> {
        let tables = |samples: &Self| usize::from(samples.query_costs.is_some());
        let sizes = [
            ("the number of the other samples' models", others.models(), self.models()),
            ("the size of the other samples' embeddings", others.embeddings.columns(), self.embeddings.columns()),
            ("the number of the other samples' tables of costs", tables(others), tables(self)),
        ];
        if let Some((what, found, expected)) = sizes.into_iter().find(|(_, found, expected)| found != expected) {
            return Err(TableError::Shape { what, found, expected });
        }
        let join = |first: &Matrix, second: &Matrix| {
            let row = |row: usize| if row < first.rows() { first.row(row) } else { second.row(row - first.rows()) };
            Matrix::from_fn(first.rows() + second.rows(), first.columns(), |place, column| row(place)[column])
        };
        let costs = self.query_costs.as_ref().zip(others.query_costs.as_ref());
        Ok(Self {
            embeddings: join(&self.embeddings, &others.embeddings),
            scores: join(&self.scores, &others.scores),
            query_costs: costs.map(|(first, second)| join(first, second)),
        })
    }

    /// Each model's mean score.
    pub fn mean_scores(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.models()];
        for row in self.scores.iter_rows() {
            sums.iter_mut().zip(row).for_each(|(sum, score)| *sum += f64::from(*score));
        }
        sums.iter().map(|sum| sum / self.prompts() as f64).collect()
    }

    /// Checks that a validation split and costs fit these samples.
    pub(crate) fn check(&self, valid: &Self, cost: &[f32]) -> Result<(), TableError> {
        let sizes = [
            ("the number of the validation split's models", valid.models(), self.models()),
            ("the size of the validation split's embeddings", valid.embeddings.columns(), self.embeddings.columns()),
            ("the number of costs", cost.len(), self.models()),
        ];
        for (what, found, expected) in sizes {
            if found != expected {
                return Err(TableError::Shape { what, found, expected });
            }
        }
        if cost.iter().any(|cost| !(0.0..=1.0).contains(cost)) {
            return Err(TableError::Number { what: "the list of costs" });
        }
        Ok(())
    }
}

/// Checks a table of scores, `[prompts, models]`.
pub(crate) fn check_scores(scores: &Matrix) -> Result<(), TableError> {
    let (prompts, models) = scores.shape();
    if prompts == 0 || models < 2 {
        return Err(TableError::TooFew { prompts, models });
    }
    if scores.data().iter().any(|score| !(0.0..=1.0).contains(score)) {
        return Err(TableError::Number { what: "the table of scores" });
    }
    Ok(())
}

/// Checks a table of costs of answers for a table of scores.
pub(crate) fn check_query_costs(costs: &Matrix, scores: &Matrix) -> Result<(), TableError> {
    if costs.shape() != scores.shape() {
        let (found, expected) = (costs.data().len(), scores.data().len());
        return Err(TableError::Shape { what: "the number of costs of queries", found, expected });
    }
    if costs.data().iter().any(|cost| !(cost.is_finite() && *cost >= 0.0)) {
        return Err(TableError::Number { what: "the table of costs" });
    }
    Ok(())
}

/// The rows of a table at these places, in this order.
///
/// # Panics
/// If a place is beyond the last row.
pub(crate) fn pick(table: &Matrix, places: &[usize]) -> Matrix {
    Matrix::from_fn(places.len(), table.columns(), |row, column| table.row(places[row])[column])
}

/// Each model's price divided by the largest price of the pool: the cost in rules, and in evaluation where the data have no cost per
/// query. If all models are free, all costs are 0.
pub fn relative_costs(models: &[Model]) -> Vec<f32> {
    let largest = models.iter().map(|model| model.price).fold(0.0, f64::max);
    models.iter().map(|model| if largest > 0.0 { (model.price / largest) as f32 } else { 0.0 }).collect()
}

/// A list of costs as the `[1, M]` of a router.
pub(crate) fn cost_row(cost: &[f32]) -> Matrix {
    Matrix::from_fn(1, cost.len(), |_, model| cost[model])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_must_fit_together() {
        let matrix = |rows, columns, value| Matrix::from_fn(rows, columns, |_, _| value);
        assert!(matches!(Samples::new(matrix(0, 2, 0.0), matrix(0, 2, 0.0)), Err(TableError::TooFew { .. })));
        assert!(matches!(Samples::new(matrix(2, 2, 0.0), matrix(2, 1, 0.0)), Err(TableError::TooFew { .. })));
        assert!(matches!(Samples::new(matrix(3, 2, 0.0), matrix(2, 2, 0.0)), Err(TableError::Shape { .. })));
        assert!(matches!(Samples::new(matrix(2, 2, f32::NAN), matrix(2, 2, 0.0)), Err(TableError::Number { .. })));
        assert!(matches!(Samples::new(matrix(2, 2, 0.0), matrix(2, 2, 1.5)), Err(TableError::Number { .. })));
        let good = Samples::new(matrix(2, 2, 0.0), matrix(2, 2, 0.5)).unwrap();
        assert_eq!(good.mean_scores(), [0.5, 0.5]);
        assert!(good.check(&good, &[0.0, 1.0, 1.0]).is_err());
        assert!(good.check(&good, &[0.0, 1.1]).is_err());
    }

    #[test]
    fn samples_are_picked_and_joined() {
        let of = |rows: usize, models: usize, from: f32| {
            let scores = Matrix::from_fn(rows, models, |row, model| (row + model) as f32 / 10.0);
            Samples::new(Matrix::from_fn(rows, 1, |row, _| from + row as f32), scores).unwrap()
        };
        let (first, second) = (of(3, 2, 0.0), of(2, 2, 10.0));
        let picked = first.only(&[2, 0, 2]);
        assert_eq!(picked.embeddings().data(), [2.0, 0.0, 2.0]);
        assert_eq!(picked.scores().data(), [0.2, 0.3, 0.0, 0.1, 0.2, 0.3]);
        let joined = first.joined(&second).unwrap();
        assert_eq!(joined.embeddings().data(), [0.0, 1.0, 2.0, 10.0, 11.0]);
        assert_eq!(joined.only(&[3, 4]), second);
        assert!(first.joined(&of(2, 3, 0.0)).is_err());
    }

    #[test]
    fn costs_of_answers_stay_with_their_prompts() {
        let of = |costs: &[f32]| {
            let matrix = |columns: usize| Matrix::from_fn(costs.len(), columns, |_, _| 0.5);
            let costs = Matrix::from_fn(costs.len(), 2, |row, model| costs[row] * (1 + model) as f32);
            Samples::new(matrix(1), matrix(2)).unwrap().with_costs(costs).unwrap()
        };
        let first = of(&[1.0, 3.0]);
        assert_eq!(first.only(&[1, 1]).query_costs().unwrap().data(), [3.0, 6.0, 3.0, 6.0]);
        assert_eq!(first.joined(&of(&[5.0])).unwrap().query_costs().unwrap().data(), [1.0, 2.0, 3.0, 6.0, 5.0, 10.0]);
        let without = Samples::new(first.embeddings().clone(), first.scores().clone()).unwrap();
        assert!(without.query_costs().is_none() && without.only(&[0]).query_costs().is_none());
        let fault = first.joined(&without).unwrap_err().to_string();
        assert!(fault.contains("tables of costs is 0, expected 1"), "{fault}");
        let refused = |costs: Matrix| without.clone().with_costs(costs).unwrap_err();
        assert!(matches!(refused(Matrix::from_fn(1, 2, |_, _| 1.0)), TableError::Shape { .. }));
        assert!(matches!(refused(Matrix::from_fn(2, 2, |_, _| -1.0)), TableError::Number { .. }));
        assert!(matches!(refused(Matrix::from_fn(2, 2, |_, _| f32::INFINITY)), TableError::Number { .. }));
    }

    #[test]
    fn costs_are_relative_to_the_largest() {
        let model = |price: f64| Model { name: price.to_string(), price, unit: String::new() };
        assert_eq!(relative_costs(&[model(0.5), model(2.0)]), [0.25, 1.0]);
        assert_eq!(relative_costs(&[model(0.0)]), [0.0]);
    }
}
