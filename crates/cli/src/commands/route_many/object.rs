//! A line of `--input`: its id, as it was written, and its prompt.
//!
//! A prompt is a text, or the last user turn of a conversation in OpenAI's form (`messages`); a line of OpenAI's batch files
//! has the same in its `body`, and its id in `custom_id`.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A line that was read. Not printable: it holds a prompt.
pub(super) struct Object {
    /// Exactly as it was written, whatever it is; none if the line has none, or is not JSON.
    pub(super) id: Option<Box<RawValue>>,
    pub(super) prompt: Result<String, String>,
    /// What the reader should know of how the prompt was read.
    pub(super) note: Option<String>,
}

impl Default for Object {
    fn default() -> Self {
        Self { id: None, prompt: Err(NO_PROMPT.to_owned()), note: None }
    }
}

/// The fields that are read, unread.
#[derive(serde::Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    /// Of a batch's line.
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    /// What OpenAI's responses call their messages.
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

/// What was found on the way to a prompt.
#[derive(Default)]
struct Found {
    replaced: usize,
    left_out: usize,
}

impl Object {
    /// Reads a line. No problem quotes any of it.
    pub(super) fn read(line: &[u8], number: usize) -> Self {
        let Ok(line) = std::str::from_utf8(line) else {
            // The id may be whole.
            let lossy = String::from_utf8_lossy(line);
            let id = object(&lossy).and_then(|fields: Fields<'_>| fields.id.or(fields.custom_id));
            let id = id.filter(|id| !id.get().contains('\u{fffd}')).map(ToOwned::to_owned);
            return Self { id, ..Self::wrong(format!("line {number} is not UTF-8; convert the file")) };
        };
        if line.trim_start().starts_with('[') {
            return Self::wrong(format!("line {number} {LIST}"));
        }
        let fields: Fields<'_> = match serde_json::from_str(line) {
            Ok(fields) => fields,
            Err(error) => {
                let column = error.column();
                return Self::wrong(format!(
                    "line {number} is not an {{\"id\", \"prompt\"}} object (column {column}); see `blindroute route --help`"
                ));
            }
        };
        let id = fields.id.or(fields.custom_id).map(ToOwned::to_owned);
        let mut found = Found::default();
        let prompt = match &id {
            None => Err("it has no id (or custom_id); add one".to_owned()),
            Some(_) => found.prompt(&fields, true),
        };
        let prompt = prompt.map_err(|problem| format!("line {number}: {problem}"));
        Self { id, prompt, note: found.note() }
    }

    fn wrong(problem: String) -> Self {
        Self { prompt: Err(problem), ..Self::default() }
    }

    /// Whether a line is an object with a prompt, complete or not.
    pub(super) fn is_one(line: &str) -> bool {
        object(line).is_some_and(|fields: Fields<'_>| fields.prompt.or(fields.messages).or(fields.body).is_some())
    }
}

/// What a line is that begins with a bracket.
pub(super) const LIST: &str = "is a list; give one object per line (jq -c '.[]' FILE makes such lines)";
const NO_PROMPT: &str = "it has no prompt; add \"prompt\" (a text) or \"messages\" (a conversation)";
const NO_USER: &str = "its messages have no turn of role user with a text; add one, or give \"prompt\"";
const NO_TEXT: &str = "its prompt is neither a text nor a list of messages or parts; give it as a text";
const SEVERAL: &str = "its prompt is a list of several texts; give one text per line";

impl Found {
    fn prompt(&mut self, fields: &Fields<'_>, outermost: bool) -> Result<String, String> {
        if let Some(prompt) = fields.prompt {
            return self.text_or_messages(prompt);
        }
        if let Some(messages) = fields.messages {
            return self.messages(messages);
        }
        match (fields.body, fields.input) {
            (Some(body), _) if outermost => {
                let fields: Fields<'_> =
                    object(body.get()).ok_or("its body is not an object; give a line as in OpenAI's batch files")?;
                self.prompt(&fields, false)
            }
            (_, Some(input)) if !outermost => self.text_or_messages(input),
            _ => Err(NO_PROMPT.to_owned()),
        }
    }

    /// A text, a list with one text in it, or messages.
    fn text_or_messages(&mut self, raw: &RawValue) -> Result<String, String> {
        if !raw.get().starts_with('[') {
            return self.content(raw);
        }
        let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| NO_TEXT.to_owned())?;
        let is_message =
            |value: &RawValue| object(value.get()).is_some_and(|message: Message<'_>| message.role.is_some());
        match list.as_slice() {
            [] => Err(NO_PROMPT.to_owned()),
            [first, ..] if is_message(first) => self.messages(raw),
            [_, second, ..] if second.get().starts_with('"') => Err(SEVERAL.to_owned()),
            _ => self.content(raw),
        }
    }

