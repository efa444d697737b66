//! Cross-fitting: what is said of a text comes from a training that has not seen it.

use super::pieces::Pieces;
use crate::classifiers::ClassifierError;
use blindroute_routing::bundle::Matrix;
use candle_core::Result;

const FOLDS: usize = 4;
/// The pieces of one cross-fitting: one for each fold, and one for all rows.
pub(super) const PIECES: usize = FOLDS + 1;

/// A training on some rows: its matrices after each number of steps, all in one list.
type Train<'a> = &'a mut dyn FnMut(&[usize]) -> Result<Vec<Matrix>>;
/// What is wrong with such matrices on rows that they have not seen: by the place of the number of steps.
type Judge<'a> = &'a mut dyn FnMut(usize, &[Matrix], &[usize]) -> f64;

/// The matrices of a training on all rows after the number of steps that is least wrong on unseen rows, and the place of that number
/// among `choices`.
pub(super) fn cross_fitted(
    pieces: &mut Pieces<'_>,
    name: &str,
    (rows, choices): (usize, usize),
    train: Train<'_>,
    judge: Judge<'_>,
) -> std::result::Result<(Vec<Matrix>, usize), ClassifierError> {
    let each = |piece: &Vec<Matrix>| (piece.len() / choices).max(1);
    let mut errors = vec![0.0; choices];
    for fold in 0..FOLDS {
        let (seen, unseen): (Vec<usize>, Vec<usize>) = (0..rows).partition(|row| row % FOLDS != fold);
        let piece = pieces.piece(format!("{name}.fold{fold}"), || train(&seen))?;
        for (choice, matrices) in piece.chunks(each(&piece)).enumerate() {
            errors[choice] += judge(choice, matrices, &unseen);
        }
    }
    let best = (0..choices).min_by(|a, b| errors[*a].total_cmp(&errors[*b])).unwrap_or(0);
    let all: Vec<usize> = (0..rows).collect();
    let piece = pieces.piece(format!("{name}.all"), || train(&all))?;
    let each = each(&piece);
    Ok((piece[best * each..(best + 1) * each].to_vec(), best))
}
