//! A router's choices for each weight of cost, and their scores and costs.

use super::outcomes::{Sum, total};
use super::{EvaluationError, Outcomes, Point, hull};
use serde::Serialize;
use std::fmt;

/// The group of a curve in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// A router on the original encoder, in the clear.
    Original,
    /// A router on the encoder that runs under MPC.
    Private,
    /// A baseline for comparison.
    Baseline,
}

impl Group {
    /// All groups, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Original, Self::Private, Self::Baseline];

    /// The group's name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Private => "private",
            Self::Baseline => "baseline",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The choices of one method on a split, for a range of weights of cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The name, unique in its group.
    pub name: String,
    /// The group in the tables.
    pub group: Group,
    /// The default weight of cost, which must be one of the weights of its choices.
    pub lambda: Option<f32>,
    /// The choices. There are several runs if the same router was trained with several seeds; charts show the first.
    pub runs: Vec<Run>,
}

impl Curve {
    /// The share of prompts for which both choose the same model at the other's default weight of cost: the mean over pairs of
    /// runs. None if either has no choices with that weight.
    pub(super) fn same_choices(&self, other: &Self) -> Option<f64> {
        let lambda = other.lambda?;
        let shares = self.runs.iter().zip(&other.runs).map(|(own, other)| {
            let (own, other) = (own.choices(lambda)?, other.choices(lambda)?);
            let same = own.iter().zip(other).filter(|(own, other)| own == other).count();
            Some(same as f64 / own.len() as f64)
        });
        let shares = shares.collect::<Option<Vec<f64>>>()?;
        Some(shares.iter().sum::<f64>() / shares.len() as f64)
    }
}

/// The choices of one router, or of a method that does not see prompts.
#[derive(Clone, Debug, PartialEq)]
pub enum Run {
    /// For each weight of cost, a model for each prompt.
    Choices(Vec<Choices>),
    /// A random model for every prompt. Each entry has the probability of each model.
    Odds(Vec<Vec<f64>>),
    /// The best random mixtures that do not see the prompt: the upper hull of the single models on these prompts. Each resample of
    /// a bootstrap computes it again and so knows that resample's means, which makes it a strict baseline.
    Hull,
}

/// The model that each prompt gets with one weight of cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices {
    /// The weight of cost.
    pub lambda: f32,
    /// The model of each prompt, in the split's order.
    pub models: Vec<usize>,
}

impl Run {
    /// Whether this is a single point, so that there is no curve to measure.
    pub fn is_one_point(&self) -> bool {
        match self {
            Self::Choices(choices) => choices.len() < 2,
            Self::Odds(odds) => odds.len() < 2,
            Self::Hull => false,
        }
    }

    /// The model of each prompt with this weight of cost.
    fn choices(&self, lambda: f32) -> Option<&[usize]> {
        let Self::Choices(choices) = self else { return None };
        choices.iter().find(|choices| choices.lambda == lambda).map(|choices| choices.models.as_slice())
    }

    /// The weights of cost of the points; empty if the points have none.
    pub(super) fn lambdas(&self) -> Vec<f32> {
        match self {
            Self::Choices(choices) => choices.iter().map(|choices| choices.lambda).collect(),
            Self::Odds(_) | Self::Hull => Vec::new(),
        }
    }

