//! What is public about a router's rule: its kind and sizes.

use serde::{Deserialize, Serialize};

use super::router::Rule;

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
}

/// The largest size of a tensor's side.
const LARGEST: usize = 1 << 16;
/// The most clusterings.
const MOST_CLUSTERINGS: usize = 1 << 8;

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
