//! What gives a program a meaning.

use crate::error::Error;
use crate::form::Form;
use crate::material::word::RingWord;
use crate::operation::{Kind, Operation, Returned, World};
use blindroute_ring::Shape;

/// Shares of words `W`, as interpreter `I` has them.
pub(crate) type ShareOf<I, W> = <<I as Interpreter>::World as World>::Share<W>;
/// A masked value in words `W`, as interpreter `I` has it.
pub(crate) type MaskedOf<I, W> = <<I as Interpreter>::World as World>::Masked<W>;
/// Shared bits, as interpreter `I` has them.
pub(crate) type BitsOf<I> = <<I as Interpreter>::World as World>::Bits;
/// Masked bits, as interpreter `I` has them.
pub(crate) type MaskedBitsOf<I> = <<I as Interpreter>::World as World>::MaskedBits;

/// What a machine's primitives mean: how values enter and leave, are opened, and what an operation does with them.
///
/// Programs call [`Machine`](crate::Machine), which keeps the forms; an interpreter keeps the payloads. Forms passed in
/// are those of the operands.
#[allow(missing_docs)]
pub trait Interpreter: Sized {
    /// What values are.
    type World: World;
    /// A share that leaves with the next exchange.
    type Pending<W: RingWord>;
    /// Bits that leave with the next exchange.
    type PendingBits;

    fn input<W: RingWord>(&mut self, index: usize, form: &Form) -> Result<ShareOf<Self, W>, Error>;
    fn reveal<W: RingWord>(&mut self, share: ShareOf<Self, W>, form: &Form, reason: &'static str) -> Result<(), Error>;
    fn reveal_bits(&mut self, bits: BitsOf<Self>, shape: Shape, reason: &'static str) -> Result<(), Error>;
    fn keep<W: RingWord>(&mut self, share: ShareOf<Self, W>, form: &Form) -> Result<(), Error>;

    fn add_constant<W: RingWord>(&mut self, share: &mut ShareOf<Self, W>, form: &Form, value: &[f64]);
    fn constants<W: RingWord>(&mut self, values: &[f64], form: &Form) -> MaskedOf<Self, W>;
    fn truncate_reduce<W: RingWord>(
        &mut self,
        share: ShareOf<Self, W>,
        form: &Form,
        shift: u32,
    ) -> Result<ShareOf<Self, W>, Error>;

    fn defer<W: RingWord>(&mut self, share: ShareOf<Self, W>, form: &Form) -> Result<Self::Pending<W>, Error>;
    fn defer_bits(&mut self, bits: BitsOf<Self>, len: usize) -> Result<Self::PendingBits, Error>;
    fn exchange(&mut self) -> Result<(), Error>;
    fn take<W: RingWord>(&mut self, pending: Self::Pending<W>, form: &Form) -> Result<MaskedOf<Self, W>, Error>;
    fn take_bits(&mut self, pending: Self::PendingBits) -> Result<MaskedBitsOf<Self>, Error>;

    /// The meaning of an operation.
    ///
    /// # Errors
    /// From the operation.
    fn apply<A: Kind, R: Kind>(
        &mut self,
        operation: &impl Operation<A, R>,
        operands: A::In<Self::World>,
    ) -> Returned<R, Self::World>;
}

/// The openings of an interpreter that waits for nobody: a deferred share is its masked value at once.
macro_rules! opens_alone {
    () => {
        type Pending<W: RingWord> = MaskedOf<Self, W>;
        type PendingBits = MaskedBitsOf<Self>;

        fn exchange(&mut self) -> Result<(), Error> {
            Ok(())
        }
        fn take<W: RingWord>(&mut self, pending: MaskedOf<Self, W>, _form: &Form) -> Result<MaskedOf<Self, W>, Error> {
            Ok(pending)
        }
        fn take_bits(&mut self, pending: MaskedBitsOf<Self>) -> Result<MaskedBitsOf<Self>, Error> {
            Ok(pending)
        }
    };
}
pub(crate) use opens_alone;
