use super::*;

#[test]
fn secrets_are_never_shown() {
    let headers = format!("headers = {{ X-Key = \"{CANARY}\" }}\nkey_env");
    let text = GOOD.replacen("key_env", &headers, 1).replace("[route]", "[access]\ntoken_file = \"token\"\n[route]");
    let home = Home::new(&text);
    home.key("token", &format!(" {CANARY}\n"), 0o600);
    let config = home.load().unwrap();
    assert_eq!(config.access.token.as_ref().unwrap().secret.expose(), CANARY);
    assert_eq!(config.provider("one").unwrap().headers["x-key"].expose(), CANARY);
    let report = check(&home.path(), &pool(), &environment()).unwrap();
    let shown = [
        format!("{config:?} {config:#?}"),
        serde_json::to_string(&config).unwrap(),
        format!("{report} {report:?}"),
        serde_json::to_string(&report).unwrap(),
        format!("{:?}", Reload::open(&home.path(), pool(), environment()).unwrap()),
    ];
    for shown in shown {
        assert!(!shown.contains(CANARY) && !shown.contains("canary"), "{shown}");
    }
    assert!(serde_json::to_string(&config).unwrap().contains("(secret)"));
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let everywhere: Vec<String> = [
        "listen",
        "data = ~",
        "max_body_mib",
        "route.placement",
        "route.lambda",
        "route.ranking",
        "route.deadline",
        "access.token_env",
        "access.token_file",
        "access.hosts",
        "access.origins",
        "unknown",
        "access.unknown",
        "access.token",
        "budget.daily",
        "timeouts.idle",
        "privacy.delay",
        "privacy.streams",
        "embeddings",
        "provider",
    ]
    .iter()
    .map(|field| match field.strip_suffix(" = ~") {
        Some(field) => format!("{field} = \"~{CANARY}\""),
        None => format!("{field} = \"{CANARY}\""),
    })
    .collect();
    let in_lists = ["access.hosts", "access.origins", "provider", "model", "route.aliases"]
        .map(|field| format!("{field} = [\"{CANARY} \"]"));
    let in_provider = ["key_env", "key_file", "base_url", "dialects", "api_key", "headers", "allow_http"]
        .map(|field| format!("[[provider]]\nname = \"x\"\n{field} = \"{CANARY}\""));
    let others = [
        format!("[[provider]]\nbase_url = \"https://u:{CANARY}@x.example\""),
        format!("[[provider]]\nbase_url = \"https://x.example?key={CANARY}\""),
        format!("[[provider]]\nheaders = {{ authorization = \"{CANARY}\" }}"),
        format!("[[provider]]\nheaders = {{ a = \"{CANARY}\\n\" }}"),
        format!("x = {CANARY}"),
        format!("x = \"{CANARY}"),
        format!("x = \"{CANARY}\" y"),
        format!("x = [\"{CANARY}\""),
        format!("\"{CANARY}"),
    ];
    for text in everywhere.into_iter().chain(in_lists).chain(in_provider).chain(others) {
        let home = Home::new(&text);
        let error = home.load().expect_err(&text);
        let report = check(&home.path(), &pool(), &environment()).unwrap();
        let shown = format!("{error} {error:?} {report} {}", serde_json::to_string(&report).unwrap());
        assert!(!shown.contains("canary"), "{text}: {shown}");
    }
}

#[test]
fn a_file_with_a_key_is_its_owner_s_alone() {
    let home = Home::new(&GOOD.replace("key_env = \"CANARY_KEY\"", "key_file = \"keys/one\""));
    for (text, mode, part) in [
        (CANARY, 0o600, ""),
        (CANARY, 0o400, ""),
        (CANARY, 0o644, "mode 0644"),
        (CANARY, 0o620, "chmod 600"),
        ("", 0o600, "nothing but spaces"),
        (" \n", 0o600, "nothing but spaces"),
        ("sk-canary\nsk-canary", 0o600, "visible ASCII"),
        (&"k".repeat(16 * 1024 + 1), 0o600, "more than 16384 bytes"),
    ] {
        home.key("keys/one", text, 0o600);
        home.key("keys/one", text, mode);
        match home.load() {
            Ok(config) => {
                assert_eq!(part, "");
                assert_eq!(config.provider("one").unwrap().key.as_ref().unwrap().secret.expose(), CANARY);
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                assert!(!part.is_empty() && shown.contains(part) && !shown.contains("canary"), "{shown}");
            }
        }
        std::fs::remove_file(home.0.path().join("keys/one")).unwrap();
    }
    std::fs::create_dir(home.0.path().join("keys/one")).unwrap();
    assert!(home.load().unwrap_err().to_string().contains("no plain file"));
}

#[test]
fn secrets_are_compared_whole() {
    let token = Secret::new(CANARY.to_owned());
    assert!(token.matches(CANARY.as_bytes()) && token == Secret::new(CANARY.to_owned()));
    for other in ["", &CANARY[1..], &CANARY[..5], "sk-canary-8f3b2c91d8"] {
        assert!(!token.matches(other.as_bytes()), "{other}");
    }
}
