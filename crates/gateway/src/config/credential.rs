//! Keys and tokens that are in an environment variable or in a file.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::problem::Problem;
use super::reader::Table;
use super::secret::Secret;
use super::stamp::Stamp;

/// The longest key, in bytes. Google's and Azure's tokens have some thousand.
const LONGEST: u64 = 16 * 1024;

/// Where a key or a token comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// An environment variable.
    Environment(String),
    /// A file that only its owner can read.
    File(PathBuf),
}

/// A key or a token.
#[derive(Debug, PartialEq, Serialize)]
pub struct Credential {
    /// Where it comes from.
    pub source: Source,
    /// The key or the token itself.
    pub secret: Secret,
}

impl Credential {
    /// Reads the variable or the file that one of these fields names.
    pub(super) fn read(table: &Table<'_>, variable: &'static str, file: &'static str) -> Option<Self> {
        let (named, path) = (table.text(variable, VARIABLE, is_variable), table.file(file));
        if named.is_some() && path.is_some() {
            table.note(table.problem(file, format!("{variable} and {file}")).expected("only one of them"));
        }
        if let Some(name) = named {
            return Self::from_environment(table, variable, name);
        }
        let path = path?;
        // Before it is read, so that no change is missed.
        let stamp = Stamp::of(&path);
        table.reading.found.borrow_mut().files.push((path.clone(), stamp));
        match read_file(&path) {
            Ok(text) => Self::checked(table, file, Source::File(path), text),
            Err(problem) => {
                let (found, expected, hint) = problem.words();
                table.note(table.problem(file, found).expected(expected).hint(hint));
                None
            }
        }
    }

    fn from_environment(table: &Table<'_>, field: &'static str, name: &str) -> Option<Self> {
        let value = table.reading.environment.get(name);
        let Some(value) = value else {
            let problem = table.problem(field, format!("the environment variable {name}, which is not set or empty"));
            table.note(problem.expected("a variable that is set").hint(format!(
                "set {name} where the gateway is started; a gateway that runs does not see variables that are set later"
            )));
            return None;
        };
        Self::checked(table, field, Source::Environment(name.to_owned()), Zeroizing::new(value))
    }

    /// A key is written into a header: it needs visible ASCII characters.
    fn checked(table: &Table<'_>, field: &'static str, source: Source, text: Zeroizing<String>) -> Option<Self> {
        let key = text.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let found = if key.is_empty() { "nothing but spaces there" } else { "characters that no header may have" };
            table.note(table.problem(field, found).expected("a key of visible ASCII characters on one line"));
            return None;
        }
        Some(Self { source, secret: Secret::new(key.to_owned()) })
    }
}

/// What the name of an environment variable has to look like. Small letters are refused, as a key that was put here by mistake
/// has them, and names of variables are shown.
const VARIABLE: &str = "the name of an environment variable in capital letters, not a key";

fn is_variable(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let rest = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    first && rest && text.len() <= 128
}

/// Why a file with a key is not taken. The path is not shown: it may be a key that was put here by mistake.
enum FileProblem {
    System(io::Error),
    NoFile,
    Open(u32),
    Long,
}

impl From<io::Error> for FileProblem {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl FileProblem {
    /// What was found, what was expected and what to do next.
    fn words(&self) -> (String, &'static str, &'static str) {
        let readable = "a file with nothing but the key";
        match self {
            Self::System(error) => {
                // The kind of error only: texts of the system hold no path today, but may one day.
                let hint = "paths are relative to the folder of the configuration";
                (format!("a file that cannot be read ({})", error.kind()), readable, hint)
            }
            Self::NoFile => ("what is no plain file".to_owned(), readable, "name the file itself"),
            Self::Open(mode) => (
                format!("a file that others can reach (mode {mode:04o})"),
                "a file of mode 0600",
                "run chmod 600 on it, and replace the key if others use this machine",
            ),
            Self::Long => (format!("more than {LONGEST} bytes"), readable, "name another file"),
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, FileProblem> {
    // A pipe would block until somebody writes.
    if !fs::metadata(path)?.is_file() {
        return Err(FileProblem::NoFile);
    }
    let file = fs::File::open(path)?;
    // Of the open file: another may have the path by now.
    owner_only(&file.metadata()?)?;
    // With its full size from the start: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize + 1));
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST { Err(FileProblem::Long) } else { Ok(text) }
}

#[cfg(unix)]
fn owner_only(data: &fs::Metadata) -> Result<(), FileProblem> {
    use std::os::unix::fs::PermissionsExt;
    let mode = data.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(FileProblem::Open(mode)) }
}

#[cfg(not(unix))]
fn owner_only(_: &fs::Metadata) -> Result<(), FileProblem> {
    Ok(())
}

/// Notes that a text is not as it should be, without the text.
pub(super) fn hidden(table: &Table<'_>, field: &str, expected: &str) -> Problem {
    table.problem(field, "a text that is not shown").expected(expected)
}
