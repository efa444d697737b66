use std::fs;

use super::*;
use crate::link::Timeouts;
use crate::service::MAX_HANDSHAKES;
use std::time::Duration;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

fn load<T: Configuration>(text: &str) -> Result<Loaded<T>, ConfigError> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.toml");
    fs::write(&path, text).unwrap();
    T::load(&path)
}

#[test]
fn samples_parse_without_warnings() {
    let dealer = DealerConfig::load(&samples().join("dealer.toml")).unwrap();
    let zero = ServerConfig::load(&samples().join("server0.toml")).unwrap();
    let one = ServerConfig::load(&samples().join("server1.toml")).unwrap();
    let client = ClientConfig::load(&samples().join("client.toml")).unwrap();
    for unknown in [&dealer.unknown_fields, &zero.unknown_fields, &one.unknown_fields, &client.unknown_fields] {
        assert!(unknown.is_empty(), "{unknown:?}");
    }
    assert_eq!((zero.config.role(), one.config.role()), (Role::Server0, Role::Server1));
    assert_eq!(zero.config.share, samples().join("bundle/share0.bin"));
    assert_eq!(one.config.identity.files().key, samples().join("certificates/server1.key"));
    assert_eq!(one.config.peer.as_deref(), Some("server0.example:4100"));
    assert_eq!(dealer.config.timeouts.timeouts(), Timeouts::default());
    assert_eq!(dealer.config.max_handshakes, MAX_HANDSHAKES);
    for server in [&zero, &one] {
        let limits = &server.config;
        assert_eq!((limits.max_sessions, limits.sessions_per_client(), limits.max_handshakes), (8, 6, MAX_HANDSHAKES));
        assert_eq!(server.config.timeouts.timeouts().ready, Duration::from_secs(600));
    }
    assert_eq!(client.config.timeouts.timeouts().stall, Duration::from_secs(60));
    assert_eq!((&dealer.config.observe, &zero.config.observe), (&None, &None));
    let observed = fs::read_to_string(samples().join("dealer.toml")).unwrap().replace("# observe", "observe");
    assert_eq!(load::<DealerConfig>(&observed).unwrap().config.observe.as_deref(), Some("127.0.0.1:9464"));
}

#[test]
fn unknown_fields_are_named_and_absolute_paths_kept() {
    let text = fs::read_to_string(samples().join("client.toml")).unwrap();
    let text = text.replacen("bundle = \"", "pasword = \"hunter2\"\nbundle = \"/opt/", 1);
    let loaded = load::<ClientConfig>(&text).unwrap();
    assert_eq!(loaded.unknown_fields, ["pasword"]);
    assert!(loaded.config.bundle.starts_with("/opt"));
}

