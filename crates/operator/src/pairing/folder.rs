//! The folder of one operator: its authority, its role's certificate and key, and its manifest.

use super::manifest::Manifest;
use anyhow::Context;
use blindroute_runtime::{Authority, AuthorityCertificate};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(super) const AUTHORITY: &str = "authority.pem";
pub(super) const AUTHORITY_KEY: &str = "authority.key";
pub(super) const SEALING_KEY: &str = "sealing.key";
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const LOCAL: &str = "operator.json";

/// What the operator alone has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Local {
    /// Where the role listens.
    pub(super) listen: String,
}

/// An operator's folder that exists.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) local: Local,
}

impl Folder {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let manifest = Manifest::open(&path.join(MANIFEST))
            .with_context(|| format!("{} is not a folder that `init` made", path.display()))?;
        let local = read(&path.join(LOCAL))?;
        let local = serde_json::from_str(&local).with_context(|| format!("{LOCAL} was altered"))?;
        Ok(Self { path: path.to_owned(), manifest, local })
    }

    pub(super) fn read(&self, name: &str) -> anyhow::Result<Zeroizing<String>> {
        read(&self.path.join(name))
    }

    /// The operator's authorities with their keys, the newest first.
    pub(super) fn authorities(&self, key: Option<&Path>) -> anyhow::Result<Vec<Authority>> {
        let certificates = AuthorityCertificate::read(&self.read(AUTHORITY)?)?;
        certificates.iter().map(|certificate| self.authority(certificate, key)).collect()
    }

    /// The newest authority with its key.
    pub(super) fn newest(&self, key: Option<&Path>) -> anyhow::Result<Authority> {
        let certificates = AuthorityCertificate::read(&self.read(AUTHORITY)?)?;
        self.authority(certificates.first().context("no authority")?, key)
    }

    fn authority(&self, certificate: &AuthorityCertificate, key: Option<&Path>) -> anyhow::Result<Authority> {
        let here = self.keys().into_iter().map(|name| self.path.join(name));
        let fits = |path: PathBuf| Authority::read(certificate.pem(), &read(&path).ok()?).ok();
        key.map(Path::to_owned).into_iter().chain(here).find_map(fits).with_context(|| {
            format!(
                "no key of the authority with the fingerprint {} is in {}; name the place where it is kept with \
                 --authority-key",
                certificate.fingerprint(),
                self.path.display()
            )
        })
    }

    /// The names of the keys of authorities in the folder.
    fn keys(&self) -> Vec<String> {
        let all = std::iter::once(AUTHORITY_KEY.to_owned()).chain((2..100).map(numbered));
        all.filter(|name| self.path.join(name).exists()).collect()
    }

    /// A name for the key of a further authority, which no file has.
    pub(super) fn next_key(&self) -> anyhow::Result<String> {
        let free = |name: &String| std::fs::symlink_metadata(self.path.join(name)).is_err();
        (2..100)
            .map(numbered)
            .find(free)
            .context("the folder holds a hundred keys of authorities; move the old ones away")
    }
}

fn numbered(number: u32) -> String {
    format!("authority-{number}.key")
}

fn read(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(path);
    text.map(Zeroizing::new)
        .with_context(|| format!("cannot read {}; check the folder and its permissions", path.display()))
}
