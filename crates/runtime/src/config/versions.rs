//! The table `[next]`: the version of the bundle that takes the place of the one before.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ClientConfig, Configuration, DealerConfig, ServerConfig};

/// The files of the next version of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NextConfig {
    /// The public part.
    pub bundle: PathBuf,
    /// Of a server its share, sealed to the same key as the one before if it is sealed.
    pub share: Option<PathBuf>,
}

/// The files of a version of the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionFiles<'a> {
    /// The public part.
    pub bundle: &'a Path,
    /// Of a server its share.
    pub share: Option<&'a Path>,
}

/// A configuration whose versions of the bundle may change while its party runs.
pub trait Rolling: Configuration + Clone + PartialEq {
    /// The versions that it names: that of `bundle`, and that of `[next]` if there is one.
    fn versions(&self) -> Vec<VersionFiles<'_>>;

    /// This configuration with the versions of another one.
    #[must_use]
    fn with_versions_of(&self, other: &Self) -> Self;
}

impl NextConfig {
    pub(super) fn resolve(next: &mut Option<Self>, base: &Path) {
        if let Some(Self { bundle, share }) = next {
            std::iter::once(bundle).chain(share).for_each(|path| *path = base.join(&path));
        }
    }

    fn files(&self) -> VersionFiles<'_> {
        VersionFiles { bundle: &self.bundle, share: self.share.as_deref() }
    }

    /// Servers need a share of each version, and nobody else may have one.
    pub(super) fn problem(next: Option<&Self>, of_server: bool) -> Option<(&'static str, &'static str)> {
        match (next?.share.is_some(), of_server) {
            (false, true) => Some(("next", "names no share: expected `bundle` and `share`, of the same split")),
            (true, false) => {
                Some(("next", "names a share: expected `bundle` alone, since shares are for servers only"))
            }
            _ => None,
        }
    }
}

impl Rolling for ServerConfig {
    fn versions(&self) -> Vec<VersionFiles<'_>> {
        let first = VersionFiles { bundle: &self.bundle, share: Some(&self.share) };
        std::iter::once(first).chain(self.next.as_ref().map(NextConfig::files)).collect()
    }

    fn with_versions_of(&self, other: &Self) -> Self {
        let (bundle, share, next) = (other.bundle.clone(), other.share.clone(), other.next.clone());
        Self { bundle, share, next, ..self.clone() }
    }
}

macro_rules! rolling_without_shares {
    ($($config:ty)*) => {
        $(impl Rolling for $config {
            fn versions(&self) -> Vec<VersionFiles<'_>> {
                let first = VersionFiles { bundle: &self.bundle, share: None };
                std::iter::once(first).chain(self.next.as_ref().map(NextConfig::files)).collect()
            }

            fn with_versions_of(&self, other: &Self) -> Self {
                Self { bundle: other.bundle.clone(), next: other.next.clone(), ..self.clone() }
            }
        })*
    };
}

rolling_without_shares! { DealerConfig ClientConfig }
