//! The side that asks for passes.

use crate::pass::token_input;
use crate::randomness::OperatingSystem;
use crate::{Challenge, ISSUED_MAX, KeyId, POINT, PROOF, Pass, PassError, Suite};
use rand_core::RngCore as _;
use voprf::{EvaluationElement, Group, Proof, VoprfClient};

/// Passes that were asked for. It is wiped on drop, and used once.
pub struct Wanted {
    public: <Suite as Group>::Elem,
    clients: Vec<VoprfClient<Suite>>,
    nonces: Vec<[u8; 32]>,
    inputs: Vec<Vec<u8>>,
    blinded: Vec<[u8; POINT]>,
}

impl Wanted {
    /// Chooses the numbers of so many passes of an issuer's public key, and blinds them.
    ///
    /// # Errors
    /// If there are none or too many, the bytes are no key, or the system gives no randomness.
    pub fn new(public: &[u8; POINT], challenge: &Challenge, count: usize) -> Result<Self, PassError> {
        if count == 0 || count > ISSUED_MAX {
            return Err(PassError::Count { expected: count.clamp(1, ISSUED_MAX), found: count });
        }
        let key = <Suite as Group>::deserialize_elem(public).map_err(|_| PassError::Key)?;
        let (mut random, id) = (OperatingSystem::new()?, KeyId::of(public));
        let (mut clients, mut nonces, mut inputs, mut blinded) = (vec![], vec![], vec![], vec![]);
        for _ in 0..count {
            let mut nonce = [0; 32];
            random.fill_bytes(&mut nonce);
            let input = token_input(&nonce, challenge, &id);
            let asked = VoprfClient::blind(&input, &mut random).map_err(|_| PassError::Point)?;
            blinded.push(<[u8; POINT]>::try_from(&asked.message.serialize()[..]).map_err(|_| PassError::Point)?);
            clients.push(asked.state);
            nonces.push(nonce);
            inputs.push(input);
        }
        Ok(Self { public: key, clients, nonces, inputs, blinded })
    }

    /// What the issuer is sent. It says nothing about the passes.
    #[must_use]
    pub fn blinded(&self) -> &[[u8; POINT]] {
        &self.blinded
    }

    /// The passes that come of the issuer's answers.
    ///
    /// # Errors
    /// If the answers are not as many, no points of the group, or not proven to be of the issuer's key.
    pub fn finish(self, evaluated: &[[u8; POINT]], proof: &[u8; PROOF]) -> Result<Vec<Pass>, PassError> {
        if evaluated.len() != self.clients.len() {
            return Err(PassError::Count { expected: self.clients.len(), found: evaluated.len() });
        }
        let answers = evaluated.iter().map(|point| EvaluationElement::deserialize(point).map_err(|_| PassError::Point));
        let answers = answers.collect::<Result<Vec<EvaluationElement<Suite>>, _>>()?;
        let proof = Proof::deserialize(proof).map_err(|_| PassError::Proof)?;
        let inputs: Vec<&[u8]> = self.inputs.iter().map(Vec::as_slice).collect();
        let outputs = VoprfClient::batch_finalize(&inputs, &self.clients, &answers, &proof, self.public)
            .map_err(|_| PassError::Proof)?;
        let passes = self.nonces.iter().zip(outputs).map(|(nonce, output)| {
            let mut output = output.map_err(|_| PassError::Point)?;
            let pass = Pass::new(*nonce, &output[..]);
            zeroize::Zeroize::zeroize(&mut output[..]);
            pass
        });
        passes.collect()
    }
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wanted").field("count", &self.clients.len()).finish_non_exhaustive()
    }
}

impl Drop for Wanted {
    // The blinding factors wipe themselves.
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.nonces);
        zeroize::Zeroize::zeroize(&mut self.inputs);
    }
}
