//! The values that programs compute with: what is public about each, and the interpreter's payload.

use super::interpreter::{BitsOf, Interpreter, MaskedBitsOf, MaskedOf, ShareOf};
use crate::error::Error;
use crate::form::Form;
use crate::linear::{Linear, Structure};
use crate::material::word::RingWord;
use blindroute_ring::Shape;

/// A value in additive shares, not opened.
pub struct Share<I: Interpreter, W: RingWord> {
    pub(crate) form: Form,
    pub(crate) payload: ShareOf<I, W>,
}

/// A value that is public but for a mask: the input of products, extensions and comparisons.
pub struct Masked<I: Interpreter, W: RingWord> {
    pub(crate) form: Form,
    pub(crate) payload: MaskedOf<I, W>,
}

impl<I: Interpreter, W: RingWord> Clone for Masked<I, W> {
    fn clone(&self) -> Self {
        Self { form: self.form, payload: self.payload.clone() }
    }
}

/// Bits in exclusive-or shares.
pub struct Bits<I: Interpreter> {
    pub(crate) shape: Shape,
    pub(crate) payload: BitsOf<I>,
}

/// Bits that are public but for a mask bit: one plane per threshold.
pub struct MaskedBits<I: Interpreter> {
    pub(crate) shape: Shape,
    pub(crate) planes: usize,
    pub(crate) payload: MaskedBitsOf<I>,
}

impl<I: Interpreter> Clone for MaskedBits<I> {
    fn clone(&self) -> Self {
        Self { shape: self.shape, planes: self.planes, payload: self.payload.clone() }
    }
}

/// A share that leaves with the next exchange.
pub struct Pending<I: Interpreter, W: RingWord> {
    pub(crate) form: Form,
    pub(crate) payload: I::Pending<W>,
}

macro_rules! opaque_debug {
    ($($name:literal: $type:ty [$($parameter:tt)*] $field:ident),* $(,)?) => {$(
        impl<$($parameter)*> std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", $name, self.$field)
            }
        }
    )*};
}

opaque_debug! {
    "Share": Share<I, W> [I: Interpreter, W: RingWord] form,
    "Masked": Masked<I, W> [I: Interpreter, W: RingWord] form,
    "Bits": Bits<I> [I: Interpreter] shape,
    "MaskedBits": MaskedBits<I> [I: Interpreter] shape,
    "Pending": Pending<I, W> [I: Interpreter, W: RingWord] form,
}

impl<I: Interpreter, W: RingWord> Share<I, W> {
    /// Its form.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Declares a narrower ring: the value must fit, bits above are dropped.
    pub fn narrowed(self, bits: u32) -> Self {
        Self { form: Form { bits: bits.min(self.form.bits), ..self.form }, ..self }
    }
}

impl<I: Interpreter, W: RingWord> Masked<I, W> {
    /// Its form.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Declares a narrower ring: the value must fit, bits above are dropped.
    pub fn narrowed(self, bits: u32) -> Self {
        Self { form: Form { bits: bits.min(self.form.bits), ..self.form }, ..self }
    }
}

impl<I: Interpreter> MaskedBits<I> {
    /// The shape of one plane.
    pub fn shape(&self) -> Shape {
        self.shape
    }
}

/// Linear maps with public coefficients: no opening, no material.
macro_rules! linear_maps {
    ($type:ident) => {
        impl<I: Interpreter, W: RingWord> $type<I, W> {
            /// The sum; dimensions of size 1 of `other` repeat.
            ///
            /// # Errors
            /// If shapes or fractions do not fit.
            pub fn add(&self, other: &Self) -> Result<Self, Error> {
                Ok(Self { form: self.form.sum(&other.form)?, payload: self.payload.add(&other.payload) })
            }

            /// The difference; dimensions of size 1 of `other` repeat.
            ///
            /// # Errors
            /// If shapes or fractions do not fit.
            pub fn subtract(&self, other: &Self) -> Result<Self, Error> {
                Ok(Self { form: self.form.sum(&other.form)?, payload: self.payload.subtract(&other.payload) })
            }

            /// The product with a public integer.
            pub fn scale(&self, factor: i64) -> Self {
                Self { form: self.form, payload: self.payload.scale(factor) }
            }

            /// The same value with `shift` more fraction bits.
            pub fn raise(&self, shift: u32) -> Self {
                let form = Form { fraction: self.form.fraction + shift, ..self.form };
                Self { form, payload: self.payload.raise(shift) }
            }

            /// [`raise`](Self::raise), in a ring of as many bits more: what was right modulo 2^k is right modulo 2^(k + shift)
            /// times 2^shift.
            ///
            /// # Errors
            /// If the word has no room for that ring.
            pub fn raise_ring(&self, shift: u32) -> Result<Self, Error> {
                let raised = self.raise(shift);
                let form = Form { bits: self.form.bits + shift, ..raised.form };
                if form.bits > W::BITS {
                    return Err(Error::Program(format!("a ring of {} bits in a word of {}", form.bits, W::BITS)));
                }
                Ok(Self { form, ..raised })
            }

            /// The value over 2^shift, exactly: the same integers with `shift` more fraction bits.
            pub fn divide(&self, shift: u32) -> Self {
                let form = Form { fraction: self.form.fraction + shift, ..self.form };
                Self { form, payload: self.payload.divide(shift) }
            }

            /// The columns of both, row by row, in the narrower ring.
            ///
            /// # Errors
            /// If rows or fractions differ.
            pub fn beside(&self, other: &Self) -> Result<Self, Error> {
                let form = self.form.beside(&other.form)?;
                Ok(Self { form, payload: self.payload.beside(&other.payload) })
            }

            /// Rearranged or summed.
            pub fn restructure(&self, structure: &Structure) -> Self {
                let form = self.form.with_shape(structure.shape(self.form.shape));
                Self { form, payload: self.payload.restructure(structure) }
            }
        }
    };
}

linear_maps!(Share);
linear_maps!(Masked);
