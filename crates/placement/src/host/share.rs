//! A server's share of the weights: read at the start and at each set-up of the weights, from a file that may be sealed.

use super::HostError;
use blindroute_routing::bundle::{BundleError, ExpectedShare, ShareFile};
use blindroute_runtime::config::ServerConfig;
use blindroute_runtime::sealing::{self, Belongs, SealingError, SealingKey};
use blindroute_runtime::{Role, SharesError};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file of a server's share, which stays open: it is the file that was checked at the start, whatever its name stands for later.
pub(crate) struct HeldShare {
    path: PathBuf,
    file: File,
    role: Role,
    expected: ExpectedShare,
    key: Option<SealingKey>,
}

enum Unreadable {
    Share(BundleError),
    Sealed(SealingError),
}

impl HeldShare {
    /// Opens and reads a share of the server of this configuration.
    pub(crate) fn hold(
        config: &ServerConfig,
        path: &Path,
        expected: &ExpectedShare,
    ) -> Result<(Self, ShareFile), HostError> {
        let path = path.to_owned();
        let sealed = |source| HostError::Sealed { path: path.clone(), source };
        let key = config.sealing_key.as_deref().map(SealingKey::open).transpose().map_err(sealed)?;
        let file = File::open(&path).map_err(|error| HostError::Share { path: path.clone(), source: io(error) })?;
        let held = Self { path: path.clone(), file, role: config.role(), expected: *expected, key };
        let share = held.read(&held.file).map_err(|error| match error {
            Unreadable::Share(source) => HostError::Share { path, source },
            Unreadable::Sealed(source) => HostError::Sealed { path, source },
        })?;
        Ok((held, share))
    }

    fn read(&self, mut file: &File) -> Result<ShareFile, Unreadable> {
        let mut bytes = Zeroizing::new(Vec::new());
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        // At once: a vector that grows would leave copies behind.
        bytes.reserve_exact(usize::try_from(length).unwrap_or(0) + 1);
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(|error| Unreadable::Share(io(error)))?;
        if !sealing::is_sealed(&bytes) {
            return ShareFile::read(&bytes, &self.expected).map_err(Unreadable::Share);
        }
        let key = self.key.as_ref().ok_or(Unreadable::Sealed(SealingError::NoKey))?;
        let belongs = Belongs { role: self.role, digest: *self.expected.deployment().as_bytes() };
        let opened = sealing::open(key, &belongs, &bytes).map_err(Unreadable::Sealed)?;
        ShareFile::read(&opened, &self.expected).map_err(Unreadable::Share)
    }

    /// The share as it was when the server started, or nothing. A file that was spoilt may have been put back under its name.
    pub(crate) fn read_again(&self) -> Result<ShareFile, SharesError> {
        let read = match (self.read(&self.file), File::open(&self.path)) {
            (Err(_), Ok(file)) => self.read(&file),
            (read, _) => read,
        };
        let path = self.path.display();
        let changed = |text: String| {
            SharesError::Changed(format!(
                "{path}: {text}. Put the file back, or stop all parties and start them with one split"
            ))
        };
        read.map_err(|error| match error {
            Unreadable::Share(
                error @ (BundleError::OtherParty { .. }
                | BundleError::OtherSplit { .. }
                | BundleError::OtherShare { .. }),
            ) => changed(error.to_string()),
            Unreadable::Sealed(error @ (SealingError::OtherRole { .. } | SealingError::OtherDigest { .. })) => {
                changed(error.to_string())
            }
            Unreadable::Share(error) => SharesError::Unreadable(format!("{path}: {error}")),
            Unreadable::Sealed(error) => SharesError::Unreadable(format!("{path}: {error}")),
        })
    }
}

fn io(error: std::io::Error) -> BundleError {
    BundleError::Container(error.into())
}
