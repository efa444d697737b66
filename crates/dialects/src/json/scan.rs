//! Reading JSON strictly (RFC 8259), with a bound on the depth.

use super::Json;
use std::borrow::Cow;
use std::collections::HashSet;

/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 128;

/// Why a text is no JSON that is accepted. Holds positions and expectations, nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not UTF-8.
    #[error("byte {at} is not UTF-8; JSON is sent as UTF-8")]
    Encoding {
        /// The first byte that is wrong.
        at: usize,
    },
    /// Something else was expected.
    #[error("expected {expected} at byte {at}; send valid JSON")]
    Expected {
        /// The position.
        at: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// Too many levels.
    #[error("more than {MAX_DEPTH} levels of arrays and objects at byte {at}; nest less deeply")]
    Depth {
        /// The position.
        at: usize,
    },
    /// A name occurs twice in an object.
    #[error("the object that ends at byte {at} has a field twice; name each field once")]
    Duplicate {
        /// Where the object ends.
        at: usize,
    },
}

/// Reads a whole text as one value.
pub fn parse(bytes: &[u8]) -> Result<Json<'_>, JsonError> {
    let mut scan = Scan::new(bytes)?;
    let value = scan.value(0)?;
    scan.end()?;
    Ok(value)
}

/// A position in a text.
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|error| JsonError::Encoding { at: error.valid_up_to() })?;
        let mut scan = Self { text, at: 0 };
        scan.space();
        Ok(scan)
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Nothing but space may follow.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.expected("the end of the text")) }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Expected { at: self.at, expected }
    }

    /// Steps over this byte if it stands here.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn need(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(self.expected(expected)) }
    }

    pub(crate) fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        match self.byte() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(JsonError::Depth { at: self.at }),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn word(&mut self, word: &'static str, value: Json<'a>) -> Result<Json<'a>, JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        self.space();
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            self.space();
            elements.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Ok(Json::Array(elements));
            }
            self.need(b',', "a comma or the end of the array")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        self.space();
        let mut fields = Vec::new();
        if self.take(b'}') {
            return Ok(Json::Object(fields));
        }
        loop {
            let name = self.name()?;
            fields.push((name, self.value(depth + 1)?));
            self.space();
            if self.take(b'}') {
                break;
            }
            self.need(b',', "a comma or the end of the object")?;
            self.space();
        }
        distinct(fields.iter().map(|(name, _)| name), self.at)?;
        Ok(Json::Object(fields))
    }

    /// A name, its colon, and the space up to the value.
    pub(crate) fn name(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.byte() != Some(b'"') {
            return Err(self.expected("a name in quotes"));
        }
        let name = self.string()?;
        self.space();
        self.need(b':', "a colon")?;
        self.space();
        Ok(name)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let start = self.at;
        self.at += 1;
        let mut escapes = false;
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    self.at += 2;
                }
                Some(0..=0x1f) => return Err(self.expected("no control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.expected("the end of a string")),
            }
        }
        self.at += 1;
        if !escapes {
            return Ok(Cow::Borrowed(&self.text[start + 1..self.at - 1]));
        }
        let wrong = JsonError::Expected { at: start, expected: "a string with valid escapes" };
        serde_json::from_str(&self.text[start..self.at]).map(Cow::Owned).map_err(|_| wrong)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.expected("a digit")) }
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let start = self.at;
        self.take(b'-');
        // A zero stands alone.
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Json::Number(Cow::Borrowed(&self.text[start..self.at])))
    }
}

/// That no name occurs twice.
pub(crate) fn distinct<'n>(names: impl Iterator<Item = &'n Cow<'n, str>>, at: usize) -> Result<(), JsonError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name.as_ref()) {
            return Err(JsonError::Duplicate { at });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        for text in [
            r#"{"a":[1,-0.10,1e400,2E+7],"b":{"z":null,"y":true},"c":"line\n\"quoted\" \\ ü","d":[],"e":{}}"#,
            r#""\u0001""#,
            "123456789012345678901234567890",
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
        }
        let escaped = parse(br#" { "\u0061" : "\ud83d\ude00\/" } "#).unwrap();
        assert_eq!(escaped.to_string(), "{\"a\":\"😀/\"}");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "tru",
            "nul",
            "'a'",
            "\"\n\"",
            "\"\\x\"",
            "\"\\",
            "\"\\ud800\"",
            "{a:1}",
            "1 2",
            "[1 2]",
            "{\"a\" 1}",
            "\u{feff}1",
            "NaN",
        ] {
            assert!(matches!(parse(text.as_bytes()), Err(JsonError::Expected { .. })), "{text}");
        }
        assert_eq!(parse(b"\"\xff\""), Err(JsonError::Encoding { at: 1 }));
        assert!(matches!(parse(br#"[{"a":1,"\u0061":2}]"#), Err(JsonError::Duplicate { .. })));
        let nested = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonError::Depth { at: MAX_DEPTH }));
    }

    #[test]
    fn debug_prints_no_text() {
        let value = parse(br#"{"canary":"canary"}"#).unwrap();
        assert!(!format!("{value:?} {:?}", value.get("canary")).contains("canary"));
    }

    #[test]
    fn whole_numbers_are_recognised() {
        let number = |text: &str| parse(text.as_bytes()).unwrap().as_u64();
        assert_eq!([number("7"), number("7.0"), number("1e3")], [Some(7), Some(7), Some(1000)]);
        assert_eq!([number("-1"), number("0.5"), number("1e400"), number("\"7\"")], [None; 4]);
    }
}
