//! Whether a file is still the one that was read, without reading it again.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// What the system says about a file: when it changed and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<(Option<SystemTime>, u64, Change)>);

/// When a file's content, owner or mode changed, and which file it is.
type Change = (i64, i64, u64);

impl Stamp {
    /// Of the file at this path, whether or not there is one.
    pub(super) fn of(path: &Path) -> Self {
        Self(fs::metadata(path).ok().map(|data| (data.modified().ok(), data.len(), change(&data))))
    }
}

#[cfg(unix)]
fn change(data: &fs::Metadata) -> Change {
    use std::os::unix::fs::MetadataExt;
    (data.ctime(), data.ctime_nsec(), data.ino())
}

#[cfg(not(unix))]
fn change(_: &fs::Metadata) -> Change {
    (0, 0, 0)
}
