//! Piecewise polynomials of many elements, from the opened bits of the comparison with the knots.
//!
//! **Computes** y = P_0(x) + Σ_j d_j·(P_j − P_{j−1})(x) with d_j = [x ≥ knot j], P_j of degree D = 2 or 3. **Shapes** x
//! of n elements masked mod 2^k, J planes of bits. **Cost** no opening; material (D − 1 + J·(D + 1))·⌈k·n/8⌉ bytes.
//! **Security** shares only. **Error** that of the spline, stated where a function is defined; the arithmetic is exact
//! modulo 2^k, so pieces that cancel may overflow on the way. **Source** spline evaluation on masked values, Boyle et
//! al., EUROCRYPT'21, figure 15. **Differs from the source** in that comparison bits replace function secret sharing.

use super::selection::mask_words;
use super::words_len;
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, MaskedBits, Share};
use crate::material::word::RingWord;
use crate::operation::world::Planes;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use crate::spline::{Cubic, Function, taylor};
use blindroute_ring::Tensor;
use blindroute_ring::lanes::{combine, combine_bits};
use std::cell::OnceCell;
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
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
        let knots = function.spline().knots().len();
        if bits.shape != x.form.shape || bits.planes != knots {
            let (name, planes) = (function.name(), bits.planes);
            return Err(Error::Program(format!("{name} has {knots} knots, and {planes} planes of bits were given")));
        }
        let form = Form { fraction, ..x.form };
        let operation = Piecewise { function, form: x.form, fraction };
        let operands = (bits.payload.clone(), x.payload.clone());
        let payload = self.apply::<(kind::MaskedBits, kind::Masked<W>), kind::Share<W>>(&operation, operands)?;
        Ok(Share { form, payload })
    }
}

/// x^power, element by element.
pub(super) fn power_of<W: RingWord>(x: &Tensor<W>, power: usize) -> Tensor<W> {
    x.map(|x| (0..power).fold(W::from_i64(1), |product, _| product.times(x)))
}

struct Piecewise<'a> {
    function: &'a Function,
    form: Form,
    /// Of the result.
    fraction: u32,
}

impl<W: RingWord> Operation<(kind::MaskedBits, kind::Masked<W>), kind::Share<W>> for Piecewise<'_> {
    fn clear(&self, _weights: &[Tensor<f32>], (_, x): (Planes<f32>, Arc<Tensor<f32>>)) -> Result<Tensor<f32>, Error> {
        Ok(self.function.clear(&x))
    }

    fn fixed(&self, _ranges: &mut Ranges, (_, x): (Planes<i128>, Arc<Tensor<i128>>)) -> Result<Tensor<i128>, Error> {
        Ok(x.map(|x| self.function.spline().raw_at(x, self.form.fraction, self.fraction)))
    }

    fn cost(&self, meter: &mut CostMeter) {
        let (degree, knots) = (self.function.spline().degree(), self.function.spline().knots().len());
        let words = words_len(self.form.shape.len(), self.form.bits);
        meter.material((degree - 1 + knots * (degree + 1)) * words);
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, (bits, x): (Arc<BitTensor>, Arc<Secret<W>>)) -> Result<(), Error> {
        let (form, spline) = (&self.form, self.function.spline());
        // δ^q. Servers never look at them: only the dealer's closures below do.
        let powers = OnceCell::new();
        let power = |q: usize| {
            let all = || (0..=spline.degree()).map(|q| Secret::new(power_of(x.expose(), q))).collect::<Vec<_>>();
            powers.get_or_init(all)[q].expose()
        };
        role.hand(&x)?;
        for q in 2..=spline.degree() {
            let shared = role.correlated(form.shape, form.bits, || power(q).clone())?;
            role.hand(&shared)?;
        }
        for knot in 0..spline.knots().len() {
            for q in 0..=spline.degree() {
                let value = || power(q).zip(mask_words::<W>(&bits, knot, form).expose(), W::times);
                let product = role.correlated(form.shape, form.bits, value)?;
                role.hand(&product)?;
            }
        }
        Ok(())
    }

    fn online<S: Server>(
        &self,
        server: &mut S,
        (bits, x): (Arc<BitTensor>, Arc<Tensor<W>>),
    ) -> Result<Secret<W>, Error> {
        match self.function.spline().degree() {
            2 => self.shares::<W, 3>(server, &bits, &x),
            _ => self.shares::<W, 4>(server, &bits, &x),
        }
    }
}

impl Piecewise<'_> {
    /// Σ_q A_q(m)·(−1)^q·[δ^q d] with A_q the q-th Taylor coefficient at m, for each difference of pieces; `N`
    /// coefficients.
    fn shares<W: RingWord, const N: usize>(
        &self,
        server: &mut impl Server,
        bits: &BitTensor,
        x: &Tensor<W>,
    ) -> Result<Secret<W>, Error> {
        let (form, spline) = (&self.form, self.function.spline());
        let (first, differences) = spline.ring_pieces::<W>(form.fraction, self.fraction);
        let polynomial = |cubic: &Cubic<W>| std::array::from_fn::<W, N, _>(|q| cubic[q]);
        let one = W::from_i64(i64::from(server.leads()));
        let powers = (1..N).map(|_| server.pop::<W>(form.shape)).collect::<Result<Vec<_>, _>>()?;
        // m in the place of δ⁰, whose share is the same for all.
        let slices: [&[W]; N] = std::array::from_fn(|q| if q == 0 { x.data() } else { powers[q - 1].expose().data() });
        let power = |slices: &[W; N], q: usize| if q == 0 { one } else { slices[q] };
        let mut words = Tensor::zeros(form.shape);
        let first = polynomial(&first);
        combine(words.data_mut(), slices, [] as [&[W]; 0], |_, slices, []| {
            alternating(&taylor(&first, slices[0]), std::array::from_fn(|q| power(&slices, q)))
        });
        for (knot, difference) in differences.iter().enumerate() {
            let difference = polynomial(difference);
            let products = server.pop_all::<W, N>(form.shape)?;
            let products = products.each_ref().map(|words| words.expose().data());
            combine_bits(words.data_mut(), bits.plane(knot), slices, products, |sum, bit, slices, products| {
                // [d δ^q] is [ρ δ^q], or [δ^q] less it, as the opened bit d ⊕ ρ says.
                let terms = std::array::from_fn(|q| {
                    let product = products[q];
                    product.plus(bit.bit_and(power(&slices, q).minus(product.raise(1))))
                });
                sum.plus(alternating(&taylor(&difference, slices[0]), terms))
            });
        }
        Ok(Secret::new(words))
    }
}

/// Σ_q (−1)^q · coefficient_q · value_q.
#[inline(always)]
pub(super) fn alternating<W: RingWord, const N: usize>(coefficients: &[W; N], values: [W; N]) -> W {
    let mut sum = W::ZERO;
    for q in 0..N {
        let term = coefficients[q].times(values[q]);
        sum = if q % 2 == 0 { sum.plus(term) } else { sum.minus(term) };
    }
    sum
}
