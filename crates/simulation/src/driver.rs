//! Runs a list of operations on a deployment of its own.

use crate::bundle::Reference;
use crate::check;
use crate::crew::{Call, Crew, Knows};
use crate::deployment::{Deployment, Settings};
use crate::gateway::Gateway;
use crate::lane::{Lane, PARTIES};
use crate::operation::{GATEWAY, Operation};
use crate::process::{Resources, signal};
use crate::proxy::Armed;
use crate::roll::Held;
use crate::states::Restored;
use anyhow::Context;
use blindroute_runtime::Role;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A fault or change that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    /// In which lane; none for those of clients, of a gateway, and of all parties.
    pub(crate) lane: Option<usize>,
    party: Option<Role>,
    pub(crate) began: Instant,
    /// When its cause was over.
    pub(crate) over: Option<Instant>,
}

impl Event {
    /// Of no lane.
    pub(crate) fn of_no_lane(kind: &'static str, began: Instant, over: Option<Instant>) -> Self {
        Self { kind, lane: None, party: None, began, over }
    }

    /// Of a lane, and of no party in it.
    pub(crate) fn in_lane(kind: &'static str, lane: usize, began: Instant, over: Option<Instant>) -> Self {
        Self { kind, lane: Some(lane), party: None, began, over }
    }
}

/// What a list came to.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) calls: Vec<Call>,
    pub(crate) events: Vec<Event>,
    /// When each client was revoked, and registered again.
    pub(crate) revoked: Vec<(usize, Instant, Option<Instant>)>,
    pub(crate) violations: Vec<String>,
    /// Servers with an old ledger that served nothing, although sessions were asked of them.
    pub(crate) refused: usize,
    /// What could not be done on this machine.
    pub(crate) skipped: Vec<String>,
    /// Of each process, its name and what it held at first and at last.
    pub(crate) resources: Vec<(String, Resources, Resources)>,
}

/// A deployment while a list runs.
pub(crate) struct Driver {
    pub(crate) deployment: Deployment,
    pub(crate) reference: Arc<Reference>,
    crew: Option<Crew>,
    pub(crate) told: Told,
    /// Faults of records that were armed: the kind and the lane, by number.
    armed: Vec<(&'static str, usize)>,
    pub(crate) copied: HashMap<(usize, Role), usize>,
    pub(crate) restored: Vec<Restored>,
    /// How often each client was registered.
    pub(crate) times: Vec<usize>,
    pub(crate) first: BTreeMap<String, Resources>,
    pub(crate) held: Held,
}

impl Driver {
    pub(crate) fn new(settings: &Settings, reference: &Arc<Reference>) -> anyhow::Result<Self> {
        let mut deployment = Deployment::make(settings, reference)?;
        deployment.start_all()?;
        let times = vec![0; settings.clients + 1];
        let mut driver = Self {
            deployment,
            reference: Arc::clone(reference),
            crew: None,
            told: Told::default(),
            armed: Vec::new(),
            copied: HashMap::new(),
            restored: Vec::new(),
            times,
            first: BTreeMap::new(),
            held: Held::default(),
        };
        driver.good_answers(true)?;
        driver.deployment.gateway.as_mut().map(Gateway::start).transpose()?;
        driver.all_at_once(settings.clients)?;
        driver.first = driver.resources()?;
        let clients = (0..settings.clients).map(|client| driver.knows(client)).collect();
        let mut crew = Crew::start(clients, reference)?;
        for (number, lane) in driver.deployment.lanes.iter().enumerate() {
            crew.watch(settings.clients, &(vec![number], vec![lane.client(settings.clients, 0)]), reference)?;
        }
        if let Some(gateway) = &driver.deployment.gateway {
            let lanes = driver.deployment.lanes.len();
            crew.watch_gateway(settings.clients + 1, (&gateway.address(), lanes), reference)?;
        }
        driver.crew = Some(crew);
        Ok(driver)
    }

    /// Every second client knows all lanes, the others one each: so each lane is asked, also while others would be preferred.
    fn knows(&self, client: usize) -> Knows {
        let count = self.deployment.lanes.len();
        let lanes: Vec<usize> = if client.is_multiple_of(2) { (0..count).collect() } else { vec![client / 2 % count] };
        let configuration = |lane: &usize| self.deployment.lanes[*lane].client(client, self.times[client]);
        (lanes.clone(), lanes.iter().map(configuration).collect())
    }

