//! Products of two secret values.
//!
//! **Computes** a·b (matrices, batch by batch, or element by element with repetition). **Shapes**
//! `[B, M, K] · [B, K, N]`, masked, to `[B, M, N]` in shares. **Cost** no opening; material ⌈k·n/8⌉ bytes for n results;
//! one local product of twice the inner dimension per server. **Security** shares only. Exact modulo 2^k. **Source**
//! Beaver, CRYPTO'91: the operands' openings are the triple's. **Differs from the source** in nothing but that the
//! openings are shared with other uses.

use super::words_len;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::lanes::combine;
use blindroute_ring::{MatrixLayout, PackedMatrix, Shape, Tensor, floats, matmul};
use std::sync::Arc;
use zeroize::Zeroize;

impl<I: Interpreter> Machine<'_, I> {
    /// `a · b` batch by batch. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn matmul<W: RingWord>(&mut self, a: &Masked<I, W>, b: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        self.bilinear(Bilinear::Matmul, a, b)
    }

    /// `a · bᵀ` batch by batch. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn matmul_transposed<W: RingWord>(&mut self, a: &Masked<I, W>, b: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        self.bilinear(Bilinear::MatmulTransposed, a, b)
    }

    /// `a · b` element by element; dimensions of size 1 of `b` repeat. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn product<W: RingWord>(&mut self, a: &Masked<I, W>, b: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        self.bilinear(Bilinear::Elements, a, b)
    }

    fn bilinear<W: RingWord>(
        &mut self,
        map: Bilinear,
        a: &Masked<I, W>,
        b: &Masked<I, W>,
    ) -> Result<Share<I, W>, Error> {
        let form = a.form.product(&b.form, map.shape(a.form.shape, b.form.shape)?);
        let operands = (a.payload.clone(), b.payload.clone());
        let operation = Product { map, out: form };
        let payload = self.apply::<(kind::Masked<W>, kind::Masked<W>), kind::Share<W>>(&operation, operands)?;
        Ok(Share { form, payload })
    }
}

/// The kinds of product, each bilinear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bilinear {
    Matmul,
    MatmulTransposed,
    Elements,
}

impl Bilinear {
    /// The shape of the product.
    ///
    /// # Errors
    /// If the factors do not fit.
    pub(super) fn shape(self, left: Shape, right: Shape) -> Result<Shape, Error> {
        let transposed = match self {
            Self::Elements if left.admits(&right) => return Ok(left),
            Self::Elements => return Err(Error::Program(format!("the product of {left} and {right}"))),
            Self::Matmul => false,
            Self::MatmulTransposed => true,
        };
        let (inner, columns) = if transposed { (right.columns, right.rows) } else { (right.rows, right.columns) };
        if left.batch != right.batch || left.columns != inner {
            return Err(Error::Program(format!("the product of {left} and {right} (transposed: {transposed})")));
        }
        Ok(Shape::new(left.batch, left.rows, columns))
    }

    /// The product of real numbers.
    pub(super) fn of_clear(self, a: &Tensor<f32>, b: &Tensor<f32>) -> Tensor<f32> {
        match self {
            Self::Elements => a.zip(b, |a, b| a * b),
            Self::Matmul | Self::MatmulTransposed => multiply_clear(a, b, self == Self::MatmulTransposed),
        }
    }

    /// The product of unshared integers.
    ///
    /// # Errors
    /// If it is not exact.
    pub(super) fn of_fixed(self, ranges: &Ranges, a: &Tensor<i128>, b: &Tensor<i128>) -> Result<Tensor<i128>, Error> {
        match self {
            Self::Elements => ranges.elements(a, b),
            Self::Matmul | Self::MatmulTransposed => {
                multiply_fixed(ranges, a, b, self == Self::MatmulTransposed, a.shape().columns)
            }
        }
    }

    /// The product of words modulo 2^bits.
    pub(super) fn of_words<W: RingWord>(self, a: &Tensor<W>, b: &Tensor<W>, bits: u32) -> Tensor<W> {
        match self {
            Self::Matmul => multiply(a, b, false, bits),
            Self::MatmulTransposed => multiply(a, b, true, bits),
            Self::Elements => a.zip(b, W::times),
        }
    }
}

