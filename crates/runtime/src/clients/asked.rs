//! What a session asks for, and why a client does not get it.

/// What one session asks for, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// How many prompts or texts are answered: each counts as a route.
    pub routes: u32,
    /// The most bits that all of their answers can tell about the router together.
    pub bits: f64,
}

/// How many bits a pass pays for. An answer that names one model, or several in their order, tells less.
pub const BITS_PER_PASS: f64 = 16.0;

impl Asked {
    /// How many passes it takes: one for each route, or more if its answers can tell more than as many pay for.
    #[must_use]
    pub fn passes(&self) -> usize {
        // The cast saturates, and takes what is not a number for 0.
        (self.routes.max(1) as usize).max((self.bits / BITS_PER_PASS).ceil() as usize)
    }

    /// What so many passes are counted as when they are issued.
    #[must_use]
    pub fn of_passes(count: usize) -> Self {
        Self { routes: u32::try_from(count).unwrap_or(u32::MAX), bits: BITS_PER_PASS * count as f64 }
    }
}

/// Why a client gets no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not in the register, or was revoked; or its passes are not good, or were used before.
    Unknown,
    /// It asked for as many routes as it may today.
    Day,
    /// It asked for as many routes as it may in a minute.
    Minute,
    /// It has reported as many choices as it has asked for routes today.
    Reports,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Unknown => "it is not in the register, or was revoked, or its passes are none or were used before",
            Self::Day => "it asked for as many routes as it may in a day",
            Self::Minute => "it asked for as many routes as it may in a minute",
            Self::Reports => "it has reported as many choices as it asked for routes today",
        })
    }
}
