//! Splits for data that have none.

use super::Split;
use super::text_digest::text_digest;

impl Split {
    /// The split of a prompt with this text: train for 70 % of all texts, valid for 10 % and test for 20 %. It follows from the text
    /// and the seed alone, so that repeated prompts, also with other white space, are in one split.
    pub fn of_text(text: &str, seed: u64) -> Self {
        let [a, b, c, d, ..] = text_digest(text, seed);
        let share = f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX);
        match share {
            ..0.7 => Self::Train,
            ..0.8 => Self::Valid,
            _ => Self::Test,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_met_and_repeated_texts_stay_together() {
        let count = |split: Split| (0..10_000).filter(|n| Split::of_text(&n.to_string(), 3) == split).count();
        assert_eq!(Split::ALL.map(|split| (count(split) + 50) / 100), [70, 10, 20]);
        for number in 0..100 {
            let (once, spaced) = (format!("a {number}"), format!(" a\t{number}\n"));
            assert_eq!(Split::of_text(&once, 0), Split::of_text(&spaced, 0));
        }
        let moved = (0..100).filter(|n| Split::of_text(&n.to_string(), 0) != Split::of_text(&n.to_string(), 1)).count();
        assert!(moved > 20, "{moved}");
    }
}
