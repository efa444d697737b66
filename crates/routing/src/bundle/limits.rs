//! The ranges of the values of rules that are made elsewhere.
//!
//! A rule that this project trains has values of known size. The numbers of a network or of stored prompts may have any size, and what
//! leaves its ring under MPC is wrong without an error. Their weights are checked wherever a bundle is made or read; what
//! also depends on the embedding (hidden values, scores) is checked where a rule is imported, on embeddings of prompts.

use super::config::setting;
use super::error::BundleError;
use super::matrix::Matrix;
use super::router::{Router, Rule};

/// The largest magnitude of a weight of a network or of an entry of a stored prompt. The embedding is rounded to 2^−17, so larger
/// ones would move a value by more than 2^−7 for each of its entries.
pub const LARGEST_WEIGHT: f32 = 1024.0;
/// Every hidden value before ReLU is below this in magnitude, and so are biases and the offsets of stored prompts.
pub const LARGEST_HIDDEN: f32 = 64.0;
/// Every `e·stored + offset` is below this in magnitude.
pub const LARGEST_KEY: f32 = 15.0;
/// Every outcome of a stored prompt is below this in magnitude, so that scores differ by less than [`LARGEST_SPREAD`].
pub const LARGEST_OUTCOME: f32 = 8.0;
/// The scores of a prompt differ by less than this, without λ·cost, which has the same room.
pub const LARGEST_SPREAD: f32 = 16.0;

/// Checks the costs of a router, and the numbers of a rule that may have been made elsewhere.
pub(super) fn check(router: &Router) -> Result<(), BundleError> {
    let name = &router.name;
    if let Some(cost) = router.cost().data().iter().find(|cost| !(0.0..=1.0).contains(*cost)) {
        return Err(setting(&format!("cost of router {name:?}"), cost, "from 0 to 1"));
    }
    let below = |what: &str, matrix: &Matrix, limit: f32| {
        let largest = matrix
            .data()
            .iter()
            .copied()
            .fold(0.0, |largest: f32, x| if x.abs() > largest.abs() { x } else { largest });
        if largest.abs() < limit {
            return Ok(());
        }
        Err(setting(&format!("largest {what} of router {name:?}"), largest, format!("a magnitude below {limit}")))
    };
    match &router.rule {
        Rule::Mlp(rule) => {
            for layer in &rule.hidden {
                below("weight", &layer.weight, LARGEST_WEIGHT)?;
                below("bias of a hidden layer", &layer.bias, LARGEST_HIDDEN)?;
            }
            below("weight", &rule.weight, LARGEST_WEIGHT)?;
            below("bias", &rule.bias, LARGEST_HIDDEN)
        }
        Rule::Neighbours(rule) => {
            below("entry of a stored prompt", &rule.stored, LARGEST_WEIGHT)?;
            below("offset of a stored prompt", &rule.offset, LARGEST_HIDDEN)?;
            below("outcome of a stored prompt", &rule.outcomes, LARGEST_OUTCOME)
        }
        Rule::UniRoute(_) | Rule::Cscr(_) | Rule::Direct(_) => Ok(()),
    }
}
