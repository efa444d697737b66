//! A client's secret, and the tokens that come of it.

use super::ClientsError;
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
        let bytes = Zeroizing::new(digest_of_hex(text.trim()).ok_or(ClientsError::Secret { path: path.to_owned() })?);
        Ok(Self(WireSeed::new(*bytes)))
    }

    /// What its file holds.
    #[must_use]
    pub fn to_line(&self) -> Zeroizing<String> {
        let mut line = Zeroizing::new(hex(self.0.expose()));
        line.push('\n');
        line
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

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        write!(out, "{byte:02x}").ok();
    }
    out
}

/// 32 bytes of 64 hexadecimal digits.
pub(super) fn digest_of_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; 32];
    for (place, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(out)
}
