//! The changes that make a pool cheaper.

use super::prune::Pruner;
use super::variant::Variant;
use crate::classifiers::ClassifierError;
use crate::encoders::student::quantise;
use crate::encoders::{differences, narrower, width_names};

/// A change of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// One bit less in the width of this name.
    Width(&'static str),
    /// Fewer units in all feed-forward networks.
    Units,
    /// No exit at this place: texts that left there leave at the next.
    Exit(usize),
    /// Layers stored with so many bits. The rings stay, so it saves nothing under MPC.
    Bits(u8),
}

impl Change {
    /// All that can lower the cost of a pool with so many exits.
    pub(super) fn all(exits: usize) -> Vec<Self> {
        let widths = width_names().into_iter().map(Self::Width);
        widths.chain([Self::Units]).chain((0..exits.saturating_sub(1)).map(Self::Exit)).collect()
    }

    /// The variant after it, and what is different, for people. None where it is not possible.
    pub(super) fn of(
        self,
        before: &Variant,
        pruner: &Pruner<'_>,
    ) -> Result<Option<(Variant, String)>, ClassifierError> {
        let mut after = before.clone();
        let what = match self {
            Self::Width(name) => {
                let Some(widths) = narrower(before.encoder.widths, name) else { return Ok(None) };
                after.encoder.widths = widths;
                differences(before.encoder.widths, widths)
            }
            Self::Units => {
                let Some(pruned) = pruner.pruned(before)? else { return Ok(None) };
                after = pruned;
                format!("ffn {} -> {}", before.encoder.ffn, after.encoder.ffn)
            }
            Self::Exit(place) => {
                if place + 1 >= before.pool.exits.len() {
                    return Ok(None);
                }
                let layers = after.pool.exits.remove(place);
                for classifier in &mut after.pool.tasks {
                    classifier.heads.remove(place);
                    classifier.gains.remove(place);
                    classifier.task.capacities.remove(place);
                    if !classifier.task.thresholds.is_empty() {
                        classifier.task.thresholds.remove(place);
                    }
                }
                format!("no exit after {layers} layers")
            }
            Self::Bits(bits) => {
                after.layers.iter_mut().for_each(|layer| quantise(layer, bits));
                format!("stored with {bits} bits")
            }
        };
        Ok(Some((after, what)))
    }
}
