//! The counts that were revealed, in a file. They are the same at both servers, and no secret of either.

use super::ChoicesError;
use super::batch::Batch;
use super::file;
use crate::file_set::replace;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const NAME: &str = "revealed.toml";

/// The counts of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revealed {
    /// The batch: 32 hexadecimal digits, the same at both servers.
    pub batch: String,
    /// The digest of the version of the bundle whose models are counted.
    pub deployment: String,
    /// When its first report came, in seconds since 1970.
    pub began: u64,
    /// When it was revealed.
    pub revealed: u64,
    /// How many reports are in it.
    pub reports: u64,
    /// The names of the models.
    pub models: Vec<String>,
    /// How many reports name each.
    pub counts: Vec<u64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    batch: Vec<Revealed>,
}

impl Revealed {
    pub(super) fn of(batch: &Batch, counts: Vec<u64>, now: u64) -> Self {
        Self {
            batch: file::name(&batch.id),
            deployment: batch.deployment.to_string(),
            began: batch.began,
            revealed: now,
            reports: batch.count(),
            models: batch.models.clone(),
            counts,
        }
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// All that stand in the file of a folder; none if there is no file.
///
/// # Errors
/// If it is damaged, or the disk fails.
pub(super) fn read(folder: &Path) -> Result<Vec<Revealed>, ChoicesError> {
    let path = path(folder);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ChoicesError::Io { path, source }),
    };
    let listed: Result<Listed, _> = toml::from_str(&text);
    let fits = |listed: &Listed| listed.batch.iter().all(|one| one.models.len() == one.counts.len());
    let listed = listed.ok().filter(fits).map(|listed| listed.batch);
    listed.ok_or(ChoicesError::Damaged { path, reason: "it is no list of counts" })
}

/// Writes all of them, durably before this returns.
///
/// # Errors
/// If the disk fails.
pub(super) fn write(folder: &Path, all: &[Revealed]) -> Result<(), ChoicesError> {
    let path = path(folder);
    let text = toml::to_string(&Listed { batch: all.to_vec() }).map_err(std::io::Error::other);
    let written = text.and_then(|text| {
        replace(
            &path,
            format!("# Counts of chosen models, as `blindroute-operator choices` shows them.\n\n{text}").as_bytes(),
        )
    });
    written.map_err(|source| ChoicesError::Io { path, source })
}
