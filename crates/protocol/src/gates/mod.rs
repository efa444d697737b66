//! Gates: what programs compute with, composed of the machine's operations, so every interpreter has them.
//!
//! Each gate states its openings; its bytes and material follow from the operations and are what
//! [`Meter`](crate::Meter) sums, which tests compare with the formula here and with what real servers send.

mod activation;
mod argmax;
mod best_few;
mod best_k;
mod largest;
mod lead;
mod maximum;
mod normalise;
mod ranking;
pub mod selection;
mod top_k;

pub use activation::{GELU_KNOTS, SignWindow, Target, gelu, gelu_bump, relu, square};
pub use argmax::{Order, argmax, one_hot_rows, rows_of_parts, sort_keys, winner};
pub use best_few::Chosen;
pub use best_k::{BestK, best_k};
pub use largest::largest;
pub use lead::lead;
pub use maximum::row_maximum;
pub use normalise::{
    Normalised, Scaling, Wide, any_outside, inverse_root, layer_norm, layer_norm_within, outside_count, outside_margin,
    outside_sum, reciprocal, scale_deferred_rows, scale_rows, softmax_numerators,
};
pub use ranking::ranking;
pub use top_k::{top_k_then_argmax, top_k_then_ranking};
