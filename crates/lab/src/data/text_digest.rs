//! Digests that are equal for equal prompts.

use sha2::{Digest, Sha256};

/// The digest of a text. Texts that differ only in white space have the same digest. Another `salt` gives unrelated digests.
pub(super) fn text_digest(text: &str, salt: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(salt.to_le_bytes());
    for (place, word) in text.split_whitespace().enumerate() {
        if place > 0 {
            hash.update(b" ");
        }
        hash.update(word.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_does_not_count_and_words_do() {
        assert_eq!(text_digest("  a\tb\n", 0), text_digest("a b", 0));
        assert_ne!(text_digest("ab", 0), text_digest("a b", 0));
        assert_ne!(text_digest("a b", 1), text_digest("a b", 0));
    }
}
