//! Each command of the real program.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deployment;

use blindroute_placement::{Placement, PrivateRouter, RouteOptions};
use blindroute_routing::bundle::Bundle;
use blindroute_runtime::config::Configuration;
use blindroute_runtime::{ClientConfig, Role};
use deployment::{Deployment, run, small_bundle};

#[test]
fn its_servers_and_dealer_route_a_prompt_and_end_at_a_signal() {
    let deployment = Deployment::new();
    let services = [Role::Dealer, Role::Server0, Role::Server1].map(|role| deployment.start(role));
    let config = ClientConfig::load(&deployment.at("client.toml")).unwrap().config;
    let bundle = Bundle::open(&deployment.at("small.blindroute")).unwrap().bundle;
    let router = PrivateRouter::connect(&config).unwrap().with_bundle(&bundle).unwrap();
    let choose = |placement| {
        let options = RouteOptions::default().with_placement(placement);
        router.route("Which river is the longest?", &options).unwrap().model
    };
    assert_eq!(choose(Placement::Full), choose(Placement::Local));
    for service in services {
        assert_eq!(service.stop(), Some(0));
    }
}

#[test]
fn health_is_told_per_party_and_only_all_of_them_are_healthy() {
    let deployment = Deployment::new();
    let health = |role, options: &[&str]| deployment.with_configuration("health", role, options);
    let dealer = deployment.start(Role::Dealer);
    let zero = deployment.start(Role::Server0);
    let half = health(Role::Client, &[]);
    assert!(half.error().contains("1 of 2"), "{half:?}");
    let lines: Vec<&str> = half.stdout.lines().collect();
    assert!(lines[0].starts_with("server0") && lines[0].contains("answers ("), "{half:?}");
    assert!(lines[1].starts_with("server1") && lines[1].contains("cannot reach"), "{half:?}");
    let one = deployment.start(Role::Server1);
    for (role, parties) in [
        (Role::Client, &["server0", "server1"][..]),
        (Role::Server0, &["dealer"][..]),
        (Role::Server1, &["dealer", "server0"][..]),
    ] {
        let json = health(role, &["--json"]).succeeded().json();
        assert_eq!((&json["role"], &json["healthy"]), (&role.name().into(), &true.into()));
        let named: Vec<&str> =
            json["parties"].as_array().unwrap().iter().map(|party| party["party"].as_str().unwrap()).collect();
        assert_eq!(named, parties);
        assert!(json["parties"].as_array().unwrap().iter().all(|party| party["answers"] == true), "{json}");
    }
    let json = health(Role::Client, &[]);
    assert_eq!(json.code, Some(0), "{json:?}");
    drop(one);
    let json = health(Role::Client, &["--json"]).json();
    assert_eq!((&json["healthy"], &json["parties"][1]["answers"]), (&false.into(), &false.into()));
    assert!(health(Role::Dealer, &[]).error().contains("the dealer calls no party"));
    // A call that asks for nothing is nothing to warn about.
    drop((dealer, zero));
    for role in [Role::Dealer, Role::Server0, Role::Server1] {
        assert!(!deployment.log(role).contains("WARN"), "{}", deployment.log(role));
    }
}

