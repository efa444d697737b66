//! What is public about a tensor: shape, ring and binary point.

use crate::error::Error;
use blindroute_ring::Shape;

/// Shape, ring width and fraction bits of a secret tensor.
///
/// The tensor holds integers modulo 2^`bits`; the value meant is the signed integer over 2^`fraction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The shape.
    pub shape: Shape,
    /// The ring is Z_2^bits, whatever the word that carries it.
    pub bits: u32,
    /// Fraction bits.
    pub fraction: u32,
}

impl Form {
    /// A form.
    pub const fn new(shape: Shape, bits: u32, fraction: u32) -> Self {
        Self { shape, bits, fraction }
    }

    /// This form with another shape.
    pub const fn with_shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The form of a product whose result has `shape`: the narrower ring, the fractions added.
    pub fn product(&self, other: &Form, shape: Shape) -> Form {
        Form::new(shape, self.bits.min(other.bits), self.fraction + other.fraction)
    }

    /// The form of a sum with `other`, which may repeat along dimensions of size 1.
    ///
    /// # Errors
    /// If the fractions differ or the shape does not admit the other's.
    pub fn sum(&self, other: &Form) -> Result<Form, Error> {
        if self.fraction != other.fraction {
            return Err(Error::Program(format!("a sum of fractions {} and {}", self.fraction, other.fraction)));
        }
        if !self.shape.admits(&other.shape) {
            return Err(Error::Program(format!("a sum of shapes {} and {}", self.shape, other.shape)));
        }
        Ok(Form { bits: self.bits.min(other.bits), ..*self })
    }

    /// The form of the columns of this and of `other`, row by row.
    ///
    /// # Errors
    /// If the fractions or the rows differ.
    pub fn beside(&self, other: &Form) -> Result<Form, Error> {
        let (left, right) = (self.shape, other.shape);
        if self.fraction != other.fraction || (left.batch, left.rows) != (right.batch, right.rows) {
            let (f, g) = (self.fraction, other.fraction);
            return Err(Error::Program(format!("{left} of {f} fraction bits beside {right} of {g}")));
        }
        let shape = Shape { columns: left.columns + right.columns, ..left };
        Ok(Form { shape, bits: self.bits.min(other.bits), ..*self })
    }

    /// The form after `shift` low bits are dropped: the ring shrinks with the fraction.
    ///
    /// # Errors
    /// If there are not that many fraction bits.
    pub fn truncated(&self, shift: u32) -> Result<Form, Error> {
        if shift > self.fraction || shift >= self.bits {
            return Err(Error::Program(format!(
                "truncating {shift} bits of {} fraction bits in a ring of {}",
                self.fraction, self.bits
            )));
        }
        Ok(Form::new(self.shape, self.bits - shift, self.fraction - shift))
    }

    /// Bytes of a packed opening.
    pub const fn packed_len(&self) -> usize {
        blindroute_ring::pack::packed_len(self.shape.len(), self.bits)
    }
}
