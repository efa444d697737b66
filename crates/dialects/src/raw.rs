//! Edits of top-level fields of a JSON object that leave every other byte as it is.
//!
//! A gateway changes `model` and little else. What it does not know has to arrive as it was sent: the order of fields,
//! numbers such as `1e400` or `0.10`, escapes, spaces.

use crate::json::{Json, JsonError, Scan, quote};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A JSON object, and where in its text each of its fields stands.
pub struct Object<'a> {
    text: &'a str,
    fields: Vec<Field<'a>>,
    /// Where a first field would begin.
    inside: usize,
}

struct Field<'a> {
    name: Cow<'a, str>,
    value: Json<'a>,
    /// From the name's quote to the end of the value.
    whole: Range<usize>,
    value_start: usize,
}

/// A change of one field.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit<'e> {
    name: &'e str,
    value: Option<String>,
}

impl<'e> Edit<'e> {
    /// Gives a field this value, in its place if it is there, else at the end of the object.
    pub fn set(name: &'e str, value: &Json<'_>) -> Self {
        Self { name, value: Some(value.to_string()) }
    }

    /// Gives a field a value that is JSON already, for instance an inner object that was edited.
    pub fn set_raw(name: &'e str, value: String) -> Self {
        Self { name, value: Some(value) }
    }

    /// Takes a field out.
    pub fn remove(name: &'e str) -> Self {
        Self { name, value: None }
    }
}

impl fmt::Debug for Edit<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", if self.value.is_some() { "set" } else { "remove" }, self.name)
    }
}

impl<'a> Object<'a> {
    /// Reads an object; all of it is checked, and a field that occurs twice is refused.
    pub fn read(body: &'a [u8]) -> Result<Self, JsonError> {
        let mut scan = Scan::new(body)?;
        scan.need(b'{', "an object")?;
        let (mut fields, inside) = (Vec::new(), scan.at());
        scan.space();
        let mut open = !scan.take(b'}');
        while open {
            let start = scan.at();
            let name = scan.name()?;
            let value_start = scan.at();
            let value = scan.value(1)?;
            fields.push(Field { name, value, whole: start..scan.at(), value_start });
            scan.space();
            open = !scan.take(b'}');
            if open {
                scan.need(b',', "a comma or the end of the object")?;
                scan.space();
            }
        }
        let at = scan.at();
        scan.end()?;
        crate::json::distinct(fields.iter().map(|field| &field.name), at)?;
        Ok(Self { text: scan.text(), fields, inside })
    }

