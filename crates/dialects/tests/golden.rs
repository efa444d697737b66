//! Translations of written requests, responses and streams, compared with files in `golden/`.
//!
//! `BLINDROUTE_UPDATE_SNAPSHOTS=1 cargo test -p blindroute-dialects --test golden` writes them anew; look at the difference.
//! An input is called `NAME.DIALECT.json` or `NAME.DIALECT.sse`; what is expected is in `DIALECT-to-DIALECT` folders.
#![allow(clippy::unwrap_used)]

use blindroute_dialects::Dialect;
use blindroute_dialects::json::{Json, parse};
use blindroute_dialects::sse::Parser;
use blindroute_dialects::translate::{Provider, Translation, request};
use std::path::{Path, PathBuf};

const NOW: u64 = 1_764_000_000;

#[track_caller]
fn snapshot(path: &Path, found: &str) {
    if std::env::var_os("BLINDROUTE_UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == found,
        "{} differs; if that is meant, set BLINDROUTE_UPDATE_SNAPSHOTS=1 and run again.\n--- now:\n{found}",
        path.display()
    );
}

/// The inputs of a kind: name, dialect and content.
fn inputs(kind: &str) -> Vec<(String, Dialect, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder(kind)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let mut parts = file.split('.');
            let (name, dialect) = (parts.next().unwrap(), parts.next().unwrap());
            let dialect = Dialect::ALL.into_iter().find(|known| known.name() == dialect).unwrap();
            found.push((name.to_owned(), dialect, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort_by(|one, other| (&one.0, one.1.name()).cmp(&(&other.0, other.1.name())));
    assert!(found.len() > 4, "the inputs were not found");
    found
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind)
}

fn others(dialect: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |other| *other != dialect)
}

/// JSON over several lines, with the fields in their order.
fn pretty(value: &Json<'_>, indent: usize, written: &mut String) {
    let line = |written: &mut String, indent: usize| {
        written.push('\n');
        written.push_str(&"  ".repeat(indent));
    };
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            written.push('{');
            for (at, (name, value)) in fields.iter().enumerate() {
                written.push_str(if at > 0 { "," } else { "" });
                line(written, indent + 1);
                written.push_str(&format!("{}: ", Json::text(name.as_ref())));
                pretty(value, indent + 1, written);
            }
            line(written, indent);
            written.push('}');
        }
        Json::Array(elements) if !elements.is_empty() => {
            written.push('[');
            for (at, element) in elements.iter().enumerate() {
                written.push_str(if at > 0 { "," } else { "" });
                line(written, indent + 1);
                pretty(element, indent + 1, written);
            }
            line(written, indent);
            written.push(']');
        }
        other => written.push_str(&other.to_string()),
    }
}

fn lines(text: &str) -> String {
    let mut written = String::new();
    pretty(&parse(text.as_bytes()).unwrap(), 0, &mut written);
    written + "\n"
}

fn translation(from: Dialect, to: Dialect) -> Translation {
    let body = match from {
        Dialect::Chat => {
            r#"{"model":"auto","messages":[{"role":"user","content":"q"}],"stream_options":{"include_usage":true}}"#
        }
        Dialect::Responses => r#"{"model":"auto","input":"q","instructions":"be brief","text":{"verbosity":"medium"}}"#,
        Dialect::Messages => r#"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"q"}]}"#,
    };
    let provider = Provider { max_output_tokens: Some(64), ..Provider::new(to, "m") };
    request(from, body.as_bytes(), &provider).unwrap()
}

#[test]
fn requests_are_translated_as_written_down() {
    for (name, from, body) in inputs("requests") {
        for to in others(from) {
            let provider = Provider { max_output_tokens: Some(4096), ..Provider::new(to, "the-model") };
            let found = match request(from, body.as_bytes(), &provider) {
                Ok(translation) => lines(&translation.body),
                Err(error) => lines(&error.to_api_error().body(from)),
            };
            snapshot(&folder("requests").join(format!("{from}-to-{to}/{name}.json")), &found);
        }
    }
}

#[test]
fn responses_are_translated_as_written_down() {
    for (name, provider, body) in inputs("responses") {
        for caller in others(provider) {
            let found = match translation(caller, provider).response(body.as_bytes(), NOW) {
                Ok((response, usage)) => format!("{}{usage:?}\n", lines(&response)),
                Err(error) => lines(&error.to_api_error().body(caller)),
            };
            snapshot(&folder("responses").join(format!("{provider}-to-{caller}/{name}.json")), &found);
        }
    }
}

#[test]
fn streams_are_translated_as_written_down_however_they_are_split() {
    for (name, provider, stream) in inputs("streams") {
        for caller in others(provider) {
            let found = [stream.len(), 1, 7].map(|size| {
                let mut translated = translation(caller, provider).stream(NOW);
                let (mut parser, mut events, mut sent) = (Parser::default(), Vec::new(), String::new());
                for part in stream.as_bytes().chunks(size) {
                    parser.push(part, &mut events).unwrap();
                    events.drain(..).for_each(|event| sent.push_str(&translated.event(&event)));
                }
                if let Some(event) = parser.finish().unwrap() {
                    sent.push_str(&translated.event(&event));
                }
                sent.push_str(&translated.end());
                sent.push_str(&format!(": {:?}, {:?}\n", translated.progress(), translated.usage()));
                sent
            });
            assert_eq!((&found[0], &found[0]), (&found[1], &found[2]), "{name}: the split changes the translation");
            snapshot(&folder("streams").join(format!("{provider}-to-{caller}/{name}.sse")), &found[0]);
        }
    }
}
