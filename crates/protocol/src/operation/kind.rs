//! What a value is, whichever world it is in.

use super::world::{self, World};
use crate::material::word::RingWord;
use std::marker::PhantomData;

/// The kind of an operand or a result: which of a world's types it has.
pub trait Kind {
    /// Its type in a world.
    type In<T: World>;

    /// Its value in the world in which there are no values.
    fn uncounted() -> Self::In<world::Forms>;
}

/// Additive shares in words `W`.
#[derive(Debug)]
pub struct Share<W>(PhantomData<W>);

/// A masked value in words `W`.
#[derive(Debug)]
pub struct Masked<W>(PhantomData<W>);

/// Bits in exclusive-or shares.
#[derive(Debug)]
pub enum Bits {}

/// Masked bits.
#[derive(Debug)]
pub enum MaskedBits {}

impl<W: RingWord> Kind for Share<W> {
    type In<T: World> = T::Share<W>;
    fn uncounted() {}
}

impl<W: RingWord> Kind for Masked<W> {
    type In<T: World> = T::Masked<W>;
    fn uncounted() {}
}

impl Kind for Bits {
    type In<T: World> = T::Bits;
    fn uncounted() {}
}

impl Kind for MaskedBits {
    type In<T: World> = T::MaskedBits;
    fn uncounted() {}
}

/// No operand: a weight, for instance, comes from the program.
impl Kind for () {
    type In<T: World> = ();
    fn uncounted() {}
}

impl<A: Kind, B: Kind> Kind for (A, B) {
    type In<T: World> = (A::In<T>, B::In<T>);
    fn uncounted() -> Self::In<world::Forms> {
        (A::uncounted(), B::uncounted())
    }
}

impl<A: Kind, B: Kind, C: Kind> Kind for (A, B, C) {
    type In<T: World> = (A::In<T>, B::In<T>, C::In<T>);
    fn uncounted() -> Self::In<world::Forms> {
        (A::uncounted(), B::uncounted(), C::uncounted())
    }
}
