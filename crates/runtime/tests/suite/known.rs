//! Servers that know one client, for the tests of clients and of passes.
#![allow(clippy::unwrap_used, unreachable_pub)]

use crate::world::{Numbers, PATIENT, World};
use blindroute_runtime::clients::{ClientSecret, Clients, Register, Registered, Registration};
use blindroute_runtime::messages::FailureKind;
use blindroute_runtime::{Client, LinkError, Role, SessionError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

pub const SERVERS: [Role; 2] = [Role::Server0, Role::Server1];

/// Two servers that know one client, and its secret.
pub struct Known {
    pub world: World,
    pub home: tempfile::TempDir,
    clients: [Arc<Clients>; 2],
    pub secret: PathBuf,
}

impl Known {
    /// The client may ask for so many routes a day.
    pub fn with(routes_per_day: [u64; 2]) -> Self {
        Self::made(routes_per_day, |_, clients| clients)
    }

    /// The same, and the servers issue passes to it.
    pub fn issuing(routes_per_day: u64) -> Self {
        Self::made([routes_per_day; 2], |(server, state), clients| clients.issuing_passes(server, state).unwrap())
    }

    fn made(routes_per_day: [u64; 2], and: impl Fn((Role, &std::path::Path), Clients) -> Clients) -> Self {
        let home = tempfile::tempdir().unwrap();
        let secret = ClientSecret::generate().unwrap();
        let registration = Registration::of_secret("clinic", &secret, (0, 1000, 1000));
        let clients = [0, 1].map(|index| {
            let register = home.path().join(format!("clients{index}.toml"));
            let entry = registration.entry(SERVERS[index]);
            Register::add(&register, Registered { routes_per_day: routes_per_day[index], ..entry }).unwrap();
            let state = home.path().join(format!("state{index}"));
            Arc::new(and((SERVERS[index], &state), Clients::open(&register, &state).unwrap()))
        });
        let path = home.path().join("secret");
        std::fs::write(&path, secret.to_line().as_bytes()).unwrap();
        let mut world = World::start(PATIENT);
        world.clients = clients.clone().map(Some);
        world.restart();
        Self { world, home, clients, secret: path }
    }

    pub fn secret(&self) -> ClientSecret {
        ClientSecret::load(&self.secret).unwrap()
    }

    pub fn client(&self, secret: ClientSecret) -> Client<Numbers> {
        let endpoint = self.world.endpoint(Role::Client).with_secret(secret);
        let addresses = [0, 1].map(|index| self.world.address(index).to_owned());
        Client::new(Arc::new(Numbers::default()), addresses, endpoint, PATIENT)
    }

    /// What each server has counted for the client.
    pub fn counted(&self) -> [u64; 2] {
        [0, 1].map(|index| self.clients[index].counts(SystemTime::now()).unwrap()[0].1.ever)
    }
}

/// How a server refused.
pub fn kind(error: &SessionError) -> Option<FailureKind> {
    match error {
        SessionError::Link(LinkError::Failed { failure, .. }) => Some(failure.kind),
        _ => None,
    }
}
