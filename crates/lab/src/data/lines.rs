//! Reading text files line by line in bounded memory, and texts for training.

use super::DataError;
use super::table::MAX_ROW_BYTES;
use super::text::{Text, not_json};
use serde::Deserialize;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read into memory.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 30;

/// The lines of a file that are not blank, with a limit on their length.
pub(crate) struct Lines {
    reader: BufReader<Text>,
    path: PathBuf,
    hint: &'static str,
    line: u64,
    text: Vec<u8>,
}

impl Lines {
    /// Opens a file of at most `limit` bytes. `hint` says what is expected there.
    pub(crate) fn open(path: &Path, limit: u64, hint: &'static str) -> Result<Self, DataError> {
        let reader = BufReader::new(Text::open(path, limit, hint)?);
        Ok(Self { reader, path: path.to_owned(), hint, line: 0, text: Vec::new() })
    }

    /// The next line that is not blank, and its number, counted from 1.
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

#[derive(Deserialize)]
struct Entry {
    text: Option<String>,
    prompt: Option<String>,
    split: Option<String>,
}

/// The texts of a file with one JSON object per line, in the field `text` or `prompt`. A line whose `split` is not `train` is
/// skipped, so the `prompts.jsonl` of a data set can be used unchanged.
pub(crate) fn texts(path: &Path, hint: &'static str) -> Result<Vec<String>, DataError> {
    let mut lines = Lines::open(path, MAX_FILE_BYTES, hint)?;
    let mut texts = Vec::new();
    while let Some((line, text)) = lines.next()? {
        let wrong = |problem: &str| DataError::Line { path: path.to_owned(), line, problem: format!("it {problem}") };
        let entry: Entry = serde_json::from_slice(text)
            .map_err(|_| wrong(&not_json(text, "is not a JSON object; correct it or remove it")))?;
        if entry.split.is_some_and(|split| split != "train") {
            continue;
        }
        let text = entry.text.or(entry.prompt);
        texts.push(text.ok_or_else(|| wrong("has neither the field text nor prompt; add one"))?);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_or_refused_without_being_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.jsonl");
        let read = |content: &str| {
            std::fs::write(&path, content).unwrap();
            texts(&path, "")
        };
        let content = "{\"text\": \"a\", \"label\": 1}\n\n{\"prompt\": \"b\", \"split\": \"train\"}\n{\"prompt\": \"c\", \"split\": \"test\"}\n";
        assert_eq!(read(content).unwrap(), ["a", "b"]);
        let error = read("{\"text\": \"a\"}\nsecret words\n").unwrap_err().to_string();
        assert!(error.contains("line 2: it is not a JSON object") && !error.contains("secret"), "{error}");
        let error = read("{\"words\": \"secret\"}\n").unwrap_err().to_string();
        assert!(error.contains("neither the field text nor prompt") && !error.contains("secret"), "{error}");
    }
}
