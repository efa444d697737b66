//! Routers that people train with other programs, such as scikit-learn or RouteLLM, as rules of a bundle.
//!
//! Each constructor takes plain tables, checks them, and makes a [`ForeignRule`], which [`add`] puts into a bundle. The rule must be trained on
//! the embeddings of that bundle's encoder, and score its models in their order.
//!
//! | trained elsewhere | constructor | rule |
//! |---|---|---|
//! | linear, ridge, lasso, logistic regression | [`from_linear`] | direct |
//! | network with one or two hidden layers and ReLU | [`from_mlp`] | mlp |
//! | k nearest neighbours, uniform weights | [`from_neighbours`] | neighbours |
//! | K-means with outcomes per cluster | [`from_kmeans`] | neighbours, k = 1 |
//! | RouteLLM's matrix factorisation | [`from_routellm_mf`] | direct |
//!
//! A standardisation of the inputs ([`Standard`]) is folded into the weights of any of them.
//!
//! ```
//! use blindroute_lab::routers::foreign::{Standard, Table, from_linear};
//!
//! let weight = Table::new("weight", (2, 3), vec![0.1, -0.2, 0.3, 0.0, 0.5, -0.1])?;
//! let standard = Standard::new(vec![0.0; 3], vec![2.0; 3])?;
//! let rule = from_linear(weight, vec![0.5, 0.4], Some(&standard))?;
//! assert_eq!((rule.inputs(), rule.models()), (3, 2));
//! # Ok::<(), blindroute_lab::routers::foreign::ForeignError>(())
//! ```

use blindroute_routing::bundle::Rule;

mod add;
mod error;
mod linear;
mod ranges;
mod routellm;
mod standard;
mod stored;
mod table;
#[cfg(test)]
mod tests;

pub use add::{NewForeign, add};
pub use error::ForeignError;
pub use linear::{Layer, from_linear, from_mlp};
pub use routellm::{Factorisation, from_routellm_mf};
pub use standard::Standard;
pub use stored::{Metric, from_kmeans, from_neighbours};
pub use table::Table;

/// A rule that was trained elsewhere, without costs: it gets those of the bundle that it is added to.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignRule {
    rule: Rule,
}

impl ForeignRule {
    fn new(rule: Rule) -> Result<Self, ForeignError> {
        let models = rule.cost().columns();
        if models < 2 {
            let expected = "at least 2".to_owned();
            return Err(ForeignError::Setting { what: "number of models", found: models, expected });
        }
        Ok(Self { rule })
    }

    /// How many models it scores.
    pub fn models(&self) -> usize {
        self.rule.cost().columns()
    }

    /// How many numbers of a prompt it reads.
    pub fn inputs(&self) -> usize {
        self.rule.inputs()
    }

    /// The rule's kind, as [`Rule::kind`].
    pub fn kind(&self) -> &'static str {
        self.rule.kind()
    }

    /// The rule, whose costs are zero.
    pub(crate) fn into_rule(self) -> Rule {
        self.rule
    }
}
