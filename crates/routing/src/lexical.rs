//! Lexical features: what a prompt's tokens tell without an encoder.
//!
//! The client counts them and shares them with the servers beside the embedding (`head`) or the tokens (`full`), and a router's
//! rule reads both. All have a public number, whatever the prompt.
//!
//! **Values** [`DENSE`] numbers about the prompt as a whole: its length, how many of its tokens differ, and the shares of kinds
//! of tokens (digits, punctuation, code, other scripts). Then `hashed` numbers of unit length: the logarithm of one more than the
//! count of each hashed token id. All are multiplied by `scale`, which training takes from the length of embeddings, so that
//! features weigh as much beside an embedding of any encoder.
//!
//! **Shapes** one row of [`Lexical::width`] numbers per prompt. **Cost** under MPC no opening; in `full` each feature is opened twice, in
//! 19 bits and in the 40 of the embedding, and the rule's first weights have a row more for each. **Security** features are shared like
//! the rest of the input, so no server sees one; their number and scale are public.
//!
//! **Error** values are rounded to [`FRACTION`] bits here, so the parties compute with the client's own numbers.
//!
//! **Source** hashing of features, Weinberger et al., ICML'09. **Differs** in that counts have no signs, because their
//! logarithm is taken, and in that the tokens of the encoder's own tokenizer are hashed, not words.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// The number of features that are not hashed.
pub const DENSE: usize = 13;
/// Fraction bits of a feature.
pub const FRACTION: u32 = 12;
/// The largest scale, and so the largest magnitude of a feature.
pub const MAX_SCALE: f32 = 16.0;
/// The largest number of hashed features.
pub const MAX_HASHED: usize = 4096;

/// The length of the dense features of a prompt that is one deviation from the mean in each.
const DENSE_LENGTH: f32 = 0.4;
/// Features beyond so many deviations from the mean are cut.
const MOST_DEVIATIONS: f32 = 4.0;
/// A rough mean and deviation of each dense feature over prompts of many kinds. They only have to be of the right size, because
/// training weighs the features itself.
const TYPICAL: [(f32, f32); DENSE] = [
    // The logarithm of one more than the number of tokens, the share of different ones, whether there is a question mark.
    (3.6, 1.0),
    (0.75, 0.2),
    (0.5, 0.5),
    // The shares of the kinds of tokens, in the order of `kinds`.
    (0.03, 0.05),
    (0.15, 0.1),
    (0.02, 0.05),
    (0.01, 0.03),
    (0.1, 0.08),
    (0.05, 0.06),
    (0.35, 0.1),
    (0.08, 0.07),
    (0.003, 0.02),
    (0.01, 0.03),
];

/// The lexical features that a router reads. Public.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lexical {
    /// The number of hashed features, a power of two.
    pub hashed: usize,
    /// By what all features are multiplied.
    pub scale: f32,
}

impl Lexical {
    /// The number of features.
    pub fn width(&self) -> usize {
        DENSE + self.hashed
    }

    /// What is wrong with these settings, and what is expected.
    pub(crate) fn problem(&self) -> Option<(&'static str, String, String)> {
        if !self.hashed.is_power_of_two() || self.hashed > MAX_HASHED {
            let expected = format!("a power of two of at most {MAX_HASHED}");
            return Some(("number of hashed features", self.hashed.to_string(), expected));
        }
        let fits = self.scale > 0.0 && self.scale <= MAX_SCALE;
        let expected = format!("above 0 and at most {MAX_SCALE}");
        (!fits).then(|| ("scale of lexical features", self.scale.to_string(), expected))
    }
}

/// What kind a token is of; a token can be of several.
type Kinds = [bool; 10];

