//! Linear layers with fixed secret weights.
//!
//! **Computes** z = x·W (matrix) or z = x∘w (column scales), W in shares from the bundle. **Shapes** x `[B, T, K]`
//! masked mod 2^k, W `[K, N]`, z `[B, T, N]` in shares. **Cost** no opening; material ⌈k·B·T·N/8⌉ bytes; online one ring
//! product BT×K×N a server, offline another. **Security** once a model and dealer the servers open F = W − B, B the
//! dealer's uniform mask of the model; a query adds only shares. Exact modulo 2^k. **Source** Beaver, CRYPTO'91, with
//! the weights' side of the triple opened once, as in SecureML's and CrypTen's cached weights.
//! **Differs from the source** in that `[λW] = [λB] + [λ]F` is finished offline, so that one product is left online.

use super::{Role, Server, words_len};
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use crate::weights::Factor;
use blindroute_ring::lanes::combine;
use blindroute_ring::{Tensor, matmul};
use std::sync::Arc;

/// x·W or x∘w.
fn apply<W: RingWord>(factor: &Factor<W>, x: &Tensor<W>, out: &Form) -> Tensor<W> {
    match factor {
        Factor::Matrix(matrix) => {
            // The rows of all matrices are those of one product.
            let mut product = Tensor::zeros(out.shape);
            matmul(x.data(), matrix, product.data_mut());
            product
        }
        Factor::Row(scale) => x.zip(scale.expose(), W::times),
    }
}

/// The dealer, whose factor is B, sends [λB]; a server, whose factor is F, hands itself [λW] = [λB] + [λ]F.
pub(crate) fn offline<W: RingWord>(
    role: &mut impl Role,
    mask: &Arc<Secret<W>>,
    factor: &Factor<W>,
    serves: bool,
    out: &Form,
) -> Result<(), Error> {
    let mut product = role.correlated(out.shape, out.bits, || apply(factor, mask.expose(), out))?;
    if serves {
        let mut own = Secret::new(apply(factor, mask.expose(), out));
        combine(own.expose_mut().data_mut(), [product.expose().data()], [], |own, [word], []: [W; 0]| own.plus(word));
        product = Arc::new(own);
    }
    role.hand(&product)
}

/// z = m·W − [λW] in shares.
pub(crate) fn online<W: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    factor: &Factor<W>,
    out: &Form,
) -> Result<Secret<W>, Error> {
    let correction = server.pop::<W>(out.shape)?;
    let mut product = apply(factor, public, out);
    combine(product.data_mut(), [correction.expose().data()], [], |word, [minus], []: [W; 0]| word.minus(minus));
    Ok(Secret::new(product))
}

/// Material bytes.
pub(crate) fn cost(out: &Form) -> usize {
    words_len(out.shape.len(), out.bits)
}
