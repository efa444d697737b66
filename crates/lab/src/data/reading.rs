//! How an encoder reads the prompts of a data set: how many it truncates, and how many it can tell apart.

use blindroute_routing::bundle::{Bundle, BundleError};
use blindroute_routing::tokenizer::{MAX_TOKENS, Tokenizer, Window};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashSet;

/// How a bundle's tokenizer reads prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Which tokens of a long prompt are kept.
    pub window: Window,
    /// The number of prompts that can be tokenised; blank ones cannot.
    pub prompts: usize,
    /// How many of them have more tokens than the encoder reads.
    pub truncated: usize,
    /// The number of different token sequences after truncation. Prompts of one sequence have one embedding, so every
    /// router gives them the same model.
    pub distinct: usize,
}

impl Reading {
    /// Tokenises the prompts as a bundle's encoder does, and counts.
    ///
    /// # Errors
    /// If the bundle's tokenizer cannot be used.
    pub fn by(bundle: &Bundle, prompts: &[&str]) -> Result<Self, BundleError> {
        Ok(Self::of(&bundle.tokenizer()?, prompts))
    }

    /// Tokenises the prompts and counts.
    pub fn of(tokenizer: &Tokenizer, prompts: &[&str]) -> Self {
        let tokens: Vec<_> = prompts.par_iter().filter_map(|prompt| tokenizer.encode(prompt).ok()).collect();
        let distinct: HashSet<&[u32]> = tokens.iter().map(|tokens| tokens.ids.as_slice()).collect();
        Self {
            window: tokenizer.window(),
            prompts: tokens.len(),
            truncated: tokens.iter().filter(|tokens| tokens.truncated.is_some()).count(),
            distinct: distinct.len(),
        }
    }

    /// A sentence without its end.
    pub fn describe(&self) -> String {
        let Self { window, prompts, truncated, distinct } = self;
        let truncated = match truncated {
            0 => "none truncated".to_owned(),
            _ => format!("{truncated} truncated to their {} tokens", window.kept()),
        };
        format!("{prompts} prompts, {truncated}, {distinct} different token sequences")
    }

    /// What limits every router on these prompts, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let Self { window, prompts, truncated, distinct } = self;
        let mut warnings = Vec::new();
        if 2 * distinct < *prompts {
            let why = if *truncated > 0 { format!(" in their {} tokens", window.kept()) } else { String::new() };
            warnings.push(format!(
                "the {prompts} prompts have only {distinct} different token sequences{why}: \
                 a router gives all prompts of one sequence the same model"
            ));
        }
        if 10 * truncated > *prompts {
            let advice = match window {
                Window::Head => "users put their question at the end: try `train --window head,tail,both`",
                Window::Tail | Window::Both => "compare the windows with `train --window head,tail,both`",
            };
            warnings.push(format!(
                "{truncated} of {prompts} prompts have more than {MAX_TOKENS} tokens, and only the {} are read; {advice}",
                window.kept()
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_testkit::tokenizer_json;

    fn read(window: Window, prompts: &[String]) -> Reading {
        let json = tokenizer_json(["[UNK]", "[CLS]", "[SEP]", "a", "b", "c"]);
        let tokenizer = Tokenizer::from_json(json.as_bytes(), window).unwrap();
        Reading::of(&tokenizer, &prompts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn prompts_with_the_same_beginning_are_alike_to_head_only() {
        let examples = "a ".repeat(254);
        let prompts = ["b", "c", "b c", "c b", " "].map(|question| format!("{examples}{question}"));
        let of = |window| read(window, &prompts);
        // The blank question leaves a prompt of 254 tokens, which is not truncated.
        let expected = |window, distinct| Reading { window, prompts: 5, truncated: 4, distinct };
        assert_eq!(of(Window::Head), expected(Window::Head, 1));
        assert_eq!(of(Window::Tail), expected(Window::Tail, 5));
        assert_eq!(of(Window::Both), expected(Window::Both, 5));
        let warnings = of(Window::Head).warnings();
        assert_eq!(
            warnings,
            [
                "the 5 prompts have only 1 different token sequences in their first 256 tokens: \
                 a router gives all prompts of one sequence the same model",
                "4 of 5 prompts have more than 256 tokens, and only the first 256 are read; \
                 users put their question at the end: try `train --window head,tail,both`",
            ]
        );
        let warnings = of(Window::Both).warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("only the first 128 and the last 128 are read; compare"));
        assert_eq!(
            of(Window::Tail).describe(),
            "5 prompts, 4 truncated to their last 256 tokens, 5 different token sequences"
        );
    }

    #[test]
    fn short_prompts_give_no_warning_unless_they_are_repeated() {
        let prompts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let few = read(Window::Head, &prompts(&["a", "b", " ", "A"]));
        assert_eq!(few, Reading { window: Window::Head, prompts: 3, truncated: 0, distinct: 2 });
        assert!(few.warnings().is_empty());
        assert_eq!(few.describe(), "3 prompts, none truncated, 2 different token sequences");
        let repeated = read(Window::Head, &prompts(&["a", "a", "A", "b", "b"]));
        assert_eq!(
            repeated.warnings(),
            ["the 5 prompts have only 2 different token sequences: \
              a router gives all prompts of one sequence the same model"]
        );
    }
}
