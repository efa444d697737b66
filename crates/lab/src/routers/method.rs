//! The kinds of routers and their options.

use crate::routers::{LambdaRule, TrainError, cscr, direct, uniroute};
use blindroute_routing::bundle::Rule;

/// The kind of router to train, and its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Clusters and errors ([`uniroute`]).
    UniRoute(uniroute::Options),
    /// Predicted scores ([`direct`]).
    Direct(direct::Options),
    /// A projection and descriptors ([`cscr`]).
    Cscr(cscr::Options),
}

impl Method {
    /// The name of the kind, which is a router's name unless it has another.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UniRoute(_) => "uniroute",
            Self::Direct(_) => "direct",
            Self::Cscr(_) => "cscr",
        }
    }

    /// Checks the numbers among the options that need no data to be found wrong, so that nobody waits for embeddings first.
    ///
    /// # Errors
    /// [`TrainError::Number`] for the first of them.
    pub fn check(&self) -> Result<(), TrainError> {
        let wrong = |what, found, expected| Err(TrainError::Number { what, found, expected });
        let lambda = match self {
            Self::UniRoute(options) => options.lambda,
            Self::Direct(options) => options.lambda,
            Self::Cscr(options) => options.lambda,
        };
        let (what, number) = match lambda {
            LambdaRule::Utility { alpha } => ("alpha", alpha),
            LambdaRule::MatchBestSingle { slack } => ("the slack", slack),
        };
        if !(number.is_finite() && number >= 0.0) {
            return wrong(what, number, "a number of 0 or more");
        }
        match self {
            Self::UniRoute(options) => match options.clusters.iter().find(|clusters| **clusters < 2) {
                Some(few) => wrong(
                    "a number of clusters",
                    *few as f64,
                    "2 or more, because with one cluster the prompt does not matter",
                ),
                None => Ok(()),
            },
            Self::Direct(options) => {
                match options.penalties.iter().find(|penalty| !(penalty.is_finite() && **penalty >= 0.0)) {
                    Some(penalty) => wrong("a penalty", *penalty, "numbers of 0 or more"),
                    None => Ok(()),
                }
            }
            Self::Cscr(options) if !(options.rate.is_finite() && options.rate > 0.0) => {
                wrong("the learning rate", options.rate, "a number above 0, such as 0.0005")
            }
            Self::Cscr(_) => Ok(()),
        }
    }

    /// Starts the training from a trained rule. False if that is of another kind, or if this kind starts from none.
    pub fn start_from(&mut self, rule: &Rule) -> bool {
        match (self, rule) {
            (Self::UniRoute(options), Rule::UniRoute(rule)) => {
                let (clusterings, centroids) = (rule.clusterings, rule.centroids.clone());
                options.start = Some(uniroute::Start { clusterings, centroids });
            }
            (Self::Cscr(options), Rule::Cscr(rule)) => options.start = Some(Box::new(rule.clone())),
            _ => return false,
        }
        true
    }
}
