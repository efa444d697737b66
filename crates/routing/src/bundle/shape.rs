//! What is public about a router's rule: its kind and sizes.

use serde::{Deserialize, Serialize};

use super::router::Rule;
use blindroute_protocol::Tuning;
use blindroute_protocol::gates::BestK;

/// The shape of a router's rule, in the header of a bundle and in the plan of its programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum RuleShape {
    /// In each clustering the nearest of `clusters` centroids, then the least mean error + λ·cost.
    UniRoute {
        /// Centroids of each clustering.
        clusters: usize,
        /// Clusterings.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        clusterings: usize,
    },
    /// Projection, the `keep` models with most similarity, then the most utility − λ·cost.
    Cscr {
        /// Width of the projection's hidden layer.
        width: usize,
        /// Width of descriptors.
        descriptor: usize,
        /// How many models the search keeps.
        keep: usize,
        /// Whether scores are predicted from the similarities. Then all models are kept.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        predicts_scores: bool,
    },
    /// The most predicted score − λ·cost.
    Direct,
    /// The same of a network with one or two hidden layers.
    Mlp {
        /// Width of the first hidden layer.
        width: usize,
        /// Width of the second, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        second: Option<usize>,
    },
    /// The most mean outcome − λ·cost of the `keep` nearest stored prompts.
    Neighbours {
        /// Stored prompts, N.
        stored: usize,
        /// How many are kept, k.
        keep: usize,
    },
}

/// The largest size of a tensor's side.
const LARGEST: usize = 1 << 16;
/// The most clusterings.
const MOST_CLUSTERINGS: usize = 1 << 8;
/// The widest hidden layer of a network.
const MOST_WIDTH: usize = 1 << 11;
/// The most stored prompts.
pub const MOST_STORED: usize = 1 << 12;
/// The most comparisons with which the nearest stored prompts are found.
const MOST_COMPARISONS: usize = 1 << 18;

impl RuleShape {
    /// The shape of a rule.
    pub fn of(rule: &Rule) -> Self {
        match rule {
            Rule::UniRoute(rule) => Self::UniRoute { clusters: rule.clusters(), clusterings: rule.clusterings },
            Rule::Cscr(rule) => Self::Cscr {
                width: rule.w1.columns(),
                descriptor: rule.w2.columns(),
                keep: rule.keep,
                predicts_scores: rule.score_lines.is_some(),
            },
            Rule::Direct(_) => Self::Direct,
            Rule::Mlp(rule) => {
                // A network without hidden layers has a width of 0, and one with more than two has shapes that do not fit its own.
                let width = |layer: usize| rule.hidden.get(layer).map(|layer| layer.weight.columns());
                Self::Mlp { width: width(0).unwrap_or(0), second: width(1) }
            }
            Rule::Neighbours(rule) => Self::Neighbours { stored: rule.stored.rows(), keep: rule.keep },
        }
    }

    /// A size that no rule over so many models has, what was found, and what is expected. Sizes are bounded, so that no
    /// unreasonably large tensor is allocated.
    pub(crate) fn problem(&self, models: usize) -> Option<(&'static str, String, String)> {
        let sizes: &[(&'static str, usize, usize)] = match *self {
            Self::UniRoute { clusters, clusterings } => &[
                ("clusterings", clusterings, MOST_CLUSTERINGS),
                ("clusters", clusters, LARGEST / clusterings.clamp(1, MOST_CLUSTERINGS)),
            ],
            Self::Cscr { keep, predicts_scores: true, .. } if keep != models => {
                return Some(("keep", keep.to_string(), format!("{models}, because it predicts scores")));
            }
            Self::Cscr { width, descriptor, keep, .. } => {
                &[("width", width, LARGEST), ("descriptor", descriptor, LARGEST), ("keep", keep, models)]
            }
            Self::Direct => &[],
            Self::Mlp { width, second: None } => &[("width", width, MOST_WIDTH)],
            Self::Mlp { width, second: Some(second) } => {
                &[("width", width, MOST_WIDTH), ("second width", second, MOST_WIDTH)]
            }
            Self::Neighbours { stored: 1, .. } => {
                return Some(("number of stored prompts", "1".to_owned(), format!("from 2 to {MOST_STORED}")));
            }
            Self::Neighbours { stored, keep } => {
                let comparisons = BestK::of(stored, keep, Tuning::Near).map(|plan| plan.comparisons);
                if stored <= MOST_STORED
                    && (1..=stored).contains(&keep)
                    && comparisons.is_none_or(|comparisons| comparisons > MOST_COMPARISONS)
                {
                    let found = format!("{keep} of {stored} stored prompts");
                    return Some((
                        "keep",
                        found,
                        format!(
                            "one that takes at most {MOST_COMPARISONS} comparisons: fewer, or fewer stored prompts"
                        ),
                    ));
                }
                &[("number of stored prompts", stored, MOST_STORED), ("keep", keep, stored)]
            }
        };
        let (what, found, most) = sizes.iter().find(|(_, found, most)| *found == 0 || found > most)?;
        Some((what, found.to_string(), format!("from 1 to {most}")))
    }
}

/// The number of clusterings where a file does not say it.
fn one() -> usize {
    1
}

/// Whether a file need not say the number of clusterings.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_one(clusterings: &usize) -> bool {
    *clusterings == one()
}
