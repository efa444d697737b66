//! One-time truth tables for values of few bits.
//!
//! **Computes** table[x mod 2^k], k ≤ 10, as integers. **Shapes** n elements. **Cost** no opening; material ⌈b·n·2^k/8⌉
//! bytes into a ring of b bits. **Security** shares only; every entry of the table is touched, whatever x. Exact.
//! **Source** Ishai et al., TCC'13. **Differs from the source** in that the shares are of the mask's one-hot vector, so
//! that the table is chosen online.

use super::words_len;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::{Shape, Tensor};
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
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
        check_table(&x.form, table.len())?;
        let form = Form::new(x.form.shape, bits, 0);
        let operation = Lookup { table, form: x.form, out: form };
        let payload = self.apply::<kind::Masked<W>, kind::Share<V>>(&operation, x.payload.clone())?;
        Ok(Share { form, payload })
    }
}

/// Checks that a table is one of a form.
///
/// # Errors
/// If it is not.
pub(super) fn check_table(form: &Form, entries: usize) -> Result<(), Error> {
    if form.bits > 10 || entries != 1 << form.bits || form.fraction != 0 {
        return Err(Error::Program(format!("a table of {entries} entries for a ring of {} bits", form.bits)));
    }
    Ok(())
}

/// The entry of a public value, or of a mask.
pub(super) fn entry(x: i128, form: &Form) -> usize {
    x.rem_euclid(1 << form.bits) as usize
}

struct Lookup<'a> {
    table: &'a [i64],
    form: Form,
    out: Form,
}

impl Lookup<'_> {
    fn hot_shape(&self) -> Shape {
        Shape::matrix(self.form.shape.len(), 1 << self.form.bits)
    }
}

impl<W: RingWord, V: RingWord> Operation<kind::Masked<W>, kind::Share<V>> for Lookup<'_> {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        Ok(x.map(|x| self.table[entry(x as i128, &self.form)] as f32))
    }

    fn fixed(&self, _ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        Ok(x.map(|x| i128::from(self.table[entry(x, &self.form)])))
    }

    fn cost(&self, meter: &mut CostMeter) {
        meter.material(words_len(self.hot_shape().len(), self.out.bits));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        let bits = self.form.bits;
        let one_hot = role.correlated(self.hot_shape(), self.out.bits, || {
            let mut words = Tensor::<V>::zeros(self.hot_shape());
            for (index, &word) in mask.expose().data().iter().enumerate() {
                // Every entry is written, whatever the mask.
                let mask = word.low_bits(bits).low_u64();
                for (entry, hot) in words.data_mut()[index << bits..(index + 1) << bits].iter_mut().enumerate() {
                    *hot = V::from_i64(i64::from(entry as u64 == mask));
                }
            }
            words
        })?;
        role.hand(&one_hot)
    }

    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Secret<V>, Error> {
        let one_hot = server.pop::<V>(self.hot_shape())?;
        let (table, entries) = (self.table, self.table.len());
        let words = public
            .data()
            .iter()
            .zip(one_hot.expose().data().chunks_exact(entries))
            .map(|(&m, hot)| {
                let c = m.low_bits(self.form.bits).low_u64() as usize;
                hot.iter().enumerate().fold(V::ZERO, |sum, (mask, &share)| {
                    sum.plus(share.times(V::from_i64(table[(c + entries - mask) % entries])))
                })
            })
            .collect();
        Ok(Secret::new(Tensor::new(self.out.shape, words)))
    }
}
