//! Sums of squares of an extended value.
//!
//! **Computes** the sum of the squares of each row of x ≫ s modulo 2^b, x extended on the way (see
//! [`extension`](super::extension)). **Shapes** `[B, M, N]` masked, to `[B, M, 1]` in shares. **Cost** no opening; material
//! that of extending, ⌈b·rows/8⌉ and ⌈(b−e−1)·n/8⌉ bytes, e the width of the truncated x. **Security** shares only.
//! **Error** that of the extension. **Source** as for [`extension`](super::extension). **Differs from the source** in that
//! the value is not opened again.

use super::extension::{Extended, Extension};
use super::words_len;
use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::lanes::combine;
use blindroute_ring::{Scalar, Tensor};
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
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
        let extension = Extension::checked::<V>(&x.form, shift, bits)?;
        let form = Form::new(Structure::SumColumns.shape(x.form.shape), bits, 2 * (x.form.fraction - shift));
        let operation = SquareSum { extension, form: x.form, out: form };
        let payload = self.apply::<kind::Masked<W>, kind::Share<V>>(&operation, x.payload.clone())?;
        Ok(Share { form, payload })
    }
}

struct SquareSum {
    extension: Extension,
    form: Form,
    out: Form,
}

impl SquareSum {
    /// Bits of the products of A and T/2^e: they are multiplied by 2^(e+1).
    fn crossed_bits(&self) -> u32 {
        self.out.bits.saturating_sub(self.extension.width() + 1)
    }
}

impl<W: RingWord, V: RingWord> Operation<kind::Masked<W>, kind::Share<V>> for SquareSum {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        Ok(x.map(|x| x * x).sum_columns())
    }

    fn fixed(&self, ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        ranges.check_extension("extended squares", &x, &self.form)?;
        let truncated = ranges.truncate(&x, self.extension.shift());
        let columns = x.shape().columns.max(1);
        ranges.check_exact("sum of squares", 2 * Ranges::most_bits(&truncated) + columns.ilog2(), 128)?;
        Ok(truncated.map(|x| x.times(x)).sum_columns())
    }

    fn cost(&self, meter: &mut CostMeter) {
        let len = self.form.shape.len();
        meter.material(self.extension.cost(len, self.out.bits));
        meter.material(words_len(self.out.shape.len(), self.out.bits));
        meter.material(words_len(len, self.crossed_bits()));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        let Extended { low, top } = self.extension.offline::<W, V>(role, &mask, self.out.bits)?;
        let squares = role.correlated(self.out.shape, self.out.bits, || {
            Secret::new(low.expose().zip(low.expose(), V::times)).expose().sum_columns()
        })?;
        let crossed =
            role.correlated(mask.shape(), self.crossed_bits(), || low.expose().zip(top.expose(), V::times))?;
        role.hand(&squares)?;
        role.hand(&crossed)
    }

    /// Σ(M − A + uT)² = Σ(M² − 2M(A − uT) − 2uAT + uT²) + ΣA².
    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Secret<V>, Error> {
        let shape = public.shape();
        let extended = Extended::<V>::online(server, shape)?;
        let squares = server.pop::<V>(self.out.shape)?;
        let crossed = server.pop::<V>(shape)?;
        let leads = V::from_i64(i64::from(server.leads()));
        let (extension, width) = (self.extension, self.extension.width());
        let mut terms = Secret::new(Tensor::zeros(shape));
        let shares = [extended.low.expose().data(), extended.top.expose().data(), crossed.expose().data()];
        combine(terms.expose_mut().data_mut(), shares, [public.data()], |_: V, [low, top, crossed], [m]: [W; 1]| {
            let (value, wraps) = extension.public::<W, V>(m);
            let top = wraps.times(top).shift_left(width);
            let linear = value.times(low.minus(top)).plus(wraps.times(crossed).shift_left(width)).shift_left(1);
            leads.times(value).times(value).minus(linear).plus(top.shift_left(width))
        });
        let sums = Secret::new(terms.expose().sum_columns());
        Ok(Secret::new(sums.expose().zip(squares.expose(), V::plus)))
    }
}
