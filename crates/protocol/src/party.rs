//! The two positions of a session.

/// One of the two positions of a session. An operator's server takes either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// Holds shares that its seed alone makes.
    Zero,
    /// Holds the corrections.
    One,
}

impl Party {
    /// 0 or 1.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The party at `index`, if it is 0 or 1.
    pub const fn from_index(index: usize) -> Option<Self> {
        match index {
            0 => Some(Self::Zero),
            1 => Some(Self::One),
            _ => None,
        }
    }
}