/// The kinds of a token: digits, one mark, code, operators, marks of sentences, the rest of a word, short and long words, other
/// scripts, quotes. WordPieces that continue a word begin with `##`.
fn kinds(piece: &str) -> Kinds {
    let text = piece.strip_prefix("##").unwrap_or(piece);
    let length = text.chars().count();
    let all = |of: &dyn Fn(char) -> bool| !text.is_empty() && text.chars().all(of);
    let among = |set: &str| all(&|c| set.contains(c));
    let letters = all(&|c| c.is_ascii_alphabetic());
    [
        all(&char::is_numeric),
        length == 1 && all(&|c| !c.is_alphanumeric()),
        among("{}()[];=<>_"),
        among("+-*/^="),
        among(".,;:!?"),
        text.len() < piece.len(),
        letters && length <= 3,
        letters && length >= 8,
        !text.is_ascii(),
        among("'\"`"),
    ]
}

/// The kinds of all tokens of a tokenizer, by id.
#[derive(Clone, Debug)]
pub(crate) struct TokenKinds {
    /// By id, which a file may choose freely: no list as long as the largest.
    kinds: HashMap<u32, Kinds>,
    question: Option<u32>,
}

impl TokenKinds {
    pub(crate) fn of<'a>(vocabulary: impl Iterator<Item = (&'a String, &'a u32)>) -> Self {
        let mut question = None;
        let of = |(piece, &id): (&String, &u32)| {
            if piece == "?" {
                question = Some(id);
            }
            (id, kinds(piece))
        };
        Self { kinds: vocabulary.map(of).collect(), question }
    }

    /// The lexical features of the token ids of a text, [`Lexical::width`] numbers.
    pub(crate) fn features(&self, ids: &[u32], settings: Lexical) -> Vec<f32> {
        let share = DENSE_LENGTH / (DENSE as f32).sqrt();
        let dense = self.dense(ids).map(|value| value * share);
        let all = dense.into_iter().chain(hashed(ids, settings.hashed));
        all.map(|value| rounded(value * settings.scale)).collect()
    }

    /// The dense features of token ids, each in deviations from its mean.
    fn dense(&self, ids: &[u32]) -> [f32; DENSE] {
        let count = ids.len().max(1) as f32;
        let mut different = ids.to_vec();
        different.sort_unstable();
        different.dedup();
        let asks = self.question.is_some_and(|question| ids.contains(&question));
        let mut values = [0.0; DENSE];
        values[0] = (1.0 + ids.len() as f32).ln();
        values[1] = different.len() as f32 / count;
        values[2] = f32::from(u8::from(asks));
        for id in ids {
            let kinds = self.kinds.get(id).copied().unwrap_or_default();
            values[3..].iter_mut().zip(kinds).for_each(|(sum, is)| *sum += f32::from(u8::from(is)));
        }
        values[3..].iter_mut().for_each(|sum| *sum /= count);
        for (value, (mean, deviation)) in values.iter_mut().zip(TYPICAL) {
            *value = ((*value - mean) / deviation).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
        }
        values
    }
}

/// The place of a token among the hashed features: the upper bits of a product with an odd number (Knuth's multiplicative hash).
fn place(id: u32, hashed: usize) -> usize {
    (id.wrapping_mul(2_654_435_761) >> 16) as usize & (hashed - 1)
}

/// The logarithms of the counts, of unit length.
fn hashed(ids: &[u32], size: usize) -> Vec<f32> {
    let mut counts = vec![0.0f32; size];
    ids.iter().for_each(|id| counts[place(*id, size)] += 1.0);
    counts.iter_mut().for_each(|count| *count = count.ln_1p());
    let length = counts.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        counts.iter_mut().for_each(|count| *count /= length);
    }
    counts
}

