//! Whether files changed since they were read.

use std::path::Path;
use std::time::SystemTime;

/// By what files are known to have changed: the length and the time of modification of each, as far as it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(Vec<Option<(u64, SystemTime)>>);

impl Seen {
    /// How these files are now. Look before you read them: a change in between is then noticed at the next look.
    #[must_use]
    pub fn of<P: AsRef<Path>>(paths: &[P]) -> Self {
        let of = |path: &P| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        };
        Self(paths.iter().map(of).collect())
    }
}
