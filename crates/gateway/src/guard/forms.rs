//! The token of the page's forms: a page of another site can send a form, but cannot know it.

use super::{Refusal, Token};
use std::fmt;
use std::sync::Arc;

/// The name of the field.
pub(crate) const FIELD: &str = "token";

/// A random token that the forms of one process have.
#[derive(Clone)]
pub struct Forms(Arc<str>);

impl Forms {
    /// With a new random token.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self::from_bytes(&bytes))
    }

    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(base16ct::lower::encode_string(bytes).into())
    }

    /// The token, for a hidden field.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.0
    }

    /// Checks the body of a form (`application/x-www-form-urlencoded`): it has the token once.
    ///
    /// # Errors
    /// If it does not.
    pub fn check(&self, body: &[u8]) -> Result<(), Refusal> {
        let mut given = body.split(|byte| *byte == b'&').filter_map(|field| field.strip_prefix(FIELD.as_bytes()));
        let (first, second) = (given.next().and_then(|rest| rest.strip_prefix(b"=")), given.next());
        let right = first.is_some_and(|first| Token::new(&self.0).matches(first)) && second.is_none();
        if right { Ok(()) } else { Err(Refusal::OtherForm) }
    }
}

impl fmt::Debug for Forms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
