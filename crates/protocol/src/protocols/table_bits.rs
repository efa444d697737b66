//! One-time truth tables of bits for values of few bits.
//!
//! **Computes** table[x mod 2^k], k ≤ 10, as bits. **Shapes** n elements. **Cost** no opening; material 8·⌈n·2^k/64⌉
//! bytes. **Security**, **Source** and difference as in [`table`](super::table). Exact.

use super::comparison::set_one_hot;
use super::table::{check_table, entry};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Bits, Machine, Masked};
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::Tensor;
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
    /// `table[x mod 2^bits of x]` as shared bits. No opening.
    ///
    /// # Errors
    /// If the table has not one entry for each element of the ring.
    pub fn lookup_bits<W: RingWord>(&mut self, x: &Masked<I, W>, table: &[bool]) -> Result<Bits<I>, Error> {
        check_table(&x.form, table.len())?;
        let operation = LookupBits { table, form: x.form };
        let payload = self.apply::<kind::Masked<W>, kind::Bits>(&operation, x.payload.clone())?;
        Ok(Bits { shape: x.form.shape, payload })
    }
}

struct LookupBits<'a> {
    table: &'a [bool],
    form: Form,
}

impl<W: RingWord> Operation<kind::Masked<W>, kind::Bits> for LookupBits<'_> {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        Ok(x.map(|x| if self.table[entry(x as i128, &self.form)] { 1.0 } else { 0.0 }))
    }

    fn fixed(&self, _ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        Ok(x.map(|x| i128::from(self.table[entry(x, &self.form)])))
    }

    fn cost(&self, meter: &mut CostMeter) {
        meter.material(BitTensor::byte_len(1, self.form.shape.len() << self.form.bits));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        let (words, bits) = (mask.expose().data(), self.form.bits);
        let len = words.len() << bits;
        let one_hot = role.correlated_bits(1, len, || {
            let mut one_hot = BitTensor::zeros(1, len);
            for (index, &word) in words.iter().enumerate() {
                let mask = word.low_bits(bits).low_u64() as usize;
                set_one_hot(one_hot.words_mut(), index << bits, 1 << bits, mask);
            }
            one_hot
        })?;
        role.hand_bits(one_hot)
    }

    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<BitTensor, Error> {
        let (table, entries, bits) = (self.table, self.table.len(), self.form.bits);
        let one_hot = server.pop_bits(1, public.data().len() << bits)?;
        let data = public.data();
        Ok(BitTensor::from_fn(data.len(), |i| {
            let c = data[i].low_bits(bits).low_u64() as usize;
            let parity = (0..entries).fold(0, |sum, mask| {
                sum ^ (one_hot.get(0, (i << bits) + mask) & u64::from(table[(c + entries - mask) % entries]))
            });
            parity == 1
        }))
    }
}
