//! A calibration of a bundle's router: what `blindroute calibrate` does.

use super::ComparisonError;
use crate::Stop;
use crate::encoders::{ClearEmbedder, DatasetEmbedError, EmbedError, EmbedEvent, embed_all};
use crate::evaluation::calibrate::{self, Calibration, UserPrompts};
use blindroute_routing::bundle::Bundle;

/// Embeds a user's own prompts and finds the weight of cost for this router of the bundle, or its default one
/// ([`calibrate`](crate::evaluation::calibrate::calibrate)).
///
/// # Errors
/// If the bundle has no such router or cannot embed the prompts, if there is no such weight or there are too few prompts, or if the
/// caller stopped the work.
pub fn calibrate_bundle(
    bundle: &Bundle,
    router: Option<&str>,
    user: &UserPrompts,
    options: &calibrate::Options,
    on_event: &mut dyn FnMut(EmbedEvent),
    stop: &Stop,
) -> Result<Calibration, ComparisonError> {
    let router = bundle.router(router)?;
    options.check()?;
    let tokenizer = bundle.tokenizer()?;
    let failed = |error| ComparisonError::Embed(DatasetEmbedError::Embed(error));
    let embedder = ClearEmbedder::new(bundle).map_err(|fault| failed(EmbedError::Encoder(fault)))?;
    let prompts = user.prompts.iter().map(String::as_str);
    let embedded = embed_all(prompts, &tokenizer, &embedder, on_event, stop).map_err(failed)?;
    let inputs = embedded.inputs(&tokenizer, router.lexical);
    Ok(calibrate::calibrate(router, &bundle.parts().models, &inputs, user.scores.as_ref(), options, stop)?)
}
