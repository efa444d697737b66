//! What a party makes of its configuration before it is hosted: certificates, clients, other pairs, counts, and the public part.

use super::HostError;
use blindroute_routing::bundle::PublicPart;
use blindroute_runtime::choices::{Choices, ChoicesError};
use blindroute_runtime::clients::{Clients, ClientsError};
use blindroute_runtime::config::{ChoicesConfig, HandOverConfig, IdentityConfig, NetworkConfig, ServerConfig};
use blindroute_runtime::identity::WATCH;
use blindroute_runtime::{Endpoint, HandOverOptions, HandOverTo, IdentityError, Ledger, Role};
use std::path::Path;
use std::sync::Arc;

/// The certificates of a role, behind emulated links if the configuration has some, which is worth a warning.
///
/// # Errors
/// The certificates cannot be used.
pub fn endpoint(
    role: Role,
    identity: &IdentityConfig,
    network: Option<NetworkConfig>,
) -> Result<Endpoint, IdentityError> {
    let scene = network.map(|network| network.scene());
    if let Some(scene) = scene {
        tracing::warn!(%role, %scene, "links are emulated, for measurements: everything waits longer");
    }
    Ok(Endpoint::load(role, &identity.files())?.in_scene(scene))
}

/// An endpoint whose certificates are read again when they change. The parent of a child process removes them after the start.
pub(super) fn watched(endpoint: Endpoint, exit_with_parent: bool) -> Endpoint {
    if exit_with_parent { endpoint } else { endpoint.watching(WATCH) }
}

pub(super) fn warn_of_development(development: bool) {
    if development {
        tracing::warn!(
            "`development = true`: this deployment has roles that share a machine, a cloud account or an authority. It protects \
             no prompt; every client is told so"
        );
    }
}

/// The clients of a server's register, and the passes that it issues to them. They are counted beside the ledger if that is in a database,
/// where all lanes count together, and else in a file of this lane.
pub(super) fn clients(config: &ServerConfig, ledger: &Arc<dyn Ledger>) -> Result<Option<Clients>, ClientsError> {
    let open = |register: &Path| match Arc::clone(ledger).accounts(config.role()) {
        Some(accounts) => Clients::with_accounts(register, accounts),
        None => Clients::open(register, &config.state),
    };
    let clients = config.clients.as_deref().map(open).transpose()?;
    let issuing = |clients: Clients| clients.issuing_passes(config.role(), &config.state);
    if config.passes { clients.map(issuing).transpose() } else { Ok(clients) }
}

/// The pairs that a server hands over to.
pub(super) fn hand_over(config: &ServerConfig, endpoint: &Endpoint) -> Result<HandOverOptions, IdentityError> {
    let to = config.hand_over.iter().map(|HandOverConfig { name, address, authority }| {
        let endpoint = match authority {
            Some(authority) => watched(endpoint.calling(authority)?, config.exit_with_parent),
            None => endpoint.clone(),
        };
        Ok(HandOverTo { name: name.clone(), address: address.clone(), endpoint })
    });
    Ok(HandOverOptions { to: to.collect::<Result<_, IdentityError>>()?, ..HandOverOptions::default() })
}

/// What a server counts of the choices that clients report, in a folder beside its ledger's files.
pub(super) fn choices(config: &ServerConfig) -> Result<Option<Arc<Choices>>, ChoicesError> {
    let open = |choices: ChoicesConfig| {
        Choices::open(&config.choices_folder(), choices.options(), config.timeouts.timeouts().stall).map(Arc::new)
    };
    config.choices.map(open).transpose()
}

pub(super) fn public_part(path: &Path) -> Result<PublicPart, HostError> {
    PublicPart::open(path).map_err(|source| HostError::PublicPart { path: path.to_owned(), source })
}
