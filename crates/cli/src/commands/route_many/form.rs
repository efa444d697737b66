//! The input of many prompts or texts: what its lines are, and opening it.

use super::{queue, shape};
use anyhow::Context;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// What a line of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An object with `id` and `prompt`; blank lines are skipped.
    Object,
    /// A prompt.
    Prompt,
    /// An object with `id` and `text`, for classifiers.
    Text,
}

impl Form {
    /// What the file should have been.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::Object => "give a file of {\"id\", \"prompt\"} lines, or - for standard input",
            Self::Text => "give a file of {\"id\", \"text\"} lines, or - for standard input",
            Self::Prompt => "give a file with one prompt per line, or - for standard input",
        }
    }
}

/// Whether the input can be opened and looks like what it is said to be, before anything else is started. Standard input is
/// looked at when it is read: what it brings may take its time.
///
/// # Errors
/// If the file is not there, is none, or is surely in another form.
pub(crate) fn check(path: &Path, form: Form) -> anyhow::Result<()> {
    let mut reader = open(path, form)?;
    if !path.is_file() {
        return Ok(());
    }
    let first = queue::first_line(&mut reader);
    let first = first.with_context(|| format!("cannot read {}; {}", path.display(), form.hint()))?;
    match first.map(|line| shape::look(&line, form)) {
        Some(Err(problem)) => {
            let what = if form == Form::Text { "classify" } else { "route" };
            anyhow::bail!("cannot {what} {}: {problem}", path.display())
        }
        _ => Ok(()),
    }
}

/// Opens the input; `-` is standard input.
///
/// # Errors
/// If the file is not there, or is none.
pub(crate) fn open(path: &Path, form: Form) -> anyhow::Result<Box<dyn BufRead + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = std::fs::File::open(path);
    let file = file.with_context(|| format!("cannot open {}; {}", path.display(), form.hint()))?;
    if path.is_dir() {
        anyhow::bail!("cannot read {}: it is a directory; {}", path.display(), form.hint());
    }
    Ok(Box::new(BufReader::new(file)))
}
