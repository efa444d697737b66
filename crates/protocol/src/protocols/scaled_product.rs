//! Products of two secret values times a secret scalar.
//!
//! **Computes** (a·b)·c, the product as in [`product`](super::product), c one scalar per matrix. **Shapes**
//! `[B, M, K] · [B, K, N] · [B, 1, 1]`, masked, to `[B, M, N]` in shares; `[B, M, N] · [B, M, N] · [B, 1, 1]` element by
//! element. **Cost** no opening; material for factors of n_a and n_b elements and n results: ⌈k·n_a/8⌉ + ⌈k·n_b/8⌉ +
//! 2·⌈k·n/8⌉ bytes; the local product of [`product`](super::product). Two products in a row would cost ⌈k·n/8⌉ bytes more
//! of openings each way, and one opening. **Security** shares only. Exact modulo 2^k. **Source** Beaver, CRYPTO'91, for
//! three factors: the dealer shares the products of their masks. **Differs from the source** in that a scalar's masks
//! multiply each factor once, so the material grows with the factors and not with the products of their elements.

use super::product::Bilinear;
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
    /// `(a · b) · scale` batch by batch, with one scale per matrix. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn scaled_matmul<W: RingWord>(
        &mut self,
        a: &Masked<I, W>,
        b: &Masked<I, W>,
        scale: &Masked<I, W>,
    ) -> Result<Share<I, W>, Error> {
        self.scaled(Bilinear::Matmul, (a, b), scale)
    }

    /// `(a · bᵀ) · scale` batch by batch, with one scale per matrix. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn scaled_matmul_transposed<W: RingWord>(
        &mut self,
        a: &Masked<I, W>,
        b: &Masked<I, W>,
        scale: &Masked<I, W>,
    ) -> Result<Share<I, W>, Error> {
        self.scaled(Bilinear::MatmulTransposed, (a, b), scale)
    }

    /// `a · b · scale` element by element, with one scale per matrix; `a` and `b` have one shape. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn scaled_product<W: RingWord>(
        &mut self,
        a: &Masked<I, W>,
        b: &Masked<I, W>,
        scale: &Masked<I, W>,
    ) -> Result<Share<I, W>, Error> {
        if a.form.shape != b.form.shape {
            return Err(Error::Shape { what: "scaled product", expected: a.form.shape, found: b.form.shape });
        }
        self.scaled(Bilinear::Elements, (a, b), scale)
    }

    fn scaled<W: RingWord>(
        &mut self,
        map: Bilinear,
        (a, b): (&Masked<I, W>, &Masked<I, W>),
        scale: &Masked<I, W>,
    ) -> Result<Share<I, W>, Error> {
        let shape = map.shape(a.form.shape, b.form.shape)?;
        let scalars = Shape::new(shape.batch, 1, 1);
        if scale.form.shape != scalars {
            return Err(Error::Shape { what: "scale of a product", expected: scalars, found: scale.form.shape });
        }
        let form = a.form.product(&b.form, shape).product(&scale.form, shape);
        let operation = ScaledProduct { map, factors: [a.form.shape, b.form.shape], out: form };
        let operands = (a.payload.clone(), b.payload.clone(), scale.payload.clone());
        Ok(Share { form, payload: self.apply::<Factors<W>, kind::Share<W>>(&operation, operands)? })
    }
}

type Factors<W> = (kind::Masked<W>, kind::Masked<W>, kind::Masked<W>);

struct ScaledProduct {
    map: Bilinear,
    factors: [Shape; 2],
    out: Form,
}

/// The elements of `x`, each times the scalar of its matrix.
fn times<W: RingWord>(x: &Tensor<W>, scalars: &Tensor<W>) -> Secret<W> {
    Secret::new(x.zip(scalars, W::times))
}

/// The sum or difference of shares.
fn sum<W: RingWord>(a: &Secret<W>, b: &Secret<W>, combined: impl Fn(W, W) -> W) -> Secret<W> {
    Secret::new(a.expose().zip(b.expose(), combined))
}

impl<W: RingWord> Operation<Factors<W>, kind::Share<W>> for ScaledProduct {
    fn clear(
        &self,
        _weights: &[Tensor<f32>],
        (a, b, scale): (Arc<Tensor<f32>>, Arc<Tensor<f32>>, Arc<Tensor<f32>>),
    ) -> Result<Tensor<f32>, Error> {
        Ok(self.map.of_clear(&a, &b).zip(&scale, |x, scale| x * scale))
    }

    fn fixed(
        &self,
        ranges: &mut Ranges,
        (a, b, scale): (Arc<Tensor<i128>>, Arc<Tensor<i128>>, Arc<Tensor<i128>>),
    ) -> Result<Tensor<i128>, Error> {
        let product = self.map.of_fixed(ranges, &a, &b)?;
        ranges.elements(&product, &scale)
    }

    fn cost(&self, meter: &mut CostMeter) {
        let [a, b] = self.factors;
        for shape in [a, b, self.out.shape, self.out.shape] {
            meter.material(words_len(shape.len(), self.out.bits));
        }
    }

    fn offline<P: OfflineRole>(
        &self,
        role: &mut P,
        (a, b, scale): (Arc<Secret<W>>, Arc<Secret<W>>, Arc<Secret<W>>),
    ) -> Result<(), Error> {
        let bits = self.out.bits;
        let scaled = |x: &Tensor<W>| times(x, scale.expose()).into_inner();
        let product = || self.map.of_words(a.expose(), b.expose(), bits);
        let scaled_a = role.correlated(a.shape(), bits, || scaled(a.expose()))?;
        let scaled_b = role.correlated(b.shape(), bits, || scaled(b.expose()))?;
        let both = role.correlated(self.out.shape, bits, product)?;
        let all = role.correlated(self.out.shape, bits, || scaled(Secret::new(product()).expose()))?;
        for words in [&a, &b, &scale, &scaled_a, &scaled_b, &both, &all] {
            role.hand(words)?;
        }
        Ok(())
    }

    /// With P = (m_a − δ_a)(m_b − δ_b) it is m_c·P − δ_c·P: left·m_b − m_a·right + m_c·[δ_aδ_b] − [δ_aδ_bδ_c], where left
    /// is m_c·(m_a − [δ_a]) − m_a·[δ_c] + [δ_aδ_c], and right m_c·[δ_b] − [δ_bδ_c].
    fn online<S: Server>(
        &self,
        server: &mut S,
        (a, b, scale): (Arc<Tensor<W>>, Arc<Tensor<W>>, Arc<Tensor<W>>),
    ) -> Result<Secret<W>, Error> {
        let (mask_a, mask_b) = (server.pop::<W>(a.shape())?, server.pop::<W>(b.shape())?);
        let mask_scale = server.pop::<W>(scale.shape())?;
        let (scaled_a, scaled_b) = (server.pop::<W>(a.shape())?, server.pop::<W>(b.shape())?);
        let [both, all] = server.pop_all::<W, 2>(self.out.shape)?;
        let leads = W::from_i64(i64::from(server.leads()));
        let whole = Secret::new(scale.zip(mask_scale.expose(), |m, mask| leads.times(m).minus(mask)));
        let left = sum(&times(&a, whole.expose()), &scaled_a, W::plus);
        let left = sum(&left, &times(mask_a.expose(), &scale), W::minus);
        let right = sum(&times(mask_b.expose(), &scale), &scaled_b, W::minus);
        let rest = sum(&times(both.expose(), &scale), &all, W::minus);
        let product = self.map.difference((&a, &left), (&b, &right), self.out.bits);
        Ok(sum(&product, &rest, W::plus))
    }
}
