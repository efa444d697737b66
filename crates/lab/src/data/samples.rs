//! Samples: the view of a data set in training and evaluation.

use blindroute_routing::bundle::{Matrix, Model};

/// Embedded prompts and the score of each model on them, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    embeddings: Matrix,
    scores: Matrix,
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
        Ok(Self { embeddings, scores })
    }

    /// The embeddings, `[prompts, hidden]`.
    pub fn embeddings(&self) -> &Matrix {
        &self.embeddings
    }

    /// The scores, `[prompts, models]`.
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

    /// The samples at these places, in this order; a place may occur more than once.
    ///
    /// # Panics
    /// If a place is beyond the last sample.
    pub fn only(&self, places: &[usize]) -> Self {
        let pick = |matrix: &Matrix| {
            Matrix::from_fn(places.len(), matrix.columns(), |row, column| matrix.row(places[row])[column])
        };
        Self { embeddings: pick(&self.embeddings), scores: pick(&self.scores) }
    }

    /// These samples, then the others.
    ///
    /// # Errors
    /// If the others have other models or embeddings of another width.
    pub fn joined(&self, others: &Self) -> Result<Self, TableError> {
        let sizes = [
            ("the number of the other samples' models", others.models(), self.models()),
            ("the size of the other samples' embeddings", others.embeddings.columns(), self.embeddings.columns()),
        ];
        if let Some((what, found, expected)) = sizes.into_iter().find(|(_, found, expected)| found != expected) {
            return Err(TableError::Shape { what, found, expected });
        }
        let join = |first: &Matrix, second: &Matrix| {
            let row = |row: usize| if row < first.rows() { first.row(row) } else { second.row(row - first.rows()) };
            Matrix::from_fn(first.rows() + second.rows(), first.columns(), |place, column| row(place)[column])
        };
        Ok(Self { embeddings: join(&self.embeddings, &others.embeddings), scores: join(&self.scores, &others.scores) })
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

/// Each model's price divided by the largest price of the pool: the cost axis of training and evaluation. If all models are free,
/// all costs are 0.
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
    fn costs_are_relative_to_the_largest() {
        let model = |price: f64| Model { name: price.to_string(), price, unit: String::new() };
        assert_eq!(relative_costs(&[model(0.5), model(2.0)]), [0.25, 1.0]);
        assert_eq!(relative_costs(&[model(0.0)]), [0.0]);
    }
}
