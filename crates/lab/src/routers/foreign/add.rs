//! Putting a rule that was trained elsewhere into a bundle.

use super::error::ForeignError;
use super::{ForeignRule, ranges};
use crate::data::relative_costs;
use crate::encoders::{ClearEmbedder, EmbedError, embed_all};
use crate::routers::train::with_source;
use crate::stop::Stop;
use blindroute_routing::bundle::{Bundle, Matrix, Router};
use blindroute_routing::lexical::Lexical;

/// Short texts of several kinds, on which the ranges of a rule's values are tried.
const TEXTS: [&str; 4] = [
    "Prove that the square root of 2 is irrational.",
    "fn main() { println!(\"{}\", 1 + 1); }",
    "Wie sp\u{e4}t ist es in Rio de Janeiro? 3.14159 \u{6f22}\u{5b57} ...",
    "Write a short story about a lighthouse keeper who receives letters from the sea.",
];

/// A router to add.
#[derive(Clone, Debug)]
pub struct NewForeign<'a> {
    /// Its name in the bundle.
    pub name: &'a str,
    /// Where it comes from and under which licence; it becomes a line of the bundle's origin.
    pub source: &'a str,
    /// Its rule.
    pub rule: ForeignRule,
    /// Its default weight of cost, λ.
    pub lambda: f32,
    /// The lexical features that the rule reads behind the embedding, if it was trained with them.
    pub lexical: Option<Lexical>,
    /// Whether it becomes the bundle's default router.
    pub is_default: bool,
}

/// The bundle with this router, which replaces one of its name. The router's costs are the bundle's prices over the largest one.
///
/// Its values are computed for some built-in texts and for `samples` (`[any, inputs]`, embeddings of prompts like those to come, with the
/// lexical features behind them), so that a rule whose values leave the ranges of fixed-point numbers is refused here.
///
/// # Errors
/// If the rule is for other models or embeddings, its values do not fit, or the bundle cannot hold it.
pub fn add(bundle: Bundle, new: NewForeign<'_>, samples: Option<&Matrix>) -> Result<Bundle, ForeignError> {
    let NewForeign { name, source, rule, lambda, lexical, is_default } = new;
    let parts = bundle.parts();
    let features = lexical.map_or(0, |lexical| lexical.width());
    let (models, inputs) = (parts.models.len(), parts.encoder.hidden + features);
    if rule.models() != models {
        return Err(ForeignError::Models { found: rule.models(), expected: models });
    }
    if rule.inputs() != inputs {
        return Err(ForeignError::Inputs { found: rule.inputs(), expected: inputs });
    }
    let costs = relative_costs(&parts.models);
    let rule = rule.into_rule().with_cost(Matrix::from_fn(1, models, |_, model| costs[model]));

    let tokenizer = bundle.tokenizer()?;
    let embedder = ClearEmbedder::new(&bundle).map_err(EmbedError::Encoder)?;
    let embedded = embed_all(TEXTS, &tokenizer, &embedder, &mut |_| (), &Stop::never())?;
    ranges::check(&rule, &embedded.inputs(&tokenizer, lexical))?;
    if let Some(samples) = samples {
        if samples.columns() != inputs {
            return Err(ForeignError::Inputs { found: samples.columns(), expected: inputs });
        }
        ranges::check(&rule, samples)?;
    }

    let mut parts = bundle.into_parts();
    let place = parts.routers.iter().position(|router| router.name == name);
    if let Some(place) = place {
        parts.routers.remove(place);
    }
    let place = if is_default { 0 } else { place.unwrap_or(parts.routers.len()) };
    let router = Router { name: name.to_owned(), lambda, lexical, rule };
    parts.routers.insert(place, router);
    parts.origin = with_source(&parts.origin, &[], name, source);
    Ok(Bundle::new(parts)?)
}
