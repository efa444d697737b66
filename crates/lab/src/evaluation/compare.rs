//! Two runs on the same prompts, with intervals: for training, which has no report to write.

use super::measured::Measured;
use super::{Bootstrap, Curve, Estimate, EvaluationError, Group, Measures, Outcomes, Run, run_of_utilities};
use crate::Stop;

/// The measures of two runs and of their difference. All intervals come from the same resamples of the prompts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The first run.
    pub of: Measures<Estimate>,
    /// The second run.
    pub from: Measures<Estimate>,
    /// The first minus the second.
    pub difference: Measures<Estimate>,
}

/// Compares two runs on the prompts of `outcomes`.
///
/// # Errors
/// If a run is not for these prompts and models, or the comparison was stopped.
pub fn compare(
    of: &Run,
    from: &Run,
    outcomes: &Outcomes,
    bootstrap: Bootstrap,
    stop: &Stop,
) -> Result<Comparison, EvaluationError> {
    let named = [("first", of), ("second", from)];
    named.iter().try_for_each(|(name, run)| run.check(name, outcomes))?;
    let curves = named.map(|(name, run)| Curve {
        name: name.to_owned(),
        group: Group::Baseline,
        lambda: None,
        runs: vec![run.clone()],
    });
    let measured = Measured::new(outcomes, &curves, bootstrap, stop)?;
    Ok(Comparison { of: measured.estimates(0), from: measured.estimates(1), difference: measured.difference(0, 1) })
}

/// By how much a router is better than the prompt-blind hull: the difference in hull area, with its paired interval. `utilities`
/// has one row per prompt, for instance the predictions of the folds of a cross-validation; `cost` is one per model, as the rule
/// has it; `lambdas` are the weights of cost of the curve. If the lower end of the interval is above 0, the router beats the hull
/// with some certainty.
///
/// # Errors
/// If the utilities are not for these prompts and models, or the comparison was stopped.
pub fn against_hull(
    utilities: &[Vec<f32>],
    cost: &[f32],
    lambdas: &[f32],
    outcomes: &Outcomes,
    bootstrap: Bootstrap,
    stop: &Stop,
) -> Result<Estimate, EvaluationError> {
    let run = run_of_utilities(utilities, cost, lambdas);
    Ok(compare(&run, &Run::Hull, outcomes, bootstrap, stop)?.difference.hull_area)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{hull_area, lambdas, points};
    use blindroute_routing::bundle::Matrix;

    /// Two kinds of prompts, each answered by one of two models of the same price; every tenth prompt by neither.
    fn outcomes() -> Outcomes {
        let score = |row: usize, model: usize| f32::from(u8::from(row % 10 != 9 && row % 2 == model));
        Outcomes::by_price(Matrix::from_fn(200, 2, score), &[1.0, 1.0]).unwrap()
    }

    #[test]
    fn a_good_router_beats_the_hull_and_a_useless_one_does_not() {
        let outcomes = outcomes();
        let against = |utility: &dyn Fn(usize, usize) -> f32| {
            let utilities: Vec<Vec<f32>> = (0..200).map(|row| vec![utility(row, 0), utility(row, 1)]).collect();
            against_hull(&utilities, &[1.0, 1.0], &lambdas(), &outcomes, Bootstrap::default(), &Stop::never()).unwrap()
        };
        let good = against(&|row, model| if row % 2 == model { 1.0 } else { 0.0 });
        // 180 of 200 against 100, under a line from the origin at cost 1.
        assert!((good.value.unwrap() - (0.9 - 0.5) / 2.0).abs() < 1e-12, "{good:?}");
        let interval = good.interval.unwrap();
        assert!(interval.low.unwrap() > 0.1 && interval.high.unwrap() < 0.3, "{good:?}");
        let useless = against(&|row, model| if (row / 2) % 2 == model { 1.0 } else { 0.0 });
        assert!(useless.interval.unwrap().low.unwrap() < 0.0, "{useless:?}");
        assert!(useless.interval.unwrap().high.unwrap() < good.interval.unwrap().low.unwrap());
    }

    #[test]
    fn a_comparison_has_both_sides_and_is_paired() {
        let outcomes = outcomes();
        let utilities: Vec<Vec<f32>> = (0..200).map(|row| vec![0.5, (row % 2) as f32]).collect();
        let run = run_of_utilities(&utilities, &[1.0, 1.0], &lambdas());
        let found = compare(&run, &run, &outcomes, Bootstrap { resamples: 50, seed: 3 }, &Stop::never()).unwrap();
        assert_eq!(found.of, found.from);
        assert_eq!(found.of.hull_area.value, Some(hull_area(&points(&run, &outcomes))));
        let difference = found.difference.audc;
        assert_eq!((difference.value, difference.interval.unwrap().low), (Some(0.0), Some(0.0)));
        assert_eq!(difference.interval.unwrap().high, Some(0.0));
        let width = found.of.audc.interval.unwrap();
        assert!(width.high > width.low);
        let fault = against_hull(&utilities[1..], &[1.0, 1.0], &[0.0], &outcomes, Bootstrap::default(), &Stop::never())
            .unwrap_err();
        assert!(fault.to_string().contains("199 choices, expected 200"), "{fault}");
    }
}
