//! Certificates of servers of other pairs, which may be of other authorities.

use super::trust::Source;
use super::{Endpoint, IdentityError};
use std::path::Path;

impl Endpoint {
    /// The same identity for calling the server of the same position in a pair with another authority. Only servers of that
    /// authority are accepted there.
    ///
    /// # Errors
    /// If the file holds no certificates.
    pub fn calling(&self, authority: &Path) -> Result<Endpoint, IdentityError> {
        self.of(Source { calls: Some(authority.to_owned()), ..self.held.source.clone() })
    }

    /// The same identity, which servers of the same position may hand over to: those of its own authority, where there is `None`,
    /// and those of the authorities in these files. Whoever has a certificate of another authority may do nothing else.
    ///
    /// # Errors
    /// If a file holds no certificates.
    pub fn accepting_hand_over<'a>(
        &self,
        authorities: impl IntoIterator<Item = Option<&'a Path>>,
    ) -> Result<Endpoint, IdentityError> {
        let accepts = authorities.into_iter().map(|path| path.map(Path::to_owned)).collect();
        self.of(Source { accepts, ..self.held.source.clone() })
    }
}
