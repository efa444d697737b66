//! Linear layers with fixed secret weights.
//!
//! **Computes** z = x·W (matrix) or z = x∘w (column scales), W in shares from the bundle. **Shapes** x `[1, T, K]`
//! masked mod 2^k, W `[K, N]`, z `[1, T, N]` in shares. **Cost** no opening; material ⌈k·T·N/8⌉ bytes; online one ring
//! product T×K×N a server, offline another. **Security** once a model and dealer the servers open F = W − B, B the
//! dealer's uniform mask of the model; a query adds only shares. Exact modulo 2^k. **Source** Beaver, CRYPTO'91, with
//! the weights' side of the triple opened once, as in SecureML's and CrypTen's cached weights.
//! **Differs from the source** in that `[λW] = [λB] + [λ]F` is finished offline, so that one product is left online.

use super::{Role, Server, words_len};
use crate::error::Error;
use crate::form::Form;
use crate::secret::Secret;
use blindroute_ring::{PackedMatrix, Scalar, Tensor, matmul};
use std::sync::Arc;

/// What a party multiplies masks with: B for the dealer, F for a server.
pub(crate) enum Factor<'a> {
    Matrix(&'a PackedMatrix<u64>),
    Scale(&'a Tensor<u64>),
}

impl Factor<'_> {
    pub(crate) fn apply(&self, x: &Tensor<u64>, out: &Form) -> Tensor<u64> {
        match self {
            Self::Matrix(matrix) => {
                let mut product = Tensor::zeros(out.shape);
                matmul(x.data(), matrix, product.data_mut());
                product
            }
            Self::Scale(scale) => x.zip(scale, u64::wrapping_mul),
        }
    }
}

/// The dealer sends [λB]; a server hands itself [λW] = [λB] + [λ]F.
pub(crate) fn offline(
    role: &mut impl Role,
    mask: &Arc<Secret<u64>>,
    factor: &Factor<'_>,
    serves: bool,
    out: &Form,
) -> Result<(), Error> {
    let mut product = role.correlated(out.shape, out.bits, || factor.apply(mask.expose(), out))?;
    if serves {
        let own = Secret::new(factor.apply(mask.expose(), out));
        product = Arc::new(Secret::new(product.expose().zip(own.expose(), u64::wrapping_add)));
    }
    role.hand(&product)
}

/// z = m·W − [λW] in shares.
pub(crate) fn online(
    server: &mut impl Server,
    public: &Tensor<u64>,
    factor: &Factor<'_>,
    out: &Form,
) -> Result<Secret<u64>, Error> {
    let correction = server.pop::<u64>(out.shape)?;
    let mut product = factor.apply(public, out);
    for (word, &minus) in product.data_mut().iter_mut().zip(correction.expose().data()) {
        *word = word.minus(minus);
    }
    Ok(Secret::new(product))
}

/// Material bytes.
pub(crate) fn cost(out: &Form) -> usize {
    words_len(out.shape.len(), out.bits)
}
