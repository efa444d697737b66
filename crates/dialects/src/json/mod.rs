//! JSON values that keep what other readers lose: the order of fields, and numbers as they were written.
//!
//! A number stays the text that it was (`1e400`, `0.10`). A name that occurs twice in an object is an error, since readers
//! disagree on which of the two counts. Strings without escapes are borrowed from the text.

mod fields;
mod scan;
mod write;

pub use fields::{FieldError, Fields};
pub use scan::{JsonError, MAX_DEPTH, parse};
pub(crate) use scan::{Scan, distinct};
pub(crate) use write::quote;

use std::borrow::Cow;
use std::fmt;

/// A JSON value. `Debug` prints its kind and size, never a text.
#[derive(Clone, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(Cow<'a, str>),
    /// A string, without its escapes.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, with its fields in order.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// A string.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::String(text.into())
    }

    /// A whole number.
    pub fn number(number: u64) -> Self {
        Self::Number(number.to_string().into())
    }

    /// An object of these fields.
    pub fn object<const N: usize>(fields: [(&'static str, Json<'a>); N]) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect())
    }

    /// An object of those of these fields that have a value.
    pub fn present<const N: usize>(fields: [(&'static str, Option<Json<'a>>); N]) -> Self {
        let present = fields.into_iter().filter_map(|(name, value)| Some((Cow::Borrowed(name), value?)));
        Self::Object(present.collect())
    }

    /// A field of an object; nothing if this is no object, if the field is absent, or if it is null.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(found, _)| found == name).map(|(_, value)| value).filter(|value| **value != Self::Null)
    }

    /// Sets a field of an object, in its place or at the end. Does nothing to what is no object.
    pub fn set(&mut self, name: &'static str, value: Json<'a>) {
        let Self::Object(fields) = self else { return };
        match fields.iter_mut().find(|(found, _)| found == name) {
            Some((_, old)) => *old = value,
            None => fields.push((Cow::Borrowed(name), value)),
        }
    }

    /// What a string says.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// What a field says that is a string.
    pub fn str_at(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is whole and not negative. `12.0` counts as whole.
    pub fn as_u64(&self) -> Option<u64> {
        let Self::Number(text) = self else { return None };
        text.parse().ok().or_else(|| {
            let number: f64 = text.parse().ok()?;
            // Above 2^53 not every whole number is a `f64`.
            (number >= 0.0 && number.fract() == 0.0 && number <= 9_007_199_254_740_992.0).then_some(number as u64)
        })
    }

    /// The number, rounded.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The elements of an array; none if this is no array.
    pub fn elements(&self) -> &[Json<'a>] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The kind of value, for error messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The value without what it borrows.
    pub fn into_owned(self) -> Json<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(text) => Json::Number(own(text)),
            Self::String(text) => Json::String(own(text)),
            Self::Array(elements) => Json::Array(elements.into_iter().map(Json::into_owned).collect()),
            Self::Object(fields) => {
                Json::Object(fields.into_iter().map(|(name, value)| (own(name), value.into_owned())).collect())
            }
        }
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(formatter, "a string of {} bytes", text.len()),
            Self::Array(elements) => write!(formatter, "an array of {}", elements.len()),
            Self::Object(fields) => write!(formatter, "an object of {} fields", fields.len()),
            other => formatter.write_str(other.kind()),
        }
    }
}
