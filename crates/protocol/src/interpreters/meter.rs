//! The cost meter: shapes only. Openings, bytes and material of a program, without running it.

use super::Interpreter;
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::machine::Machine;
use crate::program::{OutputSize, OutputSpec, Program, WeightId};
use crate::protocols::comparison::{self, Comparison};
use crate::protocols::exponential::{self, Layout};
use crate::protocols::extension::Lift;
use crate::protocols::{
    extension, linear, opening, piecewise, point, product, rectifier, rectifier_digits, selection, spline_keys, table,
};
use crate::record::RingWord;
use crate::spline::Function;
use blindroute_ring::Shape;

/// What a program costs, whatever its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Simultaneous exchanges of the servers.
    pub openings: usize,
    /// Payload bytes that each server sends the other.
    pub opening_bytes: usize,
    /// Bytes that the dealer sends: corrections to party one, and those of keys to both, counted twice.
    pub material_bytes: usize,
}

/// Runs programs on shapes.
#[derive(Debug, Default)]
pub struct Meter {
    cost: Cost,
    outputs: Vec<OutputSpec>,
}

impl Meter {
    /// The cost of a program.
    ///
    /// # Errors
    /// If the program is wrong.
    pub fn cost<P: Program>(program: &P) -> Result<Cost, Error> {
        Ok(Self::run(program)?.cost)
    }

    /// The sizes of what a program reveals to the client, and why it may.
    ///
    /// # Errors
    /// If the program is wrong.
    pub fn outputs<P: Program>(program: &P) -> Result<Vec<OutputSpec>, Error> {
        Ok(Self::run(program)?.outputs)
    }

    fn run<P: Program>(program: &P) -> Result<Self, Error> {
        let (weights, inputs) = (program.weights(), program.inputs());
        let mut machine = Machine::new(Self::default(), &weights, &inputs);
        program.run(&mut machine)?;
        Ok(machine.into_interpreter())
    }

    fn material(&mut self, bytes: usize) {
        self.cost.material_bytes += bytes;
    }

    fn message(&mut self, bytes: usize) {
        self.cost.opening_bytes += bytes;
    }

    fn bits_opening(&mut self, planes: usize, len: usize) {
        self.message(BitTensor::byte_len(planes, len));
    }
}

impl Interpreter for Meter {
    type Share<W: RingWord> = ();
    type Masked<W: RingWord> = ();
    type Bits = ();
    type MaskedBits = ();
    type Pending<W: RingWord> = ();
    type PendingBits = ();

