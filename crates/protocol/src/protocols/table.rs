//! One-time truth tables for values of few bits.
//!
//! **Computes** table[x mod 2^k], k ≤ 10, as integers or as bits. **Shapes** n elements. **Cost** no opening; material
//! ⌈b·n·2^k/8⌉ bytes into a ring of b bits, 8·⌈n·2^k/64⌉ bytes for bits. **Security** shares only; every entry of the
//! table is touched, whatever x. Exact. **Source** Ishai et al., TCC'13. **Differs from the source** in that the shares
//! are of the mask's one-hot vector, so that the table is chosen online.

use super::comparison::set_one_hot;
use super::{Role, Server, words_len};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::{Shape, Tensor};

fn hot_shape(form: &Form) -> Shape {
    Shape::matrix(form.shape.len(), 1 << form.bits)
}

pub(crate) fn offline<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    mask: &Secret<W>,
    form: &Form,
    out: &Form,
) -> Result<(), Error> {
    let one_hot = role.correlated(hot_shape(form), out.bits, || {
        let mut words = Tensor::<V>::zeros(hot_shape(form));
        for (index, &word) in mask.expose().data().iter().enumerate() {
            // Every entry is written, whatever the mask.
            let mask = word.low_bits(form.bits).low_u64();
            for (entry, hot) in words.data_mut()[index << form.bits..(index + 1) << form.bits].iter_mut().enumerate() {
                *hot = V::from_i64(i64::from(entry as u64 == mask));
            }
        }
        words
    })?;
    role.hand(&one_hot)
}

pub(crate) fn online<W: RingWord, V: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    form: &Form,
    table: &[i64],
    out: &Form,
) -> Result<Secret<V>, Error> {
    let one_hot = server.pop::<V>(hot_shape(form))?;
    let entries = table.len();
    let words = public
        .data()
        .iter()
        .zip(one_hot.expose().data().chunks_exact(entries))
        .map(|(&m, hot)| {
            let c = m.low_bits(form.bits).low_u64() as usize;
            hot.iter().enumerate().fold(V::ZERO, |sum, (mask, &share)| {
                sum.plus(share.times(V::from_i64(table[(c + entries - mask) % entries])))
            })
        })
        .collect();
    Ok(Secret::new(Tensor::new(out.shape, words)))
}

pub(crate) fn offline_bits<W: RingWord>(role: &mut impl Role, mask: &Secret<W>, form: &Form) -> Result<(), Error> {
    let words = mask.expose().data();
    let len = words.len() << form.bits;
    let one_hot = role.correlated_bits(1, len, || {
        let mut bits = BitTensor::zeros(1, len);
        for (index, &word) in words.iter().enumerate() {
            let mask = word.low_bits(form.bits).low_u64() as usize;
            set_one_hot(bits.words_mut(), index << form.bits, 1 << form.bits, mask);
        }
        bits
    })?;
    role.hand_bits(one_hot)
}

pub(crate) fn online_bits<W: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    form: &Form,
    table: &[bool],
) -> Result<BitTensor, Error> {
    let entries = table.len();
    let one_hot = server.pop_bits(1, public.data().len() << form.bits)?;
    let data = public.data();
    Ok(BitTensor::from_fn(data.len(), |i| {
        let c = data[i].low_bits(form.bits).low_u64() as usize;
        let parity = (0..entries).fold(0, |sum, mask| {
            sum ^ (one_hot.get(0, (i << form.bits) + mask) & u64::from(table[(c + entries - mask) % entries]))
        });
        parity == 1
    }))
}

/// Material bytes for integers.
pub(crate) fn cost(form: &Form, out: &Form) -> usize {
    words_len(hot_shape(form).len(), out.bits)
}

/// Material bytes for bits.
pub(crate) fn cost_bits(form: &Form) -> usize {
    BitTensor::byte_len(1, form.shape.len() << form.bits)
}
