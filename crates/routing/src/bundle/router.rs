//! The routers that a bundle can hold: their rules and their numbers.
//!
//! Every rule chooses one of the M models of the bundle's pool and uses the same `cost`: each model's price divided by
//! the largest price of the pool, so that λ means the same for every pool. Of equal candidates the one with the lowest
//! index is chosen.
//!
//! A rule reads `inputs` numbers of a prompt, e: the embedding, and after it the [`Lexical`] features if the router has them.

use serde::{Deserialize, Serialize};

use super::{
    config::setting,
    encoder::{Named, Take},
    error::BundleError,
    matrix::Matrix,
    shape::RuleShape,
};
use crate::lexical::Lexical;

/// A router of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    /// Its name in this bundle: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// The default weight of cost, which training chose on the validation split.
    pub lambda: f32,
    /// The lexical features that the rule reads beside the embedding, as further columns; none if it reads the embedding alone.
    pub lexical: Option<Lexical>,
    /// The rule by which it decides.
    pub rule: Rule,
}

/// The rule by which a router decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// UniRoute (arXiv 2502.08773).
    UniRoute(UniRoute),
    /// CSCR (arXiv 2508.12491).
    Cscr(Cscr),
    /// Predicted scores.
    Direct(Direct),
    /// Scores of a network with hidden layers.
    Mlp(Mlp),
    /// Mean outcomes of the nearest stored prompts.
    Neighbours(Neighbours),
}

/// One or several clusterings of K clusters each. In each of them `k* = argmax_k e·centroid_k`; the answer is
/// `argmin_m (mean of errors[k*, m] over the clusterings) + λ·cost[m]`.
#[derive(Clone, Debug, PartialEq)]
pub struct UniRoute {
    /// The number of clusterings, all of K clusters.
    pub clusterings: usize,
    /// `[clusterings · K, inputs]`, one clustering after another, rows of unit length. The nearest centroid has the largest
    /// product with the embedding for any length of the embedding, so the embedding need not be normalised.
    pub centroids: Matrix,
    /// `[clusterings · K, M]`: how often each model fails in each cluster, from 0 to 1.
    pub errors: Matrix,
    /// `[1, M]`.
    pub cost: Matrix,
}

impl UniRoute {
    /// The number of clusters of each clustering.
    pub fn clusters(&self) -> usize {
        self.centroids.rows() / self.clusterings.max(1)
    }
}

/// `h = relu(e·w1)·w2`, normalised to unit length. The `keep` models with the largest similarity `h·descriptor_m` are kept.
/// The answer is the one of these with the largest utility − λ·cost\[m\]. The utility is the similarity, or in one
/// that predicts scores, which keeps all models, the score that the similarity predicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Cscr {
    /// `[inputs, W]`.
    pub w1: Matrix,
    /// `[W, D]`.
    pub w2: Matrix,
    /// `[M, D]`, of unit length.
    pub descriptors: Matrix,
    /// `[1, M]`.
    pub cost: Matrix,
    /// How many models the search keeps.
    pub keep: usize,
    /// From similarities to scores; none in a router that compares similarities themselves, as published.
    pub score_lines: Option<Box<ScoreLines>>,
}

/// The score that similarities predict: `offset[m] + slope[m] · (similarity_m − the mean similarity)`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreLines {
    /// `[1, M]`, from 0.
    pub slope: Matrix,
    /// `[1, M]`.
    pub offset: Matrix,
}

/// The answer is `argmax_m (e·weight + bias)[m] − λ·cost[m]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Direct {
    /// `[inputs, M]`.
    pub weight: Matrix,
    /// `[1, M]`.
    pub bias: Matrix,
    /// `[1, M]`.
    pub cost: Matrix,
}

/// The answer is `argmax_m (h·weight + bias)[m] − λ·cost[m]`, where h is made from the embedding by the hidden layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// One or two.
    pub hidden: Vec<HiddenLayer>,
    /// `[width of the last hidden layer, M]`.
    pub weight: Matrix,
    /// `[1, M]`.
    pub bias: Matrix,
    /// `[1, M]`.
    pub cost: Matrix,
}

