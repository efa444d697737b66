//! Errors of data sets.

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
        /// What is expected there.
        hint: &'static str,
    },
    /// A file is larger than the limit.
    #[error("{} is larger than {limit} bytes; use a smaller data set", .path.display())]
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
    /// A whole file is wrong.
    #[error("{}: {problem}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// What was given in memory is wrong.
    #[error("{what}: {problem}")]
    Given {
        /// Which part.
        what: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A folder to write to is not empty.
    #[error("{} already exists and is not empty; name a new folder", .path.display())]
    Occupied {
        /// Which folder.
        path: PathBuf,
    },
    /// A folder could not be written.
    #[error("could not write {}: {source}; name a folder where you can write, on a disk with free space", .path.display())]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
