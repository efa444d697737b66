//! The dealer's side of a session.

use super::failure::{absent, begun, tell};
use super::versions::{DealerVersion, Masked, Versions};
use super::{Catalogue, SessionError, generator_seed};
use crate::ledger::Ledger;
use crate::link::Link;
use crate::material::MaterialWriter;
use crate::messages::{
    AuditRequest, AuditSeeds, Digest, EpochId, MaterialGrant, MaterialRequest, NoRandomness, SessionId, WireSeed,
};
use crate::rendezvous::Rendezvous;
use crate::role::Role;
use crate::service::Connection;
use crate::shutdown::Shutdown;
use crate::tally::{Outcome, Tally};
use blindroute_protocol::{Dealer, DealerSeeds, HashKey, WeightMasks};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The most requests of server 0 that wait at once for those of server 1. It is more than the service accepts
/// connections, so the service's own limit applies first.
const WAITING: usize = 2048;

/// Deals material to two servers. It sees neither weights nor inputs.
pub struct DealerService<C> {
    versions: Versions<DealerVersion<C>>,
    ledger: Arc<dyn Ledger>,
    waiting: Rendezvous<SessionId, (Link, MaterialRequest)>,
    patience: Duration,
    epoch: OnceLock<Epoch>,
    tally: Arc<Tally>,
    /// Held while the epoch or a version's mask is made, so that only one thread makes it.
    making: Mutex<()>,
}

impl<C> std::fmt::Debug for DealerService<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DealerService")
    }
}

/// What the masks of all versions' weights are made from. The dealer keeps one for as long as it runs.
struct Epoch {
    id: EpochId,
    seeds: [WireSeed; 2],
}

impl<C: Catalogue> DealerService<C> {
    /// A dealer for the programs of one version of a bundle; it may [hold](Self::hold) others later. The servers wait for its answers up to `stall`. The dealer waits half
    /// as long for the second server, so that it can still tell the first one who is missing.
    pub fn new(catalogue: Arc<C>, ledger: Arc<dyn Ledger>, stall: Duration) -> Self {
        let patience = stall / 2;
        let waiting = Rendezvous::new(WAITING, patience);
        let (versions, tally) = (Versions::new(DealerVersion::new(catalogue)), Arc::default());
        Self { versions, ledger, waiting, patience, epoch: OnceLock::new(), tally, making: Mutex::new(()) }
    }

    /// The same dealer, which counts into this tally.
    #[must_use]
    pub fn counting(self, tally: Arc<Tally>) -> Self {
        Self { tally, ..self }
    }

    /// The versions that it holds now.
    pub fn held(&self) -> Vec<Digest> {
        self.versions.digests()
    }

    /// Holds from now on the versions of these digests, and no others. One that is held already stays, with its mask; the others
    /// are taken from `new`. Sessions under way keep the version that they began with.
    pub fn hold(&self, digests: &[Digest], new: Vec<Arc<C>>) {
        self.versions.hold(digests, new.into_iter().map(DealerVersion::new).collect());
    }

