//! Reading published `tokenizer.json` files, and refusing those of unsupported tokenizers.

use serde_json::{Map, Value};

use super::TokenizerError;

/// The parts of a BERT tokenizer: the field, the expected type, and the field in which a sequence lists its parts.
const PARTS: [(&str, &str, &str); 3] = [
    ("model", "WordPiece", "models"),
    ("normalizer", "BertNormalizer", "normalizers"),
    ("pre_tokenizer", "BertPreTokenizer", "pretokenizers"),
];

/// The file's JSON in a uniform form: without a byte order mark, with a sequence of one part replaced by that part, and
/// with the type of the field `model`.
///
/// # Errors
/// If it is not JSON, not a BERT tokenizer, or would fail at every unknown word.
pub(super) fn understood(json: &[u8]) -> Result<Value, TokenizerError> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let mut fields: Map<String, Value> =
        serde_json::from_slice(json).map_err(|error| TokenizerError::Unusable(error.to_string()))?;
    for (part, expected, list) in PARTS {
        let found = single(fields.get(part).cloned().unwrap_or_default(), list);
        let found = if part == "model" { with_type(found) } else { found };
        if found["type"] != expected {
            return Err(TokenizerError::Unusable(format!(
                "its {part} is {}, expected a {expected}",
                kind(&found, list)
            )));
        }
        fields.insert(part.to_owned(), found);
    }
    let model = &fields["model"];
    let unknown = model["unk_token"].as_str().unwrap_or_default();
    if model["vocab"].get(unknown).is_none() {
        return Err(TokenizerError::Unusable(format!(
            "its token for unknown words, {unknown:?}, is not in its vocabulary"
        )));
    }
    Ok(Value::Object(fields))
}

/// The only part of a sequence of one, otherwise the part itself.
fn single(mut part: Value, list: &str) -> Value {
    while let Some([only]) = part.get_mut(list).and_then(Value::as_array_mut).map(Vec::as_mut_slice) {
        part = only.take();
    }
    part
}

/// Adds the type if it is missing, as in files from before version 0.9 of the tokenizers library. Only WordPiece has
/// all of these fields.
fn with_type(mut model: Value) -> Value {
    let fields = ["continuing_subword_prefix", "max_input_chars_per_word", "vocab"];
    let word_piece = fields.iter().all(|field| !model[*field].is_null()) && model["type"].is_null();
    if let (true, Some(model)) = (word_piece, model.as_object_mut()) {
        model.insert("type".to_owned(), "WordPiece".into());
    }
    model
}

/// The kind of a part, for an error text.
fn kind(part: &Value, list: &str) -> String {
    match (part["type"].as_str(), part[list].as_array()) {
        (Some(kind), Some(parts)) => {
            let names: Vec<&str> = parts.iter().map(|part| part["type"].as_str().unwrap_or("unknown")).collect();
            format!("a {kind} of {}", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
        }
        (Some(kind), None) => format!("a {kind}"),
        (None, _) if part.is_null() => "missing".to_owned(),
        (None, _) => "of no stated type".to_owned(),
    }
}
