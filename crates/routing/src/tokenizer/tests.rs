use blindroute_testkit::{TOKENS, shared_data, tokenizer_json};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A small tokenizer of the same kind as the real one, with special tokens and a truncation.
pub(crate) fn sample_json() -> Vec<u8> {
    let mut json: Value = serde_json::from_str(&tokenizer_json(TOKENS)).unwrap();
    let added = TOKENS[..5].iter().enumerate().map(|(id, token)| {
        serde_json::json!({"id": id, "special": true, "content": token, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false})
    });
    json["added_tokens"] = added.collect();
    json["truncation"] = serde_json::json!({"max_length": 4, "strategy": "LongestFirst", "stride": 0});
    json.to_string().into_bytes()
}

fn sample() -> Tokenizer {
    of_window(Window::Head)
}

fn of_window(window: Window) -> Tokenizer {
    Tokenizer::from_json(&sample_json(), window).unwrap()
}

#[test]
fn a_word_becomes_its_pieces() {
    let tokens = sample().encode("AB aba!\u{301} [SEP]").unwrap();
    assert_eq!(tokens.ids, [2, 7, 7, 8, 10, 3, 3]);
    assert_eq!((tokens.bucket(), tokens.truncated), (32, None));
    assert_eq!(format!("{tokens:?}"), "Tokens(7, truncated: None)");
}

#[test]
fn lexical_features_do_not_count_the_special_tokens_around_a_prompt() {
    let settings = Lexical { hashed: 16, scale: 1.0 };
    let framed = sample().encode("AB aba!").unwrap().ids;
    let found = sample().lexical(&framed, settings);
    assert_eq!(found, sample().lexical(&framed[1..framed.len() - 1], settings));
    assert_ne!(found, sample().lexical(&framed[1..framed.len() - 2], settings));
}

#[test]
fn blank_prompts_say_what_to_do() {
    for prompt in ["", "  \n\t", "\0\u{7}", "\u{301}", &" ".repeat(1 << 20)] {
        let error = sample().encode(prompt).unwrap_err();
        assert!(matches!(error, TokenizerError::Blank));
        assert!(error.to_string().contains("write the text"));
    }
}

#[test]
fn a_truncated_prompt_says_so() {
    let tokens = sample().encode(&"a ".repeat(254)).unwrap();
    assert_eq!((tokens.ids.len(), tokens.truncated), (256, None));
    let tokens = sample().encode(&"a ".repeat(255)).unwrap();
    assert_eq!(tokens.ids.len(), 256);
    assert_eq!(tokens.truncated.unwrap().to_string(), "only the first 256 of 257 tokens were read");
    let tokens = sample().encode(&"a ".repeat(1 << 19)).unwrap();
    assert!(tokens.truncated.unwrap().to_string().contains("more than"));
}

/// A prompt of so many words and their ids: `ab`, then `a` and `b` in an order without a short period.
fn words(count: usize) -> (String, Vec<u32>) {
    let kinds = (0..count).map(|place| if place == 0 { 2 } else { place * place / 7 % 2 });
    (kinds.clone().map(|kind| ["a ", "b ", "ab "][kind]).collect(), kinds.map(|kind| 5 + kind as u32).collect())
}

#[test]
fn each_window_keeps_256_tokens_with_the_special_ones() {
    // 254 words are 256 tokens with [CLS] and [SEP], 255 words are 257, 298 words are 300.
    for count in [253, 254, 255, 298] {
        let (prompt, whole) = words(count);
        for window in Window::ALL {
            let tokens = of_window(window).encode(&prompt).unwrap();
            let from_end = count.saturating_sub(254);
            let kept = match window {
                Window::Head => whole[..count.min(254)].to_vec(),
                Window::Tail => whole[from_end..].to_vec(),
                Window::Both if count > 254 => [&whole[..127], &whole[count - 127..]].concat(),
                Window::Both => whole.clone(),
            };
            let expected = [&[2], kept.as_slice(), &[3]].concat();
            assert_eq!(tokens.ids, expected, "{window} of {count} words");
            let says = tokens.truncated.map(|truncated| truncated.to_string());
            let expected =
                (count > 254).then(|| format!("only the {} of {} tokens were read", window.kept(), count + 2));
            assert_eq!(says, expected);
        }
    }
    let kept = Window::ALL.map(Window::kept);
    assert_eq!(kept, ["first 256", "last 256", "first 128 and the last 128"]);
}

