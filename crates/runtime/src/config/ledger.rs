//! The table `[ledger]` of a server or the dealer.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The longest name of a ledger.
const NAME_MAX: usize = 64;

/// The database of a party's ledger, in place of the folder `state`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LedgerConfig {
    /// "sqlite:FILE", or "postgres://USER@HOST/DATABASE" without a password.
    pub database: String,
    /// Which of the database's ledgers is this party's; the name of its role by default.
    pub name: Option<String>,
    /// The authority of a Postgres server's certificate, with which it is called over TLS. Without one it must be on this machine.
    pub authority: Option<PathBuf>,
    /// A file with the password for Postgres.
    pub password: Option<PathBuf>,
}

impl LedgerConfig {
    pub(super) fn resolve(&mut self, base: &Path) {
        if let Some(file) = self.database.strip_prefix("sqlite:") {
            self.database = format!("sqlite:{}", base.join(file).display());
        }
        [&mut self.authority, &mut self.password].into_iter().flatten().for_each(|path| *path = base.join(&path));
    }

    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let Self { database, name, authority, password } = self;
        let of_postgres = authority.is_some() || password.is_some();
        let name_allowed = |name: &String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain)
        };
        if !name.as_ref().is_none_or(name_allowed) {
            return Some(("ledger.name", "is not allowed: expected 1 to 64 letters, digits, - or _"));
        }
        if let Some(file) = database.strip_prefix("sqlite:") {
            return (file.is_empty() || of_postgres).then_some((
                "ledger",
                "has no file, or something that is for Postgres only: expected \"sqlite:FILE\"",
            ));
        }
        let Some((_, rest)) = database.split_once("://").filter(|(kind, _)| ["postgres", "postgresql"].contains(kind))
        else {
            let expected = "is no database: expected \"sqlite:FILE\" or \"postgres://USER@HOST/DATABASE\"";
            return Some(("ledger.database", expected));
        };
        let with_password =
            rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || rest.contains("password=");
        with_password.then_some((
            "ledger.database",
            "holds a password: expected none; put it into a file, and name that with `password`",
        ))
    }
}
