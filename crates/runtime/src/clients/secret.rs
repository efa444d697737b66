//! A client's secret, and the tokens that come of it.

use super::ClientsError;
use crate::hexadecimal;
use crate::messages::{NoRandomness, WireSeed, secret_bits};
use crate::role::Role;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use zeroize::Zeroizing;

secret_bits! {
    /// What a client shows to one server. The other server gets another one, so neither can show it in the client's place.
    ClientToken
}

/// 256 random bits that a client keeps. Wiped on drop, never printed.
#[derive(Debug)]
pub struct ClientSecret(WireSeed);

impl ClientSecret {
    /// A fresh one from the operating system's randomness.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        WireSeed::generate().map(Self)
    }

    /// Reads a file with one line of hexadecimal digits.
    ///
    /// # Errors
    /// If the file cannot be read, or holds something else.
    pub fn load(path: &Path) -> Result<Self, ClientsError> {
        let io = |source| ClientsError::Io { path: path.to_owned(), source };
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(io)?);
        let bytes = hexadecimal::bytes(text.trim()).ok_or(ClientsError::Secret { path: path.to_owned() })?;
        Ok(Self(WireSeed::new(*bytes)))
    }

    /// What its file holds.
    #[must_use]
    pub fn to_line(&self) -> Zeroizing<String> {
        hexadecimal::line(self.0.expose())
    }

    /// The token for a server. A token says nothing about the secret or the other server's token.
    #[must_use]
    pub fn token(&self, server: Role) -> ClientToken {
        let mut hash = Sha256::new();
        hash.update(b"blindroute client token\0");
        hash.update(server.name());
        hash.update(b"\0");
        hash.update(self.0.expose());
        ClientToken::new(hash.finalize().into())
    }
}
