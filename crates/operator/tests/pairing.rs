//! Three operators in three folders, who exchange manifests and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deployment;

use blindroute_placement::{Placement, PrivateRouter, RouteOptions};
use blindroute_routing::bundle::Bundle;
use blindroute_runtime::config::Configuration;
use blindroute_runtime::{ClientConfig, Role};
use deployment::{Process, Ran, run, small_bundle, start};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

const OPERATORS: [Role; 3] = [Role::Server0, Role::Server1, Role::Dealer];

/// The operators' folders, a client's and the provider's.
struct Three {
    home: tempfile::TempDir,
    addresses: [String; 3],
}

impl Three {
    fn new() -> Self {
        // Held together, so that they differ.
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
        Self { home: tempfile::tempdir().unwrap(), addresses }
    }

    /// All three have run `init`, each for a machine of its own.
    fn begun() -> Self {
        let three = Self::new();
        OPERATORS.iter().for_each(|role| drop(three.init(*role, role.name(), &[]).succeeded()));
        three
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        self.at(path).to_str().unwrap().to_owned()
    }

    /// `init` for a machine with this id.
    fn init(&self, role: Role, machine: &str, more: &[&str]) -> Ran {
        let id = self.text(&format!("machine-{machine}"));
        std::fs::write(&id, machine).unwrap();
        let index = OPERATORS.iter().position(|other| *other == role).unwrap();
        let (out, address) = (self.text(role.name()), self.addresses[index].as_str());
        let arguments = ["init", "--role", role.name(), "--address", address, "--listen", address, "--machine-id", &id];
        run(&[&arguments[..], &["--name", "somebody", "--out", &out, "--json"], more].concat())
    }

    fn manifest(&self, role: Role) -> String {
        self.text(&format!("{role}/manifest.json"))
    }

    fn pair(&self, role: Role, more: &[&str]) -> Ran {
        let others: Vec<String> =
            OPERATORS.iter().filter(|other| **other != role).map(|other| self.manifest(*other)).collect();
        let dir = self.text(role.name());
        run(&[&["pair", "--dir", &dir, "--with", &others[0], "--with", &others[1]], more].concat())
    }

    /// Splits the bundle for both servers, and gives everybody what is theirs.
    fn provide(&self) {
        let bundle = small_bundle(self.home.path());
        let [zero, one] = [Role::Server0, Role::Server1].map(|role| self.manifest(role));
        let (bundle, out) = (bundle.to_str().unwrap(), self.text("provider"));
        run(&["bundle", "split", "--bundle", bundle, "--for", &one, "--for", &zero, "--out", &out]).succeeded();
        for (role, share) in [(Role::Server0, "share0.sealed"), (Role::Server1, "share1.sealed")] {
            std::fs::copy(self.at(&format!("provider/{share}")), self.at(&format!("{role}/{share}"))).unwrap();
        }
        for folder in ["server0", "server1", "dealer", "client"] {
            std::fs::create_dir_all(self.at(folder)).unwrap();
            std::fs::copy(self.at("provider/public.bin"), self.at(&format!("{folder}/public.bin"))).unwrap();
        }
    }

    fn client(&self, operator: Role, more: &[&str]) -> ClientConfig {
        let (dir, out) = (self.text(operator.name()), self.text("client"));
        let [zero, one] = [Role::Server0, Role::Server1].map(|role| self.manifest(role));
        run(&["client-certificate", "--dir", &dir, "--name", "Some Body", "--out", &out]).succeeded();
        let configure = ["client-config", "--with", &one, "--with", &zero, "--out", &out];
        run(&[&configure[..], more].concat()).succeeded();
        ClientConfig::load(&self.at("client/client.toml")).unwrap().config
    }

    fn start(&self) -> Vec<Process> {
        let run = |role: Role| start(role, &self.at(&format!("{role}/{role}.toml")), &self.at(&format!("{role}.log")));
        [Role::Dealer, Role::Server0, Role::Server1].map(run).into()
    }

    fn log(&self, role: Role) -> String {
        std::fs::read_to_string(self.at(&format!("{role}.log"))).unwrap()
    }

    fn bundle(&self) -> Bundle {
        Bundle::open(&self.at("small.blindroute")).unwrap().bundle
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).unwrap()) & 0o777
}

