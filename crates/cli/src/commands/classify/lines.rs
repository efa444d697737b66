//! Many texts: read line by line, classified in sessions of one bucket, answered in the order of the lines.

use super::super::route_many::{self, Failure, Form, next_line, without_mark};
use anyhow::Context;
use blindroute_console::terminal;
use blindroute_placement::{Cascade, ClassifyOptions, ClassifyReport, Text};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::{self, BufRead, Write};
use std::path::Path;

/// How many lines are read before they are classified: enough that the sessions of all buckets are nearly always full.
const WINDOW: usize = 1024;

/// A line as it is written. Not printable: it holds a text.
#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    id: Option<Box<RawValue>>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    text2: Option<String>,
}

/// A line, or what is wrong with it. Not printable: it holds a text.
struct Line {
    number: usize,
    id: Option<Box<RawValue>>,
    texts: Result<(String, Option<String>), String>,
}

/// A line of the output.
#[derive(Serialize)]
struct Answer<'a> {
    id: Option<&'a RawValue>,
    #[serde(flatten)]
    report: &'a ClassifyReport,
}

/// Classifies every line. A bad line is reported in its place and the others go on; an error that every line would meet ends
/// the run.
pub(super) fn classify(
    path: &Path,
    router: &Cascade,
    options: &ClassifyOptions,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let mut reader = route_many::open(path, Form::Text)?;
    let (mut read, mut failed, mut number) = (0, 0, 0);
    loop {
        let lines = window(&mut *reader, &mut number)
            .with_context(|| format!("cannot read {}; {}", path.display(), Form::Text.hint()))?;
        let Some(last) = lines.last() else { break };
        bar.set_message(format!("classifying lines up to {}", last.number));
        read += lines.len();
        failed += answer(&lines, router, options)?;
    }
    bar.finish_and_clear();
    if failed > 0 {
        anyhow::bail!("{failed} of {read} lines could not be classified; their lines in the output say why");
    }
    Ok(())
}

/// The next lines that are not blank; none after the last.
fn window(reader: &mut dyn BufRead, number: &mut usize) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    while lines.len() < WINDOW {
        let Some(line) = next_line(&mut &mut *reader)? else { break };
        *number += 1;
        let line = if *number == 1 { line.map(without_mark) } else { line };
        match line {
            Ok(line) if line.iter().all(u8::is_ascii_whitespace) => {}
            Ok(line) => lines.push(Line::read(&line, *number)),
            Err(problem) => {
                lines.push(Line { number: *number, id: None, texts: Err(format!("line {number}: {problem}")) });
            }
        }
    }
    Ok(lines)
}

impl Line {
    /// Reads a line. No problem quotes any of it.
    fn read(line: &[u8], number: usize) -> Self {
        let object = match serde_json::from_slice::<Object>(line) {
            Ok(object) if line.trim_ascii_start().starts_with(b"{") => object,
            other => {
                let column = other.err().map_or(1, |error| error.column());
                let problem = format!(
                    "line {number} is not an {{\"id\", \"text\"}} object in UTF-8 (column {column}); see `blindroute classify --help`"
                );
                return Self { number, id: None, texts: Err(problem) };
            }
        };
        let Object { id, text, text2 } = object;
        let texts = match (&id, text) {
            (None, _) => Err(format!("line {number}: it has no id; add one")),
            (_, None) => Err(format!("line {number}: it has no text; add \"text\"")),
            (_, Some(text)) => Ok((text, text2)),
        };
        Self { number, id, texts }
    }
}

/// Classifies lines and prints their answers; says how many failed.
fn answer(lines: &[Line], router: &Cascade, options: &ClassifyOptions) -> anyhow::Result<usize> {
    let good = lines.iter().filter_map(|line| line.texts.as_ref().ok());
    let texts: Vec<Text<'_>> = good.map(|(text, text2)| Text { text, text2: text2.as_deref() }).collect();
    let mut answers = router.classify_batch(&texts, options)?.into_iter();
    let (mut failed, mut stop) = (0, None);
    for line in lines {
        let id = line.id.as_deref();
        let answer = match &line.texts {
            Err(problem) => Err(problem.clone()),
            Ok(_) => match answers.next() {
                Some(Ok(report)) => Ok(report),
                Some(Err(error)) => {
                    let text = error.to_string();
                    if error.stops_all() && stop.is_none() {
                        stop = Some((line.number, error));
                    }
                    Err(text)
                }
                None => Err("it got no answer; please report this".to_owned()),
            },
        };
        let text = match &answer {
            Ok(report) => serde_json::to_string(&Answer { id, report })?,
            Err(error) => serde_json::to_string(&Failure { id, line: line.number, error })?,
        };
        failed += usize::from(answer.is_err());
        terminal::without_bars(|| {
            let mut out = io::stdout().lock();
            writeln!(out, "{text}")?;
            out.flush()
        })?;
    }
    match stop {
        Some((number, error)) => {
            Err(anyhow::Error::new(error).context(format!("line {number} was not classified, and none after it is")))
        }
        None => Ok(failed),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_an_id_and_one_text_or_two() {
        let read = |line: &str| {
            let Line { id, texts, .. } = Line::read(line.as_bytes(), 3);
            (id.map(|id| id.get().to_owned()), texts)
        };
        let (id, texts) = read(r#" {"text": "a", "id": 1.0, "other": [1]}"#);
        assert_eq!((id.as_deref(), texts), (Some("1.0"), Ok(("a".to_owned(), None))));
        let (id, texts) = read(r#"{"id": null, "text": "a", "text2": "b"}"#);
        assert_eq!((id, texts), (None, Err("line 3: it has no id; add one".to_owned())));
        assert_eq!(read(r#"{"id": "x", "text": "a", "text2": "b"}"#).1, Ok(("a".to_owned(), Some("b".to_owned()))));
        for (line, says) in [
            ("canary", "line 3 is not an {\"id\", \"text\"} object"),
            (r#"[1, "canary", "canary"]"#, "line 3 is not an"),
            (r#"{"id": 1, "text": 7}"#, "line 3 is not an"),
            (r#"{"id": 1, "prompt": "canary"}"#, "line 3: it has no text"),
        ] {
            let problem = read(line).1.unwrap_err();
            assert!(problem.contains(says) && !problem.contains("canary"), "{line}: {problem}");
        }
    }

    #[test]
    fn blank_lines_are_skipped_and_numbers_kept() {
        let (text, mut number) = ("\u{feff}{\"id\": 1, \"text\": \"a\"}\n\n \r\n{\"id\": 2, \"text\": \"b\"}", 0);
        let mut bytes = text.as_bytes();
        let lines = window(&mut bytes, &mut number).unwrap();
        let found: Vec<(usize, bool)> = lines.iter().map(|line| (line.number, line.texts.is_ok())).collect();
        assert_eq!(found, [(1, true), (4, true)]);
        assert!(window(&mut bytes, &mut number).unwrap().is_empty());
    }
}
