//! Taking an object apart so that nothing of it is forgotten.

use super::Json;
use std::borrow::Cow;

/// What is wrong with a field. Holds the field's path, nothing of its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// A field has to be there.
    #[error("{path} is missing; it is needed")]
    Missing {
        /// The field.
        path: String,
    },
    /// A field has another kind.
    #[error("{path} is {found}; expected {expected}")]
    Kind {
        /// The field.
        path: String,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// What a field says has no meaning here.
    #[error("{path} cannot be passed on: {why}")]
    Refused {
        /// The field.
        path: String,
        /// Why not, and what to do.
        why: &'static str,
    },
}

impl FieldError {
    /// The field's path.
    pub fn path(&self) -> &str {
        let (Self::Missing { path } | Self::Kind { path, .. } | Self::Refused { path, .. }) = self;
        path
    }
}

/// The fields of an object that nobody has taken yet.
pub struct Fields<'a> {
    path: String,
    left: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Fields<'a> {
    /// The fields of the object at this path. The path of a whole body is empty.
    pub fn of(value: Json<'a>, path: &str) -> Result<Self, FieldError> {
        match value {
            Json::Object(left) => Ok(Self { path: path.to_owned(), left }),
            other => Err(FieldError::Kind { path: name_of(path), found: other.kind(), expected: "an object" }),
        }
    }

    /// Where the object stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of one of its fields.
    pub fn at(&self, name: &str) -> String {
        // Names come from outside; an error does not repeat arbitrarily long ones.
        let name: String = name.chars().take(64).collect();
        if self.path.is_empty() { name } else { format!("{}.{name}", self.path) }
    }

    /// Takes a field; null counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let at = self.left.iter().position(|(found, _)| found == name)?;
        Some(self.left.remove(at).1).filter(|value| *value != Json::Null)
    }

    /// Takes a field that has to be there.
    pub fn need(&mut self, name: &str) -> Result<Json<'a>, FieldError> {
        self.take(name).ok_or_else(|| FieldError::Missing { path: self.at(name) })
    }

    /// Takes a string.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, FieldError> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.into_owned())),
            Some(other) => Err(self.kind(name, &other, "a string")),
        }
    }

    /// Takes a string that has to be there.
    pub fn need_text(&mut self, name: &str) -> Result<String, FieldError> {
        self.text(name)?.ok_or_else(|| FieldError::Missing { path: self.at(name) })
    }

    /// Takes a truth value.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, FieldError> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(self.kind(name, &other, "true or false")),
        }
    }

    /// Takes a number, as it was written.
    pub fn number(&mut self, name: &str) -> Result<Option<Json<'static>>, FieldError> {
        match self.take(name) {
            None => Ok(None),
            Some(number @ Json::Number(_)) => Ok(Some(number.into_owned())),
            Some(other) => Err(self.kind(name, &other, "a number")),
        }
    }

    /// Takes a whole number.
    pub fn count(&mut self, name: &str) -> Result<Option<u64>, FieldError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(self.kind(name, &value, "a whole number that is not negative")),
            },
        }
    }

    /// Takes an array; an absent one is empty.
    pub fn array(&mut self, name: &str) -> Result<Vec<Json<'a>>, FieldError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Json::Array(elements)) => Ok(elements),
            Some(other) => Err(self.kind(name, &other, "an array")),
        }
    }

    /// Takes an object.
    pub fn object(&mut self, name: &str) -> Result<Option<Fields<'a>>, FieldError> {
        self.take(name).map(|value| Fields::of(value, &self.at(name))).transpose()
    }

    /// Takes fields that mean nothing to the reader, whatever they say.
    pub fn ignore(&mut self, names: &[&str]) {
        self.left.retain(|(name, _)| !names.contains(&name.as_ref()));
    }

    /// Takes a field that is accepted with some values only: absent, null or one of these, each as JSON without spaces.
    pub fn only(&mut self, name: &str, accepted: &[&str], why: &'static str) -> Result<(), FieldError> {
        match self.take(name) {
            Some(value) if !accepted.contains(&value.to_string().as_str()) => Err(self.refuse(name, why)),
            _ => Ok(()),
        }
    }

    /// The error that a field cannot be passed on.
    pub fn refuse(&self, name: &str, why: &'static str) -> FieldError {
        FieldError::Refused { path: self.at(name), why }
    }

    /// The error that a field is of another kind.
    pub fn kind(&self, name: &str, found: &Json<'_>, expected: &'static str) -> FieldError {
        FieldError::Kind { path: self.at(name), found: found.kind(), expected }
    }

    /// That nothing is left but nulls.
    pub fn end(self) -> Result<(), FieldError> {
        match self.left.iter().find(|(_, value)| *value != Json::Null) {
            Some((name, _)) => {
                Err(self.refuse(name, "this field has no counterpart in the other dialect; leave it out"))
            }
            None => Ok(()),
        }
    }
}

/// The path for an error message.
fn name_of(path: &str) -> String {
    if path.is_empty() { "the body".to_owned() } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn what_is_not_taken_is_an_error() {
        let body = parse(br#"{"a":1,"b":null,"c":{"d":"x","e":0}}"#).unwrap();
        let mut fields = Fields::of(body, "").unwrap();
        assert_eq!(fields.count("a"), Ok(Some(1)));
        let mut inner = fields.object("c").unwrap().unwrap();
        assert_eq!(inner.need_text("d").as_deref(), Ok("x"));
        let error = inner.end().unwrap_err();
        assert_eq!(error.path(), "c.e");
        assert_eq!(fields.end(), Ok(()));
    }

    #[test]
    fn errors_name_the_path_and_the_kinds() {
        let body = parse(br#"{"a":"x","b":[1]}"#).unwrap();
        let mut fields = Fields::of(body, "input[2]").unwrap();
        let error = fields.count("a").unwrap_err();
        let said = "input[2].a is a string; expected a whole number that is not negative";
        assert_eq!(error.to_string(), said);
        assert_eq!(
            fields.need("c").err().map(|error| error.to_string()).as_deref(),
            Some("input[2].c is missing; it is needed")
        );
        assert!(fields.only("b", &["[1]"], "no").is_ok());
        assert!(Fields::of(Json::Null, "").is_err_and(|error| error.path() == "the body"));
    }
}
