//! Text that the router cannot read: what reports say about it, and the model that a caller wants for it.
//!
//! All of this is decided on the client after the session, which runs as for any other prompt: servers and dealer see no
//! difference.

use blindroute_routing::{bundle::Model, tokenizer::Unknown};

use crate::error::PlacementError;

/// The share of a prompt's characters that are unknown from which on a report has a note.
const MUCH: f64 = 0.25;

/// Which model answers prompts that the router can hardly read.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownText {
    /// The model is taken if more than this share of a prompt's characters, from 0 to 1, is unknown.
    pub share: f64,
    /// The model's name in the pool.
    pub model: String,
}

impl UnknownText {
    /// The model's place in the pool.
    ///
    /// # Errors
    /// If the share is not a number from 0 to 1, or the pool has no such model.
    pub fn place(&self, models: &[Model]) -> Result<usize, PlacementError> {
        if !(0.0..=1.0).contains(&self.share) {
            return Err(PlacementError::UnknownShare(self.share));
        }
        models.iter().position(|model| model.name == self.model).ok_or_else(|| PlacementError::UnknownModel {
            name: self.model.clone(),
            known: models.iter().map(|model| model.name.clone()).collect(),
        })
    }

    /// The same for this pool.
    pub(crate) fn resolve(&self, models: &[Model]) -> Result<Fallback, PlacementError> {
        Ok(Fallback { share: self.share, model: self.place(models)? })
    }
}

/// An [`UnknownText`] whose model was found in a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fallback {
    pub(crate) share: f64,
    pub(crate) model: usize,
}

impl Fallback {
    /// The model for a prompt with this unknown text, if there is too much of it.
    pub(crate) fn model(&self, unknown: &Unknown) -> Option<usize> {
        (unknown.tokens > 0 && unknown.share() > self.share).then_some(self.model)
    }
}

/// What a report says about a prompt's unknown text, if there is much of it or it decided the model.
pub(crate) fn note(unknown: &Unknown, decided: bool) -> Option<String> {
    if !decided && unknown.share() < MUCH {
        return None;
    }
    let share = (100.0 * unknown.share()).round();
    let then = if decided {
        "the model is the one that was asked for in that case"
    } else {
        "it chose without knowing what that part says"
    };
    Some(format!("{share} % of the text read is not in the router's vocabulary: {then}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::Bundle;

    #[test]
    fn the_model_asked_for_is_one_of_the_pool() {
        let models = ["small", "large"].map(|name| Model { name: name.into(), price: 1.0, unit: String::new() });
        let place = |share, name: &str| UnknownText { share, model: name.into() }.place(&models);
        assert_eq!(place(0.5, "large").ok(), Some(1));
        let error = place(0.5, "huge").unwrap_err().to_string();
        assert!(error.contains("\"huge\"") && error.contains("small, large"), "{error}");
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(place(share, "large").unwrap_err().to_string().contains("from 0 to 1"));
        }
    }

    #[test]
    fn a_share_above_the_limit_decides_and_is_noted() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
        let bundle = Bundle::open(&path).unwrap().bundle;
        let tokenizer = bundle.tokenizer().unwrap();
        let of = |prompt: &str| tokenizer.encode(prompt).unwrap().unknown;
        let fallback = Fallback { share: 0.5, model: 7 };
        let thai = of("ประเทศไทยมีกี่จังหวัด");
        assert_eq!((fallback.model(&thai), Fallback { share: 1.0, model: 7 }.model(&thai)), (Some(7), None));
        assert!(note(&thai, false).is_some_and(|note| note.starts_with("100 % of the text read is not in")));
        let plain = of("What is the capital of France?");
        assert_eq!((fallback.model(&plain), note(&plain, false)), (None, None));
        // A share of 0 is above no unknown text at all.
        assert_eq!(Fallback { share: 0.0, model: 7 }.model(&plain), None);
    }
}
