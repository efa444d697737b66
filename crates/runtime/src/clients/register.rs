//! The register of clients: a file in TOML.

use super::{ClientSecret, ClientsError, Limits, Shown};
use crate::changes::Seen;
use crate::config::located;
use crate::file_set::replace;
use crate::hexadecimal;
use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The longest name of a client in bytes.
const NAME_MAX: usize = 64;

/// By what a client is known: a digest, which is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Credential {
    /// SHA-256 of the public key in its certificate.
    Certificate([u8; 32]),
    /// SHA-256 of its token for this server.
    Token([u8; 32]),
}

impl fmt::Display for Credential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, digest) = match self {
            Self::Certificate(digest) => ("certificate", digest),
            Self::Token(digest) => ("token", digest),
        };
        write!(out, "{kind}:{}", base16ct::lower::encode_string(digest))
    }
}

impl From<Credential> for String {
    fn from(credential: Credential) -> Self {
        credential.to_string()
    }
}

impl TryFrom<String> for Credential {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let problem = "a credential is no \"certificate:\" or \"token:\" with 64 hexadecimal digits";
        let (kind, digest) = text.split_once(':').ok_or(problem)?;
        let digest = *hexadecimal::bytes(digest).ok_or(problem)?;
        match kind {
            "certificate" => Ok(Self::Certificate(digest)),
            "token" => Ok(Self::Token(digest)),
            _ => Err(problem),
        }
    }
}

/// A client in the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// Its name, for logs, counts and commands.
    pub name: String,
    /// By what it is known.
    pub credential: Credential,
    /// How many routes it may ask for in a day (UTC).
    pub routes_per_day: u64,
    /// How many routes it may ask for in a minute; as many at once.
    pub routes_per_minute: u64,
    /// After how many routes since the beginning a warning is logged, once.
    pub alarm_at: u64,
    /// Whether it may ask no more.
    #[serde(default)]
    pub revoked: bool,
}

impl Registered {
    /// How much it may ask for.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { routes_per_day: self.routes_per_day, routes_per_minute: self.routes_per_minute }
    }
}

/// What one operator sends the others so that they know a client too. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The client's name.
    pub name: String,
    /// By what server 0 knows it.
    pub server0: Credential,
    /// By what server 1 knows it.
    pub server1: Credential,
    /// See [`Registered::routes_per_day`].
    pub routes_per_day: u64,
    /// See [`Registered::routes_per_minute`].
    pub routes_per_minute: u64,
    /// See [`Registered::alarm_at`].
    pub alarm_at: u64,
}

impl Registration {
    /// Of a client that has this secret.
    #[must_use]
    pub fn of_secret(name: &str, secret: &ClientSecret, (day, minute, alarm_at): (u64, u64, u64)) -> Self {
        let [server0, server1] =
            [Role::Server0, Role::Server1].map(|server| Credential::Token(secret.token(server).digest().0));
        let name = name.to_owned();
        Self { name, server0, server1, routes_per_day: day, routes_per_minute: minute, alarm_at }
    }

    /// The entry of a server's register.
    #[must_use]
    pub fn entry(&self, server: Role) -> Registered {
        Registered {
            name: self.name.clone(),
            credential: if server == Role::Server0 { self.server0 } else { self.server1 },
            routes_per_day: self.routes_per_day,
            routes_per_minute: self.routes_per_minute,
            alarm_at: self.alarm_at,
            revoked: false,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is no registration.
    pub fn load(path: &Path) -> Result<Self, ClientsError> {
        read(path)
    }
}

/// All clients of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// In the order in which they were added.
    #[serde(default, rename = "client")]
    pub clients: Vec<Registered>,
    #[serde(skip)]
    places: HashMap<Credential, usize>,
}

impl Register {
    /// Reads a file and checks it.
    ///
    /// # Errors
    /// If it cannot be read, is no register, or names a client or a credential twice.
    pub fn load(path: &Path) -> Result<Self, ClientsError> {
        let mut register: Self = read(path)?;
        register.check(path)?;
        register.places =
            register.clients.iter().enumerate().map(|(place, client)| (client.credential, place)).collect();
        Ok(register)
    }

    /// Adds a client to a file, which is made if it is not there.
    ///
    /// # Errors
    /// If there is a client of this name or credential, the entry is not allowed, or the file cannot be written.
    pub fn add(path: &Path, client: Registered) -> Result<(), ClientsError> {
        let mut register = Self::check_new(path, &client)?;
        register.clients.push(client);
        register.save(path)
    }

