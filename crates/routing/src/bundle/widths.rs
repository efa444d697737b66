//! The precision and the ranges of a polynomial encoder's values under MPC.

use super::config::setting;
use super::error::BundleError;
use serde::{Deserialize, Serialize};

/// Fraction bits and ranges of the values of an encoder with linear attention, which determine the rings of its program.
/// Public. A range r means that values are below 2^r in magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Widths {
    /// Fraction bits of weights.
    pub weights: u32,
    /// Fraction bits of what enters a linear layer, except for the activations.
    pub layer: u32,
    /// Fraction bits of queries, keys and values.
    pub heads: u32,
    /// Fraction bits of K′ᵀV/n.
    pub means: u32,
    /// Fraction bits of the inputs of the activation.
    pub inner: u32,
    /// Fraction bits of the activations, at most those of `layer`.
    pub activated: u32,
    /// The range of K′ᵀV/n.
    pub mean_range: u32,
    /// The range of the context.
    pub context_range: u32,
    /// The range of the sums with the residual.
    pub sum_range: u32,
    /// The range of the inputs of the activation.
    pub inner_range: u32,
    /// Rows whose squared norm is below 2^norm_low before a LayerNorm are outside the range.
    pub norm_low: u32,
    /// So are rows from 2^norm_high on.
    pub norm_high: u32,
}

impl Default for Widths {
    fn default() -> Self {
        Self {
            weights: 12,
            layer: 9,
            heads: 9,
            means: 8,
            inner: 9,
            activated: 9,
            mean_range: 4,
            context_range: 6,
            sum_range: 10,
            inner_range: 9,
            norm_low: 3,
            norm_high: 17,
        }
    }
}

impl Widths {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The ring of the sums with the residual, which what enters their layer needs too.
    pub(crate) fn sum_ring(&self) -> u32 {
        self.layer + self.weights + self.sum_range + 1
    }

    /// The ring of the sum after attention: of [`sum_ring`](Self::sum_ring) after its truncation.
    pub(crate) fn after_attention_ring(&self) -> u32 {
        self.sum_ring() + self.weights
    }

    /// The ring of K′ᵀV of a bucket: room for its sum, which is extended.
    pub(crate) fn values_ring(&self, bucket: usize) -> u32 {
        2 * self.heads + bucket.ilog2() + self.mean_range + 2
    }

    /// The ring of Q′·(K′ᵀV/n): room for the context, which is extended.
    pub(crate) fn context_ring(&self) -> u32 {
        self.heads + self.means + self.context_range + 2
    }

    /// The ring of the inputs of the activation, which are extended.
    pub(crate) fn inner_ring(&self) -> u32 {
        self.inner + self.inner_range + 2
    }

    /// The ring of what enters a layer: after a product and its truncation, queries, keys and values need theirs.
    pub(crate) fn layer_ring(&self, bucket: usize) -> u32 {
        let heads = self.values_ring(bucket).max(self.context_ring());
        (heads + self.layer + self.weights - self.heads).max(self.after_attention_ring())
    }

    /// Checks that the program has words for the rings.
    ///
    /// # Errors
    /// If a width or a ring is out of range.
    pub fn check(&self) -> Result<(), BundleError> {
        let fractions = [
            ("weights", self.weights, 6, 14),
            ("layer", self.layer, 4, 12),
            ("heads", self.heads, 4, 12),
            ("means", self.means, 3, 12),
            ("inner", self.inner, 3, 12),
            ("activated", self.activated, 3, self.layer),
            ("mean_range", self.mean_range, 1, 12),
            ("context_range", self.context_range, 1, 12),
            ("sum_range", self.sum_range, 2, 12),
            ("inner_range", self.inner_range, 1, 12),
            ("norm_low", self.norm_low, 1, 12),
            ("norm_high", self.norm_high, self.norm_low + 1, 18),
        ];
        for (name, found, least, most) in fractions {
            if !(least..=most).contains(&found) {
                return Err(setting(&format!("encoder.widths.{name}"), found, format!("from {least} to {most}")));
            }
        }
        if 2 * self.inner < self.activated {
            return Err(setting("encoder.widths.activated", self.activated, format!("at most {}", 2 * self.inner)));
        }
        // Then a value that leaves the ring of the sums by less than a half of it makes a norm that is outside.
        if self.norm_high > 2 * self.sum_range - 2 {
            let most = format!("at most {}, twice sum_range less 2", 2 * self.sum_range - 2);
            return Err(setting("encoder.widths.norm_high", self.norm_high, most));
        }
        // The largest bucket has the widest rings. A LayerNorm's product, which has more fraction bits than its result, is in a
        // word of 64 bits.
        let beyond = (self.layer + 3).min(12) + (self.layer + 8).min(17) - self.layer;
        let rings = [
            ("sum", self.sum_ring(), 32),
            ("K′ᵀV", self.values_ring(256), 32),
            ("context", self.context_ring(), 32),
            ("layer", self.layer_ring(256), 64 - beyond),
        ];
        for (name, found, most) in rings {
            if found > most {
                let what = format!("ring of encoder.widths for {name}, in bits");
                return Err(setting(&what, found, format!("at most {most}")));
            }
        }
        Ok(())
    }
}