/// `relu(x·weight + bias)`.
#[derive(Clone, Debug, PartialEq)]
pub struct HiddenLayer {
    /// `[inputs or width of the layer before, width]`.
    pub weight: Matrix,
    /// `[1, width]`.
    pub bias: Matrix,
}

/// The `keep` stored prompts with the largest `e·stored_n + offset[n]` are kept, of equal ones those with the lowest index. The answer is
/// `argmax_m (mean of outcomes[n, m] over these) − λ·cost[m]`.
///
/// For cosines the rows have unit length and the offsets are zero. For Euclidean distances they are −|stored_n|²/2: that is half of
/// the negative squared distance but for |e|², which is the same for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// `[N, inputs]`.
    pub stored: Matrix,
    /// `[1, N]`.
    pub offset: Matrix,
    /// `[N, M]`.
    pub outcomes: Matrix,
    /// `[1, M]`.
    pub cost: Matrix,
    /// How many stored prompts are kept, k.
    pub keep: usize,
}

/// The public part of a router: its entry in the header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RouterHeader {
    pub(super) name: String,
    pub(super) lambda: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lexical: Option<Lexical>,
    #[serde(flatten)]
    pub(super) shape: RuleShape,
}

impl Rule {
    /// Each model's price divided by the largest, `[1, M]`.
    pub fn cost(&self) -> &Matrix {
        match self {
            Self::UniRoute(rule) => &rule.cost,
            Self::Cscr(rule) => &rule.cost,
            Self::Direct(rule) => &rule.cost,
            Self::Mlp(rule) => &rule.cost,
            Self::Neighbours(rule) => &rule.cost,
        }
    }

    /// The same rule with other costs.
    #[must_use]
    pub fn with_cost(self, cost: Matrix) -> Self {
        match self {
            Self::UniRoute(rule) => Self::UniRoute(UniRoute { cost, ..rule }),
            Self::Cscr(rule) => Self::Cscr(Cscr { cost, ..rule }),
            Self::Direct(rule) => Self::Direct(Direct { cost, ..rule }),
            Self::Mlp(rule) => Self::Mlp(Mlp { cost, ..rule }),
            Self::Neighbours(rule) => Self::Neighbours(Neighbours { cost, ..rule }),
        }
    }

    /// How many numbers of a prompt it reads.
    pub fn inputs(&self) -> usize {
        match self {
            Self::UniRoute(rule) => rule.centroids.columns(),
            Self::Cscr(rule) => rule.w1.rows(),
            Self::Direct(rule) => rule.weight.rows(),
            Self::Mlp(rule) => rule.hidden.first().map_or(rule.weight.rows(), |layer| layer.weight.rows()),
            Self::Neighbours(rule) => rule.stored.columns(),
        }
    }

    /// The rule's name: `uniroute`, `cscr`, `direct`, `mlp` or `neighbours`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UniRoute(_) => "uniroute",
            Self::Cscr(_) => "cscr",
            Self::Direct(_) => "direct",
            Self::Mlp(_) => "mlp",
            Self::Neighbours(_) => "neighbours",
        }
    }
}

impl Router {
    /// Checks that a router may have this name.
    pub fn check_name(name: &str) -> Result<(), BundleError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
            return Err(setting(
                "router name",
                format!("{name:?}"),
                "1 to 64 lower-case letters, digits, hyphens or underscores",
            ));
        }
        Ok(())
    }

    /// The rule's name, see [`Rule::kind`].
    pub fn kind(&self) -> &'static str {
        self.rule.kind()
    }

    /// Each model's price divided by the largest, `[1, M]`.
    pub fn cost(&self) -> &Matrix {
        self.rule.cost()
    }

    pub(super) fn header(&self) -> RouterHeader {
        let shape = RuleShape::of(&self.rule);
        RouterHeader { name: self.name.clone(), lambda: self.lambda, lexical: self.lexical, shape }
    }

    pub(super) fn list<'a>(&'a self, list: &mut Named<'a>) {
        let mut push = |part: &str, matrix: &'a Matrix| list.push((tensor_name(&self.name, part), matrix));
        match &self.rule {
            Rule::UniRoute(rule) => {
                push("centroids", &rule.centroids);
                push("errors", &rule.errors);
                push("cost", &rule.cost);
            }
            Rule::Cscr(rule) => {
                push("w1", &rule.w1);
                push("w2", &rule.w2);
                push("descriptors", &rule.descriptors);
                push("cost", &rule.cost);
                if let Some(score_lines) = &rule.score_lines {
                    push("slope", &score_lines.slope);
                    push("offset", &score_lines.offset);
                }
            }
            Rule::Direct(rule) => {
                push("weight", &rule.weight);
                push("bias", &rule.bias);
                push("cost", &rule.cost);
            }
            Rule::Mlp(rule) => {
                for (layer, hidden) in (1..).zip(&rule.hidden) {
                    push(&format!("w{layer}"), &hidden.weight);
                    push(&format!("b{layer}"), &hidden.bias);
                }
                push("weight", &rule.weight);
                push("bias", &rule.bias);
                push("cost", &rule.cost);
            }
            Rule::Neighbours(rule) => {
                push("stored", &rule.stored);
                push("offset", &rule.offset);
                push("outcomes", &rule.outcomes);
                push("cost", &rule.cost);
            }
        }
    }
}

