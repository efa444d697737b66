//! Writing a `tokenizer.json` in a canonical form, without the fields that do not change its ids.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::{Tokenizer, TokenizerError, Window, published};

/// The same tokenizer in fewer bytes: without blanks, padding, truncation and decoder. Keys are sorted, and the
/// vocabulary is ordered by id, so that the bytes do not depend on how the JSON library was built.
pub(crate) fn minimised(json: &[u8]) -> Result<Vec<u8>, TokenizerError> {
    Tokenizer::from_json(json, Window::default())?;
    let mut value = published::understood(json)?;
    if let Some(fields) = value.as_object_mut() {
        for field in ["truncation", "padding", "decoder"] {
            fields.insert(field.to_owned(), Value::Null);
        }
    }
    serde_json::to_vec(&Sorted(&value)).map_err(|error| TokenizerError::Unusable(error.to_string()))
}

/// A JSON value whose objects are written in a fixed order: by value if all values are distinct numbers, otherwise by
/// key.
struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(values) => serializer.collect_seq(values.iter().map(Sorted)),
            Value::Object(fields) => {
                let by_number: BTreeMap<u64, &String> =
                    fields.iter().filter_map(|(key, value)| Some((value.as_u64()?, key))).collect();
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                if by_number.len() == fields.len() {
                    by_number.iter().try_for_each(|(number, key)| map.serialize_entry(key, number))?;
                } else {
                    let by_key: BTreeMap<&String, &Value> = fields.iter().collect();
                    by_key.iter().try_for_each(|(key, value)| map.serialize_entry(key, &Sorted(value)))?;
                }
                map.end()
            }
            plain => plain.serialize(serializer),
        }
    }
}
