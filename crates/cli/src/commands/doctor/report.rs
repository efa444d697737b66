//! What was checked, what was found, and what to do.

use serde::Serialize;
use std::fmt;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warning,
    Failed,
    /// A check that it depends on failed.
    Skipped,
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// What is checked, as `provider openai: key`.
    pub(super) check: String,
    pub(super) status: Status,
    pub(super) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_do: Option<String>,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
        };
        write!(f, "{status:<8} {}: {}", self.check, self.found)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        self.to_do.iter().try_for_each(|to_do| write!(f, "; {to_do}"))
    }
}

/// What is wrong.
#[derive(Debug)]
pub(super) struct Trouble {
    found: String,
    expected: Option<String>,
    to_do: Option<String>,
    is_warning: bool,
}

impl Trouble {
    /// An error whose text says what was found, expected and what to do.
    pub(super) fn said(error: impl fmt::Display) -> Self {
        Self { found: error.to_string(), expected: None, to_do: None, is_warning: false }
    }

    pub(super) fn new(found: impl Into<String>, expected: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { found: found.into(), expected: Some(expected.into()), to_do: Some(to_do.into()), is_warning: false }
    }

    /// The same, but what depends on it is checked all the same, and the exit status stays 0.
    pub(super) fn warning(self) -> Self {
        Self { is_warning: true, ..self }
    }
}

/// What a check found, and what further checks use.
pub(super) type Finding<T> = Result<(String, T), Trouble>;

/// All checks so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
}

impl Report {
    /// Enters a check, and gives on what it found; nothing if it failed.
    pub(super) fn enter<T>(&mut self, check: String, finding: Finding<T>) -> Option<T> {
        let (entry, value) = match finding {
            Ok((found, value)) => {
                (Check { check, status: Status::Ok, found, expected: None, to_do: None }, Some(value))
            }
            Err(Trouble { found, expected, to_do, is_warning }) => {
                let status = if is_warning { Status::Warning } else { Status::Failed };
                (Check { check, status, found, expected, to_do }, None)
            }
        };
        self.checks.push(entry);
        value
    }

    /// Enters checks that were not made.
    pub(super) fn skip(&mut self, subject: &str, checks: &[&str], because: &str) {
        let skipped = checks.iter().map(|check| Check {
            check: format!("{subject}: {check}"),
            status: Status::Skipped,
            found: format!("not checked, since {because}"),
            expected: None,
            to_do: None,
        });
        self.checks.extend(skipped);
    }

    /// How many checks failed.
    pub(super) fn failed(&self) -> usize {
        self.checks.iter().filter(|check| check.status == Status::Failed).count()
    }
}
