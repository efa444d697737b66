//! How much of a prompt is not in the vocabulary.
//!
//! WordPiece turns a word that it cannot build from its pieces, or that is too long, into one `[UNK]` of any length: a
//! page of Thai is one token. So the share is measured in characters of the text that was read, not in tokens.

/// How much of a prompt's text became `[UNK]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// The number of `[UNK]` tokens.
    pub tokens: usize,
    /// The number of characters that they stand for.
    characters: usize,
    /// The number of characters that all tokens stand for.
    of: usize,
}

impl Unknown {
    /// The share of the characters that were read and are not in the vocabulary, from 0 to 1.
    pub fn share(&self) -> f64 {
        if self.of == 0 { 0.0 } else { self.characters as f64 / self.of as f64 }
    }

    /// The counts of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            characters: self.characters + other.characters,
            of: self.of + other.of,
        }
    }

    /// Counts tokens. Each comes with whether it is unknown, and the position of its characters in the text.
    pub(super) fn of<'a>(text: &str, tokens: impl Iterator<Item = (bool, &'a (usize, usize))>) -> Self {
        let mut found = Self::default();
        for (unknown, (start, end)) in tokens {
            let characters = text.get(*start..*end).map_or(0, |word| word.chars().count());
            found.of += characters;
            if unknown {
                found.tokens += 1;
                found.characters += characters;
            }
        }
        found
    }
}
