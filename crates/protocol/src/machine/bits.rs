//! Comparisons and what is made of their bits: selections, piecewise functions, tables.

use super::{Bits, Machine, Masked, MaskedBits, Share};
use crate::error::Error;
use crate::form::Form;
use crate::interpreters::Interpreter;
use crate::linear::Structure;
use crate::protocols::comparison::Comparison;
use crate::protocols::{exponential, point, rectifier_digits};
use crate::record::RingWord;
use crate::spline::Function;
use crate::tuning::Tuning;

impl<I: Interpreter> Machine<'_, I> {
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
