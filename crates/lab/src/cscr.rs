//! A plausible CSCR router (arXiv 2508.12491) made from outcomes alone.
//!
//! This is **not** CSCR's training: there is no contrastive loss, and the descriptors are not the models' own logit or
//! perplexity fingerprints. It gives a router of CSCR's exact form whose choices are better than chance, for everything
//! that needs one: the secure selection, its tests and its measurements. It is:
//!
//! - the outcome table (prompts × models) is cut to its D − 1 leading directions: each model has a factor f_m and each
//!   prompt a target t, such that t·f_m is about the model's score on the prompt;
//! - a model's descriptor: f_m, all scaled so that the longest has length 1, and one more number that brings each to
//!   length 1. The query is 0 there, so the similarity orders models as t·f_m does: without that number, unit length
//!   would hide how good a model is overall;
//! - the head: the ridge regression from embedding to target. The head's form has a ReLU inside, which a linear map L
//!   passes unchanged as relu(x·L) − relu(−x·L): w1 = \[L, −L, 0\], w2 = \[I; −I; 0\].

use blindroute_routing::bundle::{Cscr, Matrix};
use nalgebra::{DMatrix, SymmetricEigen};

use crate::{Samples, TrainError, ridge::Normal, samples::cost_row, vector::unit};

/// How to make the router.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The width of descriptors, D; what is beyond the number of models, or half the embedding's width, is not used.
    pub descriptor: usize,
    /// How many models survive the search; at most all.
    pub keep: usize,
    /// The regression's penalty, relative to the mean square of the inputs.
    pub penalty: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { descriptor: 32, keep: 4, penalty: 1.0 }
    }
}

/// Makes the router from the outcomes of a split; `cost` is [`crate::relative_costs`] of the pool. The head is as wide as
/// the embedding.
pub fn from_outcomes(train: &Samples, cost: &[f32], options: &Options) -> Result<Cscr, TrainError> {
    train.check(train, cost)?;
    let (hidden, models) = (train.embeddings().columns(), train.models());
    let width = options.descriptor.saturating_sub(1).min(models).min(hidden / 2);
    if width == 0 || options.keep == 0 {
        let hint = "descriptor is at least 2, keep at least 1, and embeddings have at least two numbers";
        return Err(TrainError::Options { what: "width", hint });
    }
    let scores = train.scores();
    let outcomes =
        DMatrix::from_row_iterator(scores.rows(), models, scores.data().iter().map(|score| f64::from(*score)));
    let factors = factors(&outcomes, width);
    let map = Normal::new(train, &(outcomes * &factors), false).fit(options.penalty)?.weight;
    let w1 = Matrix::from_fn(hidden, hidden, |row, column| match column {
        _ if column < width => map[(row, column)] as f32,
        _ if column < 2 * width => -map[(row, column - width)] as f32,
        _ => 0.0,
    });
    let w2 = Matrix::from_fn(hidden, width + 1, |row, column| match row {
        _ if column == width => 0.0,
        _ if row == column => 1.0,
        _ if row == column + width => -1.0,
        _ => 0.0,
    });
    let descriptors = descriptors(&factors);
    Ok(Cscr { w1, w2, descriptors, cost: cost_row(cost), keep: options.keep.min(models) })
}

/// `[models, width]`: the leading eigenvectors of outcomesᵀ·outcomes, each with its largest entry positive.
fn factors(outcomes: &DMatrix<f64>, width: usize) -> DMatrix<f64> {
    let eigen = SymmetricEigen::new(outcomes.tr_mul(outcomes));
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let columns: Vec<_> = (order.iter().take(width))
        .map(|index| {
            let vector = eigen.eigenvectors.column(*index);
            let largest = vector.iter().fold(0.0, |largest: f64, x| if x.abs() > largest.abs() { *x } else { largest });
            vector * largest.signum()
        })
        .collect();
    DMatrix::from_columns(&columns)
}

/// `[models, width + 1]`: the factors, scaled alike, and what brings each to length 1.
fn descriptors(factors: &DMatrix<f64>) -> Matrix {
    let longest = factors.row_iter().map(|row| row.norm()).fold(f64::MIN_POSITIVE, f64::max);
    let rows: Vec<Vec<f32>> = (factors.row_iter())
        .map(|row| {
            let rest = (1.0 - (row.norm() / longest).powi(2)).max(0.0).sqrt();
            unit(&row.iter().map(|x| x / longest).chain([rest]).map(|x| x as f32).collect::<Vec<_>>())
        })
        .collect();
    Matrix::from_fn(rows.len(), factors.ncols() + 1, |row, column| rows[row][column])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evaluation,
        rule::{choose, utilities},
        synthetic::synthetic,
        vector::dot,
    };
    use blindroute_routing::bundle::Rule;

    #[test]
    fn it_has_the_form_of_the_bundle_and_beats_chance() {
        let (train, _, test, cost) = synthetic(8, 6);
        let router = from_outcomes(&train, &cost, &Options::default()).unwrap();
        assert_eq!((router.w1.shape(), router.w2.shape()), ((32, 32), (32, 7)));
        assert_eq!((router.descriptors.shape(), router.keep), ((6, 7), 4));
        assert!(router.descriptors.iter_rows().all(|row| (dot(row, row) - 1.0).abs() < 1e-5));
        let rule = Rule::Cscr(router);
        let kept = utilities(&rule, test.embeddings().row(0)).iter().filter(|utility| utility.is_finite()).count();
        assert_eq!(kept, 4);
        let point = evaluation::operate(&rule, &test, 0.0);
        let chance = test.mean_scores().iter().sum::<f64>() / 6.0;
        assert!(point.score > chance + 0.15, "{point:?} against {chance}");
        assert!((0..200).any(
            |row| choose(&rule, test.embeddings().row(row), 5.0) != choose(&rule, test.embeddings().row(row), 0.0)
        ));
    }

    #[test]
    fn impossible_options_say_so() {
        let (train, _, _, cost) = synthetic(4, 3);
        assert!(from_outcomes(&train, &cost, &Options { keep: 0, ..Default::default() }).is_err());
        assert!(from_outcomes(&train, &cost[1..], &Options::default()).is_err());
    }
}
