//! The worlds that a program means something in, and what a value is in each.

use crate::bits::BitTensor;
use crate::error::Error;
use crate::linear::{Linear, Structure};
use crate::material::word::RingWord;
use crate::secret::Secret;
use blindroute_ring::{Scalar, Tensor, Word};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

/// The types of values in one meaning of a program, and what costs nothing in any.
pub trait World {
    /// Additive shares.
    type Share<W: RingWord>: Linear;
    /// A masked value.
    type Masked<W: RingWord>: Linear + Clone;
    /// Bits in exclusive-or shares.
    type Bits;
    /// Masked bits, in planes.
    type MaskedBits: Clone;

    /// The same share in another word.
    fn share_to_word<W: RingWord, V: RingWord>(x: Self::Share<W>) -> Self::Share<V>;
    /// The same masked value in another word.
    fn to_word<W: RingWord, V: RingWord>(x: &Self::Masked<W>) -> Self::Masked<V>;
    /// One plane of several.
    fn plane(bits: &Self::MaskedBits, plane: usize) -> Self::MaskedBits;
    /// Bits rearranged.
    ///
    /// # Errors
    /// If bits cannot be rearranged like that.
    fn restructure_bits(bits: &Self::MaskedBits, structure: &Structure) -> Result<Self::MaskedBits, Error>;
}

/// One tensor per plane, of zeros and ones.
pub type Planes<T> = Arc<Vec<Plane<T>>>;

/// A tensor of zeros and ones, computed when it is first read: functions with many pieces compare with every knot, and the
/// clear interpreter reads few of the results.
#[derive(Clone)]
pub struct Plane<T>(Arc<LazyLock<Tensor<T>, Later<T>>>);

type Later<T> = Box<dyn FnOnce() -> Tensor<T> + Send>;

impl<T> Plane<T> {
    /// The plane that `make` computes.
    pub fn later(make: impl FnOnce() -> Tensor<T> + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }
}

impl<T: Send + 'static> From<Tensor<T>> for Plane<T> {
    fn from(tensor: Tensor<T>) -> Self {
        Self::later(move || tensor)
    }
}

impl<T> Deref for Plane<T> {
    type Target = Tensor<T>;

    fn deref(&self) -> &Tensor<T> {
        &self.0
    }
}

impl<T> std::fmt::Debug for Plane<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plane")
    }
}

/// Values that nobody hides, in elements `T`.
#[derive(Debug)]
pub struct Plain<T>(PhantomData<T>);

/// Real numbers.
pub type Clear = Plain<f32>;

/// The rings' integers, unshared and as wide as they become.
pub type Fixed = Plain<i128>;

impl<T: Scalar> World for Plain<T> {
    type Share<W: RingWord> = Tensor<T>;
    type Masked<W: RingWord> = Arc<Tensor<T>>;
    type Bits = Tensor<T>;
    type MaskedBits = Planes<T>;

    fn share_to_word<W: RingWord, V: RingWord>(x: Tensor<T>) -> Tensor<T> {
        x
    }
    fn to_word<W: RingWord, V: RingWord>(x: &Arc<Tensor<T>>) -> Arc<Tensor<T>> {
        Arc::clone(x)
    }
    fn plane(bits: &Planes<T>, plane: usize) -> Planes<T> {
        Arc::new(vec![bits[plane].clone()])
    }
    fn restructure_bits(bits: &Planes<T>, structure: &Structure) -> Result<Planes<T>, Error> {
        Ok(Arc::new(bits.iter().map(|plane| (**plane).restructure(structure).into()).collect()))
    }
}

/// No values at all: only forms count.
#[derive(Debug)]
pub enum Forms {}

impl World for Forms {
    type Share<W: RingWord> = ();
    type Masked<W: RingWord> = ();
    type Bits = ();
    type MaskedBits = ();

    fn share_to_word<W: RingWord, V: RingWord>((): ()) {}
    fn to_word<W: RingWord, V: RingWord>((): &()) {}
    fn plane((): &(), _plane: usize) {}
    fn restructure_bits((): &(), _structure: &Structure) -> Result<(), Error> {
        Ok(())
    }
}

/// Masks δ (the dealer's) or shares of them (a server's); a value that is not masked has none.
#[derive(Debug)]
pub enum Offline {}

impl World for Offline {
    type Share<W: RingWord> = ();
    type Masked<W: RingWord> = Arc<Secret<W>>;
    type Bits = ();
    type MaskedBits = Arc<BitTensor>;

    fn share_to_word<W: RingWord, V: RingWord>((): ()) {}
    fn to_word<W: RingWord, V: RingWord>(x: &Arc<Secret<W>>) -> Arc<Secret<V>> {
        Arc::new(Secret::new(x.expose().map(Word::cast)))
    }
    fn plane(bits: &Arc<BitTensor>, plane: usize) -> Arc<BitTensor> {
        Arc::new(bits.only(plane))
    }
    fn restructure_bits(bits: &Arc<BitTensor>, structure: &Structure) -> Result<Arc<BitTensor>, Error> {
        bits.restructure(structure).map(Arc::new)
    }
}

/// A server's shares, and the public parts m of masked values.
#[derive(Debug)]
pub enum Online {}

impl World for Online {
    type Share<W: RingWord> = Secret<W>;
    type Masked<W: RingWord> = Arc<Tensor<W>>;
    type Bits = BitTensor;
    type MaskedBits = Arc<BitTensor>;

    fn share_to_word<W: RingWord, V: RingWord>(x: Secret<W>) -> Secret<V> {
        Secret::new(x.expose().map(Word::cast))
    }
    fn to_word<W: RingWord, V: RingWord>(x: &Arc<Tensor<W>>) -> Arc<Tensor<V>> {
        Arc::new(x.map(Word::cast))
    }
    fn plane(bits: &Arc<BitTensor>, plane: usize) -> Arc<BitTensor> {
        Arc::new(bits.only(plane))
    }
    fn restructure_bits(bits: &Arc<BitTensor>, structure: &Structure) -> Result<Arc<BitTensor>, Error> {
        bits.restructure(structure).map(Arc::new)
    }
}
