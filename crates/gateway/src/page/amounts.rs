//! Amounts as people read them: rounded to a hundredth of a cent.

use crate::money::Amount;

/// The smallest amount that is not shown as nothing, in USD.
const SMALLEST: f64 = 0.000_1;

/// An amount.
pub(super) fn usd(amount: Amount) -> String {
    let usd = amount.usd();
    if amount > Amount::ZERO && usd < SMALLEST { format!("under {SMALLEST} USD") } else { format!("{usd:.4} USD") }
}

/// A difference, of which the sign matters.
pub(super) fn difference(pico: i64) -> String {
    let size = usd(Amount::from_pico(pico.unsigned_abs()));
    if pico < 0 { format!("{size} lost") } else { format!("{size} saved") }
}

/// The share of a whole in per cent, at most 100. Of nothing, all is used.
pub(super) fn per_cent(part: Amount, whole: Amount) -> u64 {
    let (part, whole) = (u128::from(part.pico()), u128::from(whole.pico()));
    (part * 100).checked_div(whole).map_or(100, |share| share.min(100) as u64)
}
