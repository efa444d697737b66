//! The dealer's side of a session.

use super::{Catalogue, SessionError, generator_seed};
use crate::ledger::Ledger;
use crate::link::Link;
use crate::material::MaterialWriter;
use crate::messages::{Digest, EpochId, MaterialGrant, MaterialRequest, NoRandomness, Seed, SessionId};
use crate::rendezvous::{Rendezvous, RendezvousError};
use crate::role::Role;
use crate::service::Connection;
use blindroute_protocol::{Dealer, DealerSeeds, HashKey, WeightMasks};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Requests of server 0 that wait for server 1's at once at most: more than the service has connections for, since it is
/// the service that limits them.
const WAITING: usize = 2048;

/// Deals material to two servers. It sees neither weights nor inputs.
pub struct DealerService<C> {
    catalogue: Arc<C>,
    ledger: Ledger,
    waiting: Rendezvous<SessionId, (Link, MaterialRequest)>,
    patience: Duration,
    epoch: OnceLock<Epoch>,
    /// Held while the epoch is made, so that it is made once.
    making: Mutex<()>,
}

impl<C> std::fmt::Debug for DealerService<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DealerService")
    }
}

/// The model's mask, for as long as the dealer lives.
struct Epoch {
    id: EpochId,
    seeds: [Seed; 2],
    model: WeightMasks,
}

impl<C: Catalogue> DealerService<C> {
    /// A dealer for one model. The servers wait for its answers up to `stall`, and for each other half as long, so that
    /// the one that came hears from the dealer who is missing.
    pub fn new(catalogue: Arc<C>, ledger: Ledger, stall: Duration) -> Self {
        let patience = stall / 2;
        let waiting = Rendezvous::new(WAITING, patience);
        Self { catalogue, ledger, waiting, patience, epoch: OnceLock::new(), making: Mutex::new(()) }
    }

    /// Makes the model's mask before the first session asks for it.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn warm_up(&self) -> Result<(), SessionError> {
        self.epoch().map(|_| ())
    }

    fn epoch(&self) -> Result<&Epoch, SessionError> {
        if let Some(epoch) = self.epoch.get() {
            return Ok(epoch);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(epoch) = self.epoch.get() {
            return Ok(epoch);
        }
        let seeds = [Seed::generate()?, Seed::generate()?].map(|seed| mask_seed(&seed, &self.catalogue.digest()));
        let model = WeightMasks::new(&self.catalogue.weights(), &seeds.each_ref().map(generator_seed));
        let epoch = Epoch { id: EpochId::generate()?, seeds, model };
        Ok(self.epoch.get_or_init(|| epoch))
    }

    /// Answers one server. Server 1's thread deals to both; server 0's only leaves its link for it, and takes it back if
    /// server 1 does not come.
    ///
    /// # Errors
    /// Whatever ends the session; the servers are told.
    pub fn handle(&self, connection: Connection) -> Result<(), SessionError> {
        let mut link = connection.link;
        // A caller that leaves without a request only asked whether this dealer answers.
        let Some(request) = link.receive_message_or_end::<MaterialRequest>()? else { return Ok(()) };
        let party = if link.peer() == Role::Server1 { 1 } else { 0 };
        if request.party != party {
            return tell(&mut link, Some(request.session), SessionError::SameShare(request.party));
        }
        let ours = self.catalogue.digest();
        if request.model != ours {
            let (ours, theirs) = (ours.to_string(), request.model.to_string());
            let error = SessionError::DigestMismatch { with: "server", ours, theirs };
            return tell(&mut link, Some(request.session), error);
        }
        if party == 0 {
            let session = request.session;
            let offered = self.waiting.offer_and_wait(session, (link, request));
            return offered.or_else(|((mut link, _), error)| tell(&mut link, Some(session), absent("server1", error)));
        }
        let (mut other, others) = match self.waiting.take(&request.session, self.patience) {
            Ok(waiting) => waiting,
            Err(error) => return tell(&mut link, Some(request.session), absent("server0", error)),
        };
        match self.deal(&mut other, &others, &mut link, &request) {
            Ok(dealing) => {
                let program = self.catalogue.program(&request.request).map_err(SessionError::Request)?;
                dealing.run(&program, [other, link])
            }
            Err(error) => {
                other.fail(&error.failure(Some(request.session)));
                tell(&mut link, Some(request.session), error)
            }
        }
    }

    fn deal(
        &self,
        zero: &mut Link,
        others: &MaterialRequest,
        one: &mut Link,
        request: &MaterialRequest,
    ) -> Result<Dealing<'_>, SessionError> {
        if others.request != request.request {
            return Err(SessionError::Disagreement("request"));
        }
        self.catalogue.program(&request.request).map_err(SessionError::Request)?;
        // Burnt before the first seed leaves: material of this session is never made again.
        self.ledger.consume(request.session)?;
        let epoch = self.epoch()?;
        let drawn = Drawn::fresh()?;
        let material = drawn.material();
        for (link, seeds) in [zero, one].into_iter().zip(drawn.granted(&epoch.seeds)) {
            link.send_message(&MaterialGrant { session: request.session, epoch: epoch.id, seeds })?;
        }
        Ok(Dealing { epoch, material, session: request.session })
    }
}

