//! The operations of the machine: one file each, with documentation, method, meanings and cost.
//!
//! Notation: m = x + δ is the public part of a masked value, δ its mask; `[v]` are additive shares of a dealer-known v,
//! where party zero's share is drawn from its seed and party one's is a *correction* that the dealer sends; k is the ring
//! width. Security, the same for all: semi-honest, one corrupt server or the dealer alone. A server sees public parts,
//! each masked by fresh uniform δ, and its shares, each uniform on its own; the dealer sees nothing of the online phase.
//!
//! To add an operation, write its file: the header, a method of [`Machine`](crate::Machine) that checks the forms, and an
//! `impl` of [`Operation`](crate::operation::Operation). Register it below, and test it in `tests/` against plaintext and
//! against its cost formula. `scaled_product` is a small example.
//!
//! Comparisons have two implementations, between which a program's [`Tuning`](crate::Tuning) chooses ([`tuned`]): digits
//! ([`comparison`], [`rectifier_digits`]) and keys of function secret sharing ([`point`], [`spline_keys`],
//! [`rectifier`]).

pub mod bias;
pub mod bits_product;
pub mod bits_to_share;
pub mod comparison;
pub mod conjunction;
pub mod exponential;
pub mod extension;
pub mod linear;
pub mod opening;
pub mod payload_keys;
pub mod piecewise;
pub mod point;
pub mod product;
pub mod product_extended;
pub mod rectifier;
pub mod rectifier_digits;
pub mod reveal;
pub mod scaled_product;
pub mod selection;
pub mod selection_extended;
pub mod spline_keys;
pub mod square_sum;
pub mod table;
pub mod table_bits;
pub mod truncate_reduce;
pub mod tuned;
pub mod unmasking;

/// Material bytes of `words` words of `bits` bits.
pub(crate) const fn words_len(words: usize, bits: u32) -> usize {
    blindroute_ring::pack::packed_len(words, bits)
}