    /// Makes the masks of the weights before the first session needs them.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn warm_up(&self) -> Result<(), SessionError> {
        self.versions.all().iter().try_for_each(|version| self.masked(version).map(drop))
    }

    /// The epoch, and the mask of a version's weights in it.
    fn masked<'a>(&'a self, version: &'a DealerVersion<C>) -> Result<(EpochId, &'a Masked), SessionError> {
        if let (Some(epoch), Some(masked)) = (self.epoch.get(), version.masked.get()) {
            return Ok((epoch.id, masked));
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = match self.epoch.get() {
            Some(epoch) => epoch,
            None => {
                let seeds = [WireSeed::generate()?, WireSeed::generate()?];
                let epoch = Epoch { id: EpochId::generate()?, seeds };
                self.epoch.get_or_init(|| epoch)
            }
        };
        let masked = version.masked.get_or_init(|| {
            let seeds = epoch.seeds.each_ref().map(|seed| mask_seed(seed, &version.catalogue.digest()));
            let masks = WeightMasks::new(&version.catalogue.weights(), &seeds.each_ref().map(generator_seed));
            Masked { seeds, masks }
        });
        Ok((epoch.id, masked))
    }

    /// Answers one server. The thread of server 1's request deals to both servers. The thread of server 0's request
    /// only hands its link over, and takes it back if server 1 does not come.
    ///
    /// # Errors
    /// The error that ended the session. The servers have been told.
    pub fn handle(&self, connection: Connection) -> Result<(), SessionError> {
        let Connection { mut link, shutdown, .. } = connection;
        let Some(request) = begun::<MaterialRequest>(&mut link)? else { return Ok(()) };
        // Server 0's request is of the same session.
        let running = (link.peer() == Role::Server1).then(|| self.tally.session());
        let ended = self.answer(link, request, &shutdown);
        if running.is_some() {
            self.tally.ended(ended.as_ref().map_or_else(SessionError::outcome, |()| Outcome::Answered));
        }
        ended
    }

    fn answer(&self, mut link: Link, request: MaterialRequest, shutdown: &Shutdown) -> Result<(), SessionError> {
        let party = if link.peer() == Role::Server1 { 1 } else { 0 };
        if request.party != party {
            return tell(&mut link, Some(request.session), SessionError::SameShare(request.party));
        }
        let checked = link.check_session(request.version).map_err(SessionError::from);
        let version = match checked.and_then(|()| self.versions.find(request.deployment)) {
            Ok(version) => version,
            Err(error) => return tell(&mut link, Some(request.session), error),
        };
        // A session that one server has begun is finished; no other begins.
        if shutdown.is_set() && !self.waiting.holds(&request.session) {
            return tell(&mut link, Some(request.session), SessionError::Stopping);
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
        match self.deal(&version, (&mut other, &others), (&mut link, &request)) {
            Ok(dealing) => {
                let program = version.catalogue.program(&request.request).map_err(SessionError::Request)?;
                dealing.run(&program, [other, link])
            }
            Err(error) => {
                other.fail(&error.failure(None));
                tell(&mut link, Some(request.session), error)
            }
        }
    }

    fn deal<'a>(
        &'a self,
        version: &'a DealerVersion<C>,
        (zero, others): (&mut Link, &MaterialRequest),
        (one, request): (&mut Link, &MaterialRequest),
    ) -> Result<Dealing<'a>, SessionError> {
        // A client may name different versions to the two servers. The seed of one version's mask never goes to a server that
        // would use it for the weights of another one.
        if others.deployment != request.deployment {
            return Err(SessionError::Disagreement("version of the bundle"));
        }
        if others.version != request.version {
            return Err(SessionError::Disagreement("version of the messages"));
        }
        if others.request != request.request {
            return Err(SessionError::ProgramMismatch);
        }
        version.catalogue.program(&request.request).map_err(SessionError::Request)?;
        // Claimed before the first seed is sent: material of this session is never made again.
        self.ledger.claim(request.session, None)?;
        let (epoch, masked) = self.masked(version)?;
        let drawn = Drawn::fresh()?;
        let (material, revealed) = (drawn.material(), drawn.seeds.each_ref().map(copy));
        for (link, seeds) in [zero, one].into_iter().zip(drawn.granted(&masked.seeds)) {
            link.send_message(&MaterialGrant { session: request.session, epoch, seeds })?;
        }
        let (session, patience, tally) = (request.session, self.patience, &*self.tally);
        Ok(Dealing { masks: &masked.masks, material, revealed, session, patience, tally })
    }
}

/// The seed of one server's part of the mask of the weights. It depends on the deployment's digest, so that the weights
/// of another deployment always get another mask.
fn mask_seed(epoch: &WireSeed, deployment: &Digest) -> WireSeed {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    hash.update(b"blindroute mask of weights\0");
    hash.update(epoch.expose());
    hash.update(deployment.0);
    WireSeed::new(hash.finalize().into())
}

/// The random values of one session.
struct Drawn {
    /// The key of the session's hashes: the same for both servers, and not secret.
    hash_key: WireSeed,
    seeds: [WireSeed; 2],
    /// Of server 0's shares of products with weights. It is revealed to nobody else.
    products: WireSeed,
}

fn copy(seed: &WireSeed) -> WireSeed {
    WireSeed::new(*seed.expose())
}

impl Drawn {
    fn fresh() -> Result<Self, NoRandomness> {
        // The key of the hashes is drawn before the seeds, from which the roots are derived.
        let hash_key = WireSeed::generate()?;
        let seeds = [WireSeed::generate()?, WireSeed::generate()?];
        Ok(Self { hash_key, seeds, products: WireSeed::generate()? })
    }

    fn material(&self) -> DealerSeeds {
        let hash_key = HashKey::new(generator_seed(&self.hash_key).expose());
        let material = self.seeds.each_ref().map(generator_seed);
        DealerSeeds { material, products: generator_seed(&self.products), hash_key }
    }

