//! The versions of the messages that a program speaks.
//!
//! The two sides of a link agree on one in their TLS handshake (ALPN): the caller offers a name for each version that it
//! speaks, and the other side takes the newest that it speaks too. Both also offer a name that stands for no version. It is taken
//! if they have no version in common, so that each can still tell the other which ones it speaks, in a
//! [`Failure`](super::Failure), whose layout stays the same in all versions.

use std::fmt;

/// The newest version that this program speaks: of the messages, of their order, and of what the programs send and the dealer deals.
pub const VERSION: u16 = 10;

/// The oldest version that this program speaks. When [`VERSION`] rises by one, this one stays behind by one: so parties that are
/// upgraded one after the other work together meanwhile. Whatever a version adds or lays out in another way depends on
/// [`Link::version`](crate::Link::version), or in a session on the version that its client names.
pub const OLDEST_VERSION: u16 = 10;

/// The beginning of all names; alone, that of no version.
const NAME: &str = "blindroute";

/// The versions from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The oldest.
    pub oldest: u16,
    /// The newest.
    pub newest: u16,
}

impl Spoken {
    /// Those of this program.
    pub const OURS: Self = Self { oldest: OLDEST_VERSION, newest: VERSION };

    /// The names to offer, the best first.
    pub(crate) fn names(self) -> Vec<Vec<u8>> {
        let versions = (self.oldest..=self.newest).rev().map(|version| format!("{NAME}/{version}"));
        versions.chain([NAME.to_owned()]).map(String::into_bytes).collect()
    }

    /// The version of a name that both sides offered; nothing if it stands for none, or the other side offered no names.
    pub(crate) fn agreed(self, name: Option<&[u8]>) -> Option<u16> {
        let version = std::str::from_utf8(name?).ok()?.strip_prefix(NAME)?.strip_prefix('/')?.parse().ok()?;
        (self.oldest..=self.newest).contains(&version).then_some(version)
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { oldest, newest } if oldest == newest => write!(f, "version {newest}"),
            Self { oldest, newest } => write!(f, "versions {oldest} to {newest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_frozen_and_stand_for_one_version() {
        let spoken = Spoken { oldest: 9, newest: 11 };
        assert_eq!(spoken.names(), [&b"blindroute/11"[..], b"blindroute/10", b"blindroute/9", b"blindroute"]);
        let agreed = spoken.names().iter().map(|name| spoken.agreed(Some(name))).collect::<Vec<_>>();
        assert_eq!(agreed, [Some(11), Some(10), Some(9), None]);
        for other in [&b"blindroute/8"[..], b"blindroute/12", b"blindroute/", b"blindroute11", b"h2", b"\xff", b""] {
            assert_eq!(spoken.agreed(Some(other)), None);
        }
        assert_eq!(spoken.agreed(None), None, "a program of before version 10");
        assert_eq!(
            [spoken, Spoken { oldest: 7, newest: 7 }].map(|spoken| spoken.to_string()),
            ["versions 9 to 11", "version 7"]
        );
        assert!((2..=3).contains(&Spoken::OURS.names().len()), "this version and at most the one before it");
    }
}
