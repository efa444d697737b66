//! Products of two secret values.
//!
//! **Computes** a·b (matrices, batch by batch, or element by element with repetition) or the row sums of a². **Shapes**
//! `[B, M, K] · [B, K, N]`, masked, to `[B, M, N]` in shares. **Cost** no opening; material ⌈k·n/8⌉ bytes for n results;
//! two local products a server. **Security** shares only. Exact modulo 2^k. **Source** Beaver, CRYPTO'91: the operands'
//! openings are the triple's. **Differs from the source** in nothing but that the openings are shared with other uses.

use super::{Role, Server, words_len};
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::{Matrix, PackedMatrix, Shape, Tensor, matmul};
use std::sync::Arc;

/// The batched matrix product of plain tensors.
pub(crate) fn multiply<W: RingWord>(a: &Tensor<W>, b: &Tensor<W>, transposed: bool) -> Tensor<W> {
    let (left, right) = (a.shape(), b.shape());
    let (inner, columns) = if transposed { (right.columns, right.rows) } else { (right.rows, right.columns) };
    let layout = if transposed { Matrix::Transposed } else { Matrix::RowMajor };
    let mut product = Tensor::zeros(Shape::new(left.batch, left.rows, columns));
    let (step_a, step_b, step) = (left.rows * inner, inner * columns, left.rows * columns);
    for batch in 0..left.batch {
        let packed =
            PackedMatrix::pack(&b.data()[batch * step_b..(batch + 1) * step_b], inner, columns, layout, u64::BITS);
        let out = &mut product.data_mut()[batch * step..(batch + 1) * step];
        matmul(&a.data()[batch * step_a..(batch + 1) * step_a], &packed, out);
    }
    product
}

/// The kinds of product, each bilinear.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Matmul,
    MatmulTransposed,
    Elements,
}

impl Kind {
    fn apply<W: RingWord>(self, a: &Tensor<W>, b: &Tensor<W>) -> Tensor<W> {
        match self {
            Self::Matmul => multiply(a, b, false),
            Self::MatmulTransposed => multiply(a, b, true),
            Self::Elements => a.zip(b, W::times),
        }
    }
}

pub(crate) fn offline<W: RingWord>(
    role: &mut impl Role,
    kind: Kind,
    a: &Arc<Secret<W>>,
    b: &Arc<Secret<W>>,
    out: &Form,
) -> Result<(), Error> {
    let product = role.correlated(out.shape, out.bits, || kind.apply(a.expose(), b.expose()))?;
    role.hand(a)?;
    role.hand(b)?;
    role.hand(&product)
}

/// (m_a − λ_a)(m_b − λ_b): party zero (m_a − [λ_a])·m_b − m_a·[λ_b] + [λ_aλ_b], party one the same without m_a·m_b.
pub(crate) fn online<W: RingWord>(
    server: &mut impl Server,
    kind: Kind,
    a: &Tensor<W>,
    b: &Tensor<W>,
    out: &Form,
) -> Result<Secret<W>, Error> {
    let mask_a = server.pop::<W>(a.shape())?;
    let mask_b = server.pop::<W>(b.shape())?;
    let product = server.pop::<W>(out.shape)?;
    let zero = W::ZERO;
    let left =
        if server.leads() { a.zip(mask_a.expose(), W::minus) } else { mask_a.expose().map(|mask| zero.minus(mask)) };
    let left = Secret::new(left);
    let mut result = kind.apply(left.expose(), b);
    let crossed = Secret::new(kind.apply(a, mask_b.expose()));
    for ((word, &minus), &plus) in
        result.data_mut().iter_mut().zip(crossed.expose().data()).zip(product.expose().data())
    {
        *word = word.minus(minus).plus(plus);
    }
    Ok(Secret::new(result))
}

pub(crate) fn offline_squares<W: RingWord>(role: &mut impl Role, x: &Arc<Secret<W>>, out: &Form) -> Result<(), Error> {
    let squares = role.correlated(out.shape, out.bits, || x.expose().zip(x.expose(), W::times).sum_columns())?;
    role.hand(x)?;
    role.hand(&squares)
}

/// Σ(m − λ)² = Σm² − 2Σm[λ] + [Σλ²].
pub(crate) fn online_squares<W: RingWord>(
    server: &mut impl Server,
    x: &Tensor<W>,
    out: &Form,
) -> Result<Secret<W>, Error> {
    let mask = server.pop::<W>(x.shape())?;
    let squares = server.pop::<W>(out.shape)?;
    let leads = server.leads();
    let terms = x.zip(mask.expose(), |m, mask| {
        let crossed = m.times(mask).raise(1);
        if leads { m.times(m).minus(crossed) } else { W::ZERO.minus(crossed) }
    });
    let sums = Secret::new(terms.sum_columns());
    Ok(Secret::new(sums.expose().zip(squares.expose(), W::plus)))
}

/// Material bytes.
pub(crate) fn cost(out: &Form) -> usize {
    words_len(out.shape.len(), out.bits)
}
