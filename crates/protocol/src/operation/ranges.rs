//! Checks of ranges: what the fixed-point interpreter computes with.

use crate::error::Error;
use crate::form::Form;
use blindroute_ring::{Scalar, Tensor};

/// The room that was left at one check of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// The operation, numbered in program order.
    pub step: String,
    /// Bits that the largest value took, sign included.
    pub bits_used: u32,
    /// Bits that the step allows.
    pub bits_allowed: u32,
}

/// The program's weights as integers, and the room left so far. Fails where a value would leave its ring or window.
#[derive(Debug)]
pub struct Ranges {
    weights: Vec<Tensor<i128>>,
    headroom: Vec<Headroom>,
    steps: usize,
    /// Stands for the masks' low bits.
    noise: u64,
}

fn bits_of(x: i128) -> u32 {
    129 - if x < 0 { (!x).leading_zeros() } else { x.leading_zeros() }
}

impl Ranges {
    /// Bits that the largest element takes, sign included.
    pub(crate) fn most_bits(tensor: &Tensor<i128>) -> u32 {
        tensor.data().iter().map(|&x| bits_of(x)).max().unwrap_or(1)
    }

    /// Ranges of a run with these weights.
    pub(crate) fn new(weights: Vec<Tensor<i128>>) -> Self {
        Self { weights, headroom: Vec::new(), steps: 0, noise: 0 }
    }

    /// The weights, by their ids.
    pub(crate) fn weights(&self) -> &[Tensor<i128>] {
        &self.weights
    }

    /// The room that was left at each check.
    pub(crate) fn into_headroom(self) -> Vec<Headroom> {
        self.headroom
    }

    /// Checks that all values fit so many bits, the sign included.
    ///
    /// # Errors
    /// If one does not.
    pub(crate) fn check(
        &mut self,
        what: &str,
        values: impl Iterator<Item = i128>,
        bits_allowed: u32,
    ) -> Result<(), Error> {
        let bits_used = values.map(bits_of).max().unwrap_or(1);
        let step = format!("step {} ({what})", self.steps);
        self.steps += 1;
        if bits_used > bits_allowed {
            return Err(Error::Overflow { step, bits_used, bits_allowed });
        }
        self.headroom.push(Headroom { step, bits_used, bits_allowed });
        Ok(())
    }

    /// Checks what is extended to another ring: it must leave one bit of its own, beside the sign, unused.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn check_extension(&mut self, what: &str, x: &Tensor<i128>, form: &Form) -> Result<(), Error> {
        self.check(what, x.data().iter().copied(), form.bits - 1)
    }

    /// Checks that this arithmetic is exact. What the servers' rings allow is checked where a result is opened,
    /// extended, truncated or compared: products are exact modulo the ring, however large they are before.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn check_exact(&self, what: &str, bits_used: u32, bits_allowed: u32) -> Result<(), Error> {
        let step = || format!("step {} ({what})", self.steps);
        if bits_used <= bits_allowed { Ok(()) } else { Err(Error::Overflow { step: step(), bits_used, bits_allowed }) }
    }

    /// x ≫ shift, rounded up with the probability of the part that is dropped, as the servers do: always rounding down
    /// would add an error that they do not have. The same in every run.
    pub(crate) fn truncate(&mut self, x: &Tensor<i128>, shift: u32) -> Tensor<i128> {
        let mut next = || {
            self.noise = self.noise.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.noise ^ self.noise >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            i128::from(mixed ^ mixed >> 31)
        };
        let part = (1i128 << shift) - 1;
        x.map(|x| (x + ((next() << 63 ^ next()) & part)) >> shift)
    }

    /// The product element by element.
    ///
    /// # Errors
    /// If it does not fit 128 bits.
    pub(crate) fn elements(&self, a: &Tensor<i128>, b: &Tensor<i128>) -> Result<Tensor<i128>, Error> {
        self.check_exact("product", Self::most_bits(a) + Self::most_bits(b), 128)?;
        Ok(a.zip(b, i128::times))
    }
}
