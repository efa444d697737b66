//! Dealer and servers of a router's own, on loopback, with fresh certificates and a fresh split.
//!
//! What they run on, child processes or threads, is in [`children`](crate::children) and [`threads`](crate::threads).

use crate::catalogue::BundleCatalogue;
use crate::error::PlacementError;
use crate::home::{Home, STATE};
use crate::pairs::Pair;
use crate::report::{BundleUsed, PairUsed};
use blindroute_routing::bundle::{Bundle, PublicPart, SplitRandomness, split};
use blindroute_runtime::config::NetworkConfig;
use blindroute_runtime::{CertificateFolder, Client, Endpoint, Role, Scene, Timeouts};
use std::net::SocketAddr;
use std::path::Path;
use zeroize::Zeroizing;

/// Sessions at once of each party. Their only client is this process, which decides how many it holds ready and runs.
const SESSIONS: usize = 64;

/// How the parties are configured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// Emulated links between all parties.
    pub(crate) scene: Option<Scene>,
    /// Whether the servers serve measurements.
    pub(crate) measurements: bool,
    /// Whether the servers serve the scores of labels.
    pub(crate) scores: bool,
}

/// What a client of the parties needs, and the files that the parties use.
#[derive(Debug)]
pub(crate) struct Loopback {
    pub(crate) public: PublicPart,
    endpoint: Endpoint,
    addresses: [String; 2],
    _home: Home,
}

/// Starts the party of a role with this configuration file, and says where it listens.
pub(crate) type StartParty<'a, P> = dyn Fn(Role, &Path) -> Result<(P, SocketAddr), PlacementError> + 'a;

impl Loopback {
    /// Splits the bundle, makes certificates, and starts server 0, server 1 and dealer by `start`. `progress` hears what
    /// happens.
    pub(crate) fn start<P>(
        bundle: &Bundle,
        settings: Settings,
        progress: &dyn Fn(&str),
        start: &StartParty<'_, P>,
    ) -> Result<(Self, [P; 3]), PlacementError> {
        progress("splitting the bundle into shares");
        let home = Home::new().map_err(|source| PlacementError::Write { path: std::env::temp_dir(), source })?;
        let mut random = Zeroizing::new([0; SplitRandomness::BYTES]);
        getrandom::fill(random.as_mut_slice()).map_err(PlacementError::Randomness)?;
        let files = split(bundle, &SplitRandomness::new(&random))?;
        write(&home.path().join("public.bin"), &files.public)?;
        for (party, share) in files.shares.iter().enumerate() {
            write_private(&home.path().join(format!("share{party}.bin")), share)?;
        }
        let public = PublicPart::read(&files.public)?;
        drop(files);
        progress("making certificates");
        let certificates = CertificateFolder::generate(&home.path().join("certificates"))?;
        let endpoint = Endpoint::load(Role::Client, &certificates.identity(Role::Client))?.in_scene(settings.scene);
        progress("starting dealer and servers");
        let start = |role: Role, extra: &str| {
            let path = home.path().join(format!("{role}.toml"));
            write(&path, configuration(role, extra, settings).as_bytes())?;
            start(role, &path)
        };
        let (dealer, dealer_address) = start(Role::Dealer, "")?;
        let dealer_line = format!("dealer = \"{dealer_address}\"\n");
        let (zero, zero_address) = start(Role::Server0, &dealer_line)?;
        let (one, one_address) = start(Role::Server1, &format!("{dealer_line}peer = \"{zero_address}\"\n"))?;
        // Each has read its files when it listens.
        home.forget_secrets().map_err(|source| PlacementError::Write { path: home.path().to_owned(), source })?;
        let addresses = [zero_address.to_string(), one_address.to_string()];
        Ok((Self { public, endpoint, addresses, _home: home }, [zero, one, dealer]))
    }

    /// The dealer with its servers, as their client sees them.
    pub(crate) fn pair(&self) -> Pair {
        let (catalogue, servers) = (BundleCatalogue::of_client(&self.public), self.addresses.clone());
        let client = Client::new(catalogue, servers.clone(), self.endpoint.clone(), Timeouts::default());
        let bundle = BundleUsed { name: "bundle".to_owned(), digest: self.public.digest.to_string() };
        Pair::new(client.with_places(SESSIONS), PairUsed { index: 0, servers }, bundle)
    }
}

/// A party's configuration; paths are relative to the file.
fn configuration(role: Role, extra: &str, settings: Settings) -> String {
    let network = settings.scene.map(|scene| NetworkConfig::from(scene).to_string()).unwrap_or_default();
    let Settings { measurements, scores, .. } = settings;
    let party = role
        .party()
        .map(|party| {
            format!("party = {party}\nmeasurements = {measurements}\nscores = {scores}\nshare = \"share{party}.bin\"\n")
        })
        .unwrap_or_default();
    format!(
        "listen = \"127.0.0.1:0\"\nbundle = \"public.bin\"\nstate = \"{STATE}{role}\"\nexit_with_parent = true\n\
         max_sessions = {SESSIONS}\n{party}{extra}\n[identity]\nauthority = \"certificates/authority.pem\"\n\
         certificate = \"certificates/{role}.pem\"\nkey = \"certificates/{role}.key\"\n{network}"
    )
}

/// Writes a file that only its owner reads.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), PlacementError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| std::io::Write::write_all(&mut file, bytes));
    written.map_err(|source| PlacementError::Write { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), PlacementError> {
    std::fs::write(path, bytes).map_err(|source| PlacementError::Write { path: path.to_owned(), source })
}
