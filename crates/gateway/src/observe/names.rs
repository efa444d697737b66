//! The names that labels and log lines may have.

use crate::config::Config;
use std::collections::BTreeSet;

/// What stands for every name that is not configured.
pub(super) const OTHER: &str = "other";

/// The configured providers and models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    providers: BTreeSet<String>,
    models: BTreeSet<String>,
}

impl Names {
    /// Of a configuration.
    #[must_use]
    pub fn new<Name: Into<String>>(
        providers: impl IntoIterator<Item = Name>,
        models: impl IntoIterator<Item = Name>,
    ) -> Self {
        Self {
            providers: providers.into_iter().map(Into::into).collect(),
            models: models.into_iter().map(Into::into).collect(),
        }
    }

    pub(super) fn provider<'a>(&self, name: &'a str) -> &'a str {
        if self.providers.contains(name) { name } else { OTHER }
    }

    pub(super) fn model<'a>(&self, name: &'a str) -> &'a str {
        if self.models.contains(name) { name } else { OTHER }
    }
}

impl From<&Config> for Names {
    /// Those of a configuration, with the models for embeddings.
    fn from(config: &Config) -> Self {
        let embeddings = config.embeddings.iter().flat_map(|embeddings| &embeddings.models);
        let models = config.models.iter().map(|model| &model.name).chain(embeddings);
        Self::new(config.providers.iter().map(|provider| &provider.name), models)
    }
}

/// A placement's name.
pub(super) fn placement(name: &str) -> &'static str {
    ["local", "head", "full"].into_iter().find(|known| *known == name).unwrap_or(OTHER)
}
