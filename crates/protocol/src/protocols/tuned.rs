//! The choice between implementations of one operation, by the program's [`Tuning`]: digits where servers are near each
//! other, keys of function secret sharing where they are far.
//!
//! **Computes** comparisons, rectifiers and splines of few elements, the same whatever is chosen. **Shapes**, **Error** as
//! in the chosen implementation: [`comparison`](super::comparison) or [`point`]; [`selection_extended`](super::selection_extended),
//! [`rectifier_digits`](super::rectifier_digits) or [`rectifier`](super::rectifier); [`piecewise`](super::piecewise) or
//! [`spline_keys`](super::spline_keys). **Cost** that of the implementation; each method says its openings. **Security**
//! the tuning is public and the same for all parties, so what is chosen depends on no secret. **Source** the
//! implementations'. **Differs from the source** in nothing.

use super::comparison::{CompareByDigits, Comparison};
use super::extension::Extension;
use super::point::{self, CompareByKeys};
use super::rectifier::RectifyByKeys;
use super::rectifier_digits::{RectifyByDigits, halves};
use super::spline_keys::SplineByKeys;
use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, MaskedBits, Share};
use crate::material::word::RingWord;
use crate::operation::kind;
use crate::spline::Function;
use crate::tuning::Tuning;
use blindroute_ring::Shape;

impl<I: Interpreter> Machine<'_, I> {
    /// Whether a comparison is made by keys.
    fn by_keys(&self, comparison: &Comparison) -> bool {
        self.tuning() != Tuning::Near && comparison.window() <= point::WINDOW_MAX
    }

    /// `[x ≥ t]` for each threshold t. Two openings, one if tuned to keys, whatever the number of thresholds.
    ///
    /// # Errors
    /// If the window does not lie in the ring.
    pub fn compare<W: RingWord>(&mut self, x: &Masked<I, W>, comparison: &Comparison) -> Result<MaskedBits<I>, Error> {
        comparison.check(&x.form)?;
        let operand = x.payload.clone();
        let payload = if self.by_keys(comparison) {
            let operation = CompareByKeys { comparison, form: x.form };
            self.apply::<kind::Masked<W>, kind::MaskedBits>(&operation, operand)?
        } else {
            let operation = CompareByDigits { comparison, form: x.form };
            self.apply::<kind::Masked<W>, kind::MaskedBits>(&operation, operand)?
        };
        Ok(MaskedBits { shape: x.form.shape, planes: comparison.thresholds.len(), payload })
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
        let halves = halves(comparison);
        if self.tuning() == Tuning::Near || (!by_keys && halves.is_none()) {
            let bits = self.compare(x, comparison)?;
            return self.select_extended(&bits, x, shift, ring);
        }
        comparison.check(&x.form)?;
        let extension = Extension::checked::<V>(&x.form, shift, ring)?;
        let form = Form::new(x.form.shape, ring, x.form.fraction - shift);
        let operand = x.payload.clone();
        let payload = match halves {
            Some(halves) if self.tuning() != Tuning::Far || !by_keys => {
                let operation = RectifyByDigits { comparison: &halves, extension, form: x.form, out: form };
                self.apply::<kind::Masked<W>, kind::Share<V>>(&operation, operand)?
            }
            _ => {
                let operation = RectifyByKeys { comparison, extension, form: x.form, out: form };
                self.apply::<kind::Masked<W>, kind::Share<V>>(&operation, operand)?
            }
        };
        Ok(Share { form, payload })
    }

    /// `function(x)` for few elements of wide range, with `fraction` fraction bits in a ring of `bits`: compares `x`, and
    /// evaluates on a copy truncated by `shift` in that ring. Needs |x| < 2^(bits of x − 2). Two openings, the first of
    /// which takes the copy and whatever was deferred before along; none if tuned to keys.
    ///
    /// # Errors
    /// If the forms do not fit.
    pub fn spline_of<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        comparison: &Comparison,
        shift: u32,
        function: &Function,
        target: (u32, u32),
    ) -> Result<Share<I, V>, Error> {
        if self.by_keys(comparison) {
            return self.splines_by_keys(x, comparison, shift, &[function], target);
        }
        let (inside, copy) = self.compared_copy::<W, V>(x, comparison, shift, target.0)?;
        self.piecewise(&inside, &copy, function, target.1)
    }

    /// Two functions of one column whose splines have the same knots, which a comparison with them serves. **Cost** the openings of
    /// [`spline_of`](Self::spline_of) once; by keys the material of one function.
    ///
    /// # Errors
    /// If the forms or the knots do not fit.
    pub fn splines_of<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        comparison: &Comparison,
        shift: u32,
        functions: [&Function; 2],
        target: (u32, u32),
    ) -> Result<[Share<I, V>; 2], Error> {
        let [first, second] = functions;
        if first.spline().knots() != second.spline().knots() || x.form.shape.columns != 1 {
            let (first, second, shape) = (first.name(), second.name(), x.form.shape);
            return Err(Error::Program(format!(
                "{first} and {second} of {shape}: expected the same knots, and one column"
            )));
        }
        if self.by_keys(comparison) {
            let both = self.splines_by_keys(x, comparison, shift, &functions, target)?;
            return Ok([0, 1].map(|column| both.restructure(&Structure::Columns(column, 1))));
        }
        let (inside, copy) = self.compared_copy::<W, V>(x, comparison, shift, target.0)?;
        let first = self.piecewise(&inside, &copy, first, target.1)?;
        Ok([first, self.piecewise(&inside, &copy, second, target.1)?])
    }

    fn compared_copy<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        comparison: &Comparison,
        shift: u32,
        bits: u32,
    ) -> Result<(MaskedBits<I>, Masked<I, V>), Error> {
        let copy = self.extend::<W, V>(x, shift, bits)?;
        let copy = self.defer(copy)?;
        let inside = self.compare(x, comparison)?;
        Ok((inside, self.take(copy)?))
    }

    /// Functions with the same knots, beside each other.
    fn splines_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        comparison: &Comparison,
        shift: u32,
        functions: &[&Function],
        (bits, fraction): (u32, u32),
    ) -> Result<Share<I, V>, Error> {
        comparison.check(&x.form)?;
        let extension = Extension::checked::<V>(&x.form, shift, bits)?;
        let shape = Shape { columns: x.form.shape.columns * functions.len(), ..x.form.shape };
        let form = Form::new(shape, bits, fraction);
        let operation = SplineByKeys { comparison, extension, functions, form: x.form, out: form };
        let payload = self.apply::<kind::Masked<W>, kind::Share<V>>(&operation, x.payload.clone())?;
        Ok(Share { form, payload })
    }
}