/// Suffixes of many lengths, so that some have just as many tokens as are needed and begin within a word or a special token.
#[test]
fn each_suffix_gives_the_last_tokens_of_the_whole_prompt() {
    let prompt = "abba[MASK]a! aab\n[SEP]ba\u{301}漢bbab ".repeat(60);
    let whole = sample().inner.encode(prompt.as_str(), false).unwrap();
    let all = whole.get_ids();
    for (window, last) in [(Window::Tail, 254), (Window::Both, 127)] {
        let tokenizer = of_window(window);
        for first in (1..1200).step_by(5) {
            let ids = tokenizer.encode_from(&prompt, first).unwrap().ids;
            assert_eq!(ids[255 - last..255], all[all.len() - last..], "{window} from {first} bytes");
        }
    }
}

#[test]
fn tokens_are_shortened_as_prompts_are() {
    let (prompt, _) = words(300);
    let whole = of_window(Window::Both).encode(&prompt).unwrap().ids;
    let shorten = |window: Window, most: usize| {
        let mut ids = whole.clone();
        window.shorten(&mut ids, most);
        ids
    };
    for most in [2, 3, 7, 8, 255] {
        let (inner, end) = (most - 2, whole.len() - 1);
        assert_eq!(shorten(Window::Head, most), [&whole[..most - 1], &[3]].concat());
        assert_eq!(shorten(Window::Tail, most), [&[2], &whole[end - inner..]].concat());
        let (first, last) = (inner - inner / 2, inner / 2);
        assert_eq!(shorten(Window::Both, most), [&whole[..1 + first], &whole[end - last..]].concat());
    }
    for window in Window::ALL {
        assert_eq!(shorten(window, 256), whole);
        assert_eq!(shorten(window, 0), [2, 3]);
    }
}

#[test]
fn unknown_text_is_counted_in_characters() {
    let of = |prompt: &str| sample().encode(prompt).unwrap().unknown;
    assert_eq!((of("ab aba!").tokens, of("ab aba!").share()), (0, 0.0));
    // One word of 5,000 letters is one token, as is a word of Thai, and each rare kanji.
    for (prompt, tokens) in [("a".repeat(5000), 1), ("ประเทศไทย".to_owned(), 1), ("鑫驫".to_owned(), 2)]
    {
        assert_eq!((of(&prompt).tokens, of(&prompt).share()), (tokens, 1.0), "{prompt}");
    }
    // Of ten characters eight are unknown, though of three tokens only one is.
    let mixed = of("a czczczcz b");
    assert_eq!((mixed.tokens, mixed.share()), (1, 0.8));
    // Only what is read counts.
    let late = "a ".repeat(300) + "ไทย";
    let tokens = |window: Window| of_window(window).encode(&late).unwrap().unknown.tokens;
    assert_eq!(Window::ALL.map(tokens), [0, 1, 1]);
    let early = of_window(Window::Both).encode(&("ไทย ".to_owned() + &late)).unwrap().unknown;
    assert_eq!((early.tokens, early.share()), (2, 6.0 / (6.0 + 252.0)));
}

#[test]
fn a_megabyte_of_anything_ends_in_bounded_time() {
    let tokenizer = of_window(Window::Both);
    for piece in ["a", "!", "a ", "[", "[SE", "漢", "\u{301}", "\0", "é", "🦀", "[MASK]", " "] {
        let prompt = piece.repeat((1 << 20) / piece.len());
        let started = std::time::Instant::now();
        let answer = tokenizer.encode(&prompt);
        assert!(answer.is_ok() || matches!(answer, Err(TokenizerError::Blank)), "{piece:?}");
        assert!(started.elapsed().as_secs() < 20, "{piece:?} took {:?}", started.elapsed());
        println!("{piece:?}: {:?} {answer:?}", started.elapsed());
    }
    let error = tokenizer.encode(&"a".repeat(MAX_PROMPT_BYTES + 1)).unwrap_err();
    assert!(error.to_string().contains("4194305 bytes"), "{error}");
}

