//! Keys and tokens.

use std::fmt;

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::digest::{digest, is_of};

/// What stands for a secret wherever a configuration is shown.
const HIDDEN: &str = "(secret)";

/// A key or a token. It is not shown, cannot be cloned, and its memory is cleared when it is dropped.
///
/// ```
/// use blindroute_gateway::config::Secret;
///
/// let token = Secret::new("correct horse".to_owned());
/// assert_eq!(format!("{token:?}"), "(secret)");
/// assert!(token.matches(b"correct horse") && !token.matches(b"wrong"));
/// ```
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one header that it is written in.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is the secret. How long it takes says nothing about where they differ.
    #[must_use]
    pub fn matches(&self, given: &[u8]) -> bool {
        is_of(&digest(self.0.as_bytes()), given)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}
