//! The end of every training: the default weight of cost, and whether the router is surely better than not looking at the prompt.
//! Both follow from what the folds' routers choose for prompts that they have not seen.

use crate::Stop;
use crate::data::Samples;
use crate::evaluation::Point;
use crate::routers::cross_validation::{CrossValidated, Utilities, Validation};
use crate::routers::mixture::choose_share;
use crate::routers::{LambdaRule, TrainError, choose_lambda};

/// A trained router `R`, and the trials `T` that led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit<R, T> {
    /// The router.
    pub router: R,
    /// What cross-validation says of the chosen setting.
    pub verdict: Verdict,
    /// The setting that was chosen.
    pub chosen: T,
    /// All settings that were tried, from simple to complex.
    pub tried: Vec<T>,
}

/// What cross-validation says of a setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The default weight of cost.
    pub lambda: f32,
    /// Score and cost at that weight.
    pub point: Point,
    /// The area, and by how much it is above that of the prompt-blind hull.
    pub validated: CrossValidated,
    /// The share of the router's own predictions in a mixture with the prompt-blind hull; 1 for the router as it is.
    pub share: f32,
    /// What the folds' routers predict, for the first seed.
    pub(crate) utilities: Utilities,
}

/// How a training ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) validation: Validation,
    pub(crate) lambda: LambdaRule,
    /// Whether to mix the router with the prompt-blind hull until it is not worse.
    pub(crate) mixture: bool,
}

impl Ending {
    /// The verdict on these predictions of the folds' routers, one list per seed.
    pub(crate) fn verdict(
        &self,
        samples: &Samples,
        cost: &[f32],
        utilities: Vec<Utilities>,
        stop: &Stop,
    ) -> Result<Verdict, TrainError> {
        let (share, mut utilities, validated) = if self.mixture {
            choose_share(samples, cost, self.validation, &utilities, stop)?
        } else {
            let validated = CrossValidated::of(samples, cost, self.validation, &utilities, stop)?;
            (1.0, utilities, validated)
        };
        let first = utilities.swap_remove(0);
        let (lambda, point) = choose_lambda(&first, cost, samples, self.lambda);
        Ok(Verdict { lambda, point, validated, share, utilities: first })
    }
}