/// The matrix product of plain tensors, batch by batch, modulo 2^bits. A single right factor multiplies every matrix of
/// `a`, in one product of all their rows.
fn multiply<W: RingWord>(a: &Tensor<W>, b: &Tensor<W>, transposed: bool, bits: u32) -> Tensor<W> {
    let (left, right) = (a.shape(), b.shape());
    let (inner, columns) = if transposed { (right.columns, right.rows) } else { (right.rows, right.columns) };
    let layout = if transposed { MatrixLayout::Transposed } else { MatrixLayout::RowMajor };
    let mut product = Tensor::zeros(Shape::new(left.batch, left.rows, columns));
    let rows = left.batch * left.rows / right.batch.max(1);
    let (step_a, step_b, step) = (rows * inner, inner * columns, rows * columns);
    for batch in 0..right.batch {
        let mut packed =
            PackedMatrix::pack(&b.data()[batch * step_b..(batch + 1) * step_b], inner, columns, layout, bits);
        let out = &mut product.data_mut()[batch * step..(batch + 1) * step];
        matmul(&a.data()[batch * step_a..(batch + 1) * step_a], &packed, out);
        packed.zeroize();
    }
    product
}

/// `a · b` of row-major matrices, batch by batch; a single right factor multiplies every matrix of `a`.
pub(super) fn multiply_clear(a: &Tensor<f32>, b: &Tensor<f32>, transposed: bool) -> Tensor<f32> {
    let (left, right) = (a.shape(), b.shape());
    let (inner, columns) = if transposed { (right.columns, right.rows) } else { (right.rows, right.columns) };
    let layout = if transposed { MatrixLayout::Transposed } else { MatrixLayout::RowMajor };
    let mut out = Tensor::zeros(Shape::new(left.batch, left.rows, columns));
    let rows = left.batch * left.rows / right.batch.max(1);
    for batch in 0..right.batch {
        let left = &a.data()[batch * rows * inner..(batch + 1) * rows * inner];
        let right = &b.data()[batch * inner * columns..(batch + 1) * inner * columns];
        let product = &mut out.data_mut()[batch * rows * columns..(batch + 1) * rows * columns];
        floats::product(left, right, (inner, columns), layout, product);
    }
    out
}

/// A product through the u64 kernel, exact because its bound is checked to fit 64 bits.
///
/// # Errors
/// If the bound does not fit.
pub(super) fn multiply_fixed(
    ranges: &Ranges,
    a: &Tensor<i128>,
    b: &Tensor<i128>,
    transposed: bool,
    inner: usize,
) -> Result<Tensor<i128>, Error> {
    let bits = Ranges::most_bits(a) + Ranges::most_bits(b) + inner.max(1).ilog2();
    ranges.check_exact("matrix product", bits, 64)?;
    let word = |x: i128| x as u64;
    let product = multiply(&a.map(word), &b.map(word), transposed, 64);
    Ok(product.map(|word| i128::from(word as i64)))
}

struct Product {
    map: Bilinear,
    out: Form,
}

impl<W: RingWord> Operation<(kind::Masked<W>, kind::Masked<W>), kind::Share<W>> for Product {
    fn clear(
        &self,
        _weights: &[Tensor<f32>],
        (a, b): (Arc<Tensor<f32>>, Arc<Tensor<f32>>),
    ) -> Result<Tensor<f32>, Error> {
        Ok(self.map.of_clear(&a, &b))
    }

    fn fixed(
        &self,
        ranges: &mut Ranges,
        (a, b): (Arc<Tensor<i128>>, Arc<Tensor<i128>>),
    ) -> Result<Tensor<i128>, Error> {
        self.map.of_fixed(ranges, &a, &b)
    }

    fn cost(&self, meter: &mut CostMeter) {
        meter.material(words_len(self.out.shape.len(), self.out.bits));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, (a, b): (Arc<Secret<W>>, Arc<Secret<W>>)) -> Result<(), Error> {
        let product = || self.map.of_words(a.expose(), b.expose(), self.out.bits);
        let product = role.correlated(self.out.shape, self.out.bits, product)?;
        role.hand(&a)?;
        role.hand(&b)?;
        role.hand(&product)
    }

