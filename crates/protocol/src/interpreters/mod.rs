//! The meanings of a program.

pub(crate) mod clear;
pub(crate) mod fixed;
pub(crate) mod meter;
pub(crate) mod offline;
pub(crate) mod online;
#[cfg(test)]
mod reuse;
pub(crate) mod stream;

use crate::error::Error;
use crate::form::Form;
use crate::linear::{Linear, Structure};
use crate::program::WeightId;
use crate::protocols::comparison::Comparison;
use crate::record::RingWord;
use crate::spline::Function;
use blindroute_ring::Shape;

/// What a machine's operations mean. Programs call [`Machine`](crate::Machine), which keeps the forms; an interpreter
/// keeps the payloads. Forms passed in are those of the operands, `out` is that of the result.
///
/// Methods correspond one to one to the machine's, where they are documented.
#[allow(missing_docs)]
pub trait Interpreter: Sized {
    type Share<W: RingWord>: Linear;
    type Masked<W: RingWord>: Linear + Clone;
    type Bits;
    type MaskedBits: Clone;
    type Pending<W: RingWord>;
    type PendingBits;

    fn input<W: RingWord>(&mut self, index: usize, out: &Form) -> Result<Self::Share<W>, Error>;
    fn reveal<W: RingWord>(&mut self, share: Self::Share<W>, form: &Form, reason: &'static str) -> Result<(), Error>;
    fn reveal_bits(&mut self, bits: Self::Bits, shape: Shape, reason: &'static str) -> Result<(), Error>;

    fn add_constant<W: RingWord>(
        &mut self,
        share: &mut Self::Share<W>,
        form: &Form,
        value: &[f64],
    ) -> Result<(), Error>;
    fn constants<W: RingWord>(&mut self, values: &[f64], out: &Form) -> Result<Self::Masked<W>, Error>;
    fn cut<W: RingWord>(&mut self, share: Self::Share<W>, form: &Form, shift: u32) -> Result<Self::Share<W>, Error>;
    fn share_of<W: RingWord>(&mut self, x: &Self::Masked<W>, form: &Form) -> Result<Self::Share<W>, Error>;

    fn defer<W: RingWord>(&mut self, share: Self::Share<W>, form: &Form) -> Result<Self::Pending<W>, Error>;
    fn defer_bits(&mut self, bits: Self::Bits, planes: usize, len: usize) -> Result<Self::PendingBits, Error>;
    fn exchange(&mut self) -> Result<(), Error>;
    fn take<W: RingWord>(&mut self, pending: Self::Pending<W>, form: &Form) -> Result<Self::Masked<W>, Error>;
    fn take_bits(&mut self, pending: Self::PendingBits) -> Result<Self::MaskedBits, Error>;

    fn bias<W: RingWord>(&mut self, weight: WeightId, out: &Form) -> Result<Self::Share<W>, Error>;
    fn linear<W: RingWord>(
        &mut self,
        x: &Self::Masked<W>,
        form: &Form,
        weight: WeightId,
        out: &Form,
    ) -> Result<Self::Share<W>, Error>;
    fn scale_columns<W: RingWord>(
        &mut self,
        x: &Self::Masked<W>,
        form: &Form,
        weight: WeightId,
        out: &Form,
    ) -> Result<Self::Share<W>, Error>;
    fn matmul<W: RingWord>(
        &mut self,
        a: (&Self::Masked<W>, &Form),
        b: (&Self::Masked<W>, &Form),
        transposed: bool,
        out: &Form,
    ) -> Result<Self::Share<W>, Error>;
    fn product<W: RingWord>(
        &mut self,
        a: (&Self::Masked<W>, &Form),
        b: (&Self::Masked<W>, &Form),
        out: &Form,
    ) -> Result<Self::Share<W>, Error>;
    fn product_extended<A: RingWord, B: RingWord, V: RingWord>(
        &mut self,
        a: (&Self::Masked<A>, &Form, u32),
        b: (&Self::Masked<B>, &Form, u32),
        out: &Form,
    ) -> Result<Self::Share<V>, Error>;
    fn square_sum<W: RingWord, V: RingWord>(
        &mut self,
        x: &Self::Masked<W>,
        form: &Form,
        shift: u32,
        out: &Form,
    ) -> Result<Self::Share<V>, Error>;

    fn to_word<W: RingWord, V: RingWord>(&mut self, x: &Self::Masked<W>) -> Self::Masked<V>;
    fn extend<W: RingWord, V: RingWord>(
        &mut self,
        x: &Self::Masked<W>,
        form: &Form,
        shift: u32,
        out: &Form,
    ) -> Result<Self::Share<V>, Error>;

    fn compare<W: RingWord>(
        &mut self,
        x: &Self::Masked<W>,
        form: &Form,
        comparison: &Comparison,
    ) -> Result<Self::MaskedBits, Error>;
    /// [`compare`](Self::compare) by keys of function secret sharing: the same result.
    fn compare_by_keys<W: RingWord>(
        &mut self,
        x: &Self::Masked<W>,
        form: &Form,
        comparison: &Comparison,
    ) -> Result<Self::MaskedBits, Error> {
        self.compare(x, form, comparison)
    }
    /// A comparison of two digits and its selection at once, in one opening.
    fn rectify_by_digits<W: RingWord, V: RingWord>(
        &mut self,
        (x, form, shift): (&Self::Masked<W>, &Form, u32),
        comparison: &Comparison,
        out: &Form,
    ) -> Result<Self::Share<V>, Error> {
        let bits = self.compare(x, form, comparison)?;
        self.select_extended(&bits, (x, form, shift), out)
    }
    /// The same by keys, without an opening.
    fn rectify_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        x: (&Self::Masked<W>, &Form, u32),
        comparison: &Comparison,
        out: &Form,
    ) -> Result<Self::Share<V>, Error> {
        self.rectify_by_digits(x, comparison, out)
    }
    /// A comparison with a spline's knots by keys, and the spline of `x`, cut by `shift` and lifted on the way, without
    /// an opening.
    fn spline_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        (x, form, shift): (&Self::Masked<W>, &Form, u32),
        comparison: &Comparison,
        function: &Function,
        out: &Form,
    ) -> Result<Self::Share<V>, Error> {
        let wide = Form { fraction: form.fraction - shift, ..*out };
        let copy = self.extend::<W, V>(x, form, shift, &wide)?;
        let copy = self.defer(copy, &wide)?;
        let copy = self.take(copy, &wide)?;
        let inside = self.compare(x, form, comparison)?;
        self.piecewise(&inside, &copy, &wide, function, out)
    }
    fn restructure_bits(&mut self, bits: &Self::MaskedBits, structure: &Structure) -> Result<Self::MaskedBits, Error>;
    fn plane(&mut self, bits: &Self::MaskedBits, plane: usize) -> Self::MaskedBits;
    fn select<W: RingWord>(
        &mut self,
        bits: &Self::MaskedBits,
        x: &Self::Masked<W>,
        form: &Form,
    ) -> Result<Self::Share<W>, Error>;
    fn select_extended<W: RingWord, V: RingWord>(
        &mut self,
        bits: &Self::MaskedBits,
        x: (&Self::Masked<W>, &Form, u32),
        out: &Form,
    ) -> Result<Self::Share<V>, Error>;
    fn piecewise<W: RingWord>(
        &mut self,
        bits: &Self::MaskedBits,
        x: &Self::Masked<W>,
        form: &Form,
        function: &Function,
        out: &Form,
    ) -> Result<Self::Share<W>, Error>;
    fn exponential<W: RingWord, V: RingWord>(
        &mut self,
        x: &Self::Masked<W>,
        form: &Form,
        out: &Form,
    ) -> Result<Self::Share<V>, Error>;
    fn bits_to_share<W: RingWord>(&mut self, bits: &Self::MaskedBits, out: &Form) -> Result<Self::Share<W>, Error>;
    fn bits_product<W: RingWord>(
        &mut self,
        a: &Self::MaskedBits,
        b: &Self::MaskedBits,
        out: &Form,
    ) -> Result<Self::Share<W>, Error>;
    fn lookup<W: RingWord, V: RingWord>(
        &mut self,
        x: &Self::Masked<W>,
        form: &Form,
        table: &[i64],
        out: &Form,
    ) -> Result<Self::Share<V>, Error>;
    fn lookup_bits<W: RingWord>(
        &mut self,
        x: &Self::Masked<W>,
        form: &Form,
        table: &[bool],
    ) -> Result<Self::Bits, Error>;
}