    /// The clients of a file, to which this one can be added.
    ///
    /// # Errors
    /// If there is a client of this name or credential, or the entry is not allowed.
    pub fn check_new(path: &Path, client: &Registered) -> Result<Self, ClientsError> {
        let register = if path.exists() { Self::load(path)? } else { Self::default() };
        let names = |problem| ClientsError::Names { path: path.to_owned(), problem };
        if let Some(known) = register.clients.iter().find(|known| known.name == client.name) {
            let state = if known.revoked { ", who was revoked" } else { "" };
            return Err(names(format!("has a client {:?} already{state}: choose another name", client.name)));
        }
        if register.clients.iter().any(|known| known.credential == client.credential) {
            return Err(names(format!("knows the credential of {:?} under another name", client.name)));
        }
        Self { clients: vec![client.clone()], ..Self::default() }.check(path)?;
        Ok(register)
    }

    /// Revokes a client, from its next session on.
    ///
    /// # Errors
    /// If there is no such client, or the file cannot be written.
    pub fn revoke(path: &Path, name: &str) -> Result<(), ClientsError> {
        let mut register = Self::load(path)?;
        let Some(client) = register.clients.iter_mut().find(|client| client.name == name) else {
            let problem = format!("has no client {name:?}: `blindroute-operator client list` names all");
            return Err(ClientsError::Names { path: path.to_owned(), problem });
        };
        client.revoked = true;
        register.save(path)
    }

    fn save(&self, path: &Path) -> Result<(), ClientsError> {
        self.check(path)?;
        let io = |source| ClientsError::Io { path: path.to_owned(), source };
        let text = toml::to_string(self).map_err(|error| io(std::io::Error::other(error)))?;
        let head = "# The clients that this server answers. Written by `blindroute-operator client`.\n\n";
        replace(path, format!("{head}{text}").as_bytes()).map_err(io)
    }

    fn check(&self, path: &Path) -> Result<(), ClientsError> {
        let mut names = std::collections::HashSet::new();
        let mut credentials = std::collections::HashSet::new();
        for client in &self.clients {
            let name = &client.name;
            let problem = if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
                "has a name that is empty, long, or not printable: expected 1 to 64 bytes of text"
            } else if !names.insert(name) {
                "is named twice: expected each name once"
            } else if !credentials.insert(client.credential) {
                "has the credential of another client: expected each once"
            } else if client.routes_per_minute == 0 && !client.revoked {
                "may ask for nothing in a minute: expected 1 or more; revoke it to refuse it"
            } else {
                continue;
            };
            return Err(ClientsError::Entry { path: path.to_owned(), client: name.clone(), problem });
        }
        Ok(())
    }

    /// The client who showed this. A certificate that is registered comes before a token.
    pub(super) fn find(&self, shown: Shown) -> Option<&Registered> {
        let certificate = shown.certificate.map(Credential::Certificate);
        let token = shown.token.map(Credential::Token);
        let place = [certificate, token].into_iter().flatten().find_map(|shown| self.places.get(&shown))?;
        self.clients.get(*place)
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ClientsError> {
    let text = std::fs::read_to_string(path).map_err(|source| ClientsError::Io { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| {
        let (line, message) = located(&text, &error);
        ClientsError::Parse { path: path.to_owned(), line, message }
    })
}

/// A register that is read again when its file changed.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    register: Register,
    seen: Seen,
}

impl Watched {
    pub(super) fn open(path: &Path) -> Result<Self, ClientsError> {
        // Looked at before it is read: a change in between is read again.
        let seen = Seen::of(&[path]);
        Ok(Self { path: path.to_owned(), register: Register::load(path)?, seen })
    }

    /// The register as it is now. One that cannot be read keeps the last one: whoever was revoked stays so.
    pub(super) fn current(&mut self) -> &Register {
        let now = Seen::of(&[&self.path]);
        if now != self.seen {
            match Register::load(&self.path) {
                Ok(register) => {
                    tracing::info!(clients = register.clients.len(), "the register of clients was read again");
                    self.register = register;
                }
                Err(error) => {
                    tracing::error!(%error, "the register of clients changed and cannot be read; the one before stays in force")
                }
            }
            self.seen = now;
        }
        &self.register
    }
}
