//! Properties of the edits and of the parser of events, for arbitrary values and splits.
#![allow(clippy::unwrap_used)]

use blindroute_dialects::json::{Json, parse};
use blindroute_dialects::raw::{Edit, Object};
use blindroute_dialects::sse::{Event, Parser};
use proptest::prelude::*;

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", " ", "\n", "\t \r\n"])
}

/// A string as it can be written, with escapes or without.
fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[ -!#-\\[\\]-~]{0,4}",
        Just("\\u0041".to_owned()),
        Just("\\\\\\\"".to_owned()),
        Just("é😀".to_owned())
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// A value as it can be written.
fn value() -> impl Strategy<Value = String> {
    let number = prop::sample::select(vec!["0.10", "1e400", "-0", "12345678901234567890", "2E+7", "null", "true"]);
    let leaf = prop_oneof![number.prop_map(str::to_owned), string()];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let pair = (space(), inner.clone(), space())
            .prop_map(|(before, value, after)| format!("{before}{value}{after}"))
            .boxed();
        prop_oneof![
            prop::collection::vec(pair.clone(), 0..4).prop_map(|parts| format!("[{}]", parts.join(","))),
            prop::collection::vec(pair, 0..4).prop_map(|parts| {
                let fields: Vec<String> =
                    parts.iter().enumerate().map(|(at, value)| format!("\"k{at}\" :{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

/// An object as it can be written: some of the fields a to f, in some order.
fn object() -> impl Strategy<Value = String> {
    let names = prop::sample::subsequence(vec!["a", "b", "c", "d", "e", "f"], 0..=6).prop_shuffle();
    names.prop_flat_map(|names| {
        let fields: Vec<_> = names
            .into_iter()
            .map(|name| {
                (space(), space(), value(), space()).prop_map(move |(before, between, value, after)| {
                    format!("{before}\"{name}\"{between}:{value}{after}")
                })
            })
            .collect();
        (space(), fields, space())
            .prop_map(|(before, fields, after)| format!("{before}{{{before}{}}}{after}", fields.join(",")))
    })
}

proptest! {
    #[test]
    fn an_edit_changes_only_its_field(text in object(), name in "[a-h]", new in value(), removes: bool) {
        let before = Object::read(text.as_bytes()).unwrap();
        let edit = if removes { Edit::remove(&name) } else { Edit::set(&name, &parse(new.as_bytes()).unwrap()) };
        let edited = before.edited(&[edit]);
        let after = Object::read(edited.as_bytes()).unwrap();
        let others = |object: &Object<'_>| -> Vec<(String, Option<String>)> {
            let names = object.names().filter(|found| *found != name);
            names.map(|name| (name.to_owned(), object.raw(name).map(str::to_owned))).collect()
        };
        prop_assert_eq!(others(&before), others(&after));
        let expected = (!removes).then(|| parse(new.as_bytes()).unwrap().to_string());
        prop_assert_eq!(after.raw(&name), expected.as_deref());
        // What is written is what was there, and setting a field to its own bytes changes nothing.
        if let Some(raw) = before.raw(&name).filter(|raw| parse(raw.as_bytes()).unwrap().to_string() == *raw) {
            let same = before.edited(&[Edit::set(&name, &parse(raw.as_bytes()).unwrap())]);
            prop_assert_eq!(same, text);
        }
    }

    #[test]
    fn reading_and_writing_is_stable(text in value()) {
        let once = parse(text.as_bytes()).unwrap();
        let written = once.to_string();
        prop_assert_eq!(parse(written.as_bytes()).unwrap(), once);
    }

    #[test]
    fn arbitrary_text_is_read_or_refused(text in ".{0,40}", brackets in "[\\[\\]{}\",:0-9a\\\\ ]{0,30}") {
        for text in [text, brackets] {
            if let Ok(value) = parse(text.as_bytes()) {
                prop_assert_ne!(value.to_string().len(), 0);
            }
            let object = Object::read(text.as_bytes()).is_ok();
            prop_assert_eq!(object, matches!(parse(text.as_bytes()), Ok(Json::Object(_))));
        }
    }

    #[test]
    fn events_do_not_depend_on_the_split(
        lines in prop::collection::vec(prop::sample::select(vec![
            "data: a", "data:é😀", "event: n", ": c", "", "", "id: 1", "data", "x: y", "\u{feff}data: b",
        ]), 0..20),
        ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 20),
        cuts in prop::collection::vec(0.0..1.0_f64, 0..6),
    ) {
        let stream: String = lines.iter().zip(&ends).map(|(line, end)| format!("{line}{end}")).collect();
        let stream = stream.as_bytes();
        let read = |cuts: &[usize]| -> Vec<Event> {
            let (mut parser, mut events, mut start) = (Parser::default(), Vec::new(), 0);
            for end in cuts.iter().copied().chain([stream.len()]) {
                parser.push(&stream[start..end], &mut events).unwrap();
                start = end;
            }
            events.extend(parser.finish().unwrap());
            events
        };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| (cut * stream.len() as f64) as usize).collect();
        cuts.sort_unstable();
        let whole = read(&[]);
        prop_assert_eq!(&read(&cuts), &whole);
        let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw.clone()).collect();
        // An end without its empty line is completed, and dropped if it has no data.
        prop_assert!(raw.starts_with(stream) || stream.starts_with(&raw));
    }
}
