//! What training and evaluation see of a data set.

use blindroute_routing::bundle::{Matrix, Model};

/// Embedded prompts and how each model scored on them, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    embeddings: Matrix,
    scores: Matrix,
}

/// What can be wrong with samples or options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// There is nothing to learn from.
    #[error(
        "there are {prompts} prompts and {models} models: at least one prompt and two models are needed; check the data set's split"
    )]
    TooFew {
        /// How many prompts.
        prompts: usize,
        /// How many models.
        models: usize,
    },
    /// Two shapes that must agree do not.
    #[error("{what} is {found} and must be {expected}: give data that belong together")]
    Shape {
        /// What was measured.
        what: &'static str,
        /// Its size.
        found: usize,
        /// What it must be.
        expected: usize,
    },
    /// A number that training cannot use.
    #[error("{what} holds a number that is not finite, or out of its range: check the data and the encoder")]
    Number {
        /// Where it stands.
        what: &'static str,
    },
    /// An option that leaves nothing to do.
    #[error("no {what} can be used here: {hint}")]
    Options {
        /// Which.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The normal equations have no solution.
    #[error("the regression has no solution with this penalty: give a larger one")]
    Singular,
    /// Tensors failed.
    #[error("the training failed: {0}; please report this")]
    Tensor(#[from] candle_core::Error),
}

impl Samples {
    /// `embeddings` are `[prompts, hidden]`, `scores` `[prompts, models]` and from 0 to 1.
    pub fn new(embeddings: Matrix, scores: Matrix) -> Result<Self, TrainError> {
        let (prompts, models) = scores.shape();
        if prompts == 0 || models < 2 {
            return Err(TrainError::TooFew { prompts, models });
        }
        if embeddings.rows() != prompts {
            let found = embeddings.rows();
            return Err(TrainError::Shape { what: "the number of embeddings", found, expected: prompts });
        }
        if embeddings.columns() == 0 || embeddings.data().iter().any(|value| !value.is_finite()) {
            return Err(TrainError::Number { what: "an embedding" });
        }
        if scores.data().iter().any(|score| !(0.0..=1.0).contains(score)) {
            return Err(TrainError::Number { what: "the table of scores" });
        }
        Ok(Self { embeddings, scores })
    }

    /// `[prompts, hidden]`.
    pub fn embeddings(&self) -> &Matrix {
        &self.embeddings
    }

    /// `[prompts, models]`.
    pub fn scores(&self) -> &Matrix {
        &self.scores
    }

    /// The number of prompts.
    pub fn prompts(&self) -> usize {
        self.scores.rows()
    }

    /// The number of models.
    pub fn models(&self) -> usize {
        self.scores.columns()
    }

    /// Each model's mean score.
    pub fn mean_scores(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.models()];
        for row in self.scores.iter_rows() {
            sums.iter_mut().zip(row).for_each(|(sum, score)| *sum += f64::from(*score));
        }
        sums.iter().map(|sum| sum / self.prompts() as f64).collect()
    }

    /// Checks that a validation split and costs belong to these.
    pub(crate) fn check(&self, valid: &Self, cost: &[f32]) -> Result<(), TrainError> {
        let sizes = [
            ("the number of the validation split's models", valid.models(), self.models()),
            ("the size of the validation split's embeddings", valid.embeddings.columns(), self.embeddings.columns()),
            ("the number of costs", cost.len(), self.models()),
        ];
        for (what, found, expected) in sizes {
            if found != expected {
                return Err(TrainError::Shape { what, found, expected });
            }
        }
        if cost.iter().any(|cost| !(0.0..=1.0).contains(cost)) {
            return Err(TrainError::Number { what: "the list of costs" });
        }
        Ok(())
    }
}

/// Each model's price divided by the largest price of the pool: the cost axis of everything here. A pool in which all is
/// free costs 0 throughout.
pub fn relative_costs(models: &[Model]) -> Vec<f32> {
    let largest = models.iter().map(|model| model.price).fold(0.0, f64::max);
    models.iter().map(|model| if largest > 0.0 { (model.price / largest) as f32 } else { 0.0 }).collect()
}

/// A list of costs as a router's `[1, M]`.
pub(crate) fn cost_row(cost: &[f32]) -> Matrix {
    Matrix::from_fn(1, cost.len(), |_, model| cost[model])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_must_belong_together() {
        let matrix = |rows, columns, value| Matrix::from_fn(rows, columns, |_, _| value);
        assert!(matches!(Samples::new(matrix(0, 2, 0.0), matrix(0, 2, 0.0)), Err(TrainError::TooFew { .. })));
        assert!(matches!(Samples::new(matrix(2, 2, 0.0), matrix(2, 1, 0.0)), Err(TrainError::TooFew { .. })));
        assert!(matches!(Samples::new(matrix(3, 2, 0.0), matrix(2, 2, 0.0)), Err(TrainError::Shape { .. })));
        assert!(matches!(Samples::new(matrix(2, 2, f32::NAN), matrix(2, 2, 0.0)), Err(TrainError::Number { .. })));
        assert!(matches!(Samples::new(matrix(2, 2, 0.0), matrix(2, 2, 1.5)), Err(TrainError::Number { .. })));
        let good = Samples::new(matrix(2, 2, 0.0), matrix(2, 2, 0.5)).unwrap();
        assert_eq!(good.mean_scores(), [0.5, 0.5]);
        assert!(good.check(&good, &[0.0, 1.0, 1.0]).is_err());
        assert!(good.check(&good, &[0.0, 1.1]).is_err());
    }

    #[test]
    fn costs_are_relative_to_the_largest() {
        let model = |price: f64| Model { name: price.to_string(), price, unit: String::new() };
        assert_eq!(relative_costs(&[model(0.5), model(2.0)]), [0.25, 1.0]);
        assert_eq!(relative_costs(&[model(0.0)]), [0.0]);
    }
}
