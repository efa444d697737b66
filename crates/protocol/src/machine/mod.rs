//! The operations that programs are written in.
//!
//! The machine keeps what is public about each value (its [`Form`]) and checks it; the interpreter keeps the rest.
//! Every operation says what it costs in openings. Bytes and material are in the operation's protocol module.

mod values;

pub use values::{Bits, Masked, MaskedBits, Pending, Share};

use crate::error::Error;
use crate::form::Form;
use crate::interpreters::Interpreter;
use crate::linear::Structure;
use crate::program::{WeightId, WeightKind, WeightSpec};
use crate::protocols::comparison::Comparison;
use crate::protocols::exponential;
use crate::protocols::{point, rectifier_digits};
use crate::record::RingWord;
use crate::spline::Function;
use crate::tuning::Tuning;
use blindroute_ring::Shape;

/// An interpreter with the program's weights: what a program runs on.
#[derive(Debug)]
pub struct Machine<'a, I> {
    interpreter: I,
    weights: &'a [WeightSpec],
    inputs: &'a [Form],
    tuning: Tuning,
}

impl<'a, I: Interpreter> Machine<'a, I> {
    /// A machine for a program of these weights and inputs.
    pub(crate) fn new(interpreter: I, weights: &'a [WeightSpec], inputs: &'a [Form]) -> Self {
        Self { interpreter, weights, inputs, tuning: Tuning::default() }
    }

    /// Chooses between the implementations of the gates that follow. A program sets it from what all parties agreed on.
    pub fn tune(&mut self, tuning: Tuning) {
        self.tuning = tuning;
    }

    /// [`tune`](Self::tune) for what `gate` does with the program's largest tensors: a lean program is near there.
    ///
    /// # Errors
    /// From the gate.
    pub fn with_large<T>(&mut self, gate: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let tuning = self.tuning;
        if tuning == Tuning::Lean {
            self.tuning = Tuning::Near;
        }
        let result = gate(self);
        self.tuning = tuning;
        result
    }