    /// The seeds of each server's grant, in the order in which it reads them: the mask of the weights, its own seed,
    /// the key of the hashes; and for server 0 that of its shares of products with weights.
    fn granted(self, masks: &[WireSeed; 2]) -> [Vec<WireSeed>; 2] {
        let ([zero, one], hash_key) = (self.seeds, || copy(&self.hash_key));
        [vec![copy(&masks[0]), zero, hash_key(), self.products], vec![copy(&masks[1]), one, hash_key()]]
    }
}

struct Dealing<'a> {
    masks: &'a WeightMasks,
    material: DealerSeeds,
    /// The servers' seeds of the material, in case they audit the session.
    revealed: [WireSeed; 2],
    session: SessionId,
    /// How long the servers' requests for an audit are waited for.
    patience: Duration,
    tally: &'a Tally,
}

impl Dealing<'_> {
    fn run<P: blindroute_protocol::Program>(self, program: &P, links: [Link; 2]) -> Result<(), SessionError> {
        let started = Instant::now();
        let [mut zero, mut one] = links.map(MaterialWriter::new);
        match Dealer::run(program, self.masks, self.material, [&mut zero, &mut one]) {
            Ok(()) => {
                let ([zero, one], took) = ([zero.finish()?, one.finish()?], started.elapsed());
                let bytes = zero.1 + one.1;
                self.tally.prepared(took);
                self.tally.material(bytes);
                tracing::info!(session = %self.session, kib = bytes >> 10, ms = took.as_millis() as u64, "dealt");
                reveal(self.session, self.revealed, [zero.0, one.0], self.patience)
            }
            Err(error) => {
                let error = SessionError::from(error);
                for stream in [zero, one] {
                    stream.fail(&error.failure(None));
                }
                Err(error)
            }
        }
    }
}

/// Waits until each server has asked for the session's seeds or has left, and reveals them if both have asked. What is revealed is
/// of no use for another session, and without the seed of the products it shows nothing of the mask of the weights.
fn reveal(
    session: SessionId,
    seeds: [WireSeed; 2],
    mut links: [Link; 2],
    patience: Duration,
) -> Result<(), SessionError> {
    let asked = links.each_mut().map(|link| {
        let request = link.set_stall(patience).and_then(|()| link.receive_message_or_end::<AuditRequest>());
        match request {
            Ok(Some(request)) => request.session == session,
            Ok(None) => false,
            Err(error) => {
                tracing::debug!(%session, %error, "a server did not say whether it audits the session: it does not");
                false
            }
        }
    });
    if asked == [true; 2] {
        for link in &mut links {
            link.send_message(&AuditSeeds { session, seeds: seeds.each_ref().map(copy) })?;
        }
        tracing::info!(%session, "revealed for an audit");
    } else {
        let alone = SessionError::Disagreement("audit: only one server asked for it");
        let asking = links.iter_mut().zip(asked).filter(|(_, asked)| *asked);
        asking.for_each(|(link, _)| link.fail(&alone.failure(None)));
    }
    links.into_iter().for_each(Link::close);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_43_weights_of_another_deployment_get_another_mask() {
        let epoch = WireSeed::new([5; 32]);
        let seed = |epoch: &WireSeed, digest: [u8; 32]| *mask_seed(epoch, &Digest(digest)).expose();
        let ours = seed(&epoch, [1; 32]);
        assert_eq!(ours, seed(&epoch, [1; 32]), "every session of an epoch needs the same mask");
        let others = [seed(&epoch, [2; 32]), seed(&WireSeed::new([6; 32]), [1; 32]), *epoch.expose()];
        // The generator takes the first half of a seed.
        assert!(others.iter().all(|other| other[..16] != ours[..16]));
    }

    #[test]
    fn case_06_every_session_has_its_own_seeds_and_key_of_hashes() {
        let masks = [WireSeed::new([1; 32]), WireSeed::new([2; 32])];
        let [first, second] = [(); 2].map(|()| Drawn::fresh().unwrap().granted(&masks));
        for granted in [&first, &second] {
            assert_eq!(granted.each_ref().map(Vec::len), [4, 3], "server 0 alone has the seed of the products");
            assert!(
                granted
                    .iter()
                    .flatten()
                    .all(|seed| std::ptr::eq(seed, &granted[0][3]) || seed.expose() != granted[0][3].expose())
            );
            assert_eq!(granted[0][2].expose(), granted[1][2].expose(), "both servers hash under the same key");
            assert!(granted[0][1].expose() != granted[1][1].expose(), "each server has its own seed");
        }
        assert!(first[0][3].expose() != second[0][3].expose());
        for party in 0..2 {
            assert!(first[party][0].expose() == masks[party].expose());
            assert!((1..3).all(|index| first[party][index].expose() != second[party][index].expose()));
        }
    }
}
