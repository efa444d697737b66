//! What is wrong with a configuration, without its values.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

/// One thing that is wrong in a configuration file.
///
/// A problem never quotes a text of the file, because it may be a secret in the wrong place. It says the field and the line; the
/// only texts shown are names that one entry uses for another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The path of the field, for instance `provider.openai.base_url`; empty if the file is not TOML.
    pub field: String,
    /// The line, counted from 1, where the field is in the file.
    pub line: Option<usize>,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn new(field: impl Into<String>, line: Option<usize>, found: impl Into<String>) -> Self {
        Self { field: field.into(), line, found: found.into(), expected: String::new(), hint: None }
    }

    pub(super) fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), ..self }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with the hint that another name was meant, if one is near.
    pub(super) fn meant<'a>(self, written: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(written, names) {
            Some(name) => self.hint(format!("did you mean \"{name}\"?")),
            None => self,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, line, found, expected, hint } = self;
        match (field.as_str(), line) {
            ("", Some(line)) => write!(f, "line {line}: ")?,
            ("", None) => {}
            (field, Some(line)) => write!(f, "{field} (line {line}): ")?,
            (field, None) => write!(f, "{field}: ")?,
        }
        write!(f, "found {found}; expected {expected}")?;
        hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

/// The hint for a file that cannot be read.
fn reading(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidData => "save it as UTF-8",
        io::ErrorKind::NotFound => "check the path, or write a new file with `blindroute gateway init`",
        _ => "check the path and the permissions",
    }
}

/// One line for each problem.
fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}; {hint}", path = path.display(), hint = reading(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has problems.
    #[error("{path} cannot be used:{list}", path = path.display(), list = listed(problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All that is wrong, by line.
        problems: Vec<Problem>,
    },
    /// The file became empty while the gateway runs.
    #[error(
        "{path} is empty: expected a configuration; write the file again, or leave one comment in it to have all defaults",
        path = path.display()
    )]
    Emptied {
        /// The file.
        path: PathBuf,
    },
    /// The file is good, but not together with the fields that keep their values until the gateway is started again.
    #[error(
        "{path} cannot be used before the gateway is started again, because {fields} keep their values until then, and with \
         these:{list}",
        path = path.display(), fields = fields.join(", "), list = listed(problems)
    )]
    NeedsRestart {
        /// The file.
        path: PathBuf,
        /// The fields that changed in the file and keep their values.
        fields: Vec<String>,
        /// All that is wrong, by line.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// The problems of the file's content.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems, .. } | Self::NeedsRestart { problems, .. } => problems,
            Self::Read { .. } | Self::Emptied { .. } => &[],
        }
    }
}

/// The name that is most like what was written, if a third of its letters at most are wrong.
pub(super) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.into_iter().map(|name| (distance(written, name), name));
    let (steps, name) = near.min_by_key(|(steps, _)| *steps)?;
    (steps * 3 <= name.chars().count().max(3)).then_some(name)
}

/// How many letters have to be put in, taken out or replaced to make one text of the other, whatever the case.
fn distance(one: &str, other: &str) -> usize {
    let [one, other]: [Vec<char>; 2] = [one, other].map(|text| text.to_lowercase().chars().take(128).collect());
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut before = std::mem::replace(&mut row[0], at + 1);
        for (place, wanted) in other.iter().enumerate() {
            let replaced = before + usize::from(letter != wanted);
            before = row[place + 1];
            row[place + 1] = replaced.min(before + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_only_if_it_is_near() {
        let names = ["openai", "anthropic", "gpt-4o-mini"];
        for (written, meant) in [
            ("opnai", Some("openai")),
            ("OpenAI", Some("openai")),
            ("gpt4o-mini", Some("gpt-4o-mini")),
            ("antropic", Some("anthropic")),
            ("mistral", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names), meant, "{written}");
        }
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "abc")), (3, 3, 0));
    }

    #[test]
    fn a_problem_is_one_line() {
        let problem = Problem::new("route.ranking", Some(4), "9").expected("1 to 4");
        assert_eq!(problem.to_string(), "route.ranking (line 4): found 9; expected 1 to 4");
        let problem = Problem::new("", Some(2), "no TOML").expected("TOML").hint("save it");
        assert_eq!(problem.to_string(), "line 2: found no TOML; expected TOML; save it");
    }
}