#[test]
fn mistakes_name_the_file_the_line_and_the_field() {
    assert!(matches!(DealerConfig::load(Path::new("/nowhere.toml")), Err(ConfigError::Read { .. })));
    let error = load::<ClientConfig>("a = [\n").unwrap_err();
    assert!(matches!(error, ConfigError::Parse { .. }), "{error}");
    let error = load::<ClientConfig>("server0 = \"a:1\"\n").unwrap_err().to_string();
    assert!(error.contains("missing field `server1`"), "{error}");

    let server = fs::read_to_string(samples().join("server1.toml")).unwrap();
    for (from, to, field) in [
        ("party = 1", "party = 2", "party"),
        ("peer = ", "#", "peer"),
        ("dealer = \"", "dealer = \"no port\" # \"", "dealer"),
        ("max_sessions = 8", "max_sessions = 0", "max_sessions"),
        ("max_sessions_per_client = 6", "max_sessions_per_client = 0", "max_sessions_per_client"),
        ("max_sessions_per_client = 6", "max_sessions_per_client = 9", "max_sessions_per_client"),
        ("max_handshakes = 64", "max_handshakes = 0", "max_handshakes"),
        ("# passes = true", "passes = true", "passes"),
        ("# observe = \"127.0.0.1:9464\"", "observe = \"9464\"", "observe"),
        ("ready_seconds = 600.0", "stall_seconds = nan", "timeouts"),
        ("ready_seconds = 600.0", "ready_seconds = 0", "timeouts"),
        ("drain_seconds = 5.0", "drain_seconds = 3601", "timeouts"),
        ("[identity]", "[choices]\nminimum = 99\n[identity]", "choices"),
        ("[identity]", "[choices]\nminimum = 4097\n[identity]", "choices"),
        ("[identity]", "[choices]\nevery_hours = nan\n[identity]", "choices"),
        ("[identity]", "[network]\ndelay_milliseconds = -1\nmegabits_per_second = 1\n[identity]", "network"),
        ("[identity]", "[network]\ndelay_milliseconds = 1\nmegabits_per_second = nan\n[identity]", "network"),
        (
            "[identity]",
            "[between_servers]\ndelay_milliseconds = 20000\nmegabits_per_second = 1\n[identity]",
            "between_servers",
        ),
        (
            "[identity]",
            "[between_servers]\ndelay_milliseconds = 1\nmegabits_per_second = 0\n[identity]",
            "between_servers",
        ),
    ] {
        let error = load::<ServerConfig>(&server.replacen(from, to, 1)).unwrap_err();
        assert!(matches!(&error, ConfigError::Value { field: found, .. } if *found == field), "{to}: {error}");
    }
    let client = fs::read_to_string(samples().join("client.toml")).unwrap();
    let error = load::<ClientConfig>(&client.replace("server1.example:4101", "server0.example:4100")).unwrap_err();
    assert!(error.to_string().contains("two operators"), "{error}");
    let passes = |lines: &str| {
        let client = client.replace("# secret =", "secret =").replace("# passes = 50", lines);
        load::<ClientConfig>(&client).map(|loaded| loaded.config.passes)
    };
    assert_eq!((passes("passes = 50").unwrap(), passes("").unwrap()), (Some(50), None));
    for wrong in ["passes = 0", "passes = 513"] {
        assert!(passes(wrong).unwrap_err().to_string().contains("expected 1 to 512"));
    }
    let error = load::<ClientConfig>(&client.replace("# passes = 50", "passes = 50")).unwrap_err();
    assert!(error.to_string().contains("without `secret`"), "{error}");
}

#[test]
fn a_server_audits_at_most_a_tenth_of_its_sessions_and_none_unless_told() {
    let server = fs::read_to_string(samples().join("server0.toml")).unwrap();
    let millionths = |table: &str| {
        load::<ServerConfig>(&format!("{server}\n{table}")).map(|loaded| {
            assert!(loaded.unknown_fields.is_empty(), "{:?}", loaded.unknown_fields);
            loaded.config.audit.share().millionths()
        })
    };
    let table = |share: &str| format!("[audit]\nshare = {share}\n");
    assert_eq!(millionths("").unwrap(), 0);
    for (share, expected) in [("0", 0), ("0.0", 0), ("0.02", 20_000), ("0.1", 100_000)] {
        assert_eq!(millionths(&table(share)).unwrap(), expected, "{share}");
    }
    for wrong in ["-0.01", "0.11", "1", "nan", "inf"] {
        let error = millionths(&table(wrong)).unwrap_err();
        assert!(
            matches!(&error, ConfigError::Value { field: "audit", .. }) && error.to_string().contains("0.1"),
            "{error}"
        );
    }
    // What the sample has in comments is the whole table.
    let sample = server.replace("# [audit]", "[audit]").replace("# share =", "share =");
    assert_eq!(load::<ServerConfig>(&sample).unwrap().config.audit.share().millionths(), 20_000);
}

