//! Files that only one server can read: encrypted to its public key (HPKE, RFC 9180, base mode: X25519, HKDF-SHA256 and
//! AES-128-GCM), and bound to its role and to what the file belongs to.
//!
//! A sealed file begins with a header: a magic, the role, the digest of what it belongs to, the digest of the public key, and the
//! encapsulated key. Magic, role and digest are the associated data, so a file with another header does not open. The provider
//! is not authenticated by it: whether the content is the expected one is for its reader to check.
//!
//! ```
//! use blindroute_runtime::sealing::{Belongs, SealingKey, open, seal};
//! use blindroute_runtime::Role;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = SealingKey::generate();
//! let belongs = Belongs { role: Role::Server0, digest: [7; 32] };
//! let sealed = seal(&key.public(), &belongs, b"four")?;
//! assert_eq!(open(&key, &belongs, &sealed)?.as_slice(), b"four");
//! # Ok(())
//! # }
//! ```

mod key;
#[cfg(test)]
mod tests;

use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _, single_shot_open, single_shot_seal};
use zeroize::Zeroizing;

pub use key::{SealingKey, SealingPublicKey};

use crate::messages::Digest;
use crate::role::Role;

type Kem = X25519HkdfSha256;

const MAGIC: &[u8; 20] = b"blindroute sealed 1\n";
const DIGEST: usize = 32;
/// Magic, role, digest: what is bound to the content.
const BOUND: usize = MAGIC.len() + 1 + DIGEST;
const ENCAPSULATED: usize = 32;
const HEADER: usize = BOUND + DIGEST + ENCAPSULATED;
const INFO: &[u8] = b"blindroute sealed file 1";

/// What a sealed file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belongs {
    /// The role that opens it.
    pub role: Role,
    /// The digest of what it is a part of.
    pub digest: [u8; DIGEST],
}

/// Why a file is not sealed or does not open. It never quotes the content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealingError {
    /// The file is something else, or was truncated.
    #[error("it is not a whole sealed file; copy it again from the provider")]
    NotSealed,
    /// The file is for another role.
    #[error("it was sealed for {found}, and this is {expected}; ask the provider for the file for {expected}")]
    OtherRole {
        /// The role in the file.
        found: String,
        /// This role.
        expected: Role,
    },
    /// The file belongs to something else.
    #[error("it belongs to {found}, expected {expected}; the public part and the share have to come from one split")]
    OtherDigest {
        /// The digest in the file.
        found: Digest,
        /// The digest expected.
        expected: Digest,
    },
    /// The file was sealed for another key.
    #[error(
        "it was sealed for the key {found}, and this server's key is {expected}; the provider has to seal it with the manifest of this server"
    )]
    OtherKey {
        /// The digest of the key in the file.
        found: Digest,
        /// The digest of this key.
        expected: Digest,
    },
    /// The content was altered.
    #[error("it does not open: it was altered after it was sealed; copy it again from the provider")]
    Altered,
    /// There is no key to open it with.
    #[error("it is sealed, and the configuration names no key; set `sealing_key` to the file that `init` wrote")]
    NoKey,
    /// The key cannot be used.
    #[error("{0} is not a sealing key; expected the 64 hexadecimal digits that `init` wrote")]
    Key(&'static str),
    /// The file with the key cannot be read.
    #[error("cannot read the sealing key {path}: {source}; check `sealing_key` in the configuration and the file's permissions", path = path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Encryption failed.
    #[error("the content cannot be sealed; check the manifest's key")]
    Seal,
}

/// Whether a file begins as sealed ones do.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// What a sealed file says that it belongs to. Nothing of it is verified before the file is opened.
///
/// # Errors
/// If it is not a sealed file.
pub fn belongs(sealed: &[u8]) -> Result<Belongs, SealingError> {
    if sealed.len() < HEADER || !is_sealed(sealed) {
        return Err(SealingError::NotSealed);
    }
    let role =
        Role::ALL.into_iter().find(|role| number(*role) == sealed[MAGIC.len()]).ok_or(SealingError::NotSealed)?;
    Ok(Belongs { role, digest: array(&sealed[MAGIC.len() + 1..BOUND])? })
}

/// Encrypts a file to a server's key.
///
/// # Errors
/// If the key cannot be used.
pub fn seal(to: &SealingPublicKey, belongs: &Belongs, content: &[u8]) -> Result<Vec<u8>, SealingError> {
    let mut sealed = MAGIC.to_vec();
    sealed.push(number(belongs.role));
    sealed.extend_from_slice(&belongs.digest);
    let public = to.key()?;
    let (encapsulated, encrypted) =
        single_shot_seal::<AesGcm128, HkdfSha256, Kem>(&OpModeS::Base, &public, INFO, content, &sealed)
            .map_err(|_| SealingError::Seal)?;
    sealed.extend_from_slice(&to.digest().0);
    sealed.extend_from_slice(&encapsulated.to_bytes());
    sealed.extend_from_slice(&encrypted);
    Ok(sealed)
}

/// Opens a file that was sealed for this key, this role and this digest.
///
/// # Errors
/// If it was sealed for another one, or altered.
pub fn open(key: &SealingKey, expected: &Belongs, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealingError> {
    let found = belongs(sealed)?;
    if found.role != expected.role {
        return Err(SealingError::OtherRole { found: found.role.to_string(), expected: expected.role });
    }
    if found.digest != expected.digest {
        return Err(SealingError::OtherDigest { found: Digest(found.digest), expected: Digest(expected.digest) });
    }
    let (mine, theirs) = (key.public().digest(), Digest(array(&sealed[BOUND..BOUND + DIGEST])?));
    if mine != theirs {
        return Err(SealingError::OtherKey { found: theirs, expected: mine });
    }
    let altered = |_| SealingError::Altered;
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&sealed[BOUND + DIGEST..HEADER]).map_err(altered)?;
    let opened = single_shot_open::<AesGcm128, HkdfSha256, Kem>(
        &OpModeR::Base,
        &key.key()?,
        &encapsulated,
        INFO,
        &sealed[HEADER..],
        &sealed[..BOUND],
    );
    opened.map(Zeroizing::new).map_err(altered)
}

fn number(role: Role) -> u8 {
    match role {
        Role::Client => 3,
        Role::Server0 => 0,
        Role::Server1 => 1,
        Role::Dealer => 2,
    }
}

fn array(bytes: &[u8]) -> Result<[u8; DIGEST], SealingError> {
    bytes.try_into().map_err(|_| SealingError::NotSealed)
}
