//! The fixed-point interpreter: what the servers compute, unshared, with every range checked.

use super::Interpreter;
use crate::error::Error;
use crate::form::Form;
use crate::linear::{Linear, Structure};
use crate::machine::Machine;
use crate::program::{Output, Program, WeightId, WeightSpec, check_weights};
use crate::protocols::comparison::Comparison;
use crate::protocols::{exponential, product};
use crate::record::RingWord;
use crate::spline::Function;
use blindroute_ring::{Scalar, Shape, Tensor, fixed};
use std::sync::Arc;

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

/// Runs programs on unshared ring integers and fails where a value would leave its ring or window.
#[derive(Debug)]
pub struct Fixed {
    weights: Vec<Tensor<i128>>,
    inputs: Vec<Tensor<i128>>,
    output: Output,
    headroom: Vec<Headroom>,
    steps: usize,
    /// Stands for the masks' low bits.
    noise: u64,
}

type Planes = Arc<Vec<Tensor<i128>>>;

fn encode(tensor: &Tensor<f32>, fraction: u32) -> Tensor<i128> {
    tensor.map(|x| fixed::encode::<u128>(f64::from(x), fraction) as i128)
}

fn bits_of(x: i128) -> u32 {
    129 - if x < 0 { (!x).leading_zeros() } else { x.leading_zeros() }
}

/// Bits that the largest element takes, sign included.
fn most_bits(tensor: &Tensor<i128>) -> u32 {
    tensor.data().iter().map(|&x| bits_of(x)).max().unwrap_or(1)
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
            weights: specs.iter().zip(weights).map(encode_weight).collect(),
            inputs: forms.iter().zip(inputs).map(|(form, input)| encode(input, form.fraction)).collect(),
            output: Output::default(),
            headroom: Vec::new(),
            steps: 0,
            noise: 0,
        };
        let mut machine = Machine::new(interpreter, &specs, &forms);
        program.run(&mut machine)?;
        let fixed = machine.into_interpreter();
        Ok((fixed.output, fixed.headroom))
    }

    fn check(&mut self, what: &str, values: impl Iterator<Item = i128>, bits_allowed: u32) -> Result<(), Error> {
        let bits_used = values.map(bits_of).max().unwrap_or(1);
        let step = format!("step {} ({what})", self.steps);
        self.steps += 1;
        if bits_used > bits_allowed {
            return Err(Error::Overflow { step, bits_used, bits_allowed });
        }
        self.headroom.push(Headroom { step, bits_used, bits_allowed });
        Ok(())
    }

    /// x ≫ shift, rounded up with the probability of the part that is cut off, as the servers do: always rounding down
    /// would add an error that they do not have. The same in every run.
    fn cut_low(&mut self, x: &Tensor<i128>, shift: u32) -> Tensor<i128> {
        let mut next = || {
            self.noise = self.noise.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.noise ^ self.noise >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            i128::from(mixed ^ mixed >> 31)
        };
        let part = (1i128 << shift) - 1;
        x.map(|x| (x + ((next() << 63 ^ next()) & part)) >> shift)
    }

    /// What is lifted to another ring must leave one bit of its own, beside the sign, unused.
    fn check_lift(&mut self, what: &str, x: &Tensor<i128>, form: &Form) -> Result<(), Error> {
        self.check(what, x.data().iter().copied(), form.bits - 1)
    }

    /// Fails where this interpreter's own arithmetic would not be exact. What the servers' rings allow is checked where
    /// a result is opened, lifted, cut or compared: products are exact modulo the ring, however large they are before.
    fn check_exact(&self, what: &str, bits_used: u32, bits_allowed: u32) -> Result<(), Error> {
        let step = || format!("step {} ({what})", self.steps);
        if bits_used <= bits_allowed { Ok(()) } else { Err(Error::Overflow { step: step(), bits_used, bits_allowed }) }
    }

    /// The product element by element.
    fn elements(&self, a: &Tensor<i128>, b: &Tensor<i128>) -> Result<Tensor<i128>, Error> {
        self.check_exact("product", most_bits(a) + most_bits(b), 128)?;
        Ok(a.zip(b, i128::times))
    }

    /// A product through the u64 kernel, exact because its bound is checked to fit 64 bits.
    fn multiply(
        &self,
        a: &Tensor<i128>,
        b: &Tensor<i128>,
        transposed: bool,
        inner: usize,
    ) -> Result<Tensor<i128>, Error> {
        self.check_exact("matrix product", most_bits(a) + most_bits(b) + inner.max(1).ilog2(), 64)?;
        let word = |x: i128| x as u64;
        let product = product::multiply(&a.map(word), &b.map(word), transposed, 64);
        Ok(product.map(|word| i128::from(word as i64)))
    }

    fn bits_of_comparison(&mut self, x: &Tensor<i128>, comparison: &Comparison) -> Result<Vec<Tensor<i128>>, Error> {
        let differences: Vec<Tensor<i128>> =
            comparison.thresholds.iter().map(|&t| x.map(|x| (x - i128::from(t)) >> comparison.low)).collect();
        // The servers' difference may be one unit more where low bits are left out.
        let most = |&t: &i64| x.data().iter().map(move |x| -((i128::from(t) - x) >> comparison.low));
        let extremes = differences.iter().flat_map(|plane| plane.data()).copied();
        self.check("comparison", extremes.chain(comparison.thresholds.iter().flat_map(most)), comparison.window())?;
        Ok(differences.iter().map(|plane| plane.map(|d| i128::from(d >= 0))).collect())
    }
}