    fn input<W: RingWord>(&mut self, _index: usize, _out: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn reveal<W: RingWord>(&mut self, (): (), form: &Form, reason: &'static str) -> Result<(), Error> {
        self.outputs.push(OutputSpec { size: OutputSize::Words(*form), reason });
        Ok(())
    }
    fn reveal_bits(&mut self, (): (), shape: Shape, reason: &'static str) -> Result<(), Error> {
        self.outputs.push(OutputSpec { size: OutputSize::Bits(shape.len()), reason });
        Ok(())
    }
    fn add_constant<W: RingWord>(&mut self, (): &mut (), _form: &Form, _value: &[f64]) -> Result<(), Error> {
        Ok(())
    }
    fn constants<W: RingWord>(&mut self, _values: &[f64], _out: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn cut<W: RingWord>(&mut self, (): (), _form: &Form, _shift: u32) -> Result<(), Error> {
        Ok(())
    }
    fn share_of<W: RingWord>(&mut self, (): &(), _form: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn defer<W: RingWord>(&mut self, (): (), form: &Form) -> Result<(), Error> {
        self.message(opening::cost(form));
        Ok(())
    }
    fn defer_bits(&mut self, (): (), planes: usize, len: usize) -> Result<(), Error> {
        self.bits_opening(planes, len);
        Ok(())
    }
    fn exchange(&mut self) -> Result<(), Error> {
        self.cost.openings += 1;
        Ok(())
    }
    fn take<W: RingWord>(&mut self, (): (), _form: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn take_bits(&mut self, (): ()) -> Result<(), Error> {
        Ok(())
    }
    fn bias<W: RingWord>(&mut self, _weight: WeightId, _out: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn linear<W: RingWord>(&mut self, (): &(), _form: &Form, _weight: WeightId, out: &Form) -> Result<(), Error> {
        self.material(linear::cost(out));
        Ok(())
    }
    fn scale_columns<W: RingWord>(
        &mut self,
        (): &(),
        _form: &Form,
        _weight: WeightId,
        out: &Form,
    ) -> Result<(), Error> {
        self.material(linear::cost(out));
        Ok(())
    }
    fn matmul<W: RingWord>(
        &mut self,
        _a: (&(), &Form),
        _b: (&(), &Form),
        _transposed: bool,
        out: &Form,
    ) -> Result<(), Error> {
        self.material(product::cost(out));
        Ok(())
    }
    fn product<W: RingWord>(&mut self, _a: (&(), &Form), _b: (&(), &Form), out: &Form) -> Result<(), Error> {
        self.material(product::cost(out));
        Ok(())
    }
    fn product_extended<A: RingWord, B: RingWord, V: RingWord>(
        &mut self,
        ((), form_a, cut_a): (&(), &Form, u32),
        ((), form_b, cut_b): (&(), &Form, u32),
        out: &Form,
    ) -> Result<(), Error> {
        let lifts = (Lift::new(form_a, cut_a), Lift::new(form_b, cut_b));
        self.material(extension::cost_product(form_b.shape.len(), lifts, out));
        Ok(())
    }
    fn square_sum<W: RingWord, V: RingWord>(
        &mut self,
        (): &(),
        form: &Form,
        shift: u32,
        out: &Form,
    ) -> Result<(), Error> {
        self.material(extension::cost_square_sum(form.shape.len(), Lift::new(form, shift), out));
        Ok(())
    }
    fn to_word<W: RingWord, V: RingWord>(&mut self, (): &()) {}
    fn extend<W: RingWord, V: RingWord>(&mut self, (): &(), form: &Form, shift: u32, out: &Form) -> Result<(), Error> {
        self.material(extension::cost_lift(form.shape.len(), Lift::new(form, shift), out.bits));
        Ok(())
    }
    fn compare<W: RingWord>(&mut self, (): &(), form: &Form, comparison: &Comparison) -> Result<(), Error> {
        let len = form.shape.len();
        let (opening, material) = comparison::cost(len, comparison);
        self.message(opening);
        self.material(material);
        self.exchange()?;
        self.bits_opening(comparison.thresholds.len(), len);
        self.exchange()
    }
    fn compare_by_keys<W: RingWord>(&mut self, (): &(), form: &Form, comparison: &Comparison) -> Result<(), Error> {
        self.material(point::cost(form.shape.len(), comparison));
        self.bits_opening(comparison.thresholds.len(), form.shape.len());
        self.exchange()
    }
    fn rectify_by_digits<W: RingWord, V: RingWord>(
        &mut self,
        ((), form, shift): (&(), &Form, u32),
        comparison: &Comparison,
        out: &Form,
    ) -> Result<(), Error> {
        let (opening, material) = rectifier_digits::cost(comparison, Lift::new(form, shift), out);
        self.message(opening);
        self.material(material);
        self.exchange()
    }
    fn rectify_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        ((), form, shift): (&(), &Form, u32),
        comparison: &Comparison,
        out: &Form,
    ) -> Result<(), Error> {
        self.material(rectifier::cost(comparison, Lift::new(form, shift), out));
        Ok(())
    }
    fn spline_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        _x: (&(), &Form, u32),
        comparison: &Comparison,
        _function: &Function,
        out: &Form,
    ) -> Result<(), Error> {
        self.material(spline_keys::cost(comparison, out));
        Ok(())
    }
    fn plane(&mut self, (): &(), _plane: usize) {}
    fn restructure_bits(&mut self, (): &(), _structure: &Structure) -> Result<(), Error> {
        Ok(())
    }
    fn select<W: RingWord>(&mut self, (): &(), (): &(), form: &Form) -> Result<(), Error> {
        // The third tensor of `select` is the mask itself, which costs nothing.
        self.material(selection::cost_select(form));
        Ok(())
    }
    fn select_extended<W: RingWord, V: RingWord>(
        &mut self,
        (): &(),
        ((), form, shift): (&(), &Form, u32),
        out: &Form,
    ) -> Result<(), Error> {
        self.material(selection::cost_select_extended(Lift::new(form, shift), out));
        Ok(())
    }
    fn piecewise<W: RingWord>(
        &mut self,
        (): &(),
        (): &(),
        form: &Form,
        function: &Function,
        _out: &Form,
    ) -> Result<(), Error> {
        self.material(piecewise::cost(form, function.spline()));
        Ok(())
    }
    fn exponential<W: RingWord, V: RingWord>(&mut self, (): &(), form: &Form, out: &Form) -> Result<(), Error> {
        let (openings, material) = exponential::cost(form, Layout::new(form)?, out);
        self.material(material);
        for bytes in openings {
            self.message(bytes);
            self.exchange()?;
        }
        Ok(())
    }
    fn bits_to_share<W: RingWord>(&mut self, (): &(), out: &Form) -> Result<(), Error> {
        self.material(selection::cost_bits(out));
        Ok(())
    }
    fn bits_product<W: RingWord>(&mut self, (): &(), (): &(), out: &Form) -> Result<(), Error> {
        self.material(selection::cost_product(out));
        Ok(())
    }
    fn lookup<W: RingWord, V: RingWord>(
        &mut self,
        (): &(),
        form: &Form,
        _table: &[i64],
        out: &Form,
    ) -> Result<(), Error> {
        self.material(table::cost(form, out));
        Ok(())
    }
    fn lookup_bits<W: RingWord>(&mut self, (): &(), form: &Form, _table: &[bool]) -> Result<(), Error> {
        self.material(table::cost_bits(form));
        Ok(())
    }
}