/// To nearest, to [`FRACTION`] bits.
fn rounded(value: f32) -> f32 {
    let unit = f32::from(1u16 << FRACTION);
    (value * unit).round() / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: [&str; 6] = ["the", "question", "##s", "12", "?", "{"];

    fn token_kinds() -> TokenKinds {
        let vocabulary: HashMap<String, u32> =
            PIECES.iter().zip(0..).map(|(piece, id)| ((*piece).to_owned(), id)).collect();
        TokenKinds::of(vocabulary.iter())
    }

    #[test]
    fn kinds_by_hand() {
        let names = |piece: &str| {
            let names = ["digits", "mark", "code", "operator", "stop", "continues", "short", "long", "other", "quote"];
            names.into_iter().zip(kinds(piece)).filter(|(_, is)| *is).map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names("12"), ["digits"]);
        assert_eq!(names("##7"), ["digits", "continues"]);
        assert_eq!(names("="), ["mark", "code", "operator"]);
        assert_eq!(names("?"), ["mark", "stop"]);
        assert_eq!(names("the"), ["short"]);
        assert_eq!(names("question"), ["long"]);
        assert_eq!(names("é"), ["other"]);
        assert_eq!(names("\""), ["mark", "quote"]);
        assert_eq!(names("[UNK]"), Vec::<&str>::new());
    }

    #[test]
    fn features_by_hand() {
        let settings = Lexical { hashed: 64, scale: 2.0 };
        // the 12 the ?
        let found = token_kinds().features(&[0, 3, 0, 4], settings);
        assert_eq!(found.len(), settings.width());
        let dense = |place: usize, value: f32| {
            let (mean, deviation) = TYPICAL[place];
            let expected = 2.0 * 0.4 / 13f32.sqrt() * ((value - mean) / deviation).clamp(-4.0, 4.0);
            assert!((found[place] - expected).abs() <= 1.0 / 8192.0, "{place}: {} for {expected}", found[place]);
        };
        dense(0, 5f32.ln());
        for (place, value) in [(1, 0.75), (2, 1.0), (3, 0.25), (4, 0.25), (5, 0.0), (7, 0.25), (9, 0.5), (11, 0.0)] {
            dense(place, value);
        }
        let places = [0, 3, 4].map(|id| DENSE + place(id, 64));
        let length = (3f32.ln().powi(2) + 2.0 * 2f32.ln().powi(2)).sqrt();
        let counts = [3f32.ln(), 2f32.ln(), 2f32.ln()].map(|count| 2.0 * count / length);
        for (place, expected) in places.into_iter().zip(counts) {
            assert!((found[place] - expected).abs() < 1e-3, "{} for {expected}", found[place]);
        }
        assert_eq!(found[DENSE..].iter().filter(|value| **value != 0.0).count(), 3);
    }

    /// Whatever the text, each feature fits the ring in which it is shared, and its fraction bits.
    #[test]
    fn features_are_small_and_rounded() {
        let settings = Lexical { hashed: 1, scale: MAX_SCALE };
        for ids in [vec![4], vec![3; 3], vec![5, 5, 4, 4, 99], vec![0, 1, 2]] {
            for value in token_kinds().features(&ids, settings) {
                assert!(value.abs() <= MAX_SCALE && (value * 4096.0).fract() == 0.0, "{ids:?}: {value}");
            }
        }
        // No tokens: only the dense features say something.
        let empty = token_kinds().features(&[], settings);
        assert!(empty[0] < 0.0 && empty[DENSE..] == [0.0]);
    }

    /// A file may give a token any id.
    #[test]
    fn a_huge_id_takes_no_more_memory_than_another() {
        let vocabulary = HashMap::from([("12".to_owned(), u32::MAX), ("?".to_owned(), 7)]);
        let found = TokenKinds::of(vocabulary.iter());
        let settings = Lexical { hashed: 8, scale: 1.0 };
        // The share of numbers is 1, cut at four deviations.
        let expected = 0.4 / 13f32.sqrt() * 4.0;
        assert!((found.features(&[u32::MAX], settings)[3] - expected).abs() < 1e-3);
    }

    #[test]
    fn impossible_settings_are_named() {
        let problem = |hashed, scale| Lexical { hashed, scale }.problem().map(|(what, ..)| what);
        assert_eq!(problem(256, 3.5), None);
        for hashed in [0, 3, 8192] {
            assert_eq!(problem(hashed, 1.0), Some("number of hashed features"), "{hashed}");
        }
        for scale in [0.0, -1.0, 16.5, f32::NAN, f32::INFINITY] {
            assert_eq!(problem(8, scale), Some("scale of lexical features"), "{scale}");
        }
    }
}
