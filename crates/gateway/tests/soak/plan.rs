//! What happens to each request, drawn from a seed: the same in every run.

use blindroute_dialects::Dialect;

/// Of all draws.
pub(crate) const SEED: u64 = 0x50ac_2026;

/// What the provider does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It answers.
    Good,
    /// It answers, but begins late.
    Slow,
    /// It closes the connection with a reset.
    Reset,
    /// Its answer ends before its length, or before its first token.
    Truncated,
    /// It refuses, with `retry-after: 0`.
    Status(u16),
    /// It says nothing more after half an answer, or after the head of a stream.
    Stall,
    /// Its stream is silent after the first token.
    Silent,
    /// Its stream breaks off after the first token.
    Cut,
    /// It sends an error in place of an answer, or within a stream.
    ErrorEvent,
    /// Its stream ends as HTTP ends, but without the reason.
    CleanEnd,
    /// It waits until the caller leaves, before an answer or after the first token.
    Hold,
}

/// What the caller does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    Stays,
    LeavesBefore,
    LeavesWithin,
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) id: usize,
    pub(crate) dialect: Dialect,
    pub(crate) stream: bool,
    /// The model that it names.
    pub(crate) model: &'static str,
    pub(crate) manners: Manners,
}

/// A number from a seed and a place (SplitMix64).
fn draw(place: u64) -> u64 {
    let mut z = SEED.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Plan {
    pub(crate) fn of(id: usize) -> Self {
        let drawn = draw(id as u64 * 64);
        let stream = drawn & 1 == 1;
        let manners = match (drawn >> 8) % 20 {
            0 => Manners::LeavesBefore,
            1 if stream => Manners::LeavesWithin,
            _ => Manners::Stays,
        };
        let model = ["auto", "auto", "best", "next"][(drawn >> 16) as usize % 4];
        Self { id, dialect: Dialect::ALL[(drawn >> 24) as usize % 3], stream, model, manners }
    }

    /// What the provider does with the call of this number for this request.
    pub(crate) fn deed(self, call: usize) -> Deed {
        if self.manners != Manners::Stays {
            return Deed::Hold;
        }
        let deed = match draw(self.id as u64 * 64 + 1 + call as u64) % 100 {
            0..=3 => Deed::Reset,
            4..=7 => Deed::Truncated,
            8..=11 => Deed::Status(500),
            12..=15 => Deed::Status(429),
            16 => Deed::Stall,
            17 => Deed::Silent,
            18..=21 => Deed::Cut,
            22..=25 => Deed::ErrorEvent,
            26..=29 => Deed::CleanEnd,
            30..=34 => Deed::Slow,
            _ => Deed::Good,
        };
        let only_of_streams = matches!(deed, Deed::Silent | Deed::Cut | Deed::CleanEnd);
        if only_of_streams && !self.stream { Deed::Good } else { deed }
    }

    /// The text of the answer.
    pub(crate) fn text(self) -> String {
        format!("answer {} to you", self.id)
    }

    /// The tokens of the answer.
    pub(crate) fn output(self) -> u64 {
        2 + self.id as u64 % 7
    }
}
