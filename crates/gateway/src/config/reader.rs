//! Reads the tables of a parsed file. What is wrong is noted and reading goes on, so that all problems are found at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::decimal::{self, Decimal};
use super::duration;
use super::environment::Environment;
use super::problem::Problem;
use super::stamp::Stamp;

/// The lines of fields, by their paths.
pub(super) type Lines = BTreeMap<String, usize>;

/// A value with its place in the file.
type Value<'a> = toml::Spanned<DeValue<'a>>;

/// What reading notes beside the values.
#[derive(Default)]
pub(super) struct Found {
    pub(super) problems: Vec<Problem>,
    pub(super) lines: Lines,
    /// All fields that there are, whether or not they are in the file, without the names of entries.
    pub(super) fields: BTreeSet<String>,
    /// The files of keys, as they were just before they were read.
    pub(super) files: Vec<(PathBuf, Stamp)>,
}

/// One reading of a file.
pub(super) struct Reading<'a> {
    pub(super) text: &'a str,
    /// The folder that relative paths are relative to.
    pub(super) base: &'a Path,
    pub(super) environment: &'a Environment,
    pub(super) found: RefCell<Found>,
}

impl Reading<'_> {
    /// The number of the line where this begins, counted from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Notes a problem.
    pub(super) fn note(&self, problem: Problem) {
        self.found.borrow_mut().problems.push(problem);
    }
}

