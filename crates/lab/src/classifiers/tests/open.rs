//! Thresholds in the open, and gains by the lead of the best label.

use super::super::calibrate::{Candidates, thresholds};
use super::super::features::Answers;
use super::super::gains::{Fitting, Pieces, fit};
use super::gate::aims;
use blindroute_routing::bundle::{ALL_GO, Gain, LinearLayer, Matrix};

#[test]
fn thresholds_let_as_many_texts_go_on_as_the_shares() {
    let gains = vec![vec![5.0, 4.0, 3.0, 2.0, 1.0], vec![-1.0, -2.0, -9.0, 7.0, 8.0]];
    // Of the three that pass the first, one passes the second: the largest gain among these three.
    assert_eq!(thresholds(&gains, &[0.6, 0.2]), [2.5, -1.5]);
    assert_eq!(thresholds(&gains, &[1.0, 0.6]), [ALL_GO, -1.5]);
    assert_eq!(thresholds(&gains, &[0.6, 0.6]), [2.5, ALL_GO]);
    assert!(thresholds(&[], &[]).is_empty());

    // Right at the last exit only, but for the second text, which is right at the first only.
    let at =
        |right: &[usize]| Matrix::from_fn(5, 2, |row, label| f32::from(u8::from((label == 0) == right.contains(&row))));
    let probabilities = vec![at(&[1]), at(&[1]), at(&[0, 2, 3, 4])];
    let features = vec![Matrix::from_fn(5, 1, |_, _| 0.0); 3];
    let answers = Answers { features, probabilities, labels: vec![0; 5] };
    let candidates = Candidates::new(&answers, gains, &[1, 2, 4], 1);
    let open = candidates.open(&[2.5, -1.5]);
    // The first goes to the end, the next two to the second exit, two leave at once: 4 + 2 + 2 + 1 + 1 layers.
    assert_eq!((open.layers, open.accuracy), (2.0, 0.4));
    let all = candidates.open(&[ALL_GO, ALL_GO]);
    assert_eq!((all.layers, all.accuracy), (4.0, 0.8));
}

/// Where two of three labels are close, whichever they are, the text gains; the squares of the scores say nothing of it.
#[test]
fn a_lead_is_taken_where_it_is_clearly_better() {
    let near = |row: usize| row.is_multiple_of(3);
    // Scores (2, 2, -4) or (4, -2, -2), in any order, have the same squares.
    let score = |row: usize, label: usize| {
        let scores = if near(row) { [2.0, 2.0, -4.0] } else { [4.0, -2.0, -2.0] };
        scores[(label + row / 3) % 3] + 0.01 * ((row * 31 + label * 17) % 7) as f32
    };
    let features = Matrix::from_fn(300, 3, score);
    let identity = LinearLayer {
        weight: Matrix::from_fn(3, 3, |row, label| f32::from(u8::from(row == label))),
        bias: Matrix::from_fn(1, 3, |_, _| 0.0),
    };
    let right = |wrong: &dyn Fn(usize) -> bool| {
        Matrix::from_fn(300, 3, |row, label| if (label == 0) == wrong(row) { 0.1 } else { 0.45 })
    };
    let probabilities = vec![right(&near), right(&|_| false)];
    let answers = Answers { features: vec![features.clone(), features], probabilities, labels: vec![0; 300] };
    let aims = aims(&[0.5, 0.5], &[0.3, 1.0]);
    let heads = [identity.clone(), identity];
    let fitting = Fitting { task: "task", answers: &answers, heads: &heads, aims: &aims, joint: None, seed: 1 };
    let mut on_piece = |_: &_| ();
    let fitted = fit(&fitting, &mut Pieces::new(None, 10, &mut on_piece).unwrap()).unwrap();
    let report = &fitted[0].report;
    assert_eq!((report.kind, &fitted[0].gain), ("lead", &Gain::Lead), "{report:?}");
    assert!(report.lead > report.spread + 0.05, "{report:?}");
}
