//! Products of two secret values.
//!
//! **Computes** a·b (matrices, batch by batch, or element by element with repetition). **Shapes**
//! `[B, M, K] · [B, K, N]`, masked, to `[B, M, N]` in shares. **Cost** no opening; material ⌈k·n/8⌉ bytes for n results;
//! one local product of twice the inner dimension a server. **Security** shares only. Exact modulo 2^k. **Source** Beaver, CRYPTO'91: the operands'
//! openings are the triple's. **Differs from the source** in nothing but that the openings are shared with other uses.

use super::{Role, Server, words_len};
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::lanes::combine;
use blindroute_ring::{MatrixLayout, PackedMatrix, Shape, Tensor, matmul};
use std::sync::Arc;
use zeroize::Zeroize;

/// The matrix product of plain tensors, batch by batch, modulo 2^bits. A single right factor multiplies every matrix of
/// `a`, in one product of all their rows.
pub(crate) fn multiply<W: RingWord>(a: &Tensor<W>, b: &Tensor<W>, transposed: bool, bits: u32) -> Tensor<W> {
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

/// The kinds of product, each bilinear.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Matmul,
    MatmulTransposed,
    Elements,
}

impl Kind {
    fn apply<W: RingWord>(self, a: &Tensor<W>, b: &Tensor<W>, bits: u32) -> Tensor<W> {
        match self {
            Self::Matmul => multiply(a, b, false, bits),
            Self::MatmulTransposed => multiply(a, b, true, bits),
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
    let product = role.correlated(out.shape, out.bits, || kind.apply(a.expose(), b.expose(), out.bits))?;
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
    let leads = W::from_i64(i64::from(server.leads()));
    let mut result = match kind {
        Kind::Elements => {
            let mut left = Secret::new(Tensor::zeros(a.shape()));
            let inputs = [a.data(), mask_a.expose().data()];
            combine(left.expose_mut().data_mut(), inputs, [], |_, [m, mask], []: [W; 0]| leads.times(m).minus(mask));
            let crossed = Secret::new(a.zip(mask_b.expose(), W::times));
            let scaled = Secret::new(left.expose().zip(b, W::times));
            Secret::new(scaled.expose().zip(crossed.expose(), W::minus))
        }
        Kind::Matmul | Kind::MatmulTransposed => {
            // One product of twice the inner dimension: [leads·m_a − λ_a, −m_a] · [m_b; λ_b].
            let left = Secret::new(joined_left(a, mask_a.expose(), leads));
            let right = if matches!(kind, Kind::Matmul) { beneath } else { beside };
            let right = Secret::new(right(b, mask_b.expose()));
            Secret::new(kind.apply(left.expose(), right.expose(), out.bits))
        }
    };
    let inputs = [product.expose().data()];
    combine(result.expose_mut().data_mut(), inputs, [], |word, [plus], []: [W; 0]| word.plus(plus));
    Ok(result)
}

/// [leads·m − λ, −m], row by row.
fn joined_left<W: RingWord>(m: &Tensor<W>, mask: &Tensor<W>, leads: W) -> Tensor<W> {
    let shape = m.shape();
    let columns = shape.columns;
    let mut joined = Tensor::zeros(Shape { columns: 2 * columns, ..shape });
    let rows = m.data().chunks_exact(columns.max(1)).zip(mask.data().chunks_exact(columns.max(1)));
    for (out, (m, mask)) in joined.data_mut().chunks_exact_mut((2 * columns).max(1)).zip(rows) {
        let (first, second) = out.split_at_mut(columns);
        combine(first, [m, mask], [], |_, [m, mask], []: [W; 0]| leads.times(m).minus(mask));
        combine(second, [m], [], |_, [m], []: [W; 0]| W::ZERO.minus(m));
    }
    joined
}

/// The rows of both, one after the other, in blocks of `length` words.
fn interleaved<W: RingWord>(m: &Tensor<W>, mask: &Tensor<W>, length: usize, shape: Shape) -> Tensor<W> {
    let mut joined = Vec::with_capacity(shape.len());
    for (m, mask) in m.data().chunks_exact(length.max(1)).zip(mask.data().chunks_exact(length.max(1))) {
        joined.extend_from_slice(m);
        joined.extend_from_slice(mask);
    }
    Tensor::new(shape, joined)
}

/// [m; λ], matrix by matrix.
fn beneath<W: RingWord>(m: &Tensor<W>, mask: &Tensor<W>) -> Tensor<W> {
    let shape = m.shape();
    interleaved(m, mask, shape.rows * shape.columns, Shape { rows: 2 * shape.rows, ..shape })
}

/// [m, λ], row by row: the transpose of [m; λ] of the transposes.
fn beside<W: RingWord>(m: &Tensor<W>, mask: &Tensor<W>) -> Tensor<W> {
    let shape = m.shape();
    interleaved(m, mask, shape.columns, Shape { columns: 2 * shape.columns, ..shape })
}

/// Material bytes.
pub(crate) fn cost(out: &Form) -> usize {
    words_len(out.shape.len(), out.bits)
}
