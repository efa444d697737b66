//! Why a rule that was trained elsewhere cannot be used.

use crate::encoders::EmbedError;
use blindroute_routing::bundle::BundleError;
use blindroute_routing::tokenizer::TokenizerError;

/// Why a rule that was trained elsewhere cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// A table has another shape than the others require.
    #[error("the {what} is {} × {}, expected {expected}: give tables of one trained model", .found.0, .found.1)]
    Shape {
        /// Which table.
        what: &'static str,
        /// Its rows and columns.
        found: (usize, usize),
        /// What would fit.
        expected: String,
    },
    /// A list has another length than a table requires.
    #[error("the {what} has {found} numbers, expected {expected}: give tables of one trained model")]
    Length {
        /// Which list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that would fit.
        expected: usize,
    },
    /// A number that cannot be computed with.
    #[error("the {what} holds {found}, expected {expected}")]
    Number {
        /// Which table.
        what: &'static str,
        /// The number.
        found: f64,
        /// What may be there.
        expected: &'static str,
    },
    /// A setting that no rule has.
    #[error("unsupported {what} {found}: expected {expected}")]
    Setting {
        /// Which one.
        what: &'static str,
        /// What was given.
        found: usize,
        /// What is allowed.
        expected: String,
    },
    /// The rule scores another number of models than the bundle has.
    #[error(
        "the rule scores {found} models, the bundle has {expected}: train it on the outcomes of the bundle's models, in their order"
    )]
    Models {
        /// Models of the rule.
        found: usize,
        /// Models of the bundle.
        expected: usize,
    },
    /// The rule reads other embeddings than the bundle's.
    #[error(
        "the rule reads embeddings of width {found}, those of the bundle have {expected}: train it on what the bundle's encoder gives (`Bundle.embed`)"
    )]
    Inputs {
        /// The rule's width.
        found: usize,
        /// The width of the bundle's embeddings, with lexical features if the router reads them.
        expected: usize,
    },
    /// A value of the rule leaves the range of fixed-point numbers.
    #[error(
        "a {what} of the rule is {found} for one of the prompts that were tried, expected a magnitude below {limit}: scale the rule down \
         (standardise its targets, or penalise its weights more) and train it again"
    )]
    Range {
        /// Which value.
        what: &'static str,
        /// The value found.
        found: f32,
        /// The limit.
        limit: f32,
    },
    /// The bundle cannot hold the rule.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle's tokenizer cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenizerError),
    /// The texts that try the ranges could not be embedded.
    #[error(transparent)]
    Embed(#[from] EmbedError),
}
