//! Products, with weights and of two secrets, and lifts.

use super::{Machine, Masked, Share};
use crate::error::Error;
use crate::form::Form;
use crate::interpreters::Interpreter;
use crate::linear::Structure;
use crate::program::{WeightId, WeightKind, WeightSpec};
use crate::record::RingWord;
use blindroute_ring::Shape;

impl<'a, I: Interpreter> Machine<'a, I> {
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
    pub(super) fn check_lift<V: RingWord>(form: &Form, shift: u32, bits: u32) -> Result<(), Error> {
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
}
