//! A small tokenizer of the kind that published encoders have.

/// The tokens of the tests' usual tokenizer, in the order of their ids.
pub const TOKENS: [&str; 15] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "ab", "##a", "##b", "!", "[", "]", "se", "##p"];

/// A `tokenizer.json` (WordPiece, as BERT's) with these tokens, in the order of their ids.
pub fn tokenizer_json<'a>(tokens: impl IntoIterator<Item = &'a str>) -> String {
    let vocabulary: Vec<String> =
        tokens.into_iter().enumerate().map(|(id, token)| format!("{token:?}: {id}")).collect();
    format!(
        r###"{{"version": "1.0", "added_tokens": [], "truncation": null, "padding": null,
    "normalizer": {{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
        "strip_accents": null, "lowercase": true}},
    "pre_tokenizer": {{"type": "BertPreTokenizer"}}, "post_processor": null,
    "decoder": {{"type": "WordPiece", "prefix": "##", "cleanup": true}},
    "model": {{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 20, "vocab": {{{}}}}}}}"###,
        vocabulary.join(", ")
    )
}