#[test]
fn a_party_that_refuses_the_caller_is_not_healthy() {
    let deployment = Deployment::new();
    let _dealer = deployment.start(Role::Dealer);
    // The client's certificate in server 0's configuration: its own files do not fit.
    let path = deployment.at("server0.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("certificates/server0", "certificates/client")).unwrap();
    let wrong = deployment.with_configuration("health", Role::Server0, &[]);
    assert!(wrong.error().contains("not a valid certificate for server0"), "{wrong:?}");
    // The dealer where server 0 is expected.
    let path = deployment.at("client.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let dealer = std::fs::read_to_string(deployment.at("dealer.toml")).unwrap();
    let listen = dealer.lines().next().unwrap().replace("listen", "server0");
    let rest = text.lines().skip(1).collect::<Vec<_>>().join("\n");
    std::fs::write(&path, format!("{listen}\n{rest}")).unwrap();
    let wrong = deployment.with_configuration("health", Role::Client, &["--json"]);
    assert_eq!((wrong.code, &wrong.json()["parties"][0]["answers"]), (Some(1), &false.into()));
    // Certificates of another authority.
    run(&["certificates", "--out", deployment.at("others").to_str().unwrap()]).succeeded();
    let text = std::fs::read_to_string(deployment.at("server1.toml")).unwrap();
    let text = text.replace("certificates/server1", "others/server1").replace("certificates/auth", "others/auth");
    std::fs::write(deployment.at("server1.toml"), text).unwrap();
    let wrong = deployment.with_configuration("health", Role::Server1, &[]);
    assert!(wrong.error().contains("2 of 2") && wrong.stdout.contains("dealer  "), "{wrong:?}");
}

#[test]
fn files_of_a_split_are_verified_and_damage_is_named() {
    let deployment = Deployment::new();
    let at = |name: &str| deployment.at(name).to_str().unwrap().to_owned();
    let verify = |files: &[&str]| {
        let files: Vec<String> = files.iter().map(|name| at(name)).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        run(&[&["bundle", "verify", "--json", "--file"], files.as_slice()].concat())
    };
    let all = ["small.blindroute", "bundle/public.bin", "bundle/share0.bin", "bundle/share1.bin"];
    let good = verify(&all).succeeded();
    let lines: Vec<serde_json::Value> = good.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["bundle", "public-part", "share", "share"]);
    assert_eq!((&lines[2]["party"], &lines[3]["party"]), (&0.into(), &1.into()));
    assert!(lines[1..].iter().all(|line| line["deployment"] == lines[1]["deployment"]));
    let text = run(&["bundle", "verify", "--file", &at("bundle/public.bin")]).succeeded().stdout;
    assert!(text.contains("the public part of a split") && text.contains("uniroute"), "{text}");

    assert!(verify(&["bundle/share0.bin"]).error().contains("name both"));
    run(&["bundle", "split", "--bundle", &at("small.blindroute"), "--out", &at("again")]).succeeded();
    assert!(verify(&["bundle/public.bin", "again/share1.bin"]).error().contains("different splits"));
    assert!(verify(&["bundle/public.bin", "again/public.bin", "again/share1.bin"]).error().contains("2 public parts"));
    for name in all {
        let good = std::fs::read(at(name)).unwrap();
        let mut bad = good.clone();
        let last = bad.len() - 1;
        bad[last] ^= 1;
        std::fs::write(at(name), &bad).unwrap();
        let error = verify(&["bundle/public.bin", name]);
        assert!(error.error().contains("altered or damaged") && error.error().contains(name), "{error:?}");
        std::fs::write(at(name), &good).unwrap();
    }
    assert!(verify(&["client.toml"]).error().contains("not a blindroute file"));
}

#[test]
fn a_bundle_is_shown_and_has_to_be_named() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path());
    let shown = run(&["bundle", "show", "--bundle", bundle.to_str().unwrap(), "--json"]).succeeded().json();
    assert_eq!(shown["encoder"]["layers"], 1);
    let unnamed = run(&["bundle", "show"]);
    assert!(unnamed.code == Some(2) && unnamed.stderr.contains("--bundle <FILE>"), "{unnamed:?}");
    let word = run(&["bundle", "show", "x"]);
    assert!(word.error().contains("see `blindroute-operator bundle show --help`"), "{word:?}");
}

#[test]
fn errors_of_configurations_name_the_file() {
    for arguments in [
        &["health", "--config", "nowhere.toml"][..],
        &["server", "--party", "0", "--config", "nowhere.toml"],
        &["dealer", "--config", "nowhere.toml"],
    ] {
        let ran = run(arguments);
        assert!(ran.error().contains("cannot read the configuration nowhere.toml"), "{ran:?}");
    }
}

