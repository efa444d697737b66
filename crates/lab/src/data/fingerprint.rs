//! When two prompts are the same.

use sha2::{Digest, Sha256};

/// The same for texts that differ in white space only. Another `salt` gives unrelated fingerprints.
pub(super) fn fingerprint(text: &str, salt: u64) -> [u8; 32] {
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
        assert_eq!(fingerprint("  a\tb\n", 0), fingerprint("a b", 0));
        assert_ne!(fingerprint("ab", 0), fingerprint("a b", 0));
        assert_ne!(fingerprint("a b", 1), fingerprint("a b", 0));
    }
}