    /// Runs the list, mends everything, and checks what has to hold.
    pub(crate) fn run(mut self, list: &[Operation]) -> anyhow::Result<check::Checked> {
        for operation in list {
            if let Err(error) = self.step(operation) {
                // A party may be unable to start while something else is broken: it has to once that is mended.
                self.told.skipped.push(format!("{operation}: {error:#}"));
            }
            self.happened();
        }
        if let Err(error) = self.mend() {
            self.told.violations.push(format!("mending failed: {error:#}"));
        }
        let crew = self.crew.take().context("the crew is there")?;
        self.told.calls = crew.end()?;
        if let Err(error) = self.good_answers(false) {
            self.told.violations.push(format!("{error:#}"));
        }
        self.happened();
        let last = self.settled_resources()?;
        let first = std::mem::take(&mut self.first);
        let both = first.into_iter().filter_map(|(of, first)| last.get(&of).map(|last| (of, first, *last)));
        self.told.resources = both.collect();
        check::all(self.deployment, self.told, &self.reference)
    }

    fn crew(&self) -> anyhow::Result<&Crew> {
        self.crew.as_ref().context("the crew is there")
    }

    pub(crate) fn lane(&mut self, lane: usize) -> anyhow::Result<&mut Lane> {
        self.deployment.lanes.get_mut(lane).with_context(|| format!("there is no lane {lane}"))
    }

    fn step(&mut self, operation: &Operation) -> anyhow::Result<()> {
        let kind = operation.kind().unwrap_or_default();
        match operation {
            Operation::Route(client, texts) => self.crew()?.route(*client, texts)?,
            Operation::Prepare(client, count) => self.crew()?.prepare(*client, *count)?,
            Operation::Wait(milliseconds) => std::thread::sleep(Duration::from_millis(*milliseconds)),
            Operation::Kill(lane, role) => {
                self.begin(kind, *lane, *role);
                self.lane(*lane)?.kill(*role);
            }
            Operation::Stop(lane, role) => {
                self.begin(kind, *lane, *role);
                let spoiled = self.lane(*lane)?.party(*role).spoiled;
                let status = self.lane(*lane)?.stop(*role)?;
                if !spoiled && !matches!(status, None | Some(0)) {
                    self.told.violations.push(format!("{operation}: it ended with status {status:?}"));
                }
            }
            Operation::Restart(lane, role) => {
                self.lane(*lane)?.restart(*role)?;
                self.end(*lane, *role, &["kill", "stop", "disk", "sync"]);
            }
            Operation::Pause(lane, role, milliseconds) => self.pause(*lane, *role, *milliseconds)?,
            Operation::Copy(..) | Operation::Restore(..) | Operation::Anew(..) => self.state(operation)?,
            Operation::Record(lane, way, forward, left, fault) => {
                let number = self.armed.len();
                let proxy = self.lane(*lane)?.proxy(*way).context("there are no proxies")?;
                proxy.arm(Armed { number, forward: *forward, left: *left, fault: *fault });
                self.armed.push((fault.kind(), *lane));
            }
            Operation::Disk(lane, role) => {
                self.begin(kind, *lane, *role);
                let party = self.lane(*lane)?.party_mut(*role);
                party.spoiled = true;
                party.fill_disk()?;
            }
            Operation::Sync(lane, role) | Operation::Skew(lane, role, _) => {
                if !self.lane(*lane)?.party(*role).has_shim() {
                    self.told.skipped.push(format!("{operation}: there is no C compiler cc for it"));
                    return Ok(());
                }
                self.shim(operation, *lane, *role)?;
            }
            Operation::KillDatabase | Operation::StartDatabase => self.database(operation)?,
            Operation::Renew(lane, role) => {
                self.lane(*lane)?.renew(*role)?;
                self.begin(kind, *lane, *role);
                self.end(*lane, *role, &["renew"]);
            }
            Operation::Revoke(client, role) => {
                let time = *self.times.get(*client).context("there is no such client")?;
                self.deployment.lanes.iter().try_for_each(|lane| lane.revoke(*client, time, *role))?;
                self.told.revoked.push((*client, Instant::now(), None));
            }
            Operation::Admit(client) => self.admit(*client)?,
            Operation::KillGateway | Operation::StopGateway | Operation::StartGateway => self.gateway(operation)?,
            Operation::NextBundle => self.hold_next()?,
            Operation::OnlyBundle => self.hold_only()?,
        }
        Ok(())
    }

    pub(crate) fn begin(&mut self, kind: &'static str, lane: usize, role: Role) {
        self.told.events.push(Event { kind, lane: Some(lane), party: Some(role), began: Instant::now(), over: None });
    }

    /// The end of what such faults did to a party.
    pub(crate) fn end(&mut self, lane: usize, role: Role, kinds: &[&str]) {
        for event in &mut self.told.events {
            if event.over.is_none()
                && (event.lane, event.party) == (Some(lane), Some(role))
                && kinds.contains(&event.kind)
            {
                event.over = Some(Instant::now());
            }
        }
    }