#[test]
fn two_operators_register_a_client_count_its_routes_and_revoke_it_without_a_restart() {
    let deployment = Deployment::new();
    let servers = [Role::Server0, Role::Server1];
    for role in servers {
        let path = deployment.at(&format!("{role}.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("clients = \"{role}-clients.toml\"\n{text}")).unwrap();
    }
    let configuration = |role: Role| deployment.at(&format!("{role}.toml")).into_os_string().into_string().unwrap();
    let client =
        |role: Role, arguments: &[&str]| run(&[&["client"], arguments, &["--config", &configuration(role)]].concat());
    let files = deployment.at("clinic");
    let out = files.to_str().unwrap();
    let add = ["add", "clinic", "--routes-per-day", "2", "--out", out];
    client(Role::Server0, &add).succeeded();
    let registration = files.join("registration.toml");
    client(Role::Server1, &["add", "--registration", registration.to_str().unwrap()]).succeeded();
    let again = client(Role::Server0, &add);
    assert!(again.error().contains("already holds client.secret"), "{again:?}");
    let again = client(Role::Server1, &["add", "--registration", registration.to_str().unwrap()]);
    assert!(again.error().contains("choose another name"), "{again:?}");

    // Neither register nor registration holds the secret or a token.
    let secret = std::fs::read_to_string(files.join("client.secret")).unwrap();
    for file in ["server0-clients.toml", "server1-clients.toml", "clinic/registration.toml"] {
        assert!(!std::fs::read_to_string(deployment.at(file)).unwrap().contains(secret.trim()));
    }
    let parties = [Role::Dealer, Role::Server0, Role::Server1].map(|role| deployment.start(role));
    let route = || {
        let config = ClientConfig::load(&deployment.at("client.toml")).unwrap().config;
        let router = PrivateRouter::connect(&config)?.with_patience(blindroute_runtime::Retry::NEVER);
        router.route("Which river is the longest?", &RouteOptions::default().with_placement(Placement::Full))
    };
    assert_eq!(route().unwrap_err().code(), "unknown_client", "a client of the deployment without a secret");
    let path = deployment.at("client.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("secret = \"clinic/client.secret\"\n{text}")).unwrap();
    for _ in 0..2 {
        route().unwrap();
    }
    assert_eq!(route().unwrap_err().code(), "quota");
    for role in servers {
        let listed = client(role, &["list", "--json"]).succeeded().json();
        let clinic = &listed["clients"][0];
        assert_eq!((&clinic["client"], &clinic["routes_today"]), (&"clinic".into(), &2.into()), "{listed}");
        // Two answers, each one of the pool's models.
        let bits = clinic["bits_at_most"].as_f64().unwrap();
        let models = Bundle::open(&deployment.at("small.blindroute")).unwrap().bundle.into_parts().models.len();
        assert!((bits - 2.0 * (models as f64).log2()).abs() < 0.01, "{listed}");
        assert!(client(role, &["list"]).succeeded().stdout.contains("2 of 2 routes today"));
    }
    client(Role::Server0, &["revoke", "clinic"]).succeeded();
    assert_eq!(route().unwrap_err().code(), "unknown_client");
    assert!(client(Role::Server0, &["list"]).succeeded().stdout.contains("revoked"));
    let nobody = client(Role::Server1, &["revoke", "nobody"]);
    assert!(nobody.error().contains("client list"), "{nobody:?}");
    drop(parties);
    for role in servers {
        assert!(!deployment.log(role).contains(secret.trim()));
    }
    // Without a register there is nothing to add to.
    let none = Deployment::new();
    let configuration = none.at("server0.toml");
    let refused = run(&["client", "list", "--config", configuration.to_str().unwrap()]);
    assert!(refused.error().contains("clients = \"clients.toml\""), "{refused:?}");
}

