//! Which versions of the bundle a party holds, as its configuration says.

use super::share::HeldShare;
use super::{HostError, public_part};
use crate::catalogue::BundleCatalogue;
use blindroute_protocol::{Party, WeightShares};
use blindroute_routing::bundle::PublicPart;
use blindroute_routing::program::NetworkEstimate;
use blindroute_runtime::config::{DealerConfig, Rolling, ServerConfig};
use blindroute_runtime::memory::weights_bytes;
use blindroute_runtime::messages::Digest;
use blindroute_runtime::{Catalogue, DealerService, Role, ServerService, ServerVersion, SharesError};
use std::path::Path;
use std::sync::Arc;

/// Reads a server's weight shares.
pub(super) type Shares = Box<dyn Fn() -> Result<WeightShares, SharesError> + Send>;

/// What a server serves of every version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving {
    pub(super) measurements: bool,
    pub(super) scores: bool,
    pub(super) between_servers: Option<NetworkEstimate>,
}

impl Serving {
    pub(super) fn catalogue(self, public: &PublicPart) -> Arc<BundleCatalogue> {
        let catalogue = BundleCatalogue::of(public).between_servers(self.between_servers);
        let catalogue = if self.measurements { catalogue.dangerously_serve_measurements() } else { catalogue };
        Arc::new(if self.scores { catalogue.serve_scores() } else { catalogue })
    }
}

/// The dealer deals for what both servers have agreed to run.
pub(super) fn dealers(public: &PublicPart) -> Arc<BundleCatalogue> {
    Arc::new(BundleCatalogue::of(public).dangerously_serve_measurements().serve_scores())
}

/// How the share of a version is read. It is read and checked once here.
pub(super) fn shares(config: &ServerConfig, path: &Path, public: &PublicPart) -> Result<Shares, HostError> {
    let party = if config.role() == Role::Server0 { Party::Zero } else { Party::One };
    let (held, share) = HeldShare::hold(config, path, &public.expected_share(party))?;
    let specs = public.plan.weights();
    share.weights(&specs)?;
    let (version, mib) = (public.digest.to_string(), weights_bytes(&specs) >> 20);
    tracing::info!(version, mib, "the weights of this version of the bundle will take about so much memory");
    // The file is read again for each set-up of the weights: the packed weights are the only copy held. It is the file
    // that was checked here, whatever its name stands for by then (the parent of a child removes the name after the
    // start), and it is compared each time, for it may have been written to.
    Ok(Box::new(move || Ok(held.read_again()?.weights(&specs)?)))
}

/// Holds from now on the versions that the configuration names.
///
/// # Errors
/// A file cannot be used; then nothing changes.
pub(super) fn hold_at_server(
    server: &ServerService<BundleCatalogue>,
    serving: Serving,
    config: &ServerConfig,
) -> Result<(), HostError> {
    let (digests, new) = versions(config, &server.held(), |share, public| {
        let shares = shares(config, share.unwrap_or(&config.share), public)?;
        Ok(ServerVersion::new(serving.catalogue(public), shares))
    })?;
    server.hold(&digests, new);
    Ok(())
}

/// Holds from now on the versions that the configuration names, and makes the masks of their weights.
///
/// # Errors
/// A file cannot be used; then nothing changes.
pub(super) fn hold_at_dealer(dealer: &DealerService<BundleCatalogue>, config: &DealerConfig) -> Result<(), HostError> {
    let (digests, new) = versions(config, &dealer.held(), |_, public| Ok(dealers(public)))?;
    dealer.hold(&digests, new);
    warm_up(dealer);
    Ok(())
}

pub(super) fn warm_up<C: Catalogue>(dealer: &DealerService<C>) {
    if let Err(error) = dealer.warm_up() {
        tracing::warn!(%error, "the mask of the weights could not be made yet; the first session makes it");
    }
}

/// The digests of the versions that a configuration names, and what is made of those that are not held yet.
fn versions<C: Rolling, V>(
    config: &C,
    held: &[Digest],
    make: impl Fn(Option<&Path>, &PublicPart) -> Result<V, HostError>,
) -> Result<(Vec<Digest>, Vec<V>), HostError> {
    let (mut digests, mut new) = (Vec::new(), Vec::new());
    for files in config.versions() {
        let public = public_part(files.bundle)?;
        let digest = Digest(*public.digest.as_bytes());
        if digests.contains(&digest) {
            tracing::warn!(version = %digest, "[next] names the same version of the bundle as `bundle`: remove the table");
            continue;
        }
        if !held.contains(&digest) {
            new.push(make(files.share, &public)?);
        }
        digests.push(digest);
    }
    Ok((digests, new))
}
