//! Which published `tokenizer.json` files are understood.

use serde_json::{Map, Value};

use super::TokenizerError;

/// The parts of a BERT tokenizer, and what a sequence calls its own parts of that kind.
const PARTS: [(&str, &str, &str); 3] = [
    ("model", "WordPiece", "models"),
    ("normalizer", "BertNormalizer", "normalizers"),
    ("pre_tokenizer", "BertPreTokenizer", "pretokenizers"),
];

/// The file's JSON in the one form that is used: without a byte order mark, a sequence of one part as that part, and the
/// model's type written out.
///
/// # Errors
/// If it is no JSON, not BERT's kind of tokenizer, or would fail at every unknown word.
pub(super) fn understood(json: &[u8]) -> Result<Value, TokenizerError> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let mut fields: Map<String, Value> =
        serde_json::from_slice(json).map_err(|error| TokenizerError::Unusable(error.to_string()))?;
    for (part, expected, list) in PARTS {
        let found = single(fields.get(part).cloned().unwrap_or_default(), list);
        let found = if part == "model" { with_type(found) } else { found };
        if found["type"] != expected {
            return Err(TokenizerError::Unusable(format!("its {part} is {}, not a {expected}", kind(&found, list))));
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

/// The only part of a sequence of one, or what was given.
fn single(mut part: Value, list: &str) -> Value {
    while let Some([only]) = part.get_mut(list).and_then(Value::as_array_mut).map(Vec::as_mut_slice) {
        part = only.take();
    }
    part
}

/// Files from before version 0.9 of the tokenizers library name no type: these fields together are WordPiece's alone.
fn with_type(mut model: Value) -> Value {
    let fields = ["continuing_subword_prefix", "max_input_chars_per_word", "vocab"];
    let word_piece = fields.iter().all(|field| !model[*field].is_null()) && model["type"].is_null();
    if let (true, Some(model)) = (word_piece, model.as_object_mut()) {
        model.insert("type".to_owned(), "WordPiece".into());
    }
    model
}

/// What a part is, for people.
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
