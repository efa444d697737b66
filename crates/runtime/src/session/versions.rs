//! The versions of a bundle that a party holds at the same time, while a new one takes the place of an old one.
//!
//! A version is what one split made; its digest names it. Every session names one, and both servers and the dealer need it:
//! whoever does not hold it refuses the session before anything of it is used. A session keeps the version that it began
//! with, so a version may be dropped at any time: sessions under way go on, and new ones are refused.

use super::{Catalogue, SessionError, SharesError};
use crate::messages::{Digest, EpochId, WireSeed};
use blindroute_protocol::{ServerWeights, WeightMasks, WeightShares, WeightSpec};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What a party has of one version.
pub(super) trait Version {
    fn digest(&self) -> Digest;
}

/// The versions that a party holds now.
pub(super) struct Versions<V>(Mutex<Vec<Arc<V>>>);

impl<V: Version> Versions<V> {
    pub(super) fn new(first: V) -> Self {
        Self(Mutex::new(vec![Arc::new(first)]))
    }

    fn held(&self) -> MutexGuard<'_, Vec<Arc<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<V>> {
        self.held().clone()
    }

    /// Their digests.
    pub(super) fn digests(&self) -> Vec<Digest> {
        self.held().iter().map(|version| version.digest()).collect()
    }

    /// The version that a session names.
    ///
    /// # Errors
    /// [`SessionError::NotHeld`] if it is not held.
    pub(super) fn find(&self, asked: Digest) -> Result<Arc<V>, SessionError> {
        let held = self.held();
        let found = held.iter().find(|version| version.digest() == asked);
        found
            .cloned()
            .ok_or_else(|| SessionError::NotHeld { asked, held: held.iter().map(|version| version.digest()).collect() })
    }

    /// Holds from now on the versions of these digests, and no others. One that is held already stays what it is, with all that was
    /// made for it; the others are taken from `new`.
    pub(super) fn hold(&self, digests: &[Digest], new: Vec<V>) {
        let mut held = self.held();
        let before: Vec<Digest> = held.iter().map(|version| version.digest()).collect();
        let new = new.into_iter().filter(|version| !before.contains(&version.digest())).map(Arc::new);
        held.extend(new.collect::<Vec<_>>());
        held.retain(|version| digests.contains(&version.digest()));
        for version in held.iter().filter(|version| !before.contains(&version.digest())) {
            tracing::info!(version = %version.digest(), "holds this version of the bundle from now on");
        }
        for dropped in before.iter().filter(|digest| !digests.contains(digest)) {
            tracing::info!(version = %dropped, "no longer holds this version of the bundle; sessions under way go on");
        }
    }
}

/// One version of the bundle at a server: its programs, and its share of the weights.
pub struct ServerVersion<C> {
    pub(super) catalogue: Arc<C>,
    pub(super) specs: Vec<WeightSpec>,
    shares: Mutex<SharesSource>,
    /// The weights as set up in epochs of the dealer, the last used first.
    set_up: Mutex<Vec<(EpochId, Arc<ServerWeights>)>>,
}

/// In how many epochs a version's weights stay set up: the dealer's current one, and that of stored material from before its restart.
const EPOCHS: usize = 2;

/// Reads a server's weight shares again for each set-up, so that memory does not hold them twice.
type SharesSource = Box<dyn Fn() -> Result<WeightShares, SharesError> + Send>;

impl<C> std::fmt::Debug for ServerVersion<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerVersion")
    }
}

impl<C: Catalogue> ServerVersion<C> {
    /// `shares` reads the weight shares and is called for each set-up. It must refuse shares that do not belong to the catalogue's
    /// digest: the dealer's mask of the weights is the same in all set-ups of an epoch, so the difference of two maskings would
    /// reveal the difference of the weights.
    pub fn new(
        catalogue: Arc<C>,
        shares: impl Fn() -> Result<WeightShares, SharesError> + Send + 'static,
    ) -> ServerVersion<C> {
        let (specs, shares) = (catalogue.weights(), Mutex::new(Box::new(shares) as SharesSource));
        ServerVersion { catalogue, specs, shares, set_up: Mutex::default() }
    }

    /// The weights that are set up in this epoch, if they are.
    pub(super) fn set_up_in(&self, epoch: EpochId) -> Option<Arc<ServerWeights>> {
        let mut set_up = self.set_up.lock().unwrap_or_else(PoisonError::into_inner);
        let place = set_up.iter().position(|(id, _)| *id == epoch)?;
        set_up[..=place].rotate_right(1);
        set_up.first().map(|(_, weights)| Arc::clone(weights))
    }

    /// The share of the weights, read anew.
    pub(super) fn shares(&self) -> Result<WeightShares, SharesError> {
        (self.shares.lock().unwrap_or_else(PoisonError::into_inner))()
    }

    pub(super) fn keep(&self, epoch: EpochId, weights: &Arc<ServerWeights>) {
        let mut set_up = self.set_up.lock().unwrap_or_else(PoisonError::into_inner);
        set_up.retain(|(id, _)| *id != epoch);
        set_up.insert(0, (epoch, Arc::clone(weights)));
        set_up.truncate(EPOCHS);
    }
}

impl<C: Catalogue> Version for ServerVersion<C> {
    fn digest(&self) -> Digest {
        self.catalogue.digest()
    }
}

/// One version of the bundle at the dealer.
pub(super) struct DealerVersion<C> {
    pub(super) catalogue: Arc<C>,
    /// Of the weights of this version, from the seeds of the dealer's epoch.
    pub(super) masked: OnceLock<Masked>,
}

/// The mask of one version's weights, and the seeds of both servers' parts of it.
pub(super) struct Masked {
    pub(super) seeds: [WireSeed; 2],
    pub(super) masks: WeightMasks,
}

impl<C> DealerVersion<C> {
    pub(super) fn new(catalogue: Arc<C>) -> Self {
        Self { catalogue, masked: OnceLock::new() }
    }
}

impl<C: Catalogue> Version for DealerVersion<C> {
    fn digest(&self) -> Digest {
        self.catalogue.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version with what was made for it.
    struct Made(u8, &'static str);

    impl Version for Made {
        fn digest(&self) -> Digest {
            Digest([self.0; 32])
        }
    }

    #[test]
    fn a_version_that_stays_keeps_what_was_made_for_it_and_a_session_keeps_its_version() {
        let versions = Versions::new(Made(1, "first"));
        let [one, two, three] = [1, 2, 3].map(|byte| Digest([byte; 32]));
        versions.hold(&[one, two], vec![Made(1, "again"), Made(2, "second"), Made(3, "not asked for")]);
        assert_eq!(versions.digests(), [one, two]);
        assert_eq!(versions.find(one).unwrap().1, "first");
        let session = versions.find(one).unwrap();
        versions.hold(&[two], Vec::new());
        assert_eq!(session.1, "first", "a session that has begun goes on");
        let error = versions.find(one).err().unwrap();
        assert!(matches!(&error, SessionError::NotHeld { asked, held } if *asked == one && *held == [two]));
        let said = error.to_string();
        assert!(said.contains(&one.to_string()) && said.contains(&two.to_string()), "{said}");
        versions.hold(&[two, three], vec![Made(3, "third")]);
        assert_eq!([two, three].map(|digest| versions.find(digest).unwrap().1), ["second", "third"]);
    }
}