#[test]
fn lanes_whose_ledgers_are_in_one_database_count_a_client_together() {
    let (lanes, shared) = ([Deployment::new(), Deployment::new()], tempfile::tempdir().unwrap());
    let servers = [Role::Server0, Role::Server1];
    let secret = shared.path().join("clinic/client.secret");
    for (number, lane) in lanes.iter().enumerate() {
        for role in servers {
            let path = lane.at(&format!("{role}.toml"));
            let text = std::fs::read_to_string(&path).unwrap();
            let own = shared.path().join(role.name());
            let (register, database) = (own.with_extension("toml"), own.with_extension("sqlite"));
            let ledger = format!("[ledger]\ndatabase = \"sqlite:{}\"\nname = \"lane-{number}\"", database.display());
            std::fs::write(&path, format!("clients = {register:?}\n{text}\n{ledger}\n")).unwrap();
        }
        let path = lane.at("client.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("secret = {secret:?}\n{text}")).unwrap();
    }
    let client = |lane: usize, role: Role, arguments: &[&str]| {
        let configuration = lanes[lane].at(&format!("{role}.toml"));
        run(&[&["client"], arguments, &["--config", configuration.to_str().unwrap()]].concat()).succeeded()
    };
    let out = secret.parent().unwrap();
    client(0, Role::Server0, &["add", "clinic", "--routes-per-day", "3", "--out", out.to_str().unwrap()]);
    client(0, Role::Server1, &["add", "--registration", out.join("registration.toml").to_str().unwrap()]);
    assert!(client(1, Role::Server0, &["list"]).stdout.contains("0 of 3 routes today"));
    let parties =
        lanes.each_ref().map(|lane| [Role::Dealer, Role::Server0, Role::Server1].map(|role| lane.start(role)));
    let route = |lane: usize| {
        let config = ClientConfig::load(&lanes[lane].at("client.toml")).unwrap().config;
        let router = PrivateRouter::connect(&config).unwrap().with_patience(blindroute_runtime::Retry::NEVER);
        let told =
            router.route("Which river is the longest?", &RouteOptions::default().with_placement(Placement::Full));
        told.map(drop).map_err(|error| error.code())
    };
    assert_eq!([0, 1, 0, 1, 0].map(route), [Ok(()), Ok(()), Ok(()), Err("quota"), Err("quota")]);
    for (lane, role) in [(0, Role::Server0), (1, Role::Server0), (0, Role::Server1), (1, Role::Server1)] {
        assert!(client(lane, role, &["list"]).stdout.contains("3 of 3 routes today"));
    }
    for party in parties.into_iter().flatten() {
        assert_eq!(party.stop(), Some(0));
    }
}

#[test]
fn a_client_shows_passes_and_its_routes_are_counted_when_it_asks_for_them() {
    let deployment = Deployment::new();
    let servers = [Role::Server0, Role::Server1];
    let prepend = |name: &str, lines: &str| {
        let path = deployment.at(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{lines}\n{text}")).unwrap();
    };
    for role in servers {
        prepend(&format!("{role}.toml"), &format!("clients = \"{role}-clients.toml\"\npasses = true"));
    }
    let client = |role: Role, arguments: &[&str]| {
        let configuration = deployment.at(&format!("{role}.toml"));
        run(&[&["client"], arguments, &["--config", configuration.to_str().unwrap()]].concat()).succeeded()
    };
    let files = deployment.at("clinic");
    client(Role::Server0, &["add", "clinic", "--routes-per-day", "20", "--out", files.to_str().unwrap()]);
    client(Role::Server1, &["add", "--registration", files.join("registration.toml").to_str().unwrap()]);
    prepend("client.toml", "secret = \"clinic/client.secret\"\npasses = 8");
    let start = || [Role::Dealer, Role::Server0, Role::Server1].map(|role| deployment.start(role));
    let parties = start();
    let config = ClientConfig::load(&deployment.at("client.toml")).unwrap().config;
    let router = PrivateRouter::connect(&config).unwrap();
    let options = RouteOptions::default().with_placement(Placement::Full);
    let counted = |role| client(role, &["list", "--json"]).json()["clients"][0]["routes"].as_u64().unwrap();
    for _ in 0..2 {
        router.route("Which river is the longest?", &options).unwrap();
        assert_eq!(servers.map(counted), [8, 8], "eight were asked for at once");
    }
    // The servers know their passes again after a restart, and which of them were used.
    for party in parties {
        assert_eq!(party.stop(), Some(0));
    }
    let parties = start();
    router.route("Which river is the longest?", &options).unwrap();
    assert_eq!(servers.map(counted), [8, 8]);
    drop(parties);
    // A register is needed to issue any.
    let none = Deployment::new();
    let path = none.at("server0.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("passes = true\n{text}")).unwrap();
    let refused = run(&["server", "--party", "0", "--config", path.to_str().unwrap()]);
    assert!(refused.error().contains("passes is set without `clients`"), "{refused:?}");
}

#[test]
fn a_servers_ledger_is_shown_and_the_other_servers_forgotten() {
    let deployment = Deployment::new();
    // All in one SQLite file, each under the name of its role.
    for role in [Role::Dealer, Role::Server0, Role::Server1] {
        let path = deployment.at(&format!("{role}.toml"));
        let text = std::fs::read_to_string(&path).unwrap() + "[ledger]\ndatabase = \"sqlite:ledgers.sqlite\"\n";
        std::fs::write(&path, text).unwrap();
    }
    let ledger = |command: &str, role: Role, options: &[&str]| {
        let configuration = deployment.at(&format!("{role}.toml"));
        run(&[&["ledger", command, "--config", configuration.to_str().unwrap()], options].concat())
    };
    let show = |role| ledger("show", role, &["--json"]).succeeded().json();
    assert_eq!(show(Role::Server0), serde_json::json!({ "ledger": null, "peer": null }));
    let services = [Role::Dealer, Role::Server0, Role::Server1].map(|role| deployment.start(role));
    let config = ClientConfig::load(&deployment.at("client.toml")).unwrap().config;
    let router = PrivateRouter::connect(&config).unwrap();
    for _ in 0..2 {
        router.route("Which river is the longest?", &RouteOptions::default()).unwrap();
    }
    let [zero, one] = [Role::Server0, Role::Server1].map(show);
    assert_eq!((&zero["ledger"]["term"], &zero["ledger"]["claimed"]), (&1.into(), &2.into()));
    assert_eq!((&zero["peer"]["id"], &zero["peer"]["claimed"]), (&one["ledger"]["id"], &1.into()));
    assert_eq!(one["peer"]["id"], zero["ledger"]["id"]);
    let lines = ledger("show", Role::Server1, &[]).succeeded().stdout;
    assert!(lines.contains("this server: ledger ") && lines.contains("other server: ledger "), "{lines}");
    let held = ledger("forget-peer", Role::Server0, &[]);
    assert!(held.error().contains("in use by another process"), "{held:?}");
    for service in services {
        assert_eq!(service.stop(), Some(0));
    }
    ledger("forget-peer", Role::Server0, &[]).succeeded();
    assert_eq!(show(Role::Server0)["peer"], serde_json::Value::Null);
    let again = ledger("forget-peer", Role::Server0, &[]);
    assert!(again.error().contains("nothing to forget"), "{again:?}");
    assert_eq!(show(Role::Server1)["peer"]["id"], zero["ledger"]["id"]);
}
