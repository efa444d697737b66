//! The side that issues passes and accepts them.

use crate::pass::token_input;
use crate::randomness::OperatingSystem;
use crate::{Challenge, ISSUED_MAX, KeyId, POINT, PROOF, Pass, PassError, SECRET, Suite};
use subtle::ConstantTimeEq as _;
use voprf::{BlindedElement, VoprfServer};
use zeroize::Zeroizing;

/// A secret key that issues passes. It is wiped on drop and never printed.
pub struct IssuerKey {
    server: VoprfServer<Suite>,
    public: [u8; POINT],
    id: KeyId,
}

impl IssuerKey {
    /// A fresh one.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<Self, PassError> {
        let server = VoprfServer::new(&mut OperatingSystem::new()?).map_err(|_| PassError::Key)?;
        Self::of(server)
    }

    /// One that was kept.
    ///
    /// # Errors
    /// If the bytes are no key.
    pub fn from_secret(secret: &[u8; SECRET]) -> Result<Self, PassError> {
        Self::of(VoprfServer::new_with_key(secret).map_err(|_| PassError::Key)?)
    }

    fn of(server: VoprfServer<Suite>) -> Result<Self, PassError> {
        let (_, public) = parts(&server)?;
        Ok(Self { server, id: KeyId::of(&public), public })
    }

    /// What to keep of it. There is no other way to read it.
    ///
    /// # Errors
    /// If the group has other sizes than this crate knows.
    pub fn secret(&self) -> Result<Zeroizing<[u8; SECRET]>, PassError> {
        parts(&self.server).map(|(secret, _)| secret)
    }

    /// The public key, the same for all clients.
    #[must_use]
    pub fn public(&self) -> [u8; POINT] {
        self.public
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Answers blinded requests, and proves that it did so with this key.
    ///
    /// # Errors
    /// If there are none or too many, one is no point of the group, or the system gives no randomness.
    pub fn issue(&self, blinded: &[[u8; POINT]]) -> Result<(Vec<[u8; POINT]>, [u8; PROOF]), PassError> {
        if blinded.is_empty() || blinded.len() > ISSUED_MAX {
            return Err(PassError::Count { expected: blinded.len().clamp(1, ISSUED_MAX), found: blinded.len() });
        }
        let points = blinded.iter().map(|point| BlindedElement::deserialize(point).map_err(|_| PassError::Point));
        let points = points.collect::<Result<Vec<BlindedElement<Suite>>, _>>()?;
        let mut random = OperatingSystem::new()?;
        let done = self.server.batch_blind_evaluate(&mut random, &points).map_err(|_| PassError::Point)?;
        let evaluated = done.messages.iter().map(|message| <[u8; POINT]>::try_from(&message.serialize()[..]));
        let evaluated = evaluated.collect::<Result<Vec<_>, _>>().map_err(|_| PassError::Point)?;
        let proof = <[u8; PROOF]>::try_from(&done.proof.serialize()[..]).map_err(|_| PassError::Proof)?;
        Ok((evaluated, proof))
    }

    /// Whether this key made the pass for this challenge. The time says nothing about what would be accepted.
    #[must_use]
    pub fn accepts(&self, challenge: &Challenge, pass: &Pass) -> bool {
        let input = token_input(pass.nonce(), challenge, &self.id);
        let expected = self.server.evaluate(&input).map(|output| Zeroizing::new(output.to_vec()));
        expected.is_ok_and(|expected| bool::from(expected.as_slice().ct_eq(pass.authenticator())))
    }
}

impl std::fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The secret and the public part of a server's key.
fn parts(server: &VoprfServer<Suite>) -> Result<(Zeroizing<[u8; SECRET]>, [u8; POINT]), PassError> {
    let mut both = server.serialize();
    let (mut secret, mut public) = (Zeroizing::new([0; SECRET]), [0; POINT]);
    let sized = both.len() == SECRET + POINT;
    if sized {
        secret.copy_from_slice(&both[..SECRET]);
        public.copy_from_slice(&both[SECRET..]);
    }
    zeroize::Zeroize::zeroize(&mut both[..]);
    if sized { Ok((secret, public)) } else { Err(PassError::Key) }
}
