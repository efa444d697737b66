//! The four roles of a deployment, and the names their certificates carry.

use std::fmt;
use std::str::FromStr;

/// The role of a process in a deployment. A certificate binds a key to exactly one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Holds the prompt and learns which model was chosen.
    Client,
    /// Holds the first share of the weights, and accepts the lanes of server 1.
    Server0,
    /// Holds the second share of the weights, and opens the lanes to server 0.
    Server1,
    /// Makes correlated randomness. Sees neither prompts nor weights.
    Dealer,
}

impl Role {
    /// Every role, in the order in which certificates are made.
    pub const ALL: [Role; 4] = [Role::Client, Role::Server0, Role::Server1, Role::Dealer];

    /// The short name: `client`, `server0`, `server1`, `dealer`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Server0 => "server0",
            Role::Server1 => "server1",
            Role::Dealer => "dealer",
        }
    }

    /// The DNS name in the certificate, for instance `server0.blindroute`.
    #[must_use]
    pub const fn certificate_name(self) -> &'static str {
        match self {
            Role::Client => "client.blindroute",
            Role::Server0 => "server0.blindroute",
            Role::Server1 => "server1.blindroute",
            Role::Dealer => "dealer.blindroute",
        }
    }

    /// The position of a server, 0 or 1; nothing for the other roles.
    #[must_use]
    pub const fn party(self) -> Option<u8> {
        match self {
            Role::Server0 => Some(0),
            Role::Server1 => Some(1),
            Role::Client | Role::Dealer => None,
        }
    }

    /// The server in a position.
    #[must_use]
    pub const fn server(party: u8) -> Option<Role> {
        match party {
            0 => Some(Role::Server0),
            1 => Some(Role::Server1),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that is not the name of a role.
#[derive(Debug, thiserror::Error)]
#[error("unknown role {0:?}: expected client, server0, server1 or dealer")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