impl RouterHeader {
    pub(super) fn build(&self, take: &mut Take<'_>, hidden: usize, models: usize) -> Result<Router, BundleError> {
        let mut take = |part: &str, shape| take(&tensor_name(&self.name, part), shape);
        let inputs = hidden + self.lexical.map_or(0, |lexical| lexical.width());
        let rule = match self.shape {
            RuleShape::UniRoute { clusters, clusterings } => Rule::UniRoute(UniRoute {
                clusterings,
                centroids: take("centroids", (clusterings * clusters, inputs))?,
                errors: take("errors", (clusterings * clusters, models))?,
                cost: take("cost", (1, models))?,
            }),
            RuleShape::Cscr { width, descriptor, keep, predicts_scores } => Rule::Cscr(Cscr {
                w1: take("w1", (inputs, width))?,
                w2: take("w2", (width, descriptor))?,
                descriptors: take("descriptors", (models, descriptor))?,
                cost: take("cost", (1, models))?,
                keep,
                score_lines: if predicts_scores {
                    let (slope, offset) = (take("slope", (1, models))?, take("offset", (1, models))?);
                    Some(Box::new(ScoreLines { slope, offset }))
                } else {
                    None
                },
            }),
            RuleShape::Direct => Rule::Direct(Direct {
                weight: take("weight", (inputs, models))?,
                bias: take("bias", (1, models))?,
                cost: take("cost", (1, models))?,
            }),
            RuleShape::Mlp { width, second } => {
                let (mut hidden, mut before) = (Vec::new(), inputs);
                for (layer, width) in (1..).zip(std::iter::once(width).chain(second)) {
                    let weight = take(&format!("w{layer}"), (before, width))?;
                    hidden.push(HiddenLayer { weight, bias: take(&format!("b{layer}"), (1, width))? });
                    before = width;
                }
                Rule::Mlp(Mlp {
                    hidden,
                    weight: take("weight", (before, models))?,
                    bias: take("bias", (1, models))?,
                    cost: take("cost", (1, models))?,
                })
            }
            RuleShape::Neighbours { stored, keep } => Rule::Neighbours(Neighbours {
                stored: take("stored", (stored, inputs))?,
                offset: take("offset", (1, stored))?,
                outcomes: take("outcomes", (stored, models))?,
                cost: take("cost", (1, models))?,
                keep,
            }),
        };
        Ok(Router { name: self.name.clone(), lambda: self.lambda, lexical: self.lexical, rule })
    }

    /// Checks the settings.
    pub(super) fn check(&self, models: usize) -> Result<(), BundleError> {
        let name = &self.name;
        Router::check_name(name)?;
        if models < 2 {
            return Err(setting("number of models", models, "at least 2 where there is a router"));
        }
        if !(self.lambda.is_finite() && self.lambda >= 0.0) {
            return Err(setting(&format!("lambda of router {name:?}"), self.lambda, "a number from 0"));
        }
        let problem = self.lexical.and_then(|lexical| lexical.problem()).or(self.shape.problem(models));
        if let Some((what, found, expected)) = problem {
            return Err(setting(&format!("{what} of router {name:?}"), found, expected));
        }
        Ok(())
    }
}

fn tensor_name(router: &str, part: &str) -> String {
    format!("router.{router}.{part}")
}
