//! Which implementation of a gate a program takes: fewer openings, or less material and work.

/// How far the servers are from each other, as a program's gates are to see it. Public, the same for all parties of a
/// session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tuning {
    /// Least material and work: comparisons by digits in two openings ([`comparison`](crate::protocols::comparison)),
    /// those of functions of few elements included.
    #[default]
    Near,
    /// As [`Middle`](Self::Middle), but near where a program says that it holds its largest tensors.
    Lean,
    /// What saves an opening at a small price: ReLU in one opening
    /// ([`rectifier_digits`](crate::protocols::rectifier_digits)), and by keys of function secret sharing comparisons in
    /// one ([`point`](crate::protocols::point)) and functions of few elements in none
    /// ([`spline_keys`](crate::protocols::spline_keys)).
    Middle,
    /// Fewest openings: ReLU by keys too, in none ([`rectifier`](crate::protocols::rectifier)), at ten times the material.
    Far,
}

impl Tuning {
    /// All of them, the least material first.
    pub const ALL: [Self; 4] = [Self::Near, Self::Lean, Self::Middle, Self::Far];
}