impl Interpreter for Fixed {
    type Share<W: RingWord> = Tensor<i128>;
    type Masked<W: RingWord> = Arc<Tensor<i128>>;
    type Bits = Tensor<i128>;
    type MaskedBits = Planes;
    type Pending<W: RingWord> = Arc<Tensor<i128>>;
    type PendingBits = Planes;

    fn input<W: RingWord>(&mut self, index: usize, _out: &Form) -> Result<Tensor<i128>, Error> {
        let missing = || Error::Program(format!("there is no input {index}"));
        self.inputs.get(index).cloned().ok_or_else(missing)
    }
    fn reveal<W: RingWord>(&mut self, share: Tensor<i128>, form: &Form, _reason: &'static str) -> Result<(), Error> {
        self.check("output", share.data().iter().copied(), form.bits)?;
        let decode = |&x: &i128| fixed::decode(x as u128, 128, form.fraction);
        self.output.values.push(share.data().iter().map(decode).collect());
        Ok(())
    }
    fn reveal_bits(&mut self, bits: Tensor<i128>, _shape: Shape, _reason: &'static str) -> Result<(), Error> {
        self.output.bits.push(bits.data().iter().map(|&x| x != 0).collect());
        Ok(())
    }
    fn add_constant<W: RingWord>(&mut self, share: &mut Tensor<i128>, form: &Form, value: &[f64]) -> Result<(), Error> {
        for (x, &value) in share.data_mut().iter_mut().zip(value.iter().cycle()) {
            *x += fixed::encode::<u128>(value, form.fraction) as i128;
        }
        Ok(())
    }
    fn constants<W: RingWord>(&mut self, values: &[f64], out: &Form) -> Result<Arc<Tensor<i128>>, Error> {
        let encode = |&value: &f64| fixed::encode::<u128>(value, out.fraction) as i128;
        Ok(Arc::new(Tensor::new(out.shape, values.iter().map(encode).collect())))
    }
    fn cut<W: RingWord>(&mut self, share: Tensor<i128>, form: &Form, shift: u32) -> Result<Tensor<i128>, Error> {
        // The servers' result may be one unit more, and must still fit the ring that is left.
        let most = share.data().iter().flat_map(|&x| [x >> shift, -(-x >> shift)]);
        self.check("cut", most, form.bits - shift)?;
        Ok(self.cut_low(&share, shift))
    }
    fn share_of<W: RingWord>(&mut self, x: &Arc<Tensor<i128>>, _form: &Form) -> Result<Tensor<i128>, Error> {
        Ok((**x).clone())
    }
    fn defer<W: RingWord>(&mut self, share: Tensor<i128>, form: &Form) -> Result<Arc<Tensor<i128>>, Error> {
        // Tables and counts live in rings that they fill, without sign.
        let whole_ring = form.fraction == 0 && form.bits <= 16;
        self.check("opening", share.data().iter().copied(), form.bits + u32::from(whole_ring))?;
        Ok(Arc::new(share))
    }
    fn defer_bits(&mut self, bits: Tensor<i128>, _planes: usize, _len: usize) -> Result<Planes, Error> {
        Ok(Arc::new(vec![bits]))
    }
    fn exchange(&mut self) -> Result<(), Error> {
        Ok(())
    }
    fn take<W: RingWord>(&mut self, pending: Arc<Tensor<i128>>, _form: &Form) -> Result<Arc<Tensor<i128>>, Error> {
        Ok(pending)
    }
    fn take_bits(&mut self, pending: Planes) -> Result<Planes, Error> {
        Ok(pending)
    }
    fn bias<W: RingWord>(&mut self, weight: WeightId, _out: &Form) -> Result<Tensor<i128>, Error> {
        Ok(self.weights[weight.0].clone())
    }
    fn linear<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<i128>>,
        _form: &Form,
        weight: WeightId,
        _out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        let weight = self.weights[weight.0].clone();
        self.multiply(x, &weight, false, weight.shape().rows)
    }
    fn scale_columns<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<i128>>,
        _form: &Form,
        weight: WeightId,
        _out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        self.elements(x, &self.weights[weight.0])
    }
    fn matmul<W: RingWord>(
        &mut self,
        a: (&Arc<Tensor<i128>>, &Form),
        b: (&Arc<Tensor<i128>>, &Form),
        transposed: bool,
        _out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        self.multiply(a.0, b.0, transposed, a.1.shape.columns)
    }
    fn product<W: RingWord>(
        &mut self,
        a: (&Arc<Tensor<i128>>, &Form),
        b: (&Arc<Tensor<i128>>, &Form),
        _out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        self.elements(a.0, b.0)
    }
    fn product_extended<A: RingWord, B: RingWord, V: RingWord>(
        &mut self,
        (a, form_a, cut_a): (&Arc<Tensor<i128>>, &Form, u32),
        (b, form_b, cut_b): (&Arc<Tensor<i128>>, &Form, u32),
        _out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        self.check_lift("lifted factor of elements", a, form_a)?;
        self.check_lift("lifted factor of rows", b, form_b)?;
        let (a, b) = (self.cut_low(a, cut_a), self.cut_low(b, cut_b));
        self.elements(&a, &b)
    }
    fn square_sum<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<i128>>,
        form: &Form,
        shift: u32,
        _out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        self.check_lift("lifted squares", x, form)?;
        let cut = self.cut_low(x, shift);
        let columns = x.shape().columns.max(1);
        self.check_exact("sum of squares", 2 * most_bits(&cut) + columns.ilog2(), 128)?;
        Ok(cut.map(|x| x.times(x)).sum_columns())
    }
    fn to_word<W: RingWord, V: RingWord>(&mut self, x: &Arc<Tensor<i128>>) -> Arc<Tensor<i128>> {
        Arc::clone(x)
    }
    fn extend<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<i128>>,
        form: &Form,
        shift: u32,
        _out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        self.check_lift("extension", x, form)?;
        Ok(self.cut_low(x, shift))
    }
    fn compare<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<i128>>,
        _form: &Form,
        comparison: &Comparison,
    ) -> Result<Planes, Error> {
        self.bits_of_comparison(x, comparison).map(Arc::new)
    }
    fn spline_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        (x, form, shift): (&Arc<Tensor<i128>>, &Form, u32),
        comparison: &Comparison,
        function: &Function,
        out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        self.bits_of_comparison(x, comparison)?;
        self.check_lift("lifted argument", x, form)?;
        // The argument is not opened, so it need not fit the ring: polynomials are exact modulo it.
        let cut = self.cut_low(x, shift);
        Ok(cut.map(|x| function.spline().raw_at(x, form.fraction - shift, out.fraction)))
    }
    fn plane(&mut self, bits: &Planes, plane: usize) -> Planes {
        Arc::new(vec![bits[plane].clone()])
    }
    fn restructure_bits(&mut self, bits: &Planes, structure: &Structure) -> Result<Planes, Error> {
        Ok(Arc::new(bits.iter().map(|plane| plane.restructure(structure)).collect()))
    }
    fn select<W: RingWord>(
        &mut self,
        bits: &Planes,
        x: &Arc<Tensor<i128>>,
        _form: &Form,
    ) -> Result<Tensor<i128>, Error> {
        Ok(x.zip(&bits[0], i128::times))
    }
    fn select_extended<W: RingWord, V: RingWord>(
        &mut self,
        bits: &Planes,
        (x, form, shift): (&Arc<Tensor<i128>>, &Form, u32),
        _out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        self.check_lift("lifted selection", x, form)?;
        Ok(self.cut_low(x, shift).zip(&bits[0], i128::times))
    }
    fn piecewise<W: RingWord>(
        &mut self,
        _bits: &Planes,
        x: &Arc<Tensor<i128>>,
        form: &Form,
        function: &Function,
        out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        Ok(x.map(|x| function.spline().raw_at(x, form.fraction, out.fraction)))
    }
    fn exponential<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<i128>>,
        form: &Form,
        out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        // Only negative values have a power, and the cut may go up by one step: it must not reach zero. As all are
        // negative they may take the whole ring, without a bit for the sign.
        let step = 1i128 << (form.fraction - exponential::STEP_FRACTION);
        self.check("negative exponent", x.data().iter().map(|&x| (x + step).max(0)), 1)?;
        self.check("exponent", x.data().iter().copied(), form.bits + 1)?;
        let steps = self.cut_low(x, form.fraction - exponential::STEP_FRACTION);
        Ok(steps.map(|steps| exponential::raw_at(steps) << (out.fraction - exponential::FRACTION)))
    }
    fn bits_to_share<W: RingWord>(&mut self, bits: &Planes, _out: &Form) -> Result<Tensor<i128>, Error> {
        Ok(bits[0].clone())
    }
    fn bits_product<W: RingWord>(&mut self, a: &Planes, b: &Planes, _out: &Form) -> Result<Tensor<i128>, Error> {
        Ok(a[0].zip(&b[0], i128::times))
    }
    fn lookup<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<i128>>,
        form: &Form,
        table: &[i64],
        _out: &Form,
    ) -> Result<Tensor<i128>, Error> {
        Ok(x.map(|x| i128::from(table[x.rem_euclid(1 << form.bits) as usize])))
    }
    fn lookup_bits<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<i128>>,
        form: &Form,
        table: &[bool],
    ) -> Result<Tensor<i128>, Error> {
        Ok(x.map(|x| i128::from(table[x.rem_euclid(1 << form.bits) as usize])))
    }
}
