//! The fixed-point interpreter: what the servers compute, unshared, with every range checked.

use crate::error::Error;
use crate::form::Form;
use crate::machine::Machine;
use crate::machine::interpreter::{Interpreter, MaskedBitsOf, MaskedOf, opens_alone};
use crate::material::word::RingWord;
use crate::operation::world::{self, Planes};
use crate::operation::{Headroom, Kind, Operation, Ranges, Returned};
use crate::program::{Output, Program};
use crate::weight_spec::{WeightSpec, check_weights};
use blindroute_ring::{Shape, Tensor, fixed};
use std::sync::Arc;

/// Runs programs on unshared ring integers and fails where a value would leave its ring or window.
#[derive(Debug)]
pub struct Fixed {
    inputs: Vec<Tensor<i128>>,
    output: Output,
    ranges: Ranges,
}

fn encode(tensor: &Tensor<f32>, fraction: u32) -> Tensor<i128> {
    tensor.map(|x| fixed::encode::<u128>(f64::from(x), fraction) as i128)
}

impl Fixed {
    /// Runs a program, returning its output and the room left at every check.
    ///
    /// # Errors
    /// If a value overflows, or weights or inputs do not fit.
    pub fn run<P: Program>(
        program: &P,
        weights: &[Tensor<f32>],
        inputs: &[Tensor<f32>],
    ) -> Result<(Output, Vec<Headroom>), Error> {
        let (specs, forms) = (program.weights(), program.inputs());
        check_weights(&specs, weights)?;
        let encode_weight = |(spec, weight): (&WeightSpec, &Tensor<f32>)| encode(weight, spec.fraction);
        let interpreter = Self {
            inputs: forms.iter().zip(inputs).map(|(form, input)| encode(input, form.fraction)).collect(),
            output: Output::default(),
            ranges: Ranges::new(specs.iter().zip(weights).map(encode_weight).collect()),
        };
        let mut machine = Machine::new(interpreter, &specs, &forms);
        program.run(&mut machine)?;
        let fixed = machine.into_interpreter();
        Ok((fixed.output, fixed.ranges.into_headroom()))
    }
}

impl Interpreter for Fixed {
    type World = world::Fixed;
    opens_alone!();

    fn input<W: RingWord>(&mut self, index: usize, _form: &Form) -> Result<Tensor<i128>, Error> {
        let missing = || Error::Program(format!("there is no input {index}"));
        self.inputs.get(index).cloned().ok_or_else(missing)
    }
    fn reveal<W: RingWord>(&mut self, share: Tensor<i128>, form: &Form, _reason: &'static str) -> Result<(), Error> {
        self.ranges.check("output", share.data().iter().copied(), form.bits)?;
        let decode = |&x: &i128| fixed::decode(x as u128, 128, form.fraction);
        self.output.values.push(share.data().iter().map(decode).collect());
        Ok(())
    }
    fn reveal_bits(&mut self, bits: Tensor<i128>, _shape: Shape, _reason: &'static str) -> Result<(), Error> {
        self.output.bits.push(bits.data().iter().map(|&x| x != 0).collect());
        Ok(())
    }
    fn keep<W: RingWord>(&mut self, share: Tensor<i128>, form: &Form) -> Result<(), Error> {
        self.ranges.check("kept", share.data().iter().copied(), form.bits)
    }
    fn add_constant<W: RingWord>(&mut self, share: &mut Tensor<i128>, form: &Form, value: &[f64]) {
        for (x, &value) in share.data_mut().iter_mut().zip(value.iter().cycle()) {
            *x += fixed::encode::<u128>(value, form.fraction) as i128;
        }
    }
    fn constants<W: RingWord>(&mut self, values: &[f64], form: &Form) -> Arc<Tensor<i128>> {
        let encode = |&value: &f64| fixed::encode::<u128>(value, form.fraction) as i128;
        Arc::new(Tensor::new(form.shape, values.iter().map(encode).collect()))
    }
    fn truncate_reduce<W: RingWord>(
        &mut self,
        share: Tensor<i128>,
        form: &Form,
        shift: u32,
    ) -> Result<Tensor<i128>, Error> {
        // The servers' result may be one unit more, and must still fit the ring that is left.
        let most = share.data().iter().flat_map(|&x| [x >> shift, -(-x >> shift)]);
        self.ranges.check("truncation", most, form.bits - shift)?;
        Ok(self.ranges.truncate(&share, shift))
    }
    fn defer<W: RingWord>(&mut self, share: Tensor<i128>, form: &Form) -> Result<Arc<Tensor<i128>>, Error> {
        // Tables and counts live in rings that they fill, without sign.
        let whole_ring = form.fraction == 0 && form.bits <= 16;
        self.ranges.check("opening", share.data().iter().copied(), form.bits + u32::from(whole_ring))?;
        Ok(Arc::new(share))
    }
    fn defer_bits(&mut self, bits: Tensor<i128>, _len: usize) -> Result<Planes<i128>, Error> {
        Ok(Arc::new(vec![bits.into()]))
    }
    fn apply<A: Kind, R: Kind>(
        &mut self,
        operation: &impl Operation<A, R>,
        operands: A::In<world::Fixed>,
    ) -> Returned<R, world::Fixed> {
        operation.fixed(&mut self.ranges, operands)
    }
}