    /// The last user turn.
    fn messages(&mut self, raw: &RawValue) -> Result<String, String> {
        let list: Result<Vec<&RawValue>, _> = serde_json::from_str(raw.get());
        let messages: Option<Vec<Message<'_>>> =
            list.ok().and_then(|list| list.into_iter().map(|message| object(message.get())).collect());
        let messages = messages.ok_or("its messages are not a list of objects with role and content; correct them")?;
        let last = messages.iter().rev().find(|message| message.role.as_deref() == Some("user"));
        let content = last.and_then(|message| message.content).ok_or(NO_USER)?;
        self.content(content)
    }

    /// A text, or the texts of a list of parts.
    fn content(&mut self, raw: &RawValue) -> Result<String, String> {
        match raw.get().as_bytes().first() {
            Some(b'"') => self.text(raw),
            Some(b'[') => {
                let parts: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| NO_TEXT.to_owned())?;
                let mut texts = Vec::new();
                for part in parts {
                    let text = if part.get().starts_with('"') {
                        Some(part)
                    } else {
                        object::<Part<'_>>(part.get()).ok_or(NO_TEXT)?.text
                    };
                    match text {
                        Some(text) => texts.push(self.text(text)?),
                        // An image, or sound: the router reads text.
                        None => self.left_out += 1,
                    }
                }
                if texts.is_empty() { Err(NO_TEXT.to_owned()) } else { Ok(texts.join("\n")) }
            }
            _ => Err(NO_TEXT.to_owned()),
        }
    }

    fn text(&mut self, raw: &RawValue) -> Result<String, String> {
        let Text { text, replaced } = serde_json::from_str(raw.get()).map_err(|_| NO_TEXT.to_owned())?;
        self.replaced += replaced;
        Ok(text)
    }

