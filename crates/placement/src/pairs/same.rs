//! Whether pairs hold the same model, as far as their public parts say.

use crate::error::PlacementError;
use crate::report::PairUsed;
use blindroute_routing::bundle::PublicPart;

/// Checks that the public parts of all pairs are those of one model. Splits of one bundle differ in their shares only, and so in the
/// commitments to these and in the digest; everything else must be the same.
///
/// # Errors
/// If two pairs are for different models, or two configurations name the same servers.
pub(crate) fn check(pairs: &[(PairUsed, PublicPart)]) -> Result<(), PlacementError> {
    let Some(((first, model), others)) = pairs.split_first() else { return Ok(()) };
    for (place, (other, public)) in others.iter().enumerate() {
        let mut before = pairs[..=place].iter();
        if let Some((same, _)) = before.find(|(earlier, _)| earlier.servers == other.servers) {
            return Err(PlacementError::SamePair { first: same.index, second: other.index });
        }
        let differs = differences(model, public);
        if !differs.is_empty() {
            let (first, other, differs) = (first.to_string(), other.to_string(), differs.join(", "));
            return Err(PlacementError::OtherModel { first, other, differs });
        }
        if pairs[..=place].iter().any(|(_, earlier)| earlier.digest == public.digest) {
            tracing::warn!(
                pair = %other,
                "this pair holds the same split as another one: whoever holds share 0 of one and share 1 of the other has the \
                 bundle; split the bundle once for each pair"
            );
        }
    }
    Ok(())
}

/// What is not the same in two public parts.
fn differences(one: &PublicPart, other: &PublicPart) -> Vec<&'static str> {
    let pairs = [
        ("shapes of routers and classifiers", one.plan == other.plan),
        ("encoder or window", one.encoder == other.encoder),
        ("tokenizer", one.tokenizer == other.tokenizer),
        ("embedding tables", one.embedding == other.embedding),
        ("models", one.models == other.models),
        ("weights of cost", one.lambdas == other.lambdas),
    ];
    pairs.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}
