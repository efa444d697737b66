//! What can be wrong with a data set.

use std::io;
use std::path::PathBuf;

/// What can be wrong with a data set. No variant holds a prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file could not be read.
    #[error("could not read {}: {source}; {hint}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What should be there.
        hint: &'static str,
    },
    /// A file is larger than any data set should be.
    #[error("{} is larger than {limit} bytes; split the data set", .path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// A line of a file is wrong.
    #[error("{}, line {line}: {problem}", .path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A file is wrong as a whole.
    #[error("{}: {problem}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A folder to write to holds something.
    #[error("{} is there and not empty; name a new folder", .path.display())]
    Occupied {
        /// Which folder.
        path: PathBuf,
    },
    /// A folder could not be written.
    #[error("could not write {}: {source}; name a folder in one that can be written, on a disk with room", .path.display())]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