#[test]
fn choices_are_counted_and_reported_by_those_alone_who_say_so() {
    let server = fs::read_to_string(samples().join("server0.toml")).unwrap();
    assert_eq!(load::<ServerConfig>(&server).unwrap().config.choices, None);
    let of = |tables: &str| load::<ServerConfig>(&server.replacen("[identity]", tables, 1));
    let options = |tables: &str| of(tables).map(|loaded| loaded.config.choices.unwrap().options());
    let (minimum, after) = (100, Duration::from_secs(24 * 3600));
    assert_eq!(options("[choices]\n[identity]").unwrap(), crate::choices::ChoicesOptions { minimum, after });
    // What the sample has in comments is the whole table.
    let sample =
        server.replace("# [choices]", "[choices]").replace("# minimum", "minimum").replace("# every_", "every_");
    let loaded = load::<ServerConfig>(&sample).unwrap();
    assert!(loaded.unknown_fields.is_empty() && loaded.config.choices == Some(ChoicesConfig::default()));
    // Fewer than a hundred reports only where nothing is protected.
    let few = "[choices]\nminimum = 99\nevery_hours = 0.5\n[identity]";
    let error = options(few).unwrap_err().to_string();
    assert!(error.contains("100 to 4096") && error.contains("development"), "{error}");
    let half = options(&format!("development = true\n{few}")).unwrap();
    assert_eq!((half.minimum, half.after), (99, Duration::from_secs(1800)));
    let client = fs::read_to_string(samples().join("client.toml")).unwrap();
    let plain = load::<ClientConfig>(&client).unwrap().config;
    assert_eq!((plain.report_choices, plain.report_within_seconds), (false, 300.0));
    let loaded = load::<ClientConfig>(&client.replace("# report_", "report_")).unwrap();
    assert!(loaded.unknown_fields.is_empty() && loaded.config.report_choices);
    let error = load::<ClientConfig>(&format!("report_within_seconds = -1.0\n{client}")).unwrap_err();
    assert!(matches!(error, ConfigError::Value { field: "report_within_seconds", .. }), "{error}");
}