    fn pause(&mut self, lane: usize, role: Role, milliseconds: u64) -> anyhow::Result<()> {
        let Some(process) = self.lane(lane)?.party_mut(role).process.id() else { return Ok(()) };
        self.begin("pause", lane, role);
        signal(process, "STOP")?;
        std::thread::sleep(Duration::from_millis(milliseconds));
        signal(process, "CONT")?;
        self.end(lane, role, &["pause"]);
        Ok(())
    }

    fn shim(&mut self, operation: &Operation, lane: usize, role: Role) -> anyhow::Result<()> {
        let party = self.lane(lane)?.party_mut(role);
        match operation {
            Operation::Skew(_, _, 0) => {
                party.control("skew", None)?;
                self.end(lane, role, &["skew"]);
            }
            Operation::Skew(_, _, seconds) => {
                party.control("skew", Some(&seconds.to_string()))?;
                self.begin("skew", lane, role);
            }
            _ => {
                party.spoiled = true;
                party.control("sync", Some(""))?;
                self.begin("sync", lane, role);
            }
        }
        Ok(())
    }

    fn database(&mut self, operation: &Operation) -> anyhow::Result<()> {
        let Some(server) = &self.deployment.postgres else {
            self.told.skipped.push(format!("{operation}: Postgres is not installed"));
            return Ok(());
        };
        let lane = crate::generate::POSTGRES_LANE;
        if *operation == Operation::KillDatabase {
            if std::mem::replace(&mut self.deployment.database_runs, false) {
                server.kill();
                self.begin("database", lane, Role::Server0);
            }
        } else if !std::mem::replace(&mut self.deployment.database_runs, true) {
            server.run();
            self.end(lane, Role::Server0, &["database"]);
        }
        Ok(())
    }

    fn gateway(&mut self, operation: &Operation) -> anyhow::Result<()> {
        let Some(gateway) = &mut self.deployment.gateway else {
            self.told.skipped.push(format!("{operation}: there is no program blindroute"));
            return Ok(());
        };
        if *operation == Operation::StartGateway {
            gateway.process.kill();
            gateway.start()?;
            let down = self.told.events.iter_mut().filter(|event| event.kind == GATEWAY && event.over.is_none());
            down.for_each(|event| event.over = Some(Instant::now()));
            return Ok(());
        }
        self.told.events.push(Event::of_no_lane(GATEWAY, Instant::now(), None));
        if *operation == Operation::KillGateway {
            gateway.process.kill();
        } else if let Some(status) = gateway.process.stop()?.filter(|status| *status != 0) {
            self.told.violations.push(format!("{operation}: it ended with status {status}"));
        }
        Ok(())
    }

    fn admit(&mut self, client: usize) -> anyhow::Result<()> {
        let Some(place) = self.told.revoked.iter().position(|(of, _, again)| *of == client && again.is_none()) else {
            return Ok(());
        };
        self.told.revoked[place].2 = Some(Instant::now());
        let time = self.times.get_mut(client).context("there is no such client")?;
        *time += 1;
        let time = *time;
        self.deployment.lanes.iter().try_for_each(|lane| lane.register(client, time))?;
        let knows = self.knows(client);
        self.crew()?.become_another(client, knows)
    }

    /// Takes note of the faults of records that happened.
    fn happened(&mut self) {
        let lanes = &self.deployment.lanes;
        let all = lanes.iter().flat_map(|lane| lane.proxies().iter().flat_map(crate::proxy::Proxy::happened));
        let all: Vec<(usize, Instant)> = all.collect();
        for (number, at) in all {
            let Some((kind, lane)) = self.armed.get(number).copied() else { continue };
            self.told.events.push(Event::in_lane(kind, lane, at, Some(at)));
        }
    }

    /// Ends all that was done.
    fn mend(&mut self) -> anyhow::Result<()> {
        self.database(&Operation::StartDatabase).ok();
        self.told.skipped.retain(|skipped| !skipped.starts_with("database start"));
        for lane in 0..self.deployment.lanes.len() {
            self.lane(lane)?.proxies().iter().for_each(crate::proxy::Proxy::heal);
            for role in PARTIES {
                let party = self.lane(lane)?.party_mut(role);
                party.control("skew", None)?;
                self.end(lane, role, &["skew"]);
                let party = self.lane(lane)?.party_mut(role);
                if party.spoiled || party.process.id().is_none() {
                    self.lane(lane)?.restart(role)?;
                }
                self.end(lane, role, &["kill", "stop", "disk", "sync"]);
            }
        }
        while let Some(Restored { lane, role, .. }) = self.restored.first().copied() {
            self.anew(lane, role)?;
        }
        for client in 0..self.times.len() {
            self.admit(client)?;
        }
        if self.deployment.gateway.as_mut().is_some_and(|gateway| gateway.process.id().is_none()) {
            self.gateway(&Operation::StartGateway)?;
        }
        self.hold_only()
    }
}
