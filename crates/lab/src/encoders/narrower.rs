//! Widths one step narrower, field by field.

use super::widths::{FRACTIONS, Field, LOW, RANGES};
use blindroute_routing::bundle::Widths;

/// The names of all widths.
pub(crate) fn width_names() -> Vec<&'static str> {
    RANGES.into_iter().chain(FRACTIONS).chain([LOW]).map(|(name, _)| name).collect()
}

/// These widths with the field of this name one bit less, or for norm_low, whose range ends there, one more. A field that may not
/// exceed it follows. None if the program has no words for the result, or there is no such field.
pub(crate) fn narrower(widths: Widths, name: &str) -> Option<Widths> {
    let mut found = widths;
    if name == LOW.0 {
        *LOW.1(&mut found) += 1;
    } else {
        let field = |(known, _): &Field| *known == name;
        let (_, value) = RANGES.into_iter().chain(FRACTIONS).find(field)?;
        *value(&mut found) = value(&mut found).checked_sub(1)?;
        found.activated = found.activated.min(found.layer);
        found.norm_high = found.norm_high.min((2 * found.sum_range).saturating_sub(2));
    }
    found.check().is_ok().then_some(found)
}

/// What differs between two widths, as `name 8 -> 7`.
pub(crate) fn differences(mut before: Widths, mut after: Widths) -> String {
    let mut found = Vec::new();
    for (name, value) in RANGES.into_iter().chain(FRACTIONS).chain([LOW]) {
        let (old, new) = (*value(&mut before), *value(&mut after));
        if old != new {
            found.push(format!("{name} {old} -> {new}"));
        }
    }
    found.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_gets_narrower_and_what_depends_on_it_follows() {
        let start = Widths { layer: 7, activated: 7, sum_range: 8, norm_high: 14, ..Widths::default() };
        for name in width_names() {
            let found = narrower(start, name).unwrap();
            assert!(found.check().is_ok() && differences(start, found).contains(name), "{name}: {found:?}");
        }
        let layer = differences(start, narrower(start, "layer").unwrap());
        assert_eq!(layer, "layer 7 -> 6, activated 7 -> 6");
        let sums = differences(start, narrower(start, "sum_range").unwrap());
        assert_eq!(sums, "norm_high 14 -> 12, sum_range 8 -> 7");
        assert_eq!(differences(start, narrower(start, "norm_low").unwrap()), "norm_low 3 -> 4");
        assert_eq!(narrower(Widths { weights: 6, ..start }, "weights"), None);
        assert_eq!(narrower(start, "weight"), None);
    }
}
