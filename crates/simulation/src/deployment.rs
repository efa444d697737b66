//! A whole deployment in a folder of its own: lanes, and Postgres.

use crate::bundle::Reference;
use crate::gateway::Gateway;
use crate::generate::POSTGRES_LANE;
use crate::lane::{Lane, PARTIES, Plan};
use crate::ledger::Storage;
use crate::party::Starting;
use crate::server::Server;
use crate::shim;
use blindroute_runtime::config::TimeoutsConfig;
use std::path::PathBuf;

/// What a deployment is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program `blindroute-operator`.
    pub program: PathBuf,
    /// The program `blindroute`, for a gateway.
    pub gateway: Option<PathBuf>,
    /// Requests that may wait for a route of the gateway at once.
    pub gateway_routes: usize,
    /// Lanes.
    pub lanes: usize,
    /// Clients.
    pub clients: usize,
    /// What the parties log: a filter, as in `BLINDROUTE_LOG`.
    pub level: &'static str,
    /// Whether faults can be injected: through proxies, and by a library that fails.
    pub faults: bool,
    /// Sessions of each party at once.
    pub max_sessions: usize,
}

/// Waits of the parties and of clients. They are long enough for a machine that does something else too.
const TIMEOUTS: (f64, f64, f64) = (3.0, 6.0, 6.0);

/// Lanes of these numbers, modulo two, keep stored material.
const STORING: usize = 0;

pub(crate) struct Deployment {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) postgres: Option<Server>,
    pub(crate) database_runs: bool,
    // Last: what runs in it ends before.
    pub(crate) home: tempfile::TempDir,
}

impl Deployment {
    /// Makes all files. No party runs so far.
    pub(crate) fn make(settings: &Settings, reference: &Reference) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("blindroute-simulation-").tempdir()?;
        let bundles = ["first.blindroute", "second.blindroute"].map(|name| home.path().join(name));
        for (path, bundle) in bundles.iter().zip(&reference.bundles) {
            std::fs::write(path, bundle.write()?)?;
        }
        let shim = if settings.faults { shim::compile(home.path()) } else { None };
        let (connect_seconds, handshake_seconds, stall_seconds) = TIMEOUTS;
        let timeouts =
            TimeoutsConfig { connect_seconds, handshake_seconds, stall_seconds, ..TimeoutsConfig::default() };
        let starting = Starting { program: settings.program.clone(), shim, level: settings.level };
        let plan = Plan {
            starting,
            bundles,
            timeouts,
            max_sessions: settings.max_sessions,
            proxied: settings.faults,
            // Two more: one asks whether all is well, the other is the gateway.
            clients: settings.clients + 2,
        };
        let postgres = if settings.lanes > POSTGRES_LANE { Server::start() } else { None };
        let mut lanes = Vec::new();
        for number in 0..settings.lanes {
            let postgres = postgres.as_ref().filter(|_| number == POSTGRES_LANE);
            let zero = postgres
                .map_or(Storage::Folder, |server| Storage::Postgres(server.address(), format!("server0-{number}")));
            let storages = match number % 2 {
                0 => [Storage::Folder, zero, Storage::Sqlite],
                _ => [Storage::Sqlite, zero, Storage::Folder],
            };
            // Without faults it is what operators have by default.
            let storing = settings.faults && number % 2 == STORING;
            lanes.push(Lane::make(&home.path().join(format!("lane{number}")), (storages, storing), &plan)?);
        }
        let of_gateway = |program: &PathBuf| {
            let (home, client) = (home.path().join("gateway"), settings.clients + 1);
            Gateway::make(program, &home, &lanes, (client, settings.gateway_routes))
        };
        let gateway = settings.gateway.as_ref().map(of_gateway).transpose()?;
        Ok(Self { lanes, gateway, database_runs: postgres.is_some(), postgres, home })
    }

    pub(crate) fn start_all(&mut self) -> anyhow::Result<()> {
        for lane in &mut self.lanes {
            PARTIES.into_iter().try_for_each(|role| lane.start(role))?;
        }
        Ok(())
    }
}
