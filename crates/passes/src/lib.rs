//! Passes: tokens that show that a client may ask, and not which client it is.
//!
//! **Computes** tokens of Privacy Pass, type 1: RFC 9578, section 5, with the verifiable oblivious function (VOPRF) of RFC 9497 over
//! P-384 and SHA-384. **Sizes** a key 49 bytes, a request and an answer 49 bytes each pass and a proof of 96, a pass 80 bytes.
//! **Security** who issued a pass sees at its use a random number that it never saw before: it cannot tell at which issuance that one
//! was made (unconditionally, since the request is blinded by a uniform scalar), as long as all clients have the same key, which the
//! proof shows for one answer; without the key nobody makes a pass that is accepted (one-more gap Diffie-Hellman in P-384).
//! **Differs from the source** in that a pass is sent without the fields that both sides know: its type, the digest of the challenge
//! and the name of the key.
//!
//! The issuer is the only one who can verify its passes, so a deployment's servers each issue their own. What was used before is not
//! known here; [`Pass::name`] is what to remember.
//!
//! ```
//! use blindroute_passes::{Challenge, IssuerKey, Wanted};
//!
//! # fn main() -> Result<(), blindroute_passes::PassError> {
//! let (issuer, challenge) = (IssuerKey::generate()?, Challenge::of("server0"));
//! // The client blinds, the issuer answers, and the client has passes that the issuer has not seen.
//! let wanted = Wanted::new(&issuer.public(), &challenge, 2)?;
//! let (evaluated, proof) = issuer.issue(wanted.blinded())?;
//! let passes = wanted.finish(&evaluated, &proof)?;
//! assert!(passes.iter().all(|pass| issuer.accepts(&challenge, pass)));
//! assert!(!issuer.accepts(&Challenge::of("server1"), &passes[0]));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod issuer;
mod pass;
mod randomness;
#[cfg(test)]
mod tests;
mod wanted;

pub use issuer::IssuerKey;
pub use pass::{Challenge, KeyId, Pass};
pub use wanted::Wanted;

/// Bytes of a public key, of a blinded request, and of an answer to one: a point of P-384, compressed.
pub const POINT: usize = 49;
/// Bytes of a secret key.
pub const SECRET: usize = 48;
/// Bytes of the proof that all answers of one issuance come from the issuer's key.
pub const PROOF: usize = 96;
/// The most passes of one issuance.
pub const ISSUED_MAX: usize = 512;

/// The suite of type 1.
type Suite = p384::NistP384;

/// Why no passes are made. Holds nothing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// Bytes are no key.
    #[error("these bytes are no key of passes: expected a scalar or a point of P-384")]
    Key,
    /// A request or an answer is no point of the group.
    #[error("a request or an answer is no point of P-384")]
    Point,
    /// The proof does not fit: the answers are not from the key that the issuer names.
    #[error("the issuer's proof is wrong: its answers are not of the key that it names")]
    Proof,
    /// The number of requests is not allowed, or not that of the answers.
    #[error("{found} passes at once: expected {expected}, at least 1 and at most 512")]
    Count {
        /// How many were expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: check that /dev/urandom can be read")]
    Randomness,
}
