//! What is public about a weight.

use crate::error::Error;
use blindroute_ring::{Shape, Tensor};

/// A weight by its place in [`Program::weights`](crate::Program::weights).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightId(pub usize);

/// How a weight is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightKind {
    /// `[inner, columns]`: the right factor of [`Machine::linear`](crate::Machine::linear).
    Matrix {
        /// Rows.
        inner: usize,
        /// Columns.
        columns: usize,
    },
    /// One factor per column, for [`Machine::scale_columns`](crate::Machine::scale_columns).
    Scale(usize),
    /// One summand per column, for [`Machine::bias`](crate::Machine::bias).
    Bias(usize),
}

/// A secret weight of a program: its size and precision are public.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WeightSpec {
    /// Its name, unique in the program.
    pub name: String,
    /// How it is used.
    pub kind: WeightKind,
    /// Fraction bits.
    pub fraction: u32,
    /// The ring is Z_2^bits: at least that of what the weight multiplies, at most 64. Up to 32 bits the weight and all
    /// that is computed with it are in words of 32 bits.
    pub bits: u32,
}

impl WeightSpec {
    /// A weight in Z_2^64.
    pub fn new(name: impl Into<String>, kind: WeightKind, fraction: u32) -> Self {
        Self { name: name.into(), kind, fraction, bits: 64 }
    }

    /// The same in another ring.
    pub fn in_ring(self, bits: u32) -> Self {
        Self { bits, ..self }
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        match self.kind {
            WeightKind::Matrix { inner, columns } => Shape::matrix(inner, columns),
            WeightKind::Scale(columns) | WeightKind::Bias(columns) => Shape::row(columns),
        }
    }

    /// Whether it multiplies, and so needs a mask.
    pub(crate) fn multiplies(&self) -> bool {
        !matches!(self.kind, WeightKind::Bias(_))
    }
}

/// Checks that real weights fit their specifications.
pub(crate) fn check_weights<T>(specs: &[WeightSpec], weights: &[Tensor<T>]) -> Result<(), Error> {
    if specs.len() != weights.len() {
        let problem = format!("the program has {} weights, {} were given", specs.len(), weights.len());
        return Err(Error::Weight { name: "(all)".into(), problem });
    }
    for (spec, weight) in specs.iter().zip(weights) {
        if !(1..=64).contains(&spec.bits) {
            let problem = format!("a ring of {} bits, expected 1 to 64", spec.bits);
            return Err(Error::Weight { name: spec.name.clone(), problem });
        }
        if spec.shape() != weight.shape() {
            let problem = format!("expected shape {}, found {}", spec.shape(), weight.shape());
            return Err(Error::Weight { name: spec.name.clone(), problem });
        }
    }
    Ok(())
}