#[test]
fn a_server_names_the_pairs_that_it_hands_over_to_and_those_that_hand_over_to_it() {
    let server = fs::read_to_string(samples().join("server0.toml")).unwrap();
    let plain = load::<ServerConfig>(&server).unwrap().config;
    assert!(plain.hand_over.is_empty() && plain.accept_hand_over.is_empty());
    // The sample's tables, whose lines are comments.
    let (before, tables) = server.split_once("# [[hand_over]]").unwrap();
    let mut tables = format!("[[hand_over]]{}", tables.split("# The ledger").next().unwrap());
    for line in ["name =", "address =", "authority =", "[[accept_hand_over]]"] {
        tables = tables.replace(&format!("# {line}"), line);
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.toml");
    fs::write(&path, format!("{before}{tables}")).unwrap();
    let Loaded { config, unknown_fields } = ServerConfig::load(&path).unwrap();
    assert!(unknown_fields.is_empty(), "{unknown_fields:?}");
    let [to] = config.hand_over.as_slice() else { panic!("{:?}", config.hand_over) };
    assert_eq!((to.name.as_str(), to.address.as_str()), ("large", "server0.large.example:4100"));
    assert_eq!(to.authority, Some(home.path().join("certificates/large.pem")));
    let accepted = config.accept_hand_over.iter().map(|from| from.authority.clone()).collect::<Vec<_>>();
    assert_eq!(accepted, [Some(home.path().join("certificates/small.pem")), None]);
    let table = |name: &str, address: &str| format!("[[hand_over]]\nname = \"{name}\"\naddress = \"{address}\"\n");
    for (tables, problem) in [
        (table("", "a:1"), "1 to 64 bytes"),
        (table(&"x".repeat(65), "a:1"), "1 to 64 bytes"),
        (table("large", "a"), "host:port"),
        (table("large", "a:1") + &table("large", "b:1"), "twice"),
    ] {
        let error = load::<ServerConfig>(&format!("{server}\n{tables}")).unwrap_err().to_string();
        assert!(error.contains("hand_over") && error.contains(problem), "{error}");
    }
    let client = fs::read_to_string(samples().join("client.toml")).unwrap();
    assert_eq!(load::<ClientConfig>(&client).unwrap().config.name, None);
    assert_eq!(
        load::<ClientConfig>(&format!("name = \"large\"\n{client}")).unwrap().config.name.as_deref(),
        Some("large")
    );
    let error = load::<ClientConfig>(&format!("name = \"\"\n{client}")).unwrap_err().to_string();
    assert!(error.contains("name") && error.contains("1 to 64 bytes"), "{error}");
}

#[test]
fn values_never_show_in_errors() {
    let server = fs::read_to_string(samples().join("server1.toml")).unwrap();
    for wrong in ["party = \"hunter2\"", "party = hunter2", "party = [\"hunter2\"]"] {
        let error = load::<ServerConfig>(&server.replacen("party = 1", wrong, 1)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        assert!(matches!(error, ConfigError::Parse { line, .. } if line > 1));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_scene_is_written_and_read_back() {
    use crate::scene::Scene;
    for name in ["dealer.toml", "client.toml"] {
        let text = fs::read_to_string(samples().join(name)).unwrap();
        let scene = |text: &str| match name {
            "dealer.toml" => load::<DealerConfig>(text).unwrap().config.network,
            _ => load::<ClientConfig>(text).unwrap().config.network,
        };
        assert_eq!(scene(&text), None);
        for known in [Scene::LAN, Scene::METRO, Scene::WAN] {
            let text = format!("{text}\n{}", NetworkConfig::from(known));
            assert_eq!(scene(&text).unwrap().scene(), known);
        }
    }
}

#[test]
fn a_server_knows_its_distance_by_a_table_of_its_own_or_by_the_emulated_network() {
    let table =
        |name: &str, delay: f64| format!("\n[{name}]\ndelay_milliseconds = {delay}\nmegabits_per_second = 400\n");
    for name in ["server0.toml", "server1.toml"] {
        let text = fs::read_to_string(samples().join(name)).unwrap();
        let distance = |tables: &str| {
            let loaded = load::<ServerConfig>(&format!("{text}{tables}")).unwrap();
            assert!(loaded.unknown_fields.is_empty(), "{:?}", loaded.unknown_fields);
            loaded.config.distance().map(|distance| distance.delay_milliseconds)
        };
        assert_eq!(distance(""), None);
        assert_eq!(distance(&table("between_servers", 20.0)), Some(20.0));
        // What the sample has in comments is the whole table.
        let sample = text.replace("# [between_servers]", "[between_servers]");
        let sample = sample.replace("# delay_milli", "delay_milli").replace("# megabits_per", "megabits_per");
        assert_eq!(load::<ServerConfig>(&sample).unwrap().config.distance().unwrap().scene(), crate::scene::Scene::WAN);
        let half = load::<ServerConfig>(&format!("{text}\n[between_servers]\ndelay_milliseconds = 20\n")).unwrap_err();
        assert!(half.to_string().contains("missing field `megabits_per_second`"), "{half}");
        if cfg!(target_os = "linux") {
            assert_eq!(distance(&table("network", 5.0)), Some(5.0));
            assert_eq!(distance(&(table("network", 5.0) + &table("between_servers", 20.0))), Some(20.0));
        }
    }
    // Client and dealer have no say in it.
    let text = fs::read_to_string(samples().join("client.toml")).unwrap() + &table("between_servers", 20.0);
    assert_eq!(load::<ClientConfig>(&text).unwrap().unknown_fields, ["between_servers"]);
    let text = fs::read_to_string(samples().join("dealer.toml")).unwrap() + &table("between_servers", 20.0);
    assert_eq!(load::<DealerConfig>(&text).unwrap().unknown_fields, ["between_servers"]);
}

#[test]
fn each_role_may_have_authorities_of_its_own() {
    let text = fs::read_to_string(samples().join("client.toml")).unwrap();
    let table = "[identity.authorities]\nserver0 = \"a.pem\"\nserver1 = [\"b.pem\", \"/c.pem\"]\n[timeouts]";
    let loaded = load::<ClientConfig>(&text.replace("[timeouts]", table)).unwrap();
    assert!(loaded.unknown_fields.is_empty());
    let files = loaded.config.identity.files();
    let names = |role| files.authorities_of(role).iter().map(|path| path.file_name().unwrap()).collect::<Vec<_>>();
    assert_eq!(names(Role::Server0), ["a.pem"]);
    assert_eq!(names(Role::Server1), ["b.pem", "c.pem"]);
    assert_eq!(names(Role::Dealer), ["authority.pem"]);
    assert!(files.authorities_of(Role::Server0)[0].is_absolute() && names(Role::Client) == ["authority.pem"]);
    for (wrong, says) in [
        ("sever1 = \"a.pem\"", "unknown role"),
        ("server1 = []", "expected at least one file"),
        ("server1 = 7", "expected the name of a file, or a list of names"),
    ] {
        let table = format!("[identity.authorities]\n{wrong}\n[timeouts]");
        let error = load::<ClientConfig>(&text.replace("[timeouts]", &table)).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("sever1"), "{wrong}: {error}");
    }
}

#[test]
fn a_ledger_in_a_database_is_named_without_a_password() {
    let server = fs::read_to_string(samples().join("server1.toml")).unwrap();
    let with = |table: &str| load::<ServerConfig>(&format!("{server}\n[ledger]\n{table}\n"));
    let good = with("database = \"sqlite:ledgers.sqlite\"").unwrap().config.ledger.unwrap();
    let file = good.database.strip_prefix("sqlite:").unwrap();
    assert!(Path::new(file).is_absolute() && file.ends_with("/ledgers.sqlite"), "{file}");
    let postgres =
        "database = \"postgres://blindroute@db.example/ledgers\"\nname = \"north-1\"\nauthority = \"db.pem\"";
    assert!(with(postgres).unwrap().config.ledger.unwrap().authority.unwrap().is_absolute());
    for (table, field) in [
        ("database = \"ledgers.sqlite\"", "ledger.database is no database"),
        ("database = \"mysql://db.example/x\"", "ledger.database is no database"),
        ("database = \"sqlite:\"", "ledger has no file"),
        ("database = \"sqlite:x\"\npassword = \"x\"", "ledger has no file"),
        ("database = \"sqlite:x\"\nname = \"a/b\"", "ledger.name is not allowed"),
        ("database = \"postgres://a:hunter2@db.example/x\"", "ledger.database holds a password"),
        ("database = \"postgres://db.example/x?password=hunter2\"", "ledger.database holds a password"),
    ] {
        let error = with(table).unwrap_err().to_string();
        assert!(error.contains(field) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_next_version_has_a_share_at_servers_alone_and_nothing_else_follows_it() {
    let [server, dealer, client] = ["server0", "dealer", "client"]
        .map(|name| fs::read_to_string(samples().join(name).with_extension("toml")).unwrap());
    let [with, without] =
        ["share = \"new/share0.bin\"\n", ""].map(|share| format!("[next]\nbundle = \"new/public.bin\"\n{share}"));
    for error in [
        load::<ServerConfig>(&format!("{server}{without}")).unwrap_err(),
        load::<DealerConfig>(&format!("{dealer}{with}")).unwrap_err(),
        load::<ClientConfig>(&format!("{client}{with}")).unwrap_err(),
    ] {
        assert!(matches!(error, ConfigError::Value { field: "next", .. }), "{error}");
    }
    assert_eq!(load::<DealerConfig>(&format!("{dealer}{without}")).unwrap().config.versions().len(), 2);
    let first = ServerConfig::load(&samples().join("server0.toml")).unwrap().config;
    assert_eq!(first.versions(), [VersionFiles { bundle: &first.bundle, share: Some(&first.share) }]);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.toml");
    fs::write(&path, format!("{}{with}", server.replace("max_sessions = 8", "max_sessions = 9"))).unwrap();
    let both = ServerConfig::load(&path).unwrap().config;
    let [bundle, share] = ["new/public.bin", "new/share0.bin"].map(|name| home.path().join(name));
    assert_eq!(both.versions()[1], VersionFiles { bundle: &bundle, share: Some(&share) });
    let followed = first.with_versions_of(&both);
    assert_eq!((followed.versions(), followed.max_sessions), (both.versions(), 8));
}

#[test]
fn a_store_has_room_a_key_and_what_server_one_wants_in_it() {
    let [zero, one] = ["server0.toml", "server1.toml"].map(|name| fs::read_to_string(samples().join(name)).unwrap());
    // What the samples have in comments are the whole tables.
    let sample = |text: &str| {
        let (before, rest) = text.split_once("# [store]\n").unwrap();
        let table: Vec<&str> = rest.lines().map_while(|line| line.strip_prefix("# ")).collect();
        load::<ServerConfig>(&format!("{before}[store]\n{}\n", table.join("\n"))).unwrap()
    };
    let [at_zero, at_one] = [&zero, &one].map(|text| {
        let loaded = sample(text);
        assert!(loaded.unknown_fields.is_empty(), "{:?}", loaded.unknown_fields);
        loaded.config.store.unwrap()
    });
    assert_eq!((at_zero.bytes, at_zero.keep.len(), at_zero.hours), (20_000_000_000, 0, None));
    assert!(at_one.hours.is_some() && at_one.folder.is_absolute() && at_one.key.is_absolute());
    let route = |bucket, count| KeepConfig { count, router: None, bucket, ranked: None, prompts: None, request: None };
    assert_eq!(at_one.keep, [route(Some(32), 200), route(Some(64), 200), route(Some(128), 50)]);
    let with = |text: &str, table: &str| {
        let store = format!("[store]\nfolder = \"s\"\nkey = \"k\"\n{table}\n");
        load::<ServerConfig>(&format!("{text}\n{store}")).map(|loaded| loaded.config.store.unwrap())
    };
    let keep = "[[store.keep]]\nbucket = 32\ncount = 2";
    assert_eq!(with(&one, &format!("bytes = 4096\n{keep}")).unwrap().options().bytes, 4096);
    let head = with(&one, "bytes = 4096\n[[store.keep]]\ncount = 1").unwrap();
    assert_eq!(head.keep, [route(None, 1)]);
    for (text, table, said) in [
        (&zero, "bytes = 1023".to_owned(), "store.bytes"),
        (&zero, "bytes = \"20 gigabytes\"".to_owned(), "such as 500MB or 20GB"),
        (&zero, "bytes = -4".to_owned(), "such as 500MB or 20GB"),
        (&zero, format!("bytes = 4096\n{keep}"), "expected that at server 1"),
        (&zero, "bytes = 4096\nhours = \"01:00-02:00\"".to_owned(), "expected that at server 1"),
        (&one, "bytes = 4096".to_owned(), "[[store.keep]]"),
        (&one, format!("bytes = 4096\nhours = \"1-2\"\n{keep}"), "01:00-05:00"),
        (&one, "bytes = 4096\n[[store.keep]]\nbucket = 32\ncount = 0".to_owned(), "at least 1"),
        (&one, "bytes = 4096\n[[store.keep]]\nbucket = 32\ncount = 32769".to_owned(), "32768"),
        (&one, "bytes = 4096\n[[store.keep]]\nrequest = \"{}\"\nbucket = 32\ncount = 1".to_owned(), "either `request`"),
        (&one, "bytes = 4096\n[[store.keep]]\nbucket = 32".to_owned(), "missing field `count`"),
    ] {
        let error = with(text, &table).unwrap_err().to_string();
        assert!(error.contains(said), "{table}: {error}");
    }
}