fn fingerprints(ran: &Ran) -> Vec<String> {
    ran.json()["fingerprints"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn three_operators_exchange_manifests_and_route() {
    let three = Three::new();
    let read_out: Vec<String> =
        OPERATORS.iter().flat_map(|role| fingerprints(&three.init(*role, role.name(), &[]).succeeded())).collect();
    // Nobody has another's key, and keys are readable by their owner only.
    #[cfg(unix)]
    for (role, names) in [
        (Role::Server0, &["authority.key", "server0.key", "sealing.key"][..]),
        (Role::Dealer, &["authority.key", "dealer.key"][..]),
    ] {
        let keys = std::fs::read_dir(three.at(role.name())).unwrap().flatten().map(|entry| entry.path());
        let mut keys: Vec<PathBuf> = keys.filter(|path| path.extension().is_some_and(|end| end == "key")).collect();
        keys.sort();
        let mut expected: Vec<PathBuf> = names.iter().map(|name| three.at(role.name()).join(name)).collect();
        expected.sort();
        assert_eq!(keys, expected);
        assert!(keys.iter().all(|path| mode(path) == 0o600));
    }
    for (index, role) in OPERATORS.into_iter().enumerate() {
        let [one, two] = [(index + 1) % 3, (index + 2) % 3].map(|other| read_out[other].as_str());
        three.pair(role, &["--fingerprint", one, "--fingerprint", &two.replace(' ', "").to_uppercase()]).succeeded();
    }
    three.provide();
    let config = three.client(Role::Server1, &[]);
    let services = three.start();
    let router = PrivateRouter::connect(&config).unwrap().with_bundle(&three.bundle()).unwrap();
    let route = |placement| {
        let options = RouteOptions::default().with_placement(placement);
        router.route("Which river is the longest?", &options).unwrap()
    };
    let full = route(Placement::Full);
    assert_eq!(full.model, route(Placement::Local).model);
    assert!(!full.development);

    // The certificates change while they run: a new authority of server 1, in the documented order.
    let renew =
        |more: &[&str]| run(&[&["renew", "--dir", &three.text("server1"), "--json"], more].concat()).succeeded();
    let again = || {
        OPERATORS.iter().for_each(|role| drop(three.pair(*role, &[]).succeeded()));
        let out = three.text("client");
        let [zero, one] = [Role::Server0, Role::Server1].map(|role| three.manifest(role));
        run(&["client-config", "--with", &zero, "--with", &one, "--out", &out]).succeeded();
    };
    let waited = |before: &[usize], roles: &[usize]| {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(120);
        let now = || OPERATORS.map(|role| three.log(role).matches("were read again").count());
        while roles.iter().any(|role| now()[*role] <= before[*role]) {
            assert!(std::time::Instant::now() < until, "{before:?} {:?}", now());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    let counts = || OPERATORS.map(|role| three.log(role).matches("were read again").count());
    let fresh = || {
        let router = PrivateRouter::connect(&config).unwrap();
        router.route("Which river is the longest?", &RouteOptions::default()).unwrap().model
    };
    let before = counts();
    let both = fingerprints(&renew(&["--authority"]));
    assert!(both.len() == 2 && both[1] == read_out[1], "{both:?}");
    again();
    waited(&before, &[0, 1, 2]);
    assert_eq!(fresh(), full.model);
    let before = counts();
    renew(&[]);
    waited(&before, &[1]);
    assert_eq!(fresh(), full.model);
    // The client's certificate is of the authority that ends.
    for name in ["client.pem", "client.key"] {
        std::fs::remove_file(three.at("client").join(name)).unwrap();
    }
    let before = counts();
    assert_eq!(fingerprints(&renew(&["--retire"])), both[..1]);
    three.client(Role::Server1, &[]);
    again();
    waited(&before, &[0, 1, 2]);
    assert_eq!(fresh(), full.model);
    for service in services {
        assert_eq!(service.stop(), Some(0));
    }
    for role in OPERATORS {
        assert!(!three.log(role).contains("WARN"), "{}", three.log(role));
    }
}

#[test]
fn case_08_the_share_of_one_server_does_not_open_at_the_other() {
    let three = Three::begun();
    OPERATORS.iter().for_each(|role| drop(three.pair(*role, &[]).succeeded()));
    three.provide();
    let serve = |party: &str| {
        let configuration = three.text(&format!("server{party}/server{party}.toml"));
        run(&["server", "--party", party, "--config", &configuration])
    };
    std::fs::copy(three.at("provider/share0.sealed"), three.at("server1/share1.sealed")).unwrap();
    let wrong = serve("1");
    assert!(wrong.error().contains("it was sealed for server0, and this is server1"), "{wrong:?}");
    // The right role, and another server's key; another split; and damage.
    let swapped = std::fs::read(three.at("server0/sealing.key")).unwrap();
    std::fs::copy(three.at("provider/share1.sealed"), three.at("server1/share1.sealed")).unwrap();
    let own = std::fs::read(three.at("server1/sealing.key")).unwrap();
    std::fs::write(three.at("server1/sealing.key"), swapped).unwrap();
    assert!(serve("1").error().contains("it was sealed for the key"));
    std::fs::write(three.at("server1/sealing.key"), own).unwrap();
    let mut damaged = std::fs::read(three.at("provider/share1.sealed")).unwrap();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    std::fs::write(three.at("server1/share1.sealed"), &damaged).unwrap();
    assert!(serve("1").error().contains("it was altered"));
    std::fs::remove_dir_all(three.at("provider")).unwrap();
    std::fs::copy(three.at("server0/share0.sealed"), three.at("old.sealed")).unwrap();
    three.provide();
    std::fs::copy(three.at("old.sealed"), three.at("server0/share0.sealed")).unwrap();
    assert!(serve("0").error().contains("come from one split"));
    // Nothing of a share is in the clear at the provider's.
    let names = std::fs::read_dir(three.at("provider")).unwrap().flatten();
    let mut names: Vec<String> = names.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["public.bin", "share0.sealed", "share1.sealed"]);
    // Two manifests of one role seal nothing.
    let zero = three.manifest(Role::Server0);
    let bundle = three.text("small.blindroute");
    let twice =
        run(&["bundle", "split", "--bundle", &bundle, "--for", &zero, "--for", &zero, "--out", &three.text("x")]);
    assert!(twice.error().contains("expected server0 and server1"), "{twice:?}");
}

#[test]
fn case_10_roles_that_share_a_machine_an_account_or_an_authority_are_refused() {
    let three = Three::new();
    let account = ["--cloud-account", "12345"];
    three.init(Role::Server0, "a", &account).succeeded();
    three.init(Role::Server1, "b", &account).succeeded();
    three.init(Role::Dealer, "a", &[]).succeeded();
    let refused = three.pair(Role::Server0, &[]);
    assert!(refused.error().contains("server0 (somebody) and server1 (somebody) share a cloud account"), "{refused:?}");
    assert!(refused.error().contains("server0 (somebody) and dealer (somebody) share a machine"), "{refused:?}");
    assert!(!three.at("server0/server0.toml").exists() && !three.at("server0/pinned-dealer.pem").exists());
    // The marks do not show what they stand for.
    assert!(!std::fs::read_to_string(three.manifest(Role::Server0)).unwrap().contains("12345"));

    // For development: loud at the start, in the log, and in every report.
    for role in OPERATORS {
        let paired = three.pair(role, &["--development"]).succeeded();
        assert!(paired.stderr.contains("PROTECTS NO PROMPT"), "{paired:?}");
    }
    three.provide();
    let config = three.client(Role::Server0, &["--development"]);
    let _services = three.start();
    for role in OPERATORS {
        assert!(three.log(role).contains("development = true"), "{}", three.log(role));
    }
    let report = PrivateRouter::connect(&config).unwrap().route("Hello", &RouteOptions::default()).unwrap();
    assert!(report.development && serde_json::to_string(&report).unwrap().contains("\"development\":true"));
}

#[test]
fn case_28_a_key_that_changed_is_refused_and_so_is_a_wrong_fingerprint() {
    let three = Three::begun();
    let wrong = three.pair(Role::Server0, &["--fingerprint", &"0000 ".repeat(16)]);
    assert!(wrong.error().contains("no manifest has the fingerprint"), "{wrong:?}");
    let paired = three.pair(Role::Server0, &[]).succeeded();
    assert!(paired.stderr.contains("Compare these fingerprints"), "{paired:?}");
    let pinned = std::fs::read(three.at("server0/pinned-server1.pem")).unwrap();
    // Somebody else's manifest for server 1.
    std::fs::rename(three.at("server1"), three.at("true-server1")).unwrap();
    three.init(Role::Server1, "b", &[]).succeeded();
    let changed = three.pair(Role::Server0, &["--replace"]);
    assert!(changed.error().contains("the key changed") && changed.error().contains("server1"), "{changed:?}");
    assert_eq!(std::fs::read(three.at("server0/pinned-server1.pem")).unwrap(), pinned);
    // An altered manifest; a role twice; a role missing; a key that exists.
    let text = std::fs::read_to_string(three.manifest(Role::Dealer)).unwrap();
    std::fs::write(three.manifest(Role::Dealer), text.replace("somebody", "nobody00")).unwrap();
    assert!(three.pair(Role::Server0, &[]).stderr.contains("altered"));
    let (dir, zero) = (three.text("server0"), three.text("true-server1/manifest.json"));
    let missing = run(&["pair", "--dir", &dir, "--with", &zero]);
    assert!(missing.error().contains("each once"), "{missing:?}");
    let exists = three.init(Role::Server0, "a", &[]);
    assert!(exists.error().contains("already holds"), "{exists:?}");
}
