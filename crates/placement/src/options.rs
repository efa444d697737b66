//! What a caller says about a route.

use crate::error::PlacementError;
use crate::unknown::UnknownText;
use blindroute_routing::program::Placement;

/// How to route a prompt. The default is placement `full`, with the bundle's first router and that router's own weight of
/// cost.
///
/// ```
/// use blindroute_placement::{Placement, RouteOptions};
///
/// let options = RouteOptions::default().with_placement(Placement::Head).with_router("cscr").with_lambda(0.5);
/// assert_eq!(options.lambda, Some(0.5));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RouteOptions {
    /// Where encoder and rule run.
    pub placement: Placement,
    /// The router's name in the bundle; the first router if it is `None`.
    pub router: Option<String>,
    /// λ, the weight of cost, from 0 to 15; the router's own if it is `None`.
    pub lambda: Option<f32>,
    /// The model for prompts that the router can hardly read; the router chooses for all prompts if it is `None`.
    pub unknown_text: Option<UnknownText>,
    /// How many models a report names, the best first, from 1 to 4; 1 names the best one only. Servers and dealer see this number.
    pub ranking: usize,
}

impl Default for RouteOptions {
    fn default() -> Self {
        Self { placement: Placement::default(), router: None, lambda: None, unknown_text: None, ranking: 1 }
    }
}

impl RouteOptions {
    /// The same in another placement.
    #[must_use]
    pub fn with_placement(self, placement: Placement) -> Self {
        Self { placement, ..self }
    }

    /// The same with the router of this name.
    #[must_use]
    pub fn with_router(self, name: impl Into<String>) -> Self {
        Self { router: Some(name.into()), ..self }
    }

    /// The same with this weight of cost: 0 ignores cost, larger values prefer cheaper models.
    #[must_use]
    pub fn with_lambda(self, lambda: f32) -> Self {
        Self { lambda: Some(lambda), ..self }
    }

    /// The same, but reports name the best so many models, from 1 to 4: the further ones are for callers whose first choice does
    /// not answer. There must be as many models, and a router that searches first must keep as many.
    #[must_use]
    pub fn with_ranking(self, ranking: usize) -> Self {
        Self { ranking, ..self }
    }

    /// The same, but a prompt with much unknown text gets this model, whatever the router chooses. Its session runs all the
    /// same, so that servers and dealer see no difference.
    #[must_use]
    pub fn with_unknown_text(self, unknown: UnknownText) -> Self {
        Self { unknown_text: Some(unknown), ..self }
    }
}

/// Checks that this is a weight of cost that a router takes.
///
/// # Errors
/// If it is not a number from 0 to 15.
pub fn check_lambda(lambda: f32) -> Result<(), PlacementError> {
    if (0.0..=15.0).contains(&lambda) { Ok(()) } else { Err(PlacementError::Lambda(lambda)) }
}
