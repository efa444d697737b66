//! Dealer and servers as child processes on loopback, with fresh certificates and a fresh split.

use crate::catalogue::BundleCatalogue;
use crate::error::PlacementError;
use crate::home::{Home, STATE};
use crate::report::PeakMemory;
use blindroute_routing::bundle::{Bundle, PublicPart, SplitRandomness, split};
use blindroute_runtime::config::NetworkConfig;
use blindroute_runtime::{
    CertificateFolder, ChildProcess, ChildSpec, Client, Endpoint, Role, Scene, Timeouts, peak_rss_mib, peak_rss_mib_of,
};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How to start the services.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The `blindroute` program.
    pub executable: PathBuf,
    /// Emulated links between all parties, for measurements.
    pub scene: Option<Scene>,
}

/// Three running child processes and the files they use. Everything goes when it is dropped.
#[derive(Debug)]
pub struct ChildDeployment {
    public: PublicPart,
    client: Endpoint,
    addresses: [String; 2],
    children: Mutex<[ChildProcess; 3]>,
    // Last, so that the children are gone before their files.
    _home: Home,
}

/// Sessions at once of each child. Their only client is this process, which decides how many it holds ready and runs.
const SESSIONS: usize = 64;

/// How long a child may take to start: it reads its share.
const START: Duration = Duration::from_secs(60);

impl ChildDeployment {
    /// Splits the bundle and starts dealer and servers. `progress` hears what happens.
    ///
    /// # Errors
    /// If files cannot be written or a child does not start.
    pub fn start(bundle: &Bundle, programs: &Programs, progress: &dyn Fn(&str)) -> Result<Self, PlacementError> {
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
        let client = Endpoint::load(Role::Client, &certificates.identity(Role::Client))?.in_scene(programs.scene);
        progress("starting dealer and servers");
        let spawn = |role: Role, extra: &str| {
            let path = home.path().join(format!("{role}.toml"));
            write(&path, configuration(role, extra, programs.scene).as_bytes())?;
            let mut arguments: Vec<OsString> = match role.party() {
                Some(party) => vec!["server".into(), "--party".into(), party.to_string().into()],
                None => vec!["dealer".into()],
            };
            arguments.extend(["--config".into(), path.into()]);
            if tracing::enabled!(tracing::Level::DEBUG) {
                // Whoever wants everything said wants the children's logs too; they come through this process's.
                arguments.push("-vv".into());
            }
            let spec = ChildSpec { role, executable: programs.executable.clone(), arguments };
            Ok::<_, PlacementError>(ChildProcess::spawn(&spec, START)?)
        };
        let (dealer, dealer_address) = spawn(Role::Dealer, "")?;
        let dealer_line = format!("dealer = \"{dealer_address}\"\n");
        let (zero, zero_address) = spawn(Role::Server0, &dealer_line)?;
        let (one, one_address) = spawn(Role::Server1, &format!("{dealer_line}peer = \"{zero_address}\"\n"))?;
        // Each has read its files when it listens.
        home.forget_secrets().map_err(|source| PlacementError::Write { path: home.path().to_owned(), source })?;
        let addresses = [zero_address.to_string(), one_address.to_string()];
        let children = Mutex::new([zero, one, dealer]);
        Ok(Self { public, client, addresses, children, _home: home })
    }

    /// The public part of the split bundle.
    pub fn public(&self) -> &PublicPart {
        &self.public
    }

    /// A client of these servers.
    pub fn client(&self) -> Client<BundleCatalogue> {
        let catalogue = Arc::new(BundleCatalogue::of(&self.public));
        Client::new(catalogue, self.addresses.clone(), self.client.clone(), Timeouts::default()).with_places(SESSIONS)
    }

    /// Fails with the child's last words if one has ended, or does within `grace`: a dying process closes its
    /// connections a moment before it can be seen to have ended.
    ///
    /// # Errors
    /// Which child ended, and what it said.
    pub fn check(&self, grace: Duration) -> Result<(), PlacementError> {
        let until = Instant::now() + grace;
        loop {
            for child in self.lock().iter_mut() {
                child.check()?;
            }
            if Instant::now() >= until {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Peak memory of every process.
    pub fn peak_memory(&self) -> PeakMemory {
        let [zero, one, dealer] = self.processes().map(peak_rss_mib_of);
        PeakMemory { server0: zero, server1: one, dealer, client: peak_rss_mib() }
    }

    /// Process numbers of server 0, server 1 and dealer, for measurements and for tests that stop one.
    pub fn processes(&self) -> [u32; 3] {
        self.lock().each_ref().map(ChildProcess::process)
    }

    fn lock(&self) -> MutexGuard<'_, [ChildProcess; 3]> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Peak memory of this process alone.
pub fn peak_memory() -> PeakMemory {
    PeakMemory { client: peak_rss_mib(), ..PeakMemory::default() }
}

/// A child's configuration; paths are relative to the file.
fn configuration(role: Role, extra: &str, scene: Option<Scene>) -> String {
    let network = scene.map(|scene| NetworkConfig::from(scene).to_string()).unwrap_or_default();
    let party = role
        .party()
        .map(|party| format!("party = {party}\nmeasurements = true\nshare = \"share{party}.bin\"\n"))
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