    /// (m_a − δ_a)(m_b − δ_b): party zero (m_a − [δ_a])·m_b − m_a·[δ_b] + [δ_aδ_b], party one the same without m_a·m_b.
    fn online<S: Server>(&self, server: &mut S, (a, b): (Arc<Tensor<W>>, Arc<Tensor<W>>)) -> Result<Secret<W>, Error> {
        let mask_a = server.pop::<W>(a.shape())?;
        let mask_b = server.pop::<W>(b.shape())?;
        let product = server.pop::<W>(self.out.shape)?;
        let leads = W::from_i64(i64::from(server.leads()));
        let mut left = Secret::new(Tensor::zeros(a.shape()));
        let inputs = [a.data(), mask_a.expose().data()];
        combine(left.expose_mut().data_mut(), inputs, [], |_, [m, mask], []: [W; 0]| leads.times(m).minus(mask));
        let mut result = self.map.difference((&a, &left), (&b, &mask_b), self.out.bits);
        let inputs = [product.expose().data()];
        combine(result.expose_mut().data_mut(), inputs, [], |word, [plus], []: [W; 0]| word.plus(plus));
        Ok(result)
    }
}

impl Bilinear {
    /// left·m_b − m_a·right, for shares `left` and `right`: matrices in one product of twice the inner dimension,
    /// [left, −m_a] · [m_b; right].
    pub(super) fn difference<W: RingWord>(
        self,
        (public_a, left): (&Tensor<W>, &Secret<W>),
        (public_b, right): (&Tensor<W>, &Secret<W>),
        bits: u32,
    ) -> Secret<W> {
        if self == Self::Elements {
            let crossed = Secret::new(public_a.zip(right.expose(), W::times));
            let scaled = Secret::new(left.expose().zip(public_b, W::times));
            return Secret::new(scaled.expose().zip(crossed.expose(), W::minus));
        }
        let joined = Secret::new(joined_left(left.expose(), public_a));
        let join_right = if self == Self::Matmul { beneath } else { beside };
        let right = Secret::new(join_right(public_b, right.expose()));
        Secret::new(self.of_words(joined.expose(), right.expose(), bits))
    }
}

/// [left, −m], row by row.
fn joined_left<W: RingWord>(left: &Tensor<W>, m: &Tensor<W>) -> Tensor<W> {
    let shape = m.shape();
    let columns = shape.columns;
    let mut joined = Tensor::zeros(Shape { columns: 2 * columns, ..shape });
    let rows = left.data().chunks_exact(columns.max(1)).zip(m.data().chunks_exact(columns.max(1)));
    for (out, (left, m)) in joined.data_mut().chunks_exact_mut((2 * columns).max(1)).zip(rows) {
        let (first, second) = out.split_at_mut(columns);
        first.copy_from_slice(left);
        combine(second, [m], [], |_, [m], []: [W; 0]| W::ZERO.minus(m));
    }
    joined
}

/// The rows of both, one after the other, in blocks of `length` words.
fn interleaved<W: RingWord>(m: &Tensor<W>, share: &Tensor<W>, length: usize, shape: Shape) -> Tensor<W> {
    let mut joined = Vec::with_capacity(shape.len());
    for (m, share) in m.data().chunks_exact(length.max(1)).zip(share.data().chunks_exact(length.max(1))) {
        joined.extend_from_slice(m);
        joined.extend_from_slice(share);
    }
    Tensor::new(shape, joined)
}

/// [m; share], matrix by matrix.
fn beneath<W: RingWord>(m: &Tensor<W>, share: &Tensor<W>) -> Tensor<W> {
    let shape = m.shape();
    interleaved(m, share, shape.rows * shape.columns, Shape { rows: 2 * shape.rows, ..shape })
}

/// [m, share], row by row: the transpose of [m; share] of the transposes.
fn beside<W: RingWord>(m: &Tensor<W>, share: &Tensor<W>) -> Tensor<W> {
    let shape = m.shape();
    interleaved(m, share, shape.columns, Shape { columns: 2 * shape.columns, ..shape })
}