    /// A field's value; nothing if the field is absent or null.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        let found = self.fields.iter().find(|field| field.name == name);
        found.map(|field| &field.value).filter(|value| **value != Json::Null)
    }

    /// A field's value as it was written, null too.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(&self.text[field.value_start..field.whole.end])
    }

    /// The edit that makes a Chat provider report the usage of a stream. Nothing if the answer is not streamed, or if the
    /// client asked for the usage itself. The other options stay as they are.
    pub fn usage_injection(&self) -> Option<Edit<'static>> {
        let options = self.get("stream_options");
        let asked = options.and_then(|options| options.get("include_usage")).and_then(Json::as_bool) == Some(true);
        if asked || self.get("stream").and_then(Json::as_bool) != Some(true) {
            return None;
        }
        let include = Edit::set("include_usage", &Json::Bool(true));
        let inner = self.raw("stream_options").and_then(|raw| Object::read(raw.as_bytes()).ok());
        let options = inner.map_or_else(|| r#"{"include_usage":true}"#.to_owned(), |inner| inner.edited(&[include]));
        Some(Edit::set_raw("stream_options", options))
    }

    /// The names of the fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_ref())
    }

    /// The fields and their values, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.fields.iter().map(|field| (field.name.as_ref(), &field.value))
    }

    /// The object as a value.
    pub fn into_json(self) -> Json<'a> {
        Json::Object(self.fields.into_iter().map(|field| (field.name, field.value)).collect())
    }

    /// The text with these changes; of two changes of one field the first counts.
    pub fn edited(&self, edits: &[Edit<'_>]) -> String {
        let edit_of = |name: &str| edits.iter().find(|edit| edit.name == name);
        let mut edited = String::with_capacity(self.text.len() + 64);
        let first = self.fields.first().map_or(self.inside, |field| field.whole.start);
        edited.push_str(&self.text[..first]);
        let mut any = false;
        for (index, field) in self.fields.iter().enumerate() {
            let edit = edit_of(&field.name);
            if edit.is_some_and(|edit| edit.value.is_none()) {
                continue;
            }
            if any {
                // `any` means that there is a field before this one.
                edited.push_str(&self.text[self.fields[index - 1].whole.end..field.whole.start]);
            }
            edited.push_str(&self.text[field.whole.start..field.value_start]);
            match edit.and_then(|edit| edit.value.as_deref()) {
                Some(value) => edited.push_str(value),
                None => edited.push_str(&self.text[field.value_start..field.whole.end]),
            }
            any = true;
        }
        for (index, edit) in edits.iter().enumerate() {
            let known = self.fields.iter().any(|field| field.name == edit.name)
                || edits[..index].iter().any(|earlier| earlier.name == edit.name);
            if let Some(value) = edit.value.as_deref().filter(|_| !known) {
                edited.push_str(&format!("{}{}:{value}", if any { "," } else { "" }, quote(edit.name)));
                any = true;
            }
        }
        edited.push_str(&self.text[self.fields.last().map_or(self.inside, |field| field.whole.end)..]);
        edited
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object of {} fields and {} bytes", self.fields.len(), self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, edits: &[Edit<'_>]) -> String {
        Object::read(text.as_bytes()).unwrap().edited(edits)
    }

    #[test]
    fn every_other_byte_stays() {
        let model = Edit::set("model", &Json::text("b\"c"));
        let text = "\n{ \"x\" : 1e400 ,\t\"model\" : \"a\",\"y\":[0.10, \"\\u0041\"] }\r\n";
        let expected = "\n{ \"x\" : 1e400 ,\t\"model\" : \"b\\\"c\",\"y\":[0.10, \"\\u0041\"] }\r\n";
        assert_eq!(edited(text, std::slice::from_ref(&model)), expected);
        assert_eq!(edited("{}", std::slice::from_ref(&model)), r#"{"model":"b\"c"}"#);
        assert_eq!(edited("{ }", std::slice::from_ref(&model)), r#"{"model":"b\"c" }"#);
        assert_eq!(edited(r#"{"a":1 }"#, &[model]), r#"{"a":1,"model":"b\"c" }"#);
    }

    #[test]
    fn fields_are_taken_out_with_their_comma() {
        let text = r#"{ "a": 1, "b": 2 , "c": 3 }"#;
        for (names, expected) in [
            (vec!["a"], r#"{ "b": 2 , "c": 3 }"#),
            (vec!["b"], r#"{ "a": 1 , "c": 3 }"#),
            (vec!["c"], r#"{ "a": 1, "b": 2 }"#),
            (vec!["a", "b"], r#"{ "c": 3 }"#),
            (vec!["a", "b", "c"], "{  }"),
            (vec!["d"], text),
        ] {
            let edits: Vec<Edit<'_>> = names.iter().map(|name| Edit::remove(name)).collect();
            assert_eq!(edited(text, &edits), expected, "{names:?}");
        }
        let both = [Edit::remove("b"), Edit::set("z", &Json::number(9)), Edit::set("z", &Json::number(8))];
        assert_eq!(edited(text, &both), r#"{ "a": 1 , "c": 3,"z":9 }"#);
    }

    #[test]
    fn the_usage_of_a_stream_is_asked_for_once() {
        let injected = |text: &str| {
            let object = Object::read(text.as_bytes()).unwrap();
            object.usage_injection().map(|edit| object.edited(&[edit]))
        };
        let with = |options: &str| format!("{{\"stream\":true{options}}}");
        assert_eq!(injected(&with("")), Some(with(r#","stream_options":{"include_usage":true}"#)));
        assert_eq!(
            injected(&with(r#","stream_options":null"#)),
            Some(with(r#","stream_options":{"include_usage":true}"#))
        );
        let others = r#", "stream_options": { "x": 0.10, "include_usage": false }"#;
        assert_eq!(injected(&with(others)), Some(with(&others.replace("false", "true"))));
        assert_eq!(injected(&with(r#","stream_options":{"include_usage":true}"#)), None);
        assert_eq!([injected("{}"), injected(r#"{"stream":false}"#)], [None, None]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["[]", "1", "", "{\"a\":1", "{\"a\":1}x", "{\"a\":1,}", "{\"a\":[1,}"] {
            assert!(Object::read(text.as_bytes()).is_err(), "{text}");
        }
        let twice = Object::read(br#"{"model":"a","mod\u0065l":"b"}"#);
        assert!(matches!(twice, Err(JsonError::Duplicate { .. })));
    }
}
