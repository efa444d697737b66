//! What a stored session is for, and the file that says so and holds its keys.

use super::StoreError;
use super::sealed::{NONCE, StreamKey};
use crate::messages::{Digest, EpochId, MaterialGrant, Message, SessionId, Standing};
use zeroize::Zeroizing;

const MAGIC: &[u8; 20] = b"blindroute stored 1\n";
/// Magic, position and number: what is bound to the content. The nonce follows.
const BOUND: usize = MAGIC.len() + 1 + 8;
/// Bytes before the grant: the key of the material, version, deployment, request, standing, length.
const FIXED: usize = 32 + 2 + 32 + 32 + Standing::BYTES + 8;

/// What sessions a stored one can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// The version of the messages that it runs as.
    pub version: u16,
    /// The digest of the deployment.
    pub deployment: Digest,
    /// The digest of the request, as both servers resolved it.
    pub request: Digest,
}

/// What is known of a stored session without its secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// What it is for.
    pub kind: Kind,
    /// The session under which the dealer dealt the material.
    pub session: SessionId,
    /// The epoch of the weights' masks.
    pub epoch: EpochId,
    /// How this server's ledger stood when it claimed that session.
    pub standing: Standing,
    /// Bytes of the material.
    pub length: u64,
}

/// What the file of a stored session holds: its label, the key of its material, and the dealer's grant.
pub(super) struct Record {
    pub(super) label: Label,
    pub(super) key: StreamKey,
    pub(super) grant: MaterialGrant,
}

impl Label {
    /// What the material is bound to.
    pub(super) fn bound(&self, party: u8) -> Vec<u8> {
        bound_of(self.session, self.kind.deployment, party)
    }
}

/// What the material of a session is bound to.
pub(super) fn bound_of(session: SessionId, deployment: Digest, party: u8) -> Vec<u8> {
    [b"blindroute stored material\0".as_slice(), &session.0, &deployment.0, &[party]].concat()
}

fn head(party: u8, number: u64) -> Vec<u8> {
    [MAGIC.as_slice(), &[party], &number.to_le_bytes()].concat()
}

impl Record {
    /// The content of its file, encrypted under the store's key.
    pub(super) fn seal(&self, master: &StreamKey, party: u8, number: u64) -> Result<Vec<u8>, StoreError> {
        let Label { kind, standing, length, .. } = &self.label;
        let grant = Zeroizing::new(self.grant.encode());
        // As large as it becomes with the tag, so that no copy is left behind.
        let mut content = Zeroizing::new(Vec::with_capacity(FIXED + grant.len() + 16));
        content.extend_from_slice(self.key.expose());
        content.extend_from_slice(&kind.version.to_le_bytes());
        content.extend_from_slice(&kind.deployment.0);
        content.extend_from_slice(&kind.request.0);
        content.extend_from_slice(&standing.to_bytes());
        content.extend_from_slice(&length.to_le_bytes());
        content.extend_from_slice(&grant);
        // Of 96 random bits none comes twice in practice: a store has thousands of files in its life, not 2^32.
        let random = SessionId::generate()?;
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&random.0[..NONCE]);
        let mut sealed = head(party, number);
        let done = master.seal(nonce, &sealed, &mut content);
        done.map_err(|_| StoreError::Damaged("a key cannot be encrypted"))?;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&content);
        Ok(sealed)
    }

    /// Reads the file of this number.
    pub(super) fn open(sealed: &[u8], master: &StreamKey, party: u8, number: u64) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged("a file of keys does not open under the store's key");
        let (bound, rest) = sealed.split_at_checked(BOUND).ok_or_else(damaged)?;
        if bound != head(party, number) {
            return Err(StoreError::Damaged("a file of keys is of another server or place, or none"));
        }
        let (nonce, content) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let mut content = Zeroizing::new(content.to_vec());
        master.open(*nonce, bound, &mut content).map_err(|_| damaged())?;
        let (fixed, grant) = content.split_at_checked(FIXED).ok_or_else(damaged)?;
        let grant = MaterialGrant::decode(grant).map_err(|_| damaged())?;
        let (key, fixed) = fixed.split_first_chunk::<32>().ok_or_else(damaged)?;
        let (version, fixed) = fixed.split_first_chunk::<2>().ok_or_else(damaged)?;
        let (deployment, fixed) = fixed.split_first_chunk::<32>().ok_or_else(damaged)?;
        let (request, fixed) = fixed.split_first_chunk::<32>().ok_or_else(damaged)?;
        let (standing, fixed) = fixed.split_first_chunk::<{ Standing::BYTES }>().ok_or_else(damaged)?;
        let length = u64::from_le_bytes(fixed.try_into().map_err(|_| damaged())?);
        let kind =
            Kind { version: u16::from_le_bytes(*version), deployment: Digest(*deployment), request: Digest(*request) };
        let (session, epoch, standing) = (grant.session, grant.epoch, Standing::from_bytes(standing));
        let label = Label { kind, session, epoch, standing, length };
        Ok(Self { label, key: StreamKey::new(key), grant })
    }
}