/// A table of the file; one that is not there has no fields.
pub(super) struct Table<'a> {
    pub(super) reading: &'a Reading<'a>,
    /// With the names of entries, for instance `provider.openai`.
    path: String,
    /// Without them, for instance `provider`.
    schema: String,
    entries: Option<&'a DeTable<'a>>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn whole(reading: &'a Reading<'a>, entries: &'a DeTable<'a>) -> Self {
        Self { reading, path: String::new(), schema: String::new(), entries: Some(entries), known: RefCell::default() }
    }

    /// Whether the file has the table.
    pub(super) fn is_there(&self) -> bool {
        self.entries.is_some()
    }

    /// Whether the file has the field, whatever its value.
    pub(super) fn has(&self, field: &str) -> bool {
        self.entries.is_some_and(|entries| entries.iter().any(|(key, _)| key.get_ref() == field))
    }

    /// Whether a field, or an entry of its list, has a problem.
    pub(super) fn is_faulty(&self, field: &str) -> bool {
        let path = self.path(field);
        let of_this = |problem: &Problem| {
            problem.field.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        self.reading.found.borrow().problems.iter().any(of_this)
    }

    /// The path of a field.
    pub(super) fn path(&self, field: &str) -> String {
        joined(&self.path, field)
    }

    /// A problem of a field.
    pub(super) fn problem(&self, field: &str, found: impl Into<String>) -> Problem {
        let path = self.path(field);
        let found_lines = self.reading.found.borrow();
        let line = found_lines.lines.get(&path).or_else(|| found_lines.lines.get(&self.path)).copied();
        Problem::new(path, line, found)
    }

    /// Notes a problem.
    pub(super) fn note(&self, problem: Problem) {
        self.reading.note(problem);
    }

    /// Notes that a field is missing.
    pub(super) fn missing(&self, field: &str, expected: &str) {
        self.note(self.problem(field, "nothing").expected(expected));
    }

    /// Ends the table: what was not asked for is unknown.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        for (key, _) in self.entries.into_iter().flatten() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let shown: String = name.escape_debug().take(64).collect();
            let line = self.reading.line(&key.span());
            let problem = Problem::new(joined(&self.path, &shown), Some(line), "an unknown field")
                .expected(format!("one of {}", known.join(", ")));
            let problem = match name {
                "key" | "api_key" | "apikey" | "token" | "secret" | "password" => {
                    problem.hint("keys do not belong in this file: name an environment variable or a file")
                }
                _ => problem.meant(name, known.iter().copied()),
            };
            self.note(problem);
        }
    }

    /// A field's value, if the file has one.
    fn value(&self, field: &'static str) -> Option<&'a Value<'a>> {
        self.known.borrow_mut().push(field);
        self.reading.found.borrow_mut().fields.insert(joined(&self.schema, field));
        let (key, value) = self.entries?.iter().find(|(key, _)| key.get_ref() == field)?;
        let line = self.reading.line(&key.span());
        self.reading.found.borrow_mut().lines.insert(self.path(field), line);
        Some(value)
    }

    /// What `take` makes of a field's value; it is a problem if that is nothing.
    fn taken<T>(&self, field: &'static str, expected: &str, take: impl Fn(&'a DeValue<'a>) -> Option<T>) -> Option<T> {
        let value = self.value(field)?.get_ref();
        let taken = take(value);
        if taken.is_none() {
            self.note(self.problem(field, shown(value)).expected(expected));
        }
        taken
    }

    /// A text that passes a check.
    pub(super) fn text(&self, field: &'static str, expected: &str, good: impl Fn(&str) -> bool) -> Option<&'a str> {
        self.taken(field, expected, |value| value.as_str().filter(|text| good(text)))
    }

    /// A name of something: [`is_name`].
    pub(super) fn name(&self, field: &'static str) -> Option<String> {
        self.text(field, NAME, is_name).map(str::to_owned)
    }

    /// A name that has to be there.
    pub(super) fn required_name(&self, field: &'static str, expected: &str) -> String {
        let name = self.name(field);
        if name.is_none() && !self.has(field) {
            self.missing(field, expected);
        }
        name.unwrap_or_default()
    }

    /// True or false.
    pub(super) fn flag(&self, field: &'static str) -> Option<bool> {
        self.taken(field, "true or false", DeValue::as_bool)
    }

    /// A whole number of a range.
    pub(super) fn whole_number(&self, field: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.taken(field, &expected, |value| {
            let number = value.as_integer()?;
            u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| range.contains(number))
        })
    }

    /// A number of a range.
    pub(super) fn number(&self, field: &'static str, range: RangeInclusive<f32>) -> Option<f32> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.taken(field, &expected, |value| plain_number(value)?.parse().ok().filter(|number| range.contains(number)))
    }

    /// A decimal number, as a number or as a text.
    pub(super) fn decimal(&self, field: &'static str) -> Option<Decimal> {
        self.taken(field, decimal::EXPECTED, |value| {
            Decimal::parse(value.as_str().or_else(|| plain_number(value)).unwrap_or_default())
        })
    }

    /// A duration of a range.
    pub(super) fn duration(&self, field: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let [from, to] = [range.start(), range.end()].map(|end| duration::text(*end));
        let expected = format!("a duration from {from} to {to}, for instance \"250ms\", \"2s\" or \"1m\"");
        self.taken(field, &expected, |value| duration::parse(value.as_str()?).filter(|found| range.contains(found)))
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, field: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(field, "a text", |_| true)?;
        let found = choices.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            self.note(self.unlike(self.problem(field, "another text"), text, choices));
        }
        found.map(|(_, choice)| *choice)
    }

    /// A list of words, each one of several.
    pub(super) fn choices<T: Copy>(&self, field: &'static str, choices: &[(&'static str, T)]) -> Option<Vec<T>> {
        let texts = self.texts(field, "a text", |_| true)?;
        let mut chosen = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            match choices.iter().find(|(word, _)| word == text) {
                Some((_, choice)) => chosen.push(*choice),
                None => self.note(self.unlike(self.entry_problem(field, at, "another text"), text, choices)),
            }
        }
        Some(chosen)
    }

    fn unlike<T>(&self, problem: Problem, text: &str, choices: &[(&'static str, T)]) -> Problem {
        let words = choices.iter().map(|(word, _)| *word);
        let listed: Vec<String> = words.clone().map(|word| format!("\"{word}\"")).collect();
        problem.expected(format!("one of {}", listed.join(", "))).meant(text, words)
    }

    /// A path, made relative to the file's folder.
    pub(super) fn file(&self, field: &'static str) -> Option<PathBuf> {
        let path = self.text(field, PATH, is_path)?;
        Some(self.reading.base.join(path))
    }

    /// A list of paths, made relative to the file's folder.
    pub(super) fn files(&self, field: &'static str) -> Option<Vec<PathBuf>> {
        let paths = self.texts(field, PATH, is_path)?;
        Some(paths.iter().map(|path| self.reading.base.join(path)).collect())
    }

    /// A list of names: [`is_name`].
    pub(super) fn names(&self, field: &'static str) -> Option<Vec<String>> {
        self.texts(field, NAME, is_name)
    }

    /// A list of texts that pass a check. Those that do not are left out.
    pub(super) fn texts(
        &self,
        field: &'static str,
        expected: &str,
        good: impl Fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        let list = self.taken(field, "a list of texts", DeValue::as_array)?;
        let mut texts = Vec::new();
        for (at, value) in list.iter().enumerate() {
            match value.get_ref().as_str().filter(|text| good(text)) {
                Some(text) => texts.push(text.to_owned()),
                None => self.note(self.entry_problem(field, at, shown(value.get_ref())).expected(expected)),
            }
        }
        Some(texts)
    }

    /// A problem of an entry of a list.
    pub(super) fn entry_problem(&self, field: &str, at: usize, found: impl Into<String>) -> Problem {
        let problem = self.problem(field, found);
        Problem { field: format!("{}[{at}]", problem.field), ..problem }
    }

    /// The fields of a table that may have any names, with their texts.
    pub(super) fn pairs(&self, field: &'static str) -> Vec<(&'a str, Option<&'a str>)> {
        let table = self.taken(field, "a table of texts", DeValue::as_table);
        table.into_iter().flatten().map(|(key, value)| (&**key.get_ref(), value.get_ref().as_str())).collect()
    }

    /// A table below this one.
    pub(super) fn table(&self, field: &'static str) -> Table<'a> {
        let entries = self.taken(field, &format!("a table: [{field}]"), DeValue::as_table);
        let (path, schema) = (self.path(field), joined(&self.schema, field));
        Table { reading: self.reading, path, schema, entries, known: RefCell::default() }
    }

    /// The tables of a list, named after their field `name` if they have a good one that no other has.
    pub(super) fn tables(&self, field: &'static str) -> Vec<Table<'a>> {
        let expected = format!("a list of tables: [[{field}]]");
        let list = self.taken(field, &expected, DeValue::as_array);
        let mut tables = Vec::new();
        for (at, value) in list.into_iter().flatten().enumerate() {
            let place = format!("{}[{at}]", self.path(field));
            let line = self.reading.line(&value.span());
            let Some(entries) = value.get_ref().as_table() else {
                self.note(Problem::new(place, Some(line), shown(value.get_ref())).expected(&expected));
                continue;
            };
            let name = entries.get("name").and_then(|name| name.get_ref().as_str()).filter(|name| is_name(name));
            let named = name.map(|name| joined(&self.path(field), name));
            let mut found = self.reading.found.borrow_mut();
            let path = named.filter(|path| !found.lines.contains_key(path)).unwrap_or(place);
            found.lines.insert(path.clone(), line);
            let schema = joined(&self.schema, field);
            tables.push(Table {
                reading: self.reading,
                path,
                schema,
                entries: Some(entries),
                known: RefCell::default(),
            });
        }
        tables
    }
}

/// What a name has to look like.
const NAME: &str = "a name of 1 to 128 visible ASCII characters without spaces";

/// Whether this is a name of a provider or a model.
pub(super) fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

/// What a path has to look like.
const PATH: &str = "a path; ~ stands for nothing here";

fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('~') && !text.contains('\0')
}

fn joined(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// A number in decimal digits, as it is written.
fn plain_number<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    let whole = value.as_integer().filter(|number| number.radix() == 10).map(|number| number.as_str());
    whole.or_else(|| value.as_float().map(|number| number.as_str()))
}

/// What a value is. Only numbers are shown: a text may be a secret in the wrong place.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.is_empty() => "an empty text".to_owned(),
        DeValue::String(_) => "a text that is not shown".to_owned(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
