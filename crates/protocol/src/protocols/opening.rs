//! Opening: additive shares become a masked value.
//!
//! **Computes** m = x + δ mod 2^k, public to both servers, the mask δ fresh. **Shapes** any. **Cost** one opening, shared by
//! everything deferred to it; ⌈k·n/8⌉ bytes each way, 8·⌈n/64⌉ per plane for bits; no material (δ's shares come from the
//! seeds). **Security** a server sees m, uniform for fresh δ. Exact. **Source** Beaver, CRYPTO'91; masked evaluation as
//! in Ben-Efraim, Nielsen, Omri, Turbospeedz, ACNS'19.
//! **Differs from the source** in that one opening also serves as input of extensions and comparisons.
//!
//! A server's online side is [`Server::defer`](crate::operation::Server::defer), its exchange, and
//! [`Server::take`](crate::operation::Server::take).

use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::material::word::RingWord;
use crate::operation::OfflineRole;
use crate::secret::Secret;
use std::sync::Arc;

/// The mask of one opening.
pub(crate) fn offline<W: RingWord>(role: &mut impl OfflineRole, form: &Form) -> Result<Arc<Secret<W>>, Error> {
    role.mask(form.shape)
}

/// The mask of one opening of bits.
pub(crate) fn offline_bits(role: &mut impl OfflineRole, planes: usize, len: usize) -> Result<Arc<BitTensor>, Error> {
    role.mask_bits(planes, len).map(Arc::new)
}

/// Bytes each way.
pub(crate) fn cost(form: &Form) -> usize {
    form.packed_len()
}
