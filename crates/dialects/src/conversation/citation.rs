//! Sources of an answer on the web.

use super::Outcome;
use crate::json::{FieldError, Json};

/// A page on the web that a text rests on. Holds what all dialects say of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Citation {
    pub(crate) url: String,
    pub(crate) title: Option<String>,
    /// The first character of the text that rests on it.
    pub(crate) start: u64,
    /// The character after the last.
    pub(crate) end: u64,
}

const KIND: &str = "url_citation";

impl Citation {
    /// Reads an annotation of Chat, whose fields are in an object of their own, or of Responses.
    pub(crate) fn read(annotation: &Json<'_>, at: &str) -> Outcome<Self> {
        if annotation.str_at("type") != Some(KIND) {
            return Err(foreign(at));
        }
        let said = annotation.get(KIND).unwrap_or(annotation);
        let index = |name: &str| said.get(name).and_then(Json::as_u64);
        // Without a place it is a source of the whole text.
        let (start, end) = (index("start_index").unwrap_or(0), index("end_index").unwrap_or(u64::MAX));
        Ok(Self { start, end, ..Self::of_page(said, at)? })
    }

    /// Reads those of an answer. `at` is the path of the array.
    pub(crate) fn read_all(annotations: Option<&Json<'_>>, at: &str) -> Outcome<Vec<Self>> {
        let all = annotations.map(Json::elements).unwrap_or_default().iter().enumerate();
        all.map(|(index, annotation)| Self::read(annotation, &format!("{at}[{index}]"))).collect()
    }

    /// Reads a citation of Messages, which is a source of its whole block of so many characters.
    pub(crate) fn read_result(citation: &Json<'_>, length: u64, at: &str) -> Outcome<Self> {
        if citation.str_at("type") != Some("web_search_result_location") {
            return Err(foreign(at));
        }
        Ok(Self { end: length, ..Self::of_page(citation, at)? })
    }

    fn of_page(said: &Json<'_>, at: &str) -> Outcome<Self> {
        let missing = || FieldError::Missing { path: format!("{at}.url") };
        let url = said.str_at("url").ok_or_else(missing)?.to_owned();
        Ok(Self { url, title: said.str_at("title").map(str::to_owned), start: 0, end: u64::MAX })
    }

    /// The same source in a text of so many characters.
    pub(crate) fn within(&self, length: u64) -> Self {
        let start = self.start.min(length);
        Self { start, end: self.end.clamp(start, length), ..self.clone() }
    }

    /// The same source where so many characters stand before the text.
    pub(crate) fn behind(&self, before: u64) -> Self {
        let moved = |place: u64| place.saturating_add(before);
        Self { start: moved(self.start), end: moved(self.end), ..self.clone() }
    }

    /// The same source in a text that begins after so many characters.
    pub(crate) fn from(&self, begun: u64) -> Self {
        Self { start: self.start.saturating_sub(begun), end: self.end.saturating_sub(begun), ..self.clone() }
    }

    /// As Chat writes it.
    pub(crate) fn chat(&self) -> Json<'static> {
        let said = Json::object(self.place());
        Json::object([("type", Json::text(KIND)), (KIND, said)])
    }

    /// As Responses writes it.
    pub(crate) fn responses(&self) -> Json<'static> {
        let [start, end, url, title] = self.place();
        Json::object([("type", Json::text(KIND)), start, end, url, title])
    }

    /// As Messages writes it. What the page says, and the mark by which a provider knows its own search, are not known.
    pub(crate) fn messages(&self) -> Json<'static> {
        Json::object([
            ("type", Json::text("web_search_result_location")),
            ("url", Json::text(self.url.clone())),
            ("title", self.title.clone().map_or(Json::Null, Json::text)),
            ("cited_text", Json::text("")),
            ("encrypted_index", Json::text("")),
        ])
    }

    fn place(&self) -> [(&'static str, Json<'static>); 4] {
        [
            ("start_index", Json::number(self.start)),
            ("end_index", Json::number(self.end)),
            ("url", Json::text(self.url.clone())),
            ("title", Json::text(self.title.clone().unwrap_or_default())),
        ]
    }
}

/// The length of a text, as annotations count it.
pub(crate) fn characters(text: &str) -> u64 {
    text.chars().count() as u64
}

fn foreign(at: &str) -> FieldError {
    let why = "only citations of pages on the web have a counterpart in the client's dialect";
    FieldError::Refused { path: at.to_owned(), why }
}