#[test]
fn each_bucket_includes_its_bound() {
    let buckets = [0, 1, 32, 33, 64, 65, 128, 129, 256, 257].map(bucket);
    let expected = [32, 32, 32, 64, 64, 128, 128, 256, 256].map(Some);
    assert_eq!(buckets[..9], expected);
    assert_eq!(buckets[9], None);
}

fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&sample_json()).unwrap();
    change(&mut value);
    value.to_string().into_bytes()
}

#[test]
fn other_tokenizers_are_refused() {
    let refused = |json: &[u8], says: [&str; 2]| {
        let error = Tokenizer::from_json(json, Window::Head).unwrap_err().to_string();
        assert!(says.iter().all(|part| error.contains(part)), "{says:?} in {error}");
        assert!(minimised(json).is_err());
    };
    for (part, other) in [("model", "BPE"), ("model", "Unigram"), ("normalizer", "NFC"), ("pre_tokenizer", "Metaspace")]
    {
        refused(&changed(|value| value[part]["type"] = other.into()), [part, other]);
    }
    refused(&changed(|value| value["normalizer"] = Value::Null), ["normalizer is missing", "BertNormalizer"]);
    let two = |value: &mut Value| {
        let bert = value["normalizer"].take();
        value["normalizer"] = serde_json::json!({"type": "Sequence", "normalizers": [{"type": "Replace"}, bert]});
    };
    refused(&changed(two), ["a Sequence of Replace, BertNormalizer", "expected a BertNormalizer"]);
    // It would fail at every word that it does not know.
    refused(&changed(|value| value["model"]["unk_token"] = "<unk>".into()), ["\"<unk>\"", "not in its vocabulary"]);
    for json in ["{", "[]", "7", "null", "{\"model\": [], \"normalizer\": 3}"] {
        assert!(Tokenizer::from_json(json.as_bytes(), Window::Head).is_err(), "{json}");
    }
}

#[test]
fn other_spellings_of_one_tokenizer_are_the_same() {
    let expected = minimised(&sample_json()).unwrap();
    let marked = [b"\xef\xbb\xbf".as_slice(), &sample_json()].concat();
    let sequence = changed(|value| {
        for (part, list) in [("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers")] {
            let only = value[part].take();
            value[part] = serde_json::json!({"type": "Sequence", list: [only]});
        }
    });
    let untyped = changed(|value| {
        value["model"].as_object_mut().unwrap().remove("type");
    });
    for json in [marked, sequence, untyped] {
        assert_eq!(minimised(&json).unwrap(), expected);
        assert_eq!(
            Tokenizer::from_json(&json, Window::Head).unwrap().encode("AB aba!").unwrap().ids,
            [2, 7, 7, 8, 10, 3]
        );
    }
}

#[test]
fn case_and_accents_are_as_the_file_says() {
    let ids = |lowercase: Value, strip_accents: Value, prompt: &str| {
        let json = changed(|value| {
            value["normalizer"]["lowercase"] = lowercase;
            value["normalizer"]["strip_accents"] = strip_accents;
        });
        let json = minimised(&json).unwrap();
        let ids = Tokenizer::from_json(&json, Window::Head).unwrap().encode(prompt).unwrap().ids;
        ids[1..ids.len() - 1].to_vec()
    };
    let (yes, no, unsaid) = (Value::Bool(true), Value::Bool(false), Value::Null);
    // a, [UNK], ab.
    assert_eq!(ids(yes.clone(), unsaid.clone(), "a \u{e1} AB"), [5, 5, 7]);
    assert_eq!(ids(yes.clone(), no.clone(), "a \u{e1} AB"), [5, 1, 7]);
    assert_eq!(ids(no.clone(), yes, "a \u{e1} AB"), [5, 5, 1]);
    assert_eq!(ids(no, unsaid, "a \u{e1} AB"), [5, 1, 1]);
}

