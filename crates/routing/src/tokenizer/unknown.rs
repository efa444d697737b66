//! How much of a prompt the vocabulary does not cover.
//!
//! WordPiece gives a word that it cannot build from its pieces, or that is too long, one `[UNK]`, however long the word is:
//! a page of Thai is one token. So the share is counted in characters of the text that was read, not in tokens.

/// What of a prompt's text became `[UNK]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// How many `[UNK]` tokens.
    pub tokens: usize,
    /// How many characters they stand for.
    characters: usize,
    /// How many characters all tokens stand for.
    of: usize,
}

impl Unknown {
    /// Of the characters that were read, the share that the vocabulary does not cover: from 0 to 1.
    pub fn share(&self) -> f64 {
        if self.of == 0 { 0.0 } else { self.characters as f64 / self.of as f64 }
    }

    /// Counts tokens, each with whether it is unknown and the place of its characters in the text.
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
