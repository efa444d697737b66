//! Linear layers with fixed secret weights.
//!
//! **Computes** z = x·W (matrix) or z = x∘w (column scales), W in shares from the bundle. **Shapes** x `[B, T, K]`
//! masked mod 2^k, W `[K, N]`, z `[B, T, N]` in shares. **Cost** no opening; material ⌈k·B·T·N/8⌉ bytes; online one ring
//! product BT×K×N per server, offline another. **Security** once per set of weights and dealer the servers open F = W − B,
//! B the dealer's uniform mask of the weight; a query adds only shares. Exact modulo 2^k. **Source** Beaver, CRYPTO'91,
//! with the weights' side of the triple opened once, as in SecureML's and CrypTen's cached weights. **Differs from the
//! source** in that `[δW] = [δB] + [δ]F` is finished offline, so that one product is left online.

use super::product::{multiply_clear, multiply_fixed};
use super::words_len;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::factor::Factor;
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use crate::weight_spec::{WeightId, WeightKind, WeightSpec};
use blindroute_ring::lanes::combine;
use blindroute_ring::{Shape, Tensor, matmul};
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
    /// `x · W` with a secret matrix, the same for every matrix of `x`. No opening.
    ///
    /// # Errors
    /// If the shapes or words do not fit.
    pub fn linear<W: RingWord>(&mut self, x: &Masked<I, W>, id: WeightId) -> Result<Share<I, W>, Error> {
        let spec = weight_in::<W>(self.weight(id)?)?;
        let WeightKind::Matrix { inner, columns } = spec.kind else {
            return Err(Error::Program(format!("{} cannot multiply {}", spec.name, x.form.shape)));
        };
        let width = x.form.shape.columns;
        if width != inner {
            return Err(Error::Program(format!("{} has {inner} rows, its factor {width} columns", spec.name)));
        }
        self.times_weight(x, id, spec, Shape { columns, ..x.form.shape })
    }

    /// Each column of `x` times its own secret factor. No opening.
    ///
    /// # Errors
    /// If the shapes or words do not fit.
    pub fn scale_columns<W: RingWord>(&mut self, x: &Masked<I, W>, id: WeightId) -> Result<Share<I, W>, Error> {
        let spec = weight_in::<W>(self.weight(id)?)?;
        if spec.kind != WeightKind::Scale(x.form.shape.columns) {
            return Err(Error::Program(format!("{} cannot scale {}", spec.name, x.form.shape)));
        }
        self.times_weight(x, id, spec, x.form.shape)
    }

    fn times_weight<W: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        weight: WeightId,
        spec: &WeightSpec,
        shape: Shape,
    ) -> Result<Share<I, W>, Error> {
        let form = x.form.product(&Form::new(spec.shape(), spec.bits, spec.fraction), shape);
        let operation = Linear { weight, kind: spec.kind, out: form };
        let payload = self.apply::<kind::Masked<W>, kind::Share<W>>(&operation, x.payload.clone())?;
        Ok(Share { form, payload })
    }
}

/// A weight's specification, if it is in words `W`.
pub(super) fn weight_in<W: RingWord>(spec: &WeightSpec) -> Result<&WeightSpec, Error> {
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

struct Linear {
    weight: WeightId,
    kind: WeightKind,
    out: Form,
}

impl Linear {
    /// x·W or x∘w.
    fn of_factor<W: RingWord>(&self, factor: &Factor<W>, x: &Tensor<W>) -> Tensor<W> {
        match factor {
            Factor::Matrix(matrix) => {
                // The rows of all matrices are those of one product.
                let mut product = Tensor::zeros(self.out.shape);
                matmul(x.data(), matrix, product.data_mut());
                product
            }
            Factor::Row(scale) => x.zip(scale.expose(), W::times),
        }
    }
}

impl<W: RingWord> Operation<kind::Masked<W>, kind::Share<W>> for Linear {
    fn clear(&self, weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        let weight = &weights[self.weight.0];
        Ok(match self.kind {
            WeightKind::Matrix { .. } => multiply_clear(&x, weight, false),
            WeightKind::Scale(_) | WeightKind::Bias(_) => x.zip(weight, |x, w| x * w),
        })
    }

    fn fixed(&self, ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        let weight = &ranges.weights()[self.weight.0];
        match self.kind {
            WeightKind::Matrix { inner, .. } => multiply_fixed(ranges, &x, weight, false, inner),
            WeightKind::Scale(_) | WeightKind::Bias(_) => ranges.elements(&x, weight),
        }
    }

    fn cost(&self, meter: &mut CostMeter) {
        meter.material(words_len(self.out.shape.len(), self.out.bits));
    }

    /// The dealer, whose factor is B, sends [δB]; a server, whose factor is F, hands itself [δW] = [δB] + [δ]F.
    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        let words = (self.out.shape, self.out.bits);
        role.weighted(self.weight, words, |factor| self.of_factor(factor, mask.expose()))
    }

    /// z = m·W − [δW] in shares.
    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Secret<W>, Error> {
        let correction = server.pop::<W>(self.out.shape)?;
        let weight = server.weight(self.weight)?;
        let mut product = self.of_factor(weight.in_word::<W>()?, &public);
        combine(product.data_mut(), [correction.expose().data()], [], |word, [minus], []: [W; 0]| word.minus(minus));
        Ok(Secret::new(product))
    }
}
