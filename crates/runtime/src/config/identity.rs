//! The table `[identity]`: a role's certificate, its key, and the authorities that vouch for it and for the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::identity::IdentityFiles;
use crate::role::Role;

/// A certificate, its key and the authorities.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IdentityConfig {
    /// The certificate of the authority that vouches for every role that `authorities` does not name.
    pub authority: PathBuf,
    /// The files with the authorities of single roles: a file, or a list of files. A file may hold several certificates.
    #[serde(default, deserialize_with = "by_role")]
    pub authorities: BTreeMap<Role, Vec<PathBuf>>,
    /// This role's certificate.
    pub certificate: PathBuf,
    /// This role's private key.
    pub key: PathBuf,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected the name of a file, or a list of names")]
enum OneOrMany {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

fn by_role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Role, Vec<PathBuf>>, D::Error> {
    let named = BTreeMap::<String, OneOrMany>::deserialize(deserializer)?;
    let of = |(name, files): (String, OneOrMany)| {
        let role: Role = name.parse::<Role>().map_err(D::Error::custom)?;
        match files {
            OneOrMany::One(file) => Ok((role, vec![file])),
            OneOrMany::Many(files) if files.is_empty() => {
                Err(D::Error::custom(format!("{role} has an empty list of authorities, expected at least one file")))
            }
            OneOrMany::Many(files) => Ok((role, files)),
        }
    };
    named.into_iter().map(of).collect()
}

impl IdentityConfig {
    /// The files, for loading an endpoint.
    #[must_use]
    pub fn files(&self) -> IdentityFiles {
        let Self { authority, authorities, certificate, key } = self.clone();
        IdentityFiles { authority, authorities, certificate, key }
    }

    pub(super) fn resolve(&mut self, base: &Path) {
        let own = [&mut self.authority, &mut self.certificate, &mut self.key];
        own.into_iter().chain(self.authorities.values_mut().flatten()).for_each(|path| *path = base.join(&path));
    }
}
