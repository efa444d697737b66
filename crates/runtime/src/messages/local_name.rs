//! What the log of a process calls something that other parties know too.
//!
//! Both servers know a session's id, an epoch and the address of a client. If both wrote them down, whoever sees two logs could tell
//! which lines belong together. So a process writes a name of its own: a keyed digest, whose key it draws once and nobody else has.
//! Within one log, lines of one session still have one name.

use std::fmt;
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use super::{SessionId, WireSeed};

/// Bytes of a name. A log of a billion sessions has two of one name with a probability of a few percent.
const LEN: usize = 8;

/// The kind of a session.
pub(super) const SESSION: &str = "session";

/// The environment variable with the key of the names in this process's log. With it, names stay the same when a party starts again.
/// Parties with one key have the names in common, so each operator chooses one of its own and keeps it to itself.
pub const NAMES_KEY: &str = "BLINDROUTE_NAMES_KEY";

/// The key of this process; none if the operating system gives no randomness.
static KEY: OnceLock<Option<WireSeed>> = OnceLock::new();

/// A name that only this process gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalName(Option<[u8; LEN]>);

impl LocalName {
    /// Of a thing of this kind.
    pub(crate) fn of(kind: &str, thing: &[u8]) -> Self {
        Self(KEY.get_or_init(key).as_ref().map(|key| name(key, kind, thing)))
    }
}

fn key() -> Option<WireSeed> {
    match std::env::var_os(NAMES_KEY) {
        Some(text) => Some(of_text(text.as_encoded_bytes())),
        None => WireSeed::generate().ok(),
    }
}

fn of_text(text: &[u8]) -> WireSeed {
    WireSeed::new(Sha256::digest(text).into())
}

impl SessionId {
    /// What the log of a process calls it whose [`NAMES_KEY`] is this.
    #[must_use]
    pub fn name_under(&self, key: &str) -> String {
        LocalName(Some(name(&of_text(key.as_bytes()), SESSION, &self.0))).to_string()
    }
}

fn name(key: &WireSeed, kind: &str, thing: &[u8]) -> [u8; LEN] {
    let mut hash = Sha256::new();
    hash.update(b"blindroute name in a log\0");
    hash.update(key.expose());
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(thing);
    let digest: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|index| digest[index])
}

impl fmt::Display for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(bytes) => write!(f, "{:x}", base16ct::HexDisplay(bytes)),
            None => f.write_str("without a name"),
        }
    }
}

impl fmt::Debug for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::EpochId;

    #[test]
    fn a_name_is_the_same_in_one_process_and_another_one_in_the_next() {
        let [ours, theirs] = [1, 2].map(|byte| WireSeed::new([byte; 32]));
        let thing = [7; 16];
        assert_eq!(name(&ours, "session", &thing), name(&ours, "session", &thing));
        assert_ne!(name(&ours, "session", &thing), name(&theirs, "session", &thing));
        assert_ne!(name(&ours, "session", &thing), name(&ours, "epoch", &thing));
        assert_ne!(name(&ours, "session", &thing), name(&ours, "session", &[8; 16]));
        let [ours, theirs] = ["ours", "theirs"].map(|key| SessionId([7; 16]).name_under(key));
        assert!(ours != theirs && ours == SessionId([7; 16]).name_under("ours"));
    }

    #[test]
    fn ids_are_written_as_names_and_never_as_they_are_sent() {
        let (session, epoch) = (SessionId([0xAB; 16]), EpochId([0xAB; 16]));
        for written in [session.to_string(), format!("{session:?}"), epoch.to_string(), format!("{epoch:?}")] {
            assert!(written.len() == 2 * LEN && !written.contains("abab"), "{written}");
        }
        assert_eq!(session.to_string(), SessionId([0xAB; 16]).to_string());
        assert_ne!(session.to_string(), epoch.to_string());
    }
}
