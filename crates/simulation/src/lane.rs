//! A lane: a dealer and two servers of three operators, made with the program's own commands.

use crate::ledger::Storage;
use crate::operation::Way;
use crate::party::{Party, Starting, copy_folder};
use crate::proxy::Proxy;
use crate::roll;
use anyhow::{Context, ensure};
use blindroute_runtime::ClientConfig;
use blindroute_runtime::Role;
use blindroute_runtime::config::{Configuration, NextConfig, TimeoutsConfig};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The operators' roles, in the order in which they are started.
pub(crate) const PARTIES: [Role; 3] = [Role::Dealer, Role::Server0, Role::Server1];

/// What is the same in all lanes.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) starting: Starting,
    /// The versions of the bundle.
    pub(crate) bundles: [PathBuf; 2],
    pub(crate) timeouts: TimeoutsConfig,
    /// Of each party.
    pub(crate) max_sessions: usize,
    /// Whether callers go through proxies.
    pub(crate) proxied: bool,
    /// Registered clients.
    pub(crate) clients: usize,
}

/// A dealer and two servers.
#[derive(Debug)]
pub(crate) struct Lane {
    home: PathBuf,
    parties: [Party; 3],
    /// By their ways; none if callers call the parties themselves.
    proxies: Vec<Proxy>,
    program: PathBuf,
    client: ClientConfig,
}

impl Lane {
    /// The files of a lane below this folder, whose parties keep their ledgers there, and whose servers may have stores. Nothing runs so
    /// far.
    pub(crate) fn make(home: &Path, (storages, storing): ([Storage; 3], bool), plan: &Plan) -> anyhow::Result<Self> {
        std::fs::create_dir_all(home)?;
        let ways = if plan.proxied { Way::ALL.as_slice() } else { &[] };
        let proxies = ways.iter().map(|_| Proxy::start()).collect::<Result<Vec<_>, _>>()?;
        let addresses = Addresses::of(&proxies)?;
        let program = &plan.starting.program;
        for (role, address) in PARTIES.iter().zip(&addresses.called) {
            let (machine, out) = (home.join(format!("machine-{role}")), home.join(role.name()));
            std::fs::write(&machine, format!("{role} of {}", home.display()))?;
            let listen = if plan.proxied { "127.0.0.1:0" } else { address.as_str() };
            let own = ["init", "--role", role.name(), "--address", address, "--listen", listen];
            operator(program, &[&own[..], &["--machine-id", text(&machine)?, "--out", text(&out)?]].concat())?;
        }
        let manifests = PARTIES.map(|role| home.join(format!("{role}/manifest.json")));
        let [dealer, zero, one] = [text(&manifests[0])?, text(&manifests[1])?, text(&manifests[2])?];
        for (role, others) in PARTIES.into_iter().zip([[zero, one], [dealer, one], [dealer, zero]]) {
            let out = home.join(role.name());
            operator(program, &["pair", "--dir", text(&out)?, "--with", others[0], "--with", others[1]])?;
        }
        let client = home.join("client");
        let operators = text(home)?;
        let own = format!("{operators}/server0");
        operator(program, &["client-certificate", "--dir", &own, "--name", "clients", "--out", text(&client)?])?;
        operator(program, &["client-config", "--with", zero, "--with", one, "--out", text(&client)?])?;
        for (version, bundle) in plan.bundles.iter().enumerate() {
            let provider = home.join(format!("provider{version}"));
            let split = ["bundle", "split", "--bundle", text(bundle)?, "--out", text(&provider)?];
            operator(program, &[&split[..], &["--for", zero, "--for", one]].concat())?;
            roll::hand_out(&provider, home, version)?;
        }
        let mut loaded = ClientConfig::load(&client.join("client.toml"))?.config;
        loaded.timeouts = plan.timeouts;
        loaded.next = Some(NextConfig { bundle: roll::public_part(&client, 1), share: None });
        let mut storages = storages.into_iter();
        let parties = PARTIES.map(|role| {
            let storage = storages.next().unwrap_or(Storage::Folder);
            Party::new(role, home.join(role.name()), storage, plan.starting.clone())
        });
        let lane = Self { home: home.to_owned(), parties, proxies, program: program.clone(), client: loaded };
        lane.configure(plan, &addresses, storing)?;
        (0..plan.clients).try_for_each(|client| lane.register(client, 0))?;
        Ok(lane)
    }

