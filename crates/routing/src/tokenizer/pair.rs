//! The tokens of two texts that are read together, such as a question and an answer.

use super::{FIRST_BYTES, MAX_PROMPT_BYTES, MAX_TOKENS, Tokenizer, TokenizerError, Tokens, Truncated, Window};

impl Tokenizer {
    /// The tokens of a pair of texts: `[CLS]`, the first text, `[SEP]`, the second, `[SEP]`, all of segment 0. If they are more
    /// than [`MAX_TOKENS`], the longer text is shortened first, at its end, whatever the bundle's [`Window`] is. If both are
    /// long, the first keeps 127 tokens and the second 126. [`Tokens::truncated`] then has the tokens of both.
    ///
    /// # Errors
    /// If one of the texts has no tokens, or is too large.
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<Tokens, TokenizerError> {
        self.encode_pair_within(first, second, MAX_TOKENS)
    }

    /// The same with at most so many tokens, from 5 to [`MAX_TOKENS`].
    ///
    /// # Errors
    /// As [`encode_pair`](Self::encode_pair).
    pub fn encode_pair_within(&self, first: &str, second: &str, most: usize) -> Result<Tokens, TokenizerError> {
        let room = most.clamp(5, MAX_TOKENS) - 3;
        if let Some(large) = [first, second].into_iter().find(|text| text.len() > MAX_PROMPT_BYTES) {
            return Err(TokenizerError::TooLarge { bytes: large.len() });
        }
        let pieces = [self.start(first, FIRST_BYTES, room)?, self.start(second, FIRST_BYTES, room)?];
        if pieces.iter().any(|piece| piece.decided == 0) {
            return Err(TokenizerError::Blank);
        }
        let found = [pieces[0].decided, pieces[1].decided];
        let kept = shortened(found, room);
        let mut ids = vec![self.cls];
        let mut unknown = self.take(&pieces[0], 0..kept[0], &mut ids);
        ids.push(self.sep);
        unknown = unknown.and(self.take(&pieces[1], 0..kept[1], &mut ids));
        ids.push(self.sep);
        let truncated = (kept != found).then(|| Truncated {
            tokens: found[0] + found[1] + 3,
            exact: pieces.iter().all(|piece| piece.whole),
            window: Window::Head,
        });
        Ok(Tokens { ids, truncated, unknown })
    }
}

/// How many tokens are kept of two texts, the longer shortened first, in ties the second.
fn shortened([first, second]: [usize; 2], room: usize) -> [usize; 2] {
    if first + second <= room {
        return [first, second];
    }
    let first_half = room.div_ceil(2);
    let second_half = room - first_half;
    match (first <= first_half, second <= second_half) {
        (true, _) => [first, room - first],
        (_, true) => [room - second, second],
        _ => [first_half, second_half],
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample_json;
    use super::*;

    fn sample() -> Tokenizer {
        Tokenizer::from_json(&sample_json(), Window::Tail).unwrap()
    }

    /// Takes one token after the other from the longer text.
    fn one_by_one([mut first, mut second]: [usize; 2], room: usize) -> [usize; 2] {
        while first + second > room {
            if first > second { first -= 1 } else { second -= 1 }
        }
        [first, second]
    }

    #[test]
    fn the_longer_text_is_shortened_first() {
        for room in [8, 9, 253] {
            for first in 1..=2 * room {
                for second in (1..=2 * room).step_by(if room > 9 { 7 } else { 1 }) {
                    let sizes = [first, second];
                    assert_eq!(shortened(sizes, room), one_by_one(sizes, room), "{sizes:?} in {room}");
                }
            }
        }
    }

    #[test]
    fn a_pair_is_framed_as_two_texts() {
        let tokens = sample().encode_pair("AB aba!", "b").unwrap();
        let (one, two) = (sample().encode("AB aba!").unwrap().ids, sample().encode("b").unwrap().ids);
        assert_eq!(tokens.ids, [&one[..], &two[1..]].concat());
        assert_eq!(tokens.truncated, None);
    }

    #[test]
    fn a_long_pair_keeps_the_beginnings_of_both_texts() {
        let (tokenizer, long) = (sample(), "a b ".repeat(400));
        let (alone, short) = (tokenizer.encode("a").unwrap().ids[1], tokenizer.encode("aba!").unwrap().ids);
        let tokens = tokenizer.encode_pair(&long, "aba!").unwrap();
        assert_eq!((tokens.ids.len(), tokens.ids[1]), (MAX_TOKENS, alone));
        assert!(tokens.ids.ends_with(&short[1..]));
        assert_eq!(tokens.truncated.map(|cut| cut.tokens), Some(800 + short.len() - 2 + 3));
        let both = tokenizer.encode_pair(&long, &"a ".repeat(1 << 18)).unwrap();
        assert_eq!((both.ids.len(), both.ids[128], both.ids[255]), (MAX_TOKENS, both.ids[255], tokens.ids[255]));
        assert!(both.truncated.is_some_and(|cut| !cut.exact));
    }

    #[test]
    fn a_pair_is_shortened_to_fewer_tokens() {
        let tokens = sample().encode_pair_within("a b a b a b", "a b", 9).unwrap();
        let expected = sample().encode_pair("a b a b", "a b").unwrap();
        assert_eq!((tokens.ids, tokens.truncated.map(|cut| cut.tokens)), (expected.ids, Some(11)));
    }

    #[test]
    fn both_texts_must_be_there_and_small_enough() {
        for (first, second) in [("", "a"), ("a", " \n"), (" ", "")] {
            assert!(matches!(sample().encode_pair(first, second), Err(TokenizerError::Blank)));
        }
        let large = "a".repeat(MAX_PROMPT_BYTES + 1);
        for (first, second) in [("a", large.as_str()), (large.as_str(), "")] {
            assert!(matches!(sample().encode_pair(first, second), Err(TokenizerError::TooLarge { .. })));
        }
    }
}
