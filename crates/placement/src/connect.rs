//! Routers whose servers run elsewhere.

use crate::catalogue::BundleCatalogue;
use crate::error::PlacementError;
use crate::next::Next;
use crate::pairs::{Calls, Pair, check_same};
use crate::report::{BundleUsed, PairUsed};
use crate::reporter::Reporter;
use crate::router::PrivateRouter;
use blindroute_routing::bundle::PublicPart;
use blindroute_runtime::clients::ClientSecret;
use blindroute_runtime::identity::WATCH;
use blindroute_runtime::{Client, ClientConfig, Endpoint, Role};
use std::time::Duration;

impl PrivateRouter {
    /// A router whose servers run elsewhere. The placements `head` and `local` also need
    /// [`with_bundle`](Self::with_bundle).
    ///
    /// # Errors
    /// If the public part or the certificates cannot be used.
    pub fn connect(config: &ClientConfig) -> Result<Self, PlacementError> {
        Self::connect_all(std::slice::from_ref(config))
    }

    /// A router with several pairs of servers that run elsewhere: each configuration names a pair, which is a dealer with its two
    /// servers. All pairs must hold the same model, best each in a split of its own.
    ///
    /// A session goes to the pair with the least expected wait, and [batches](Self::classify_batch) run one session per pair at a
    /// time. A pair that fails is skipped for a while, and the session's texts are shared anew for a session with another pair.
    /// Each text still gets exactly one answer.
    ///
    /// With a table `[next]` in each configuration, routes of placement `full` are asked of that version of the bundle as soon as both
    /// servers hold it, and of the one before until then: also if a party does not hold it any more, or stops to.
    ///
    /// With `report_choices` in all configurations, the model that a route is answered with is reported to the pair that answered: in
    /// shares, of which its servers learn only sums. A report is sent at a random time within `report_within_seconds`, by a
    /// thread; dropping the router sends at once what is left, for up to five seconds.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect); if there is no configuration, two are for different models, or for the same servers.
    pub fn connect_all(configs: &[ClientConfig]) -> Result<Self, PlacementError> {
        let mut opened = Vec::with_capacity(configs.len());
        for (index, config) in configs.iter().enumerate() {
            let public = PublicPart::open(&config.bundle)
                .map_err(|source| PlacementError::PublicPart { path: config.bundle.clone(), source })?;
            opened.push((PairUsed { index, servers: [config.server0.clone(), config.server1.clone()] }, public));
        }
        check_same(&opened)?;
        let of = |((used, public), config): (&(PairUsed, PublicPart), &ClientConfig)| {
            let bundle = BundleUsed { name: config.bundle.display().to_string(), digest: public.digest.to_string() };
            let (client, calls) = client(config, public)?;
            Ok(Pair::new(client, used.clone(), bundle).known_as(config.name.clone()).called_by(calls))
        };
        let pairs: Vec<Pair> = opened.iter().zip(configs).map(of).collect::<Result<_, PlacementError>>()?;
        let reporter = reporter(configs);
        let Some(((_, public), config)) = opened.into_iter().zip(configs).next() else {
            return Err(PlacementError::NeedsServers { placement: "full" });
        };
        let mut router = Self::assemble(public, pairs.into())?.named(config.bundle.display().to_string());
        router.next = Self::connect_next(configs)?.map(Next::new);
        router.reporter = reporter;
        Ok(router)
    }

    /// A router of the next version of the bundle, if the configurations name one.
    fn connect_next(configs: &[ClientConfig]) -> Result<Option<Self>, PlacementError> {
        let next = |config: &ClientConfig| {
            let bundle = config.next.as_ref()?.bundle.clone();
            Some(ClientConfig { bundle, next: None, ..config.clone() })
        };
        let next: Vec<ClientConfig> = configs.iter().filter_map(next).collect();
        if !next.is_empty() && next.len() < configs.len() {
            tracing::warn!(
                "some configurations have a table [next] and some have none: the next version is not used before all have one"
            );
            return Ok(None);
        }
        (!next.is_empty()).then(|| Self::connect_all(&next)).transpose()
    }
}

/// A client of the servers that a configuration names, and how they are called.
fn client(config: &ClientConfig, public: &PublicPart) -> Result<(Client<BundleCatalogue>, Calls), PlacementError> {
    let scene = config.network.map(|network| network.scene());
    let files = config.identity.files();
    let endpoint = Endpoint::load(Role::Client, &files)?.in_scene(scene).watching(WATCH);
    let endpoint = match &config.secret {
        Some(path) => endpoint.with_secret(ClientSecret::load(path)?),
        None => endpoint,
    };
    let (addresses, timeouts) = ([config.server0.clone(), config.server1.clone()], config.timeouts.timeouts());
    let calls = Calls { endpoint: endpoint.clone(), timeouts, certificates: files.validity()? };
    let client = Client::new(BundleCatalogue::of_client(public), addresses, endpoint, timeouts);
    let client = match config.passes {
        Some(batch) => client.with_passes(batch),
        None => client,
    };
    Ok((client, calls))
}

/// Reports choices if all configurations say so: a choice says something of the text, whichever pair answered.
fn reporter(configs: &[ClientConfig]) -> Option<Reporter> {
    let asked = configs.iter().filter(|config| config.report_choices).count();
    if asked > 0 && asked < configs.len() {
        tracing::warn!("some configurations have `report_choices = true` and some have not: nothing is reported");
    }
    let within = configs.iter().map(|config| config.report_within_seconds).fold(0.0, f64::max);
    let within = Duration::try_from_secs_f64(within).unwrap_or_default();
    (asked > 0 && asked == configs.len()).then(|| Reporter::new(within))
}