/// The seed of one server's part of the mask of the weights that a digest stands for: another digest's weights get
/// another mask, whatever else goes wrong.
fn mask_seed(epoch: &Seed, model: &Digest) -> Seed {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    hash.update(b"blindroute mask of weights\0");
    hash.update(epoch.expose());
    hash.update(model.0);
    Seed::new(hash.finalize().into())
}

/// What one session takes from the system's randomness.
struct Drawn {
    /// The key of the session's hashes, the same for both servers, and no secret.
    hash_key: Seed,
    seeds: [Seed; 2],
}

impl Drawn {
    fn fresh() -> Result<Self, NoRandomness> {
        // The hash's key comes before the seeds, from which the roots are drawn.
        let hash_key = Seed::generate()?;
        Ok(Self { hash_key, seeds: [Seed::generate()?, Seed::generate()?] })
    }

    fn material(&self) -> DealerSeeds {
        let hash_key = HashKey::new(generator_seed(&self.hash_key).expose());
        DealerSeeds(self.seeds.each_ref().map(generator_seed), hash_key)
    }

    /// Each server's grant, in the order that it reads: the model's mask, its own seed, the hash's key.
    fn granted(self, masks: &[Seed; 2]) -> [Vec<Seed>; 2] {
        let [zero, one] = self.seeds;
        let copy = |seed: &Seed| Seed::new(*seed.expose());
        [(zero, &masks[0]), (one, &masks[1])].map(|(seed, mask)| vec![copy(mask), seed, copy(&self.hash_key)])
    }
}

struct Dealing<'a> {
    epoch: &'a Epoch,
    material: DealerSeeds,
    session: SessionId,
}

impl Dealing<'_> {
    fn run<P: blindroute_protocol::Program>(self, program: &P, links: [Link; 2]) -> Result<(), SessionError> {
        let started = Instant::now();
        let [mut zero, mut one] = links.map(MaterialWriter::new);
        match Dealer::run(program, &self.epoch.model, self.material, [&mut zero, &mut one]) {
            Ok(()) => {
                let mut bytes = 0;
                for stream in [zero, one] {
                    let (link, written) = stream.finish()?;
                    link.close();
                    bytes += written;
                }
                let ms = started.elapsed().as_millis() as u64;
                tracing::info!(session = %self.session, bytes, ms, "dealt");
                Ok(())
            }
            Err(error) => {
                let error = SessionError::from(error);
                for stream in [zero, one] {
                    stream.fail(&error.failure(Some(self.session)));
                }
                Err(error)
            }
        }
    }
}

/// Names who did not come.
pub(super) fn absent(party: &'static str, error: RendezvousError) -> SessionError {
    match error {
        RendezvousError::TimedOut { after, .. } => SessionError::Silent { party, after },
        error => error.into(),
    }
}

/// Tells the other side what kind of failure it was, and gives up. The log has what it is not told.
pub(super) fn tell<T>(link: &mut Link, session: Option<SessionId>, error: SessionError) -> Result<T, SessionError> {
    if let Some(session) = session {
        tracing::info!(%session, %error, "a session failed; the other side is told which kind of failure it was");
    }
    link.fail(&error.failure(session));
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_43_weights_of_another_digest_get_another_mask() {
        let epoch = Seed::new([5; 32]);
        let seed = |epoch: &Seed, digest: [u8; 32]| *mask_seed(epoch, &Digest(digest)).expose();
        let ours = seed(&epoch, [1; 32]);
        assert_eq!(ours, seed(&epoch, [1; 32]), "every session of an epoch needs the same mask");
        let others = [seed(&epoch, [2; 32]), seed(&Seed::new([6; 32]), [1; 32]), *epoch.expose()];
        // The generator takes the first half of a seed.
        assert!(others.iter().all(|other| other[..16] != ours[..16]));
    }

    #[test]
    fn every_session_has_its_own_seeds_and_key_of_hashes() {
        let masks = [Seed::new([1; 32]), Seed::new([2; 32])];
        let [first, second] = [(); 2].map(|()| Drawn::fresh().unwrap().granted(&masks));
        for granted in [&first, &second] {
            assert!(granted.iter().all(|seeds| seeds.len() == 3));
            assert_eq!(granted[0][2].expose(), granted[1][2].expose(), "both servers hash under the same key");
            assert!(granted[0][1].expose() != granted[1][1].expose(), "each server has its own seed");
        }
        for party in 0..2 {
            assert!(first[party][0].expose() == masks[party].expose());
            assert!((1..3).all(|index| first[party][index].expose() != second[party][index].expose()));
        }
    }
}
