use std::time::Duration;

use super::*;
use blindroute_dialects::Dialect;

/// The problems of a text, one a line.
fn problems(text: &str) -> String {
    let error = Home::new(text).load().expect_err(text);
    assert!(matches!(error, ConfigError::Invalid { .. }), "{error}");
    error.problems().iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn an_empty_file_is_the_default() {
    let home = Home::new("");
    let config = home.load().unwrap();
    let data = PathBuf::from("/home/somebody/.local/share/blindroute/gateway");
    assert_eq!(config, Config { data, ..Config::default() });
    assert!(config.is_echo());
    assert_eq!(config.access.hosts, ["localhost", "127.0.0.1", "::1"]);
}

#[test]
fn a_good_file_means_what_it_says() {
    let config = Home::new(GOOD).load().unwrap();
    let one = config.provider("one").unwrap();
    assert_eq!(
        (one.base_url.as_str(), one.dialects.as_slice()),
        ("https://one.example/v1", &[Dialect::Chat, Dialect::Responses][..])
    );
    assert_eq!(one.key.as_ref().unwrap().secret.expose(), CANARY);
    let mini = config.model_of_pool("small").unwrap();
    assert_eq!((mini.name.as_str(), mini.upstream.as_str()), ("mini", "mini-2024"));
    let price = |price: &Option<Decimal>| price.as_ref().unwrap().as_str().to_owned();
    assert_eq!(
        [&mini.prices.input, &mini.prices.cached_input, &mini.prices.output].map(price),
        ["0.15", "0.075", "0.60"]
    );
    assert_eq!((mini.context, mini.max_output, mini.tools), (Some(128_000), Some(16384), true));
    let maxi = config.model("maxi").unwrap();
    assert_eq!((maxi.upstream.as_str(), maxi.images, maxi.tools), ("maxi", true, false));
    assert_eq!(config.budget.ceiling.as_ref().unwrap().millionths(), 10_500_000);
    let more = Home::new("listen = \"localhost:0\"\ndata = \"d\"\n[privacy]\ndelay = \"250ms-2s\"\nstreams = \"pad\"");
    let config = more.load().unwrap();
    assert_eq!((config.listen.to_string().as_str(), config.data), ("127.0.0.1:0", more.0.path().join("d")));
    let delay = Delay { from: Duration::from_millis(250), to: Duration::from_secs(2) };
    assert_eq!((config.privacy.delay, config.privacy.streams), (delay, Streams::Pad));
}

#[test]
fn unknown_fields_are_all_named_with_their_lines_at_every_level() {
    let text =
        "listne = 1\n[acces]\n[access]\nhost = []\n[route]\nplacment = \"full\"\n[budget]\nx = 1\n[timeouts]\nx = 1\n\
                [retries]\nx = 1\n[privacy]\nx = 1\n[embeddings]\nprovider = \"one\"\nmodels = [\"m\"]\nx = 1\n"
            .to_owned()
            + &GOOD
                .replace("[route]\ndefault", "route.default")
                .replace("[budget]", "#")
                .replace("daily", "#")
                .replace("ceil", "#");
    let text = text.replace("route.default_model = \"mini\"\n", "").replace("reference_model", "#");
    let text = text.replace("placment", "default_model = \"mini\"\nplacment");
    let text = text
        .replace("base_url =", "bas = 1\nbase_url =")
        .replace("provider = \"two\"", "provider = \"two\"\nprise = 1");
    let found = problems(&text);
    for (field, line, hint) in [
        ("listne", 1, "did you mean \"listen\"?"),
        ("acces", 2, "did you mean \"access\"?"),
        ("access.host", 4, "did you mean \"hosts\"?"),
        ("route.placment", 7, "did you mean \"placement\"?"),
        ("budget.x", 9, "one of daily"),
        ("timeouts.x", 11, "one of connect"),
        ("retries.x", 13, "one of attempts"),
        ("privacy.x", 15, "one of delay"),
        ("embeddings.x", 19, "one of provider"),
        ("provider.one.bas", 0, "one of name"),
        ("provider.two.bas", 0, "one of name"),
        ("model.maxi.prise", 0, "one of name"),
    ] {
        let start = if line == 0 { format!("{field} (line ") } else { format!("{field} (line {line}): ") };
        let named = found.lines().find(|problem| problem.starts_with(&start));
        assert!(named.is_some_and(|problem| problem.contains(hint)), "{field}: {named:?} of\n{found}");
    }
    assert_eq!(found.lines().count(), 12, "{found}");
    assert!(problems("[access]\ntoken = \"x\"").contains("keys do not belong in this file"));
}

#[test]
fn every_wrong_value_is_a_problem_of_its_field() {
    for (text, field, part) in [
        ("listen = \"here\"", "listen", "an address and a port"),
        ("listen = 80", "listen", "found 80"),
        ("listen = \"0.0.0.0:80\"", "access", "no token although"),
        ("listen = \"[::]:80\"", "access", "no token although"),
        ("data = \"~/x\"", "data", "~ stands for nothing"),
        ("max_body_mib = 0", "max_body_mib", "found 0; expected a whole number from 1 to 1024"),
        ("max_body_mib = -1", "max_body_mib", "found -1"),
        ("access = 1", "access", "[access]"),
        ("[access]\ntoken_env = \"SHORT\"", "access.token_env", "at least 16 characters"),
        ("[access]\nhosts = [\"x:80\"]", "access.hosts[0]", "without a port"),
        ("[access]\nhosts = [\"*\"]", "access.hosts[0]", "without a port"),
        ("[access]\norigins = [\"https://a.example\", \"*\"]", "access.origins[1]", "an origin"),
        ("[access]\norigins = [\"https://a.example/\"]", "access.origins[0]", "an origin"),
        ("[route]\nplacement = \"ful\"", "route.placement", "did you mean \"full\"?"),
        ("[route]\nplacement = \"local\"\nservers = [\"p.toml\"]", "route.servers", "the placement \"full\""),
        ("[route]\nlambda = 16", "route.lambda", "found 16"),
        ("[route]\nlambda = nan", "route.lambda", "found nan"),
        ("[route]\nranking = 5", "route.ranking", "from 1 to 4"),
        ("[route]\ndeadline = 2", "route.deadline", "from 50ms to 1m"),
        ("[route]\ndeadline = \"2\"", "route.deadline", "\"2s\""),
        ("[route]\ndeadline = \"2h\"", "route.deadline", "from 50ms to 1m"),
        ("[route]\naliases = []", "route.aliases", "at least one name"),
        ("[route]\naliases = [\"a b\"]", "route.aliases[0]", "without spaces"),
        ("[route]\non_failure = \"retry\"", "route.on_failure", "\"default\", \"error\""),
        ("[route]\ndefault_model = \"x\"", "route.default_model", "of which there is none"),
        ("provider = 1", "provider", "[[provider]]"),
        ("[provider]\nname = \"x\"", "provider", "[[provider]]"),
        ("[budget]\ndaily = -1", "budget.daily", "found -1"),
        ("[budget]\ndaily = 1e3", "budget.daily", "found 1e3"),
        ("[budget]\nreference_model = \"x\"", "budget.reference_model", "of which there is none"),
        ("[timeouts]\nconnect = \"1ms\"", "timeouts.connect", "from 100ms to 1h"),
        ("[timeouts]\ntotal = \"30s\"", "timeouts.first_token", "at most 30s"),
        ("[retries]\nattempts = 0", "retries.attempts", "from 1 to 10"),
        ("[privacy]\ndelay = \"2s-1s\"", "privacy.delay", "a range"),
        ("[privacy]\ndelay = \"2m\"", "privacy.delay", "up to 1m"),
        ("[privacy]\nstreams = true", "privacy.streams", "found true"),
        ("[embeddings]", "embeddings.provider", "found nothing"),
        ("[embeddings]\nprovider = \"x\"\nmodels = [\"m\"]", "embeddings.provider", "of which there is none"),
    ] {
        let found = problems(text);
        assert!(
            found.lines().any(|line| line.starts_with(&format!("{field} "))
                || line.starts_with(&format!("{field}:")) && line.contains(part)),
            "{text}: {found}"
        );
        assert!(found.contains(part), "{text}: {found}");
    }
}

#[test]
fn every_wrong_value_of_providers_and_models_is_a_problem_of_its_field() {
    for (from, to, field, part) in [
        ("default_model = \"mini\"", "", "route.default_model", "on_failure = \"error\""),
        ("default_model = \"mini\"", "default_model = \"mni\"", "route.default_model", "did you mean \"mini\"?"),
        ("upstream = \"mini-2024\"", "allowed = false", "route.default_model", "may be called"),
        ("name = \"one\"", "", "provider[0].name", "a name for the provider"),
        ("name = \"one\"", "name = \"two\"", "provider[1].name", "each name once"),
        ("[\"messages\"]", "[\"message\"]", "provider.two.dialects[0]", "did you mean \"messages\"?"),
        ("[\"messages\"]", "[]", "provider.two.dialects", "at least one of"),
        ("http://127.0.0.1:9/v1", "http://two.example/v1", "provider.two.base_url", "allow_http = true"),
        ("http://127.0.0.1:9/v1", "ftp://two.example", "provider.two.base_url", "https://"),
        ("http://127.0.0.1:9/v1", "two", "provider.two.base_url", "an address such as"),
        ("http://127.0.0.1:9/v1", "https://a:b@two.example", "provider.two.base_url", "a user or a password"),
        ("http://127.0.0.1:9/v1", "https://two.example?key=x", "provider.two.base_url", "a question mark"),
        ("CANARY_KEY", "NOT_SET", "provider.one.key_env", "the environment variable NOT_SET, which is not set"),
        ("CANARY_KEY", "SPACES", "provider.one.key_env", "visible ASCII"),
        ("key_env = \"CANARY_KEY\"", "key_file = \"none\"", "provider.one.key_file", "cannot be read"),
        ("key_env", "key_file = \"x\"\nkey_env", "provider.one.key_file", "only one of them"),
        (
            "key_env",
            "headers = { x-api-key = \"x\" }\nkey_env",
            "provider.one.headers.x-api-key",
            "key_env or key_file",
        ),
        ("key_env", "headers = { \"a b\" = \"x\" }\nkey_env", "provider.one.headers[0]", "letters, digits"),
        ("key_env", "headers = { a = 1 }\nkey_env", "provider.one.headers.a", "one line"),
        ("provider = \"one\"", "provider = \"on\"", "model.mini.provider", "did you mean \"one\"?"),
        ("provider = \"one\"", "", "model.mini.provider", "found nothing"),
        ("name = \"maxi\"", "name = \"mini\"", "model[1].name", "each name once"),
        ("name = \"maxi\"", "name = \"auto\"", "model.auto.name", "an alias asks for a route"),
        ("[\"small\"]", "[\"smal\"]", "model.mini.pool", "did you mean \"small\"?"),
        ("images = true", "pool = [\"small\"]", "model.maxi.pool", "for which \"mini\" stands too"),
        ("input = 0.15", "input = 0.0000001", "model.mini.input", "found 0.0000001"),
        ("128_000", "100", "model.mini.max_output", "at most context, 100"),
        ("images = true", "images = 1", "model.maxi.images", "true or false"),
        ("\"maxi\"\n[", "\"x\"\n[", "", ""),
        (
            "reference_model = \"maxi\"",
            "reference_model = \"maxo\"",
            "budget.reference_model",
            "did you mean \"maxi\"?",
        ),
    ] {
        if field.is_empty() {
            continue;
        }
        assert!(GOOD.contains(from), "{from}");
        let found = problems(&GOOD.replacen(from, to, 1));
        let of_field = |line: &&str| line.starts_with(&format!("{field} ")) || line.starts_with(&format!("{field}:"));
        assert!(found.lines().filter(of_field).any(|line| line.contains(part)), "{to}: {found}");
    }
    let no_models = GOOD.split("[[model]]").next().unwrap().to_owned();
    assert!(problems(&no_models).contains("at least one [[model]]"));
}

#[test]
fn allowed_exceptions_are_taken() {
    for (from, to) in [
        ("\"http://127.0.0.1:9/v1\"", "\"http://two.example/v1\"\nallow_http = true"),
        ("http://127.0.0.1:9/v1", "http://localhost:9/v1"),
        ("http://127.0.0.1:9/v1", "http://[::1]:9/v1"),
        ("default_model = \"mini\"", "on_failure = \"error\""),
        ("[route]", "[access]\ntoken_env = \"CANARY_KEY\"\n[route]"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        Home::new(&GOOD.replacen(from, to, 1)).load().unwrap();
    }
    let listen = "listen = \"0.0.0.0:8088\"\n[access]\ntoken_env = \"CANARY_KEY\"\n".to_owned() + GOOD;
    Home::new(&listen).load().unwrap();
}

#[test]
fn all_problems_come_at_once_by_line_and_mistakes_of_toml_too() {
    let text = "max_body_mib = 0\nx = 1\n[route]\nranking = 9\ndeadline = \"x\"\n[retries]\nattempts = 99\n";
    let error = Home::new(text).load().unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(|problem| problem.line.unwrap()).collect();
    assert_eq!(lines, [1, 2, 4, 5, 7]);
    let found = problems("listen = \"a\"\nx = = 1\n[route\n");
    assert!(found.starts_with("line 2: found what is no TOML"), "{found}");
    assert!(found.contains("line 3: "), "{found}");
    assert!(matches!(Config::load(Path::new("/nowhere.toml"), &[], &environment()), Err(ConfigError::Read { .. })));
    let nowhere = Environment::of(|_| None);
    let error = Config::load(&Home::new("").path(), &[], &nowhere).unwrap_err().to_string();
    assert!(error.contains("data: found neither"), "{error}");
}

#[test]
fn a_check_says_what_a_file_means() {
    let home = Home::new(&GOOD.replace("[budget]", "[[provider]]\nname = \"spare\"\ndialects = [\"chat\"]\nbase_url = \"https://s.example\"\n[[model]]\nname = \"free\"\nprovider = \"one\"\n[budget]").replace("[route]", "[route]\nservers = [\"pair.toml\"]"));
    let report = check(&home.path(), &pool(), &environment()).unwrap();
    assert!(report.is_good(), "{report}");
    let summary = report.summary.as_ref().unwrap();
    let unmapped: Vec<&str> = summary.unmapped.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(unmapped, ["middle", "large"]);
    assert_eq!(
        (&summary.unknown_prices[..], &summary.above_ceiling[..]),
        (&["free".to_owned()][..], &["maxi".to_owned()][..])
    );
    assert_eq!((&summary.unused_providers[..], summary.missing_files.len()), (&["spare".to_owned()][..], 1));
    let text = report.to_string();
    for part in [
        "middle (1 USD per 1M tokens), large (15",
        "key in CANARY_KEY",
        "at most 5 USD for a day",
        "pairs of servers: 1",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    home.write("x = 1");
    let report = check(&home.path(), &pool(), &environment()).unwrap();
    assert!(!report.is_good() && report.summary.is_none() && report.to_string().contains("x (line 1): "), "{report}");
    assert!(check(Path::new("/nowhere.toml"), &[], &environment()).is_err());
}