    /// Adds to what `pair` wrote.
    fn configure(&self, plan: &Plan, addresses: &Addresses, storing: bool) -> anyhow::Result<()> {
        for party in &self.parties {
            let path = party.configuration();
            let mut written = std::fs::read_to_string(&path)?;
            for (field, from, to) in addresses.changes(party.role) {
                let (from, to) = (format!("{field} = \"{from}\""), format!("{field} = \"{to}\""));
                ensure!(written.contains(&from), "{path:?} has no line {from}");
                written = written.replace(&from, &to);
            }
            let sessions = plan.max_sessions;
            let own = match party.role {
                Role::Dealer => String::new(),
                _ => format!("clients = \"clients.toml\"\nmax_sessions_per_client = {sessions}\n"),
            };
            let all = format!(
                "max_sessions = {sessions}\n{own}{written}{}{}{}",
                timeouts_table(&plan.timeouts),
                party.storage.table(),
                if storing { store(party.role) } else { String::new() }
            );
            std::fs::write(path, all)?;
        }
        Ok(())
    }

    /// Registers a client at both servers. `time` counts how often that was done.
    pub(crate) fn register(&self, client: usize, time: usize) -> anyhow::Result<()> {
        let name = format!("client-{client}-{time}");
        let out = self.home.join("clients").join(&name);
        std::fs::create_dir_all(self.home.join("clients"))?;
        let registration = out.join("registration.toml");
        let [zero, one] = [Role::Server0, Role::Server1].map(|role| self.party(role).configuration());
        let add = ["client", "add", &name, "--config", text(&zero)?, "--routes-per-day", "100000000"];
        let add = [&add[..], &["--routes-per-minute", "1000000", "--out", text(&out)?]].concat();
        operator(&self.program, &add)?;
        let registration = text(&registration)?;
        operator(&self.program, &["client", "add", "--registration", registration, "--config", text(&one)?])
    }

    pub(crate) fn revoke(&self, client: usize, time: usize, role: Role) -> anyhow::Result<()> {
        let (name, configuration) = (format!("client-{client}-{time}"), self.party(role).configuration());
        operator(&self.program, &["client", "revoke", &name, "--config", text(&configuration)?])
    }

    /// A client's configuration.
    pub(crate) fn client(&self, client: usize, time: usize) -> ClientConfig {
        let secret = self.home.join("clients").join(format!("client-{client}-{time}")).join("client.secret");
        ClientConfig { secret: Some(secret), ..self.client.clone() }
    }

    /// Writes the configuration of a client, for a program, and gives its path.
    pub(crate) fn write_client(&self, client: usize) -> anyhow::Result<PathBuf> {
        let folder = self.home.join("client");
        let written = std::fs::read_to_string(folder.join("client.toml"))?;
        let (own, _) = written.split_once("[timeouts]").context("the client's configuration has no timeouts")?;
        let (secret, next) = (self.client(client, 0).secret, roll::public_part(&folder, 1));
        let secret = secret.context("clients are registered")?;
        let text = format!(
            "secret = {:?}\n{own}\n[next]\nbundle = {:?}\n{}",
            text(&secret)?,
            text(&next)?,
            timeouts_table(&self.client.timeouts)
        );
        let path = folder.join(format!("client-{client}.toml"));
        std::fs::write(&path, text)?;
        Ok(path)
    }

    pub(crate) fn party(&self, role: Role) -> &Party {
        &self.parties[place(role)]
    }

    pub(crate) fn party_mut(&mut self, role: Role) -> &mut Party {
        &mut self.parties[place(role)]
    }

    pub(crate) fn proxy(&self, way: Way) -> Option<&Proxy> {
        self.proxies.get(Way::ALL.iter().position(|known| *known == way)?)
    }

    pub(crate) fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    pub(crate) fn start(&mut self, role: Role) -> anyhow::Result<()> {
        let address = self.party_mut(role).start()?;
        self.lead(role, Some(&address));
        Ok(())
    }

    pub(crate) fn kill(&mut self, role: Role) {
        self.party_mut(role).process.kill();
        self.lead(role, None);
    }

    pub(crate) fn stop(&mut self, role: Role) -> anyhow::Result<Option<i32>> {
        let status = self.party_mut(role).process.stop();
        self.lead(role, None);
        status
    }

    fn lead(&self, role: Role, address: Option<&str>) {
        for (way, proxy) in Way::ALL.iter().zip(&self.proxies) {
            if way.answers() == role {
                proxy.lead_to(address.map(str::to_owned));
            }
        }
    }

    /// Begins a party anew, with nothing that fails.
    pub(crate) fn restart(&mut self, role: Role) -> anyhow::Result<()> {
        let party = self.party_mut(role);
        party.control("sync", None)?;
        party.spoiled = false;
        self.kill(role);
        self.start(role)
    }

    fn copy_of(&self, role: Role) -> PathBuf {
        self.home.join(format!("copy-{role}"))
    }

