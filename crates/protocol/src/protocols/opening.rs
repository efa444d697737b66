//! Opening: additive shares become a masked value.
//!
//! **Computes** m = x + λ mod 2^k, public to both servers, λ fresh. **Shapes** any. **Cost** one opening, shared by
//! everything deferred to it; ⌈k·n/8⌉ bytes each way, 8·⌈n/64⌉ a plane for bits; no material (λ's shares come from the
//! seeds). **Security** a server sees m, uniform for fresh λ. Exact. **Source** Beaver, CRYPTO'91; masked evaluation as
//! in Ben-Efraim, Nielsen, Omri, Turbospeedz, ACNS'19.
//! **Differs from the source** in that one opening also serves as lifting and comparison input.

use super::{Role, Server};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::{Tensor, Word, pack};
use std::sync::Arc;

pub(crate) fn offline<W: RingWord>(role: &mut impl Role, form: &Form) -> Result<Arc<Secret<W>>, Error> {
    let mask = role.fresh(form.shape);
    role.hand(&mask)?;
    Ok(mask)
}

pub(crate) fn offline_bits(role: &mut impl Role, planes: usize, len: usize) -> Result<BitTensor, Error> {
    let mask = role.fresh_bits(planes, len);
    role.hand_bits(mask.clone())?;
    Ok(mask)
}

/// This server's summand of m, also appended to the outgoing message.
pub(crate) fn outgoing<W: RingWord>(
    server: &mut impl Server,
    mut share: Secret<W>,
    form: &Form,
    message: &mut Vec<u8>,
) -> Result<Tensor<W>, Error> {
    let mask = server.pop::<W>(form.shape)?;
    pack::pack_sum(share.expose_mut().data_mut(), mask.expose().data(), form.bits, message);
    // A summand under a fresh mask is no secret.
    Ok(share.into_inner().reshaped(form.shape))
}

/// m, from this server's summand and the other's.
pub(crate) fn incoming<W: Word>(mut own: Tensor<W>, form: &Form, message: &[u8]) -> Tensor<W> {
    pack::unpack_add(message, form.bits, own.data_mut());
    own
}

/// Bytes each way.
pub(crate) fn cost(form: &Form) -> usize {
    form.packed_len()
}