    /// The run on some of the prompts.
    pub(super) fn only(&self, places: &[usize]) -> Self {
        match self {
            Self::Choices(choices) => Self::Choices(
                (choices.iter())
                    .map(|choices| Choices {
                        lambda: choices.lambda,
                        models: places.iter().map(|place| choices.models[*place]).collect(),
                    })
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// An error unless it fits the outcomes.
    pub(super) fn check(&self, name: &str, outcomes: &Outcomes) -> Result<(), EvaluationError> {
        let shape = |what, found, expected| {
            if found == expected {
                return Ok(());
            }
            Err(EvaluationError::Curve { name: name.to_owned(), what, found, expected })
        };
        match self {
            Self::Choices(all) => {
                shape("curves without a point", usize::from(all.is_empty()), 0)?;
                for choices in all {
                    shape("choices", choices.models.len(), outcomes.prompts())?;
                    let beyond = choices.models.iter().filter(|model| **model >= outcomes.models()).count();
                    shape("choices that are not a model", beyond, 0)?;
                }
                Ok(())
            }
            Self::Odds(all) => {
                shape("curves without a point", usize::from(all.is_empty()), 0)?;
                all.iter().try_for_each(|odds| shape("probabilities", odds.len(), outcomes.models()))
            }
            Self::Hull => Ok(()),
        }
    }
}

/// A run with its outcomes looked up, to evaluate many resamples of the same prompts.
pub(super) enum Tally<'a> {
    /// The outcomes of the first point, and the changes at each further point. Few prompts change their model from one weight of
    /// cost to the next.
    Choices {
        first: Vec<Sum>,
        changes: Vec<Vec<(usize, Sum)>>,
    },
    Odds(&'a [Vec<f64>]),
    Hull,
}

impl<'a> Tally<'a> {
    pub(super) fn new(run: &'a Run, outcomes: &Outcomes) -> Self {
        let choices = match run {
            Run::Choices(choices) => choices,
            Run::Odds(odds) => return Self::Odds(odds),
            Run::Hull => return Self::Hull,
        };
        let looked_up = |choices: &Choices| -> Vec<Sum> {
            choices.models.iter().enumerate().map(|(prompt, model)| outcomes.outcome(prompt, *model)).collect()
        };
        let first = choices.first().map(looked_up).unwrap_or_default();
        let mut now = first.clone();
        let changes = (choices.iter().skip(1))
            .map(|choices| {
                let mut changed = Vec::new();
                for (prompt, next) in looked_up(choices).into_iter().enumerate() {
                    let last = std::mem::replace(&mut now[prompt], next);
                    let change = Sum { score: next.score - last.score, cost: next.cost - last.cost };
                    if change != Sum::default() {
                        changed.push((prompt, change));
                    }
                }
                changed
            })
            .collect();
        Self::Choices { first, changes }
    }

    /// The points. Each prompt counts as often as `times` says, or once. `singles` are the points of the single models, counted
    /// in the same way.
    pub(super) fn points(&self, outcomes: &Outcomes, singles: &[Point], times: Option<&[u32]>) -> Vec<Point> {
        match self {
            Self::Choices { first, changes } => {
                let count = |prompt: usize| times.map_or(1.0, |times| f64::from(times[prompt]));
                let total = total(outcomes.prompts(), times);
                let mut sum = Sum::default();
                first.iter().enumerate().for_each(|(prompt, outcome)| sum.add(*outcome, count(prompt)));
                let mut points = vec![outcomes.mean(&sum, total)];
                for changes in changes {
                    changes.iter().for_each(|(prompt, change)| sum.add(*change, count(*prompt)));
                    points.push(outcomes.mean(&sum, total));
                }
                points
            }
            Self::Odds(all) => all.iter().map(|odds| mixed(singles, odds)).collect(),
            Self::Hull => hull(singles),
        }
    }
}

fn mixed(singles: &[Point], odds: &[f64]) -> Point {
    let mean = |of: fn(&Point) -> f64| singles.iter().zip(odds).map(|(point, odds)| odds * of(point)).sum();
    Point { score: mean(|point| point.score), cost: mean(|point| point.cost) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::Matrix;

    fn outcomes() -> Outcomes {
        let scores = Matrix::new(3, 2, vec![0.0, 1.0, 1.0, 1.0, 0.0, 0.5]).unwrap();
        Outcomes::by_price(scores, &[0.25, 1.0]).unwrap()
    }

    fn points(run: &Run, times: Option<&[u32]>) -> Vec<Point> {
        let outcomes = outcomes();
        Tally::new(run, &outcomes).points(&outcomes, &outcomes.singles(times), times)
    }

    #[test]
    fn points_by_hand() {
        let choices = |lambda, models: &[usize]| Choices { lambda, models: models.to_vec() };
        let run = Run::Choices(vec![
            choices(0.0, &[1, 1, 1]),
            choices(0.1, &[1, 0, 1]),
            choices(0.2, &[1, 0, 1]),
            choices(1.0, &[0, 0, 0]),
        ]);
        let point = |score, cost| Point { score, cost };
        assert_eq!(
            points(&run, None),
            [point(2.5 / 3.0, 1.0), point(2.5 / 3.0, 2.25 / 3.0), point(2.5 / 3.0, 2.25 / 3.0), point(1.0 / 3.0, 0.25)]
        );
        // The first prompt twice, the second not at all.
        assert_eq!(points(&run, Some(&[2, 0, 1]))[1], point(2.5 / 3.0, 1.0));
        assert_eq!(points(&run, Some(&[2, 0, 1]))[3], point(0.0, 0.25));
        assert_eq!(
            run.only(&[1]),
            Run::Choices(
                [1, 0, 0, 0]
                    .map(|model| choices(0.0, &[model]))
                    .into_iter()
                    .zip([0.0, 0.1, 0.2, 1.0])
                    .map(|(choice, lambda)| Choices { lambda, ..choice })
                    .collect()
            )
        );
        let random = Run::Odds(vec![vec![0.5, 0.5], vec![1.0, 0.0]]);
        assert_eq!(points(&random, None), [point(3.5 / 6.0, 0.625), point(1.0 / 3.0, 0.25)]);
        assert_eq!(points(&Run::Hull, None), [point(1.0 / 3.0, 0.25), point(2.5 / 3.0, 1.0)]);
        // If both models have the same score, the more expensive one is not a corner.
        assert_eq!(points(&Run::Hull, Some(&[0, 3, 0])), [point(1.0, 0.25)]);
    }

    #[test]
    fn mismatches_are_refused_with_the_name_of_the_curve() {
        let fault = |run: Run| run.check("mine", &outcomes()).unwrap_err().to_string();
        let choices = |models: &[usize]| Run::Choices(vec![Choices { lambda: 0.0, models: models.to_vec() }]);
        assert!(fault(choices(&[0, 1])).contains("\"mine\" has 2 choices, expected 3"));
        assert!(fault(choices(&[0, 1, 2])).contains("\"mine\" has 1 choices that are not a model"));
        assert!(fault(Run::Choices(vec![])).contains("without a point"));
        assert!(fault(Run::Odds(vec![vec![1.0]])).contains("1 probabilities, expected 2"));
        assert!(choices(&[0, 1, 1]).check("mine", &outcomes()).is_ok() && choices(&[0, 1, 1]).is_one_point());
    }
}