#[test]
fn minimising_twice_changes_nothing() {
    let once = minimised(&sample_json()).unwrap();
    assert!(once.len() < sample_json().len());
    assert_eq!(minimised(&once).unwrap(), once);
}

proptest! {
    #[test]
    fn growing_parts_give_the_whole_prompts_tokens(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "a", "b", "ab", "!", " ", "\n", "[", "]", "[SEP]", "[MASK]", "[SE", "sep", "MASK", "\u{301}", "é", "漢", "\0",
            "aaaaaaaaaaaaaaaaaaaaa", "\u{85}", "\u{3000}", "ß", "🦀", "\u{5b0}\u{1dd}", "\r", "\t",
        ]), 0..900),
        first in 1usize..400,
        window in prop::sample::select(Window::ALL.to_vec()),
    ) {
        let tokenizer = of_window(window);
        let prompt: String = pieces.concat();
        let whole = tokenizer.inner.encode(prompt.as_str(), false).unwrap();
        match tokenizer.encode_from(&prompt, first) {
            Ok(tokens) => {
                let ids = &tokens.ids[1..tokens.ids.len() - 1];
                let all = whole.get_ids();
                let (beyond, length) = (all.len().saturating_sub(254), all.len());
                let expected = match window {
                    Window::Head => all[..length.min(254)].to_vec(),
                    Window::Tail => all[beyond..].to_vec(),
                    Window::Both if beyond > 0 => [&all[..127], &all[length - 127..]].concat(),
                    Window::Both => all.to_vec(),
                };
                prop_assert_eq!(ids, expected);
                prop_assert_eq!(tokens.truncated.is_some(), whole.len() > 254);
                if let Some(truncated) = tokens.truncated {
                    prop_assert!(truncated.tokens <= whole.len() + 2);
                    prop_assert!(!truncated.exact || truncated.tokens == whole.len() + 2);
                }
            }
            Err(error) => prop_assert!(matches!(error, TokenizerError::Blank) && whole.is_empty()),
        }
    }
}

/// The tokens that the original encoder saw, for 60 real prompts.
#[test]
fn ids_are_those_of_the_real_encoder() {
    let Some(data) = shared_data() else { return };
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
    let bundle = crate::bundle::Bundle::open(&path).unwrap().bundle;
    let shipped = &bundle.parts().tokenizer;
    assert_eq!(&minimised(shipped).unwrap(), shipped);
    let mut tokenizers = vec![Tokenizer::from_json(shipped, Window::Head).unwrap()];
    // The published file is not in the repository; where it is at hand, the shipped one must be what is made of it.
    if let Some(folder) = std::env::var_os("BLINDROUTE_TEACHER") {
        let json = std::fs::read(std::path::Path::new(&folder).join("tokenizer.json")).expect("a tokenizer.json");
        assert_eq!(&minimised(&json).unwrap(), shipped);
        tokenizers.push(Tokenizer::from_json(&json, Window::Head).unwrap());
    }
    let mut prompts = std::collections::HashMap::new();
    for set in std::fs::read_dir(data.join("routing")).unwrap() {
        for line in std::fs::read_to_string(set.unwrap().path().join("prompts.jsonl")).unwrap().lines() {
            let prompt: Value = serde_json::from_str(line).unwrap();
            prompts.insert(prompt["id"].as_str().unwrap().to_owned(), prompt["prompt"].as_str().unwrap().to_owned());
        }
    }
    let reference = std::fs::read_to_string(data.join("reference").join("minilm.jsonl")).unwrap();
    assert_eq!(reference.lines().count(), 60);
    for line in reference.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let expected: Vec<u32> = serde_json::from_value(line["token_ids"].clone()).unwrap();
        let prompt = &prompts[line["id"].as_str().unwrap()];
        for tokenizer in &tokenizers {
            assert_eq!(tokenizer.encode(prompt).unwrap().ids, expected);
            assert_eq!(tokenizer.encode_from(prompt, 16).unwrap().ids, expected);
        }
    }
}