    /// Copies a party's state, while it does not run.
    pub(crate) fn copy(&mut self, role: Role) -> anyhow::Result<()> {
        self.kill(role);
        let to = self.copy_of(role);
        if to.exists() {
            std::fs::remove_dir_all(&to)?;
        }
        copy_folder(&self.party(role).state(), &to)?;
        self.start(role)
    }

    /// Puts the copy in the place of the state; `false` if there is none.
    pub(crate) fn restore(&mut self, role: Role) -> anyhow::Result<bool> {
        let copy = self.copy_of(role);
        if !copy.exists() {
            return Ok(false);
        }
        self.forget_state(role)?;
        copy_folder(&copy, &self.party(role).state())?;
        self.start(role)?;
        Ok(true)
    }

    /// What operators do after a server's ledger was lost or restored.
    pub(crate) fn anew(&mut self, role: Role) -> anyhow::Result<()> {
        let other = if role == Role::Server0 { Role::Server1 } else { Role::Server0 };
        self.forget_state(role)?;
        self.kill(other);
        let configuration = self.party(other).configuration();
        let forgotten = operator(&self.program, &["ledger", "forget-peer", "--config", text(&configuration)?]);
        if let Err(error) = forgotten
            && !error.to_string().contains("nothing to forget")
        {
            return Err(error);
        }
        self.start(other)?;
        self.start(role)
    }

    /// Ends a party, and removes its state. What its ledger held is remembered here.
    fn forget_state(&mut self, role: Role) -> anyhow::Result<()> {
        self.kill(role);
        let party = self.party_mut(role);
        party.before = party.claimed()?;
        let state = party.state();
        if state.exists() {
            std::fs::remove_dir_all(state)?;
        }
        Ok(())
    }

    pub(crate) fn renew(&self, role: Role) -> anyhow::Result<()> {
        operator(&self.program, &["renew", "--dir", text(&self.party(role).home)?])
    }

    /// Folders of this lane in which no text may be.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }
}

fn timeouts_table(timeouts: &TimeoutsConfig) -> String {
    let TimeoutsConfig { connect_seconds, handshake_seconds, stall_seconds, .. } = timeouts;
    format!(
        "\n[timeouts]\nconnect_seconds = {connect_seconds:?}\nhandshake_seconds = {handshake_seconds:?}\nstall_seconds = \
         {stall_seconds:?}\n"
    )
}

/// The table of a party's stored material.
fn store(role: Role) -> String {
    let keep = "[[store.keep]]\nbucket = 32\ncount = 2\n";
    let own = "\n[store]\nfolder = \"store\"\nkey = \"store.key\"\nbytes = \"1GB\"\n";
    match role {
        Role::Server0 => own.to_owned(),
        Role::Server1 => format!("{own}{keep}"),
        _ => String::new(),
    }
}

fn place(role: Role) -> usize {
    PARTIES.iter().position(|known| *known == role).unwrap_or_default()
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path is not UTF-8; set TMPDIR to one that is")
}

/// Where parties are called.
struct Addresses {
    /// By clients, and by others if there are no proxies; in the order of [`PARTIES`].
    called: [String; 3],
    /// What server 1 calls server 0 by, and both servers the dealer.
    between: Option<[String; 3]>,
}

impl Addresses {
    fn of(proxies: &[Proxy]) -> anyhow::Result<Self> {
        if let [to_zero, to_one, servers, zero_dealer, one_dealer] = proxies {
            let address = |proxy: &Proxy| proxy.address().to_owned();
            let called = [zero_dealer, to_zero, to_one].map(address);
            return Ok(Self { called, between: Some([servers, zero_dealer, one_dealer].map(address)) });
        }
        // Held together, so that they differ.
        let free = [(); 3].map(|()| {
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr().map(|at| (at, listener)))
        });
        let [dealer, zero, one] = free;
        let called = [dealer?, zero?, one?].map(|(address, _)| address.to_string());
        Ok(Self { called, between: None })
    }

    /// Fields of a role's configuration whose values become others.
    fn changes(&self, role: Role) -> Vec<(&'static str, &str, &str)> {
        let (Some([servers, zero_dealer, one_dealer]), [dealer, zero, _]) = (&self.between, &self.called) else {
            return Vec::new();
        };
        match role {
            Role::Server0 => vec![("dealer", dealer, zero_dealer)],
            Role::Server1 => vec![("dealer", dealer, one_dealer), ("peer", zero, servers)],
            _ => Vec::new(),
        }
    }
}

/// Runs a command of the program to its end.
fn operator(program: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output =
        output.with_context(|| format!("cannot run {}; build blindroute-operator first", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {said}");
    Ok(())
}