    fn note(&self) -> Option<String> {
        let mut notes = Vec::new();
        if self.replaced > 0 {
            notes.push(format!("{} escapes of lone surrogates (as \\ud800) were read as U+FFFD", self.replaced));
        }
        if self.left_out > 0 {
            notes.push(format!("{} parts that are not text were left out", self.left_out));
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// An object's fields; a list of their values, which serde would take as well, is none.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    if text.trim_start().starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

/// A field that is there, also if it is null.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A JSON string, in which halves of surrogate pairs, which no text can hold, become U+FFFD. Programs that cut texts in the
/// middle of an emoji write them.
struct Text {
    text: String,
    replaced: usize,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, serde_json gives a lone surrogate in the three bytes that UTF-8 would have for it.
        deserializer.deserialize_bytes(Bytes)
    }
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Text;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Text, E> {
        let (mut whole, mut replaced, mut rest) = (Vec::with_capacity(bytes.len()), 0, bytes);
        while let Some((first, after)) = rest.split_first() {
            match rest {
                [0xed, 0xa0..=0xbf, _, after @ ..] => {
                    whole.extend_from_slice("\u{fffd}".as_bytes());
                    replaced += 1;
                    rest = after;
                }
                _ => {
                    whole.push(*first);
                    rest = after;
                }
            }
        }
        let text = String::from_utf8(whole).map_err(|_| E::custom("a text that is not UTF-8"))?;
        Ok(Text { text, replaced })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Option<String>, Result<String, String>, Option<String>) {
        let Object { id, prompt, note } = Object::read(line.as_bytes(), 3);
        (id.map(|id| id.get().to_owned()), prompt, note)
    }

    #[test]
    fn an_id_is_kept_as_it_was_written() {
        for id in [
            "12345678901234567890123456789",
            "1e400",
            "1.0",
            "-0",
            r#"{"b": 1,  "a": [2.50]}"#,
            r#""\ud800""#,
            r#""a\u00e9\/b""#,
            "null",
            "true",
        ] {
            let (found, prompt, _) = read(&format!("{{\"prompt\": \"What?\", \"id\": {id} }}"));
            assert_eq!((found.as_deref(), prompt.as_deref()), (Some(id), Ok("What?")));
        }
    }

    #[test]
    fn prompts_come_in_openais_forms() {
        let image = r#"{"type": "image_url", "image_url": {"url": "x"}}"#;
        for (fields, expected) in [
            (r#""prompt": "What?""#.to_owned(), "What?"),
            (r#""prompt": ["What?"]"#.to_owned(), "What?"),
            (r#""prompt": [{"role": "user", "content": "What?"}]"#.to_owned(), "What?"),
            (r#""prompt": [{"type": "text", "text": "What?"}]"#.to_owned(), "What?"),
            (
                r#""messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "first"},
                    {"role": "assistant", "content": null}, {"content": "last", "role": "user"}, {"role": "assistant"}]"#
                    .replace('\n', " "),
                "last",
            ),
            (
                format!(r#""messages": [{{"role": "user", "content": [{{"type": "text", "text": "a"}}, {image}, "b"]}}]"#),
                "a\nb",
            ),
            (r#""method": "POST", "body": {"model": "m", "messages": [{"role": "user", "content": "What?"}]}"#.into(), "What?"),
            (r#""body": {"prompt": "What?"}"#.to_owned(), "What?"),
            (r#""body": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "What?"}]}]}"#.into(), "What?"),
        ] {
            for id in ["id", "custom_id"] {
                let (found, prompt, note) = read(&format!("{{\"{id}\": 7, {fields}}}"));
                assert_eq!((found.as_deref(), prompt.as_deref()), (Some("7"), Ok(expected)), "{fields}");
                let left_out = note.is_some_and(|note| note == "1 parts that are not text were left out");
                assert_eq!(left_out, fields.contains("image_url"));
            }
        }
    }

    #[test]
    fn halves_of_surrogate_pairs_are_replaced_and_said() {
        let (id, prompt, note) = read(r#"{"id": "x", "prompt": "a\ud83d b \ud83d\ude00 \udc00\ud800"}"#);
        assert_eq!((id.as_deref(), prompt.as_deref()), (Some("\"x\""), Ok("a\u{fffd} b 😀 \u{fffd}\u{fffd}")));
        assert!(note.unwrap().starts_with("3 escapes of lone surrogates"));
        assert_eq!(read("{\"id\": 1, \"prompt\": \"힣 \u{fffd}\"}").2, None);
    }

    #[test]
    fn a_prompt_that_is_not_utf_8_does_not_lose_its_id() {
        let id = |line: &[u8]| Object::read(line, 3).id.map(|id| id.get().to_owned());
        assert_eq!(id(b"{\"prompt\": \"\xff\", \"id\": 1e400}").as_deref(), Some("1e400"));
        assert_eq!(id(b"{\"prompt\": \"a\", \"id\": \"\xff\"}"), None);
    }

    #[test]
    fn what_has_no_prompt_says_what_to_do_and_keeps_its_id() {
        for (line, id, says) in [
            ("canary", None, "line 3 is not an {\"id\", \"prompt\"} object (column 1)"),
            (r#"[{"id": 1, "prompt": "canary"}]"#, None, "line 3 is a list; give one object per line (jq -c"),
            (r#"{"prompt": "canary"}"#, None, "line 3: it has no id (or custom_id)"),
            (r#"{"id": 1}"#, Some("1"), "line 3: it has no prompt; add \"prompt\""),
            (r#"{"id": 1, "prompt": null}"#, Some("1"), "it has no prompt"),
            (r#"{"id": 1, "prompt": 7}"#, Some("1"), "neither a text nor a list"),
            (r#"{"id": 1, "prompt": []}"#, Some("1"), "it has no prompt"),
            (r#"{"id": 1, "prompt": ["canary", "canary"]}"#, Some("1"), "a list of several texts"),
            (r#"{"id": 1, "prompt": [1, 2]}"#, Some("1"), "neither a text nor a list"),
            (r#"{"id": 1, "messages": "canary"}"#, Some("1"), "its messages are not a list"),
            (r#"{"id": 1, "messages": [{"role": "system", "content": "canary"}]}"#, Some("1"), "no turn of role user"),
            (r#"{"id": 1, "messages": [{"role": "user", "content": []}]}"#, Some("1"), "neither a text"),
            (r#"{"id": 1, "body": "canary"}"#, Some("1"), "its body is not an object"),
            (r#"{"id": 1, "body": {"body": {"prompt": "canary"}}}"#, Some("1"), "it has no prompt"),
        ] {
            let (found, prompt, _) = read(line);
            let problem = prompt.unwrap_err();
            assert!(
                found.as_deref() == id && problem.contains(says) && !problem.contains("canary"),
                "{line}: {problem}"
            );
        }
    }
}
