//! Reading text files a line at a time, in bounded memory.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{
    DataError,
    table::{self, MAX_ROW_BYTES},
};

/// The largest file that is read whole: what is in it is held in memory.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 30;

/// Lines that are not blank, each bounded.
pub(crate) struct Lines {
    reader: BufReader<std::io::Take<File>>,
    path: PathBuf,
    hint: &'static str,
    line: u64,
    text: Vec<u8>,
}

impl Lines {
    /// `limit` bounds the file, `hint` says what should be there.
    pub(crate) fn open(path: &Path, limit: u64, hint: &'static str) -> Result<Self, DataError> {
        let reader = BufReader::new(table::open(path, limit, hint)?.take(limit));
        Ok(Self { reader, path: path.to_owned(), hint, line: 0, text: Vec::new() })
    }

    /// The next line that is not blank, with its number counted from 1.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &[u8])>, DataError> {
        loop {
            self.text.clear();
            self.line += 1;
            let mut bounded = (&mut self.reader).take(MAX_ROW_BYTES + 1);
            let read = bounded.read_until(b'\n', &mut self.text).map_err(|source| DataError::Io {
                path: self.path.clone(),
                source,
                hint: self.hint,
            })?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 > MAX_ROW_BYTES {
                let problem = format!("the line is longer than {MAX_ROW_BYTES} bytes; shorten its prompt");
                return Err(DataError::Line { path: self.path.clone(), line: self.line, problem });
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(Some((self.line, self.text.trim_ascii())));
            }
        }
    }
}