    /// The choice in force.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    pub(crate) fn into_interpreter(self) -> I {
        self.interpreter
    }

    /// The client's input `index`, in shares. No opening.
    ///
    /// # Errors
    /// If there is no such input.
    pub fn input<W: RingWord>(&mut self, index: usize) -> Result<Share<I, W>, Error> {
        let form = *self.inputs.get(index).ok_or_else(|| Error::Program(format!("there is no input {index}")))?;
        Ok(Share { form, payload: self.interpreter.input(index, &form)? })
    }

    /// Sends the shares of a value to the client: with [`Machine::reveal_bits`] the only way out of the masked world.
    /// `reason` says why the client may learn it; [`Meter::outputs`](crate::Meter::outputs) lists the reasons. No
    /// opening between the servers.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn reveal<W: RingWord>(&mut self, share: Share<I, W>, reason: &'static str) -> Result<(), Error> {
        self.interpreter.reveal(share.payload, &share.form, reason)
    }

    /// Sends the shares of bits to the client, as [`Machine::reveal`] does with words.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn reveal_bits(&mut self, bits: Bits<I>, reason: &'static str) -> Result<(), Error> {
        self.interpreter.reveal_bits(bits.payload, bits.shape, reason)
    }

    /// Adds a public constant to every element.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn add_constant<W: RingWord>(&mut self, mut share: Share<I, W>, value: f64) -> Result<Share<I, W>, Error> {
        self.interpreter.add_constant(&mut share.payload, &share.form, &[value])?;
        Ok(share)
    }

    /// Adds public constants, one an element.
    ///
    /// # Errors
    /// If there are not as many as elements.
    pub fn add_constants<W: RingWord>(&mut self, mut share: Share<I, W>, values: &[f64]) -> Result<Share<I, W>, Error> {
        if values.len() != share.form.shape.len() {
            return Err(Error::Program("one public constant an element is needed".into()));
        }
        self.interpreter.add_constant(&mut share.payload, &share.form, values)?;
        Ok(share)
    }

    /// Public constants, one an element, as a masked value whose mask is zero. No opening.
    ///
    /// # Errors
    /// If there are not as many as elements.
    pub fn constants<W: RingWord>(&mut self, form: Form, values: &[f64]) -> Result<Masked<I, W>, Error> {
        if values.len() != form.shape.len() {
            return Err(Error::Program("one public constant an element is needed".into()));
        }
        Ok(Masked { form, payload: self.interpreter.constants(values, &form)? })
    }

    /// Cuts `shift` fraction bits; the ring shrinks by as many, so that opening the value takes fewer bytes. Stochastic:
    /// off by less than one unit of the last place, unbiased. See [`protocols::cut`](crate::protocols::cut). No opening.
    ///
    /// # Errors
    /// If there are not that many fraction bits.
    pub fn cut<W: RingWord>(&mut self, share: Share<I, W>, shift: u32) -> Result<Share<I, W>, Error> {
        let form = share.form.cut(shift)?;
        Ok(Share { form, payload: self.interpreter.cut(share.payload, &share.form, shift)? })
    }

    /// A masked value as shares. No opening.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn share_of<W: RingWord>(&mut self, x: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        Ok(Share { form: x.form, payload: self.interpreter.share_of(&x.payload, &x.form)? })
    }

    /// Opens a share under a fresh mask: one opening, which also carries everything deferred before.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn open<W: RingWord>(&mut self, share: Share<I, W>) -> Result<Masked<I, W>, Error> {
        let pending = self.defer(share)?;
        self.exchange()?;
        self.take(pending)
    }

    /// Lets a share leave with the next exchange, whichever operation makes it.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn defer<W: RingWord>(&mut self, share: Share<I, W>) -> Result<Pending<I, W>, Error> {
        if share.form.bits > W::BITS {
            return Err(Error::Program(format!("a ring of {} bits in a word of {}", share.form.bits, W::BITS)));
        }
        Ok(Pending { form: share.form, payload: self.interpreter.defer(share.payload, &share.form)? })
    }

    /// Exchanges everything deferred: one opening.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn exchange(&mut self) -> Result<(), Error> {
        self.interpreter.exchange()
    }

    /// A deferred share after its exchange.
    ///
    /// # Errors
    /// If there was no exchange since.
    pub fn take<W: RingWord>(&mut self, pending: Pending<I, W>) -> Result<Masked<I, W>, Error> {
        Ok(Masked { form: pending.form, payload: self.interpreter.take(pending.payload, &pending.form)? })
    }

    fn weight(&self, id: WeightId) -> Result<&'a WeightSpec, Error> {
        self.weights.get(id.0).ok_or_else(|| Error::Program(format!("there is no weight {}", id.0)))
    }

    /// A weight's specification, if it is in words `W`.
    fn weight_in<W: RingWord>(&self, id: WeightId) -> Result<&'a WeightSpec, Error> {
        let spec = self.weight(id)?;
        if (spec.bits <= 32) != (W::BITS == 32) || spec.bits > W::BITS {
            return Err(Error::Program(format!(
                "{} is in a ring of {} bits, used in words of {}",
                spec.name,
                spec.bits,
                W::BITS
            )));
        }
        Ok(spec)
    }

    /// A secret bias row of `fraction` bits. No opening.
    ///
    /// # Errors
    /// If the weight is no bias of that fraction in words `W`.
    pub fn bias<W: RingWord>(&mut self, id: WeightId, fraction: u32) -> Result<Share<I, W>, Error> {
        let spec = self.weight_in::<W>(id)?;
        if !matches!(spec.kind, WeightKind::Bias(_)) || spec.fraction != fraction {
            return Err(Error::Program(format!("{} is no bias of {fraction} fraction bits", spec.name)));
        }
        let form = Form::new(spec.shape(), spec.bits, fraction);
        Ok(Share { form, payload: self.interpreter.bias(id, &form)? })
    }

    /// `x · W` with a secret matrix, the same for every matrix of `x`. See [`protocols::linear`](crate::protocols::linear).
    /// No opening.
    ///
    /// # Errors
    /// If the shapes or words do not fit.
    pub fn linear<W: RingWord>(&mut self, x: &Masked<I, W>, id: WeightId) -> Result<Share<I, W>, Error> {
        let spec = self.weight_in::<W>(id)?;
        let WeightKind::Matrix { inner, columns } = spec.kind else {
            return Err(Error::Program(format!("{} cannot multiply {}", spec.name, x.form.shape)));
        };
        let width = x.form.shape.columns;
        if width != inner {
            return Err(Error::Program(format!("{} has {inner} rows, its factor {width} columns", spec.name)));
        }
        let weight = Form::new(spec.shape(), spec.bits, spec.fraction);
        let form = x.form.product(&weight, Shape { columns, ..x.form.shape });
        Ok(Share { form, payload: self.interpreter.linear(&x.payload, &x.form, id, &form)? })
    }

    /// Each column of `x` times its own secret factor. No opening.
    ///
    /// # Errors
    /// If the shapes or words do not fit.
    pub fn scale_columns<W: RingWord>(&mut self, x: &Masked<I, W>, id: WeightId) -> Result<Share<I, W>, Error> {
        let spec = self.weight_in::<W>(id)?;
        if spec.kind != WeightKind::Scale(x.form.shape.columns) {
            return Err(Error::Program(format!("{} cannot scale {}", spec.name, x.form.shape)));
        }
        let weight = Form::new(spec.shape(), spec.bits, spec.fraction);
        let form = x.form.product(&weight, x.form.shape);
        Ok(Share { form, payload: self.interpreter.scale_columns(&x.payload, &x.form, id, &form)? })
    }

    /// `a · b` batch by batch. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn matmul<W: RingWord>(&mut self, a: &Masked<I, W>, b: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        self.matmul_either(a, b, false)
    }

    /// `a · bᵀ` batch by batch. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn matmul_transposed<W: RingWord>(&mut self, a: &Masked<I, W>, b: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        self.matmul_either(a, b, true)
    }

    fn matmul_either<W: RingWord>(
        &mut self,
        a: &Masked<I, W>,
        b: &Masked<I, W>,
        transposed: bool,
    ) -> Result<Share<I, W>, Error> {
        let (left, right) = (a.form.shape, b.form.shape);
        let (inner, columns) = if transposed { (right.columns, right.rows) } else { (right.rows, right.columns) };
        if left.batch != right.batch || left.columns != inner {
            return Err(Error::Program(format!("the product of {left} and {right} (transposed: {transposed})")));
        }
        let form = a.form.product(&b.form, Shape::new(left.batch, left.rows, columns));
        let payload = self.interpreter.matmul((&a.payload, &a.form), (&b.payload, &b.form), transposed, &form)?;
        Ok(Share { form, payload })
    }

    /// `a · b` element by element; dimensions of size 1 of `b` repeat. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn product<W: RingWord>(&mut self, a: &Masked<I, W>, b: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        if !a.form.shape.admits(&b.form.shape) {
            return Err(Error::Program(format!("the product of {} and {}", a.form.shape, b.form.shape)));
        }
        let form = a.form.product(&b.form, a.form.shape);
        Ok(Share { form, payload: self.interpreter.product((&a.payload, &a.form), (&b.payload, &b.form), &form)? })
    }

    /// Checks that a value can be lifted: cut by `shift` and extended to a ring of `bits` bits in word `V`.
    fn check_lift<V: RingWord>(form: &Form, shift: u32, bits: u32) -> Result<(), Error> {
        if shift > form.fraction || shift + 2 >= form.bits || bits > V::BITS {
            return Err(Error::Program(format!("lifting a ring of {} bits, cut by {shift}, to {bits}", form.bits)));
        }
        Ok(())
    }

    /// `(a ≫ s) · (b ≫ t)` in a ring of `bits` bits, both lifted on the way; `b` is one element a row of `a`. Needs
    /// |a| < 2^(bits of a − 2), and b alike. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit or there are not that many fraction bits.
    pub fn product_extended<A: RingWord, B: RingWord, V: RingWord>(
        &mut self,
        (a, cut_a): (&Masked<I, A>, u32),
        (b, cut_b): (&Masked<I, B>, u32),
        bits: u32,
    ) -> Result<Share<I, V>, Error> {
        if (Shape { columns: 1, ..a.form.shape }) != b.form.shape {
            return Err(Error::Program(format!("the product of {} and {} by rows", a.form.shape, b.form.shape)));
        }
        Self::check_lift::<V>(&a.form, cut_a, bits)?;
        Self::check_lift::<V>(&b.form, cut_b, bits)?;
        let form = Form::new(a.form.shape, bits, a.form.fraction - cut_a + b.form.fraction - cut_b);
        let (a, b) = ((&a.payload, &a.form, cut_a), (&b.payload, &b.form, cut_b));
        Ok(Share { form, payload: self.interpreter.product_extended(a, b, &form)? })
    }

    /// The sum of the squares of each row of `x ≫ shift` in a ring of `bits` bits: `[batch, rows, 1]`. Needs
    /// |x| < 2^(bits of x − 2). No opening.
    ///
    /// # Errors
    /// If there are not that many fraction bits.
    pub fn square_sum<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        shift: u32,
        bits: u32,
    ) -> Result<Share<I, V>, Error> {
        Self::check_lift::<V>(&x.form, shift, bits)?;
        let form = Form::new(Structure::SumColumns.shape(x.form.shape), bits, 2 * (x.form.fraction - shift));
        Ok(Share { form, payload: self.interpreter.square_sum(&x.payload, &x.form, shift, &form)? })
    }

    /// The same masked value in a narrower word that still holds its ring. No opening.
    ///
    /// # Errors
    /// If the ring is wider than the word.
    pub fn to_word<W: RingWord, V: RingWord>(&mut self, x: &Masked<I, W>) -> Result<Masked<I, V>, Error> {
        if x.form.bits > V::BITS {
            return Err(Error::Program(format!("a ring of {} bits in a word of {}", x.form.bits, V::BITS)));
        }
        Ok(Masked { form: x.form, payload: self.interpreter.to_word(&x.payload) })
    }

    /// Cuts `shift` fraction bits and lifts to a ring of `bits` bits in word `V`, as shares. Needs
    /// |x| < 2^(bits of x − 2). No opening.
    ///
    /// # Errors
    /// If there are not that many fraction bits.
    pub fn extend<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        shift: u32,
        bits: u32,
    ) -> Result<Share<I, V>, Error> {
        Self::check_lift::<V>(&x.form, shift, bits)?;
        let form = Form::new(x.form.shape, bits, x.form.fraction - shift);
        Ok(Share { form, payload: self.interpreter.extend(&x.payload, &x.form, shift, &form)? })
    }

    /// Whether a comparison is made by keys.
    fn by_keys(&self, comparison: &Comparison) -> bool {
        self.tuning != Tuning::Near && comparison.window() <= point::WINDOW_MAX
    }

    /// `[x ≥ t]` for each threshold t. Two openings, one if tuned to keys, whatever the number of thresholds.
    ///
    /// # Errors
    /// If the window does not lie in the ring.
    pub fn compare<W: RingWord>(&mut self, x: &Masked<I, W>, comparison: &Comparison) -> Result<MaskedBits<I>, Error> {
        comparison.check(&x.form)?;
        let payload = if self.by_keys(comparison) {
            self.interpreter.compare_by_keys(&x.payload, &x.form, comparison)?
        } else {
            self.interpreter.compare(&x.payload, &x.form, comparison)?
        };
        Ok(MaskedBits { shape: x.form.shape, planes: comparison.thresholds.len(), payload })
    }

    /// Bits rearranged by [`Structure::Gather`] or reshaped.
    ///
    /// # Errors
    /// For any other structure.
    pub fn restructure_bits(&mut self, bits: &MaskedBits<I>, structure: &Structure) -> Result<MaskedBits<I>, Error> {
        let payload = self.interpreter.restructure_bits(&bits.payload, structure)?;
        Ok(MaskedBits { shape: structure.shape(bits.shape), planes: bits.planes, payload })
    }

    /// One plane of several: the bits of one threshold. No opening.
    ///
    /// # Errors
    /// If there are not that many.
    pub fn plane(&mut self, bits: &MaskedBits<I>, plane: usize) -> Result<MaskedBits<I>, Error> {
        if plane >= bits.planes {
            return Err(Error::Program(format!("plane {plane} of {}", bits.planes)));
        }
        Ok(MaskedBits { shape: bits.shape, planes: 1, payload: self.interpreter.plane(&bits.payload, plane) })
    }

    /// `x` where the bit is 1, else 0. No opening.
    ///
    /// # Errors
    /// If the shapes differ or there is more than one plane.
    pub fn select<W: RingWord>(&mut self, bits: &MaskedBits<I>, x: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        if bits.shape != x.form.shape || bits.planes != 1 {
            return Err(Error::Shape { what: "selected value", expected: bits.shape, found: x.form.shape });
        }
        Ok(Share { form: x.form, payload: self.interpreter.select(&bits.payload, &x.payload, &x.form)? })
    }

    /// `x ≫ shift` in a ring of `bits` bits where the bit is 1, else 0. Needs |x| < 2^(bits of x − 2). No opening.
    ///
    /// # Errors
    /// If the shapes differ, there is more than one plane, or not that many fraction bits.
    pub fn select_extended<W: RingWord, V: RingWord>(
        &mut self,
        bits: &MaskedBits<I>,
        x: &Masked<I, W>,
        shift: u32,
        ring: u32,
    ) -> Result<Share<I, V>, Error> {
        if bits.shape != x.form.shape || bits.planes != 1 {
            return Err(Error::Shape { what: "selected value", expected: bits.shape, found: x.form.shape });
        }
        Self::check_lift::<V>(&x.form, shift, ring)?;
        let form = Form::new(x.form.shape, ring, x.form.fraction - shift);
        let payload = self.interpreter.select_extended(&bits.payload, (&x.payload, &x.form, shift), &form)?;
        Ok(Share { form, payload })
    }

    /// `x ≫ shift` in a ring of `ring` bits where `x` reaches the comparison's one threshold, else 0. Needs
    /// |x| < 2^(bits of x − 2). Two openings; one if tuned to the middle; none if tuned to far servers.
    ///
    /// # Errors
    /// If there is not one threshold, the window does not lie in the ring, or there are not that many fraction bits.
    pub fn rectify<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        comparison: &Comparison,
        shift: u32,
        ring: u32,
    ) -> Result<Share<I, V>, Error> {
        let by_keys = self.by_keys(comparison) && comparison.thresholds.len() == 1;
        let halves = rectifier_digits::halves(comparison);
        if self.tuning == Tuning::Near || (!by_keys && halves.is_none()) {
            let bits = self.compare(x, comparison)?;
            return self.select_extended(&bits, x, shift, ring);
        }
        comparison.check(&x.form)?;
        Self::check_lift::<V>(&x.form, shift, ring)?;
        let form = Form::new(x.form.shape, ring, x.form.fraction - shift);
        let whole = (&x.payload, &x.form, shift);
        let payload = match halves {
            Some(halves) if self.tuning != Tuning::Far || !by_keys => {
                self.interpreter.rectify_by_digits(whole, &halves, &form)?
            }
            _ => self.interpreter.rectify_by_keys(whole, comparison, &form)?,
        };
        Ok(Share { form, payload })
    }

    /// `function(x)`, given the bits of the comparison of `x` with the spline's knots, with `fraction` fraction bits.
    /// No opening.
    ///
    /// # Errors
    /// If the bits are not those of the knots.
    pub fn piecewise<W: RingWord>(
        &mut self,
        bits: &MaskedBits<I>,
        x: &Masked<I, W>,
        function: &Function,
        fraction: u32,
    ) -> Result<Share<I, W>, Error> {
        if bits.shape != x.form.shape || bits.planes != function.spline().knots().len() {
            return Err(Error::Program(format!("{} needs one bit a knot", function.name())));
        }
        let form = Form { fraction, ..x.form };
        Ok(Share { form, payload: self.interpreter.piecewise(&bits.payload, &x.payload, &x.form, function, &form)? })
    }

    /// 2^x for x ≤ −1/256, as shares with [`exponential::FRACTION`](crate::protocols::exponential::FRACTION) fraction bits in a
    /// ring of `bits`. Two openings.
    ///
    /// # Errors
    /// If the form does not admit it.
    pub fn exponential<W: RingWord, V: RingWord>(&mut self, x: &Masked<I, W>, bits: u32) -> Result<Share<I, V>, Error> {
        exponential::Layout::new(&x.form)?;
        if !(exponential::FRACTION + 2..=V::BITS).contains(&bits) {
            return Err(Error::Program(format!("a power of two in a ring of {bits} bits")));
        }
        let form = Form::new(x.form.shape, bits, exponential::FRACTION);
        Ok(Share { form, payload: self.interpreter.exponential(&x.payload, &x.form, &form)? })
    }

    /// `function(x)` for few elements of wide range, with `fraction` fraction bits in a ring of `bits`: compares `x`,
    /// evaluates on a copy cut by `shift` in that ring. Needs |x| < 2^(bits of x − 2). Two openings, the first of which
    /// takes the copy and whatever was deferred before along; none if tuned to keys.
    ///
    /// # Errors
    /// If the forms do not fit.
    pub fn spline_of<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        comparison: &Comparison,
        shift: u32,
        function: &Function,
        (bits, fraction): (u32, u32),
    ) -> Result<Share<I, V>, Error> {
        if !self.by_keys(comparison) {
            let copy = self.extend::<W, V>(x, shift, bits)?;
            let copy = self.defer(copy)?;
            let inside = self.compare(x, comparison)?;
            let copy = self.take(copy)?;
            return self.piecewise(&inside, &copy, function, fraction);
        }
        comparison.check(&x.form)?;
        Self::check_lift::<V>(&x.form, shift, bits)?;
        let form = Form::new(x.form.shape, bits, fraction);
        let payload = self.interpreter.spline_by_keys((&x.payload, &x.form, shift), comparison, function, &form)?;
        Ok(Share { form, payload })
    }

    /// Bits as the integers 0 and 1 in a ring of `bits`. No opening.
    ///
    /// # Errors
    /// If there is more than one plane.
    pub fn bits_to_share<W: RingWord>(&mut self, bits: &MaskedBits<I>, ring: u32) -> Result<Share<I, W>, Error> {
        if bits.planes != 1 {
            return Err(Error::Program("one plane of bits is needed".into()));
        }
        let form = Form::new(bits.shape, ring, 0);
        Ok(Share { form, payload: self.interpreter.bits_to_share(&bits.payload, &form)? })
    }

    /// `a · b` of bits, as the integers 0 and 1 in a ring of `bits`. No opening.
    ///
    /// # Errors
    /// If the shapes differ or there is more than one plane.
    pub fn bits_product<W: RingWord>(
        &mut self,
        a: &MaskedBits<I>,
        b: &MaskedBits<I>,
        ring: u32,
    ) -> Result<Share<I, W>, Error> {
        if a.shape != b.shape || a.planes != 1 || b.planes != 1 {
            return Err(Error::Shape { what: "product of bits", expected: a.shape, found: b.shape });
        }
        let form = Form::new(a.shape, ring, 0);
        Ok(Share { form, payload: self.interpreter.bits_product(&a.payload, &b.payload, &form)? })
    }

    /// `table[x mod 2^bits of x]` as integers in a ring of `bits`: a one-time truth table. No opening.
    ///
    /// # Errors
    /// If the table has not one entry for each element of the ring.
    pub fn lookup<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        table: &[i64],
        bits: u32,
    ) -> Result<Share<I, V>, Error> {
        self.check_table(&x.form, table.len())?;
        let form = Form::new(x.form.shape, bits, 0);
        Ok(Share { form, payload: self.interpreter.lookup(&x.payload, &x.form, table, &form)? })
    }

    /// `table[x mod 2^bits of x]` as shared bits. No opening.
    ///
    /// # Errors
    /// If the table has not one entry for each element of the ring.
    pub fn lookup_bits<W: RingWord>(&mut self, x: &Masked<I, W>, table: &[bool]) -> Result<Bits<I>, Error> {
        self.check_table(&x.form, table.len())?;
        Ok(Bits { shape: x.form.shape, payload: self.interpreter.lookup_bits(&x.payload, &x.form, table)? })
    }

    /// Opens bits under fresh mask bits. One opening.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn open_bits(&mut self, bits: Bits<I>) -> Result<MaskedBits<I>, Error> {
        let pending = self.interpreter.defer_bits(bits.payload, 1, bits.shape.len())?;
        self.interpreter.exchange()?;
        Ok(MaskedBits { shape: bits.shape, planes: 1, payload: self.interpreter.take_bits(pending)? })
    }

    fn check_table(&self, form: &Form, entries: usize) -> Result<(), Error> {
        if form.bits > 10 || entries != 1 << form.bits || form.fraction != 0 {
            return Err(Error::Program(format!("a table of {entries} entries for a ring of {} bits", form.bits)));
        }
        Ok(())
    }
}
