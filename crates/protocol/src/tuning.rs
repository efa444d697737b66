//! Which of two implementations of a gate a program takes: fewer openings, or less material.

/// How a program's comparisons are made. Public, the same for all parties of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tuning {
    /// Digits looked up in shared tables: least material, for near servers.
    #[default]
    Digits,
    /// Keys of function secret sharing where they cost little: comparisons take one opening less
    /// ([`point`](crate::protocols::point)), functions of few elements none ([`spline_keys`](crate::protocols::spline_keys)).
    Points,
    /// As before, and ReLU without an opening ([`rectifier`](crate::protocols::rectifier)): most material, for far servers.
    Payloads,
}

impl Tuning {
    /// All of them, the least material first.
    pub const ALL: [Self; 3] = [Self::Digits, Self::Points, Self::Payloads];
}
