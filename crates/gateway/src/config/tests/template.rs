use super::*;

/// The template with all fields that it has in comments.
fn uncommented() -> String {
    let field = |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned();
    TEMPLATE.lines().map(field).collect::<Vec<_>>().join("\n")
}

/// What a text of the template's folder comes to; the keys that it names are there.
fn loaded(text: &str) -> Loaded {
    with_fields(text).0
}

fn with_fields(text: &str) -> (Loaded, BTreeSet<String>) {
    let home = Home::new("");
    home.key("keys/anthropic", CANARY, 0o600);
    Loaded::with_fields(&home.path(), text, &[], &environment())
}

#[test]
fn the_template_loads_as_it_stands_and_without_its_comment_signs() {
    let (plain, empty) = (loaded(TEMPLATE), loaded(""));
    assert_eq!(plain.problems, []);
    assert_eq!(plain.config, empty.config);
    let all = loaded(&uncommented());
    assert_eq!(all.problems, []);
    assert_eq!((all.config.providers.len(), all.config.models.len()), (2, 2));
    assert_eq!(all.config.provider("anthropic").unwrap().key.as_ref().unwrap().secret.expose(), CANARY);
}

#[test]
fn the_template_has_every_field() {
    let (all, fields) = with_fields(&uncommented());
    let plain = |path: &String| path.replace(['[', ']'], ".");
    let written: Vec<String> = all.lines.keys().map(plain).collect();
    assert!(fields.len() > 60, "{fields:?}");
    for field in &fields {
        // Only one of the two is allowed at once.
        if field == "access.token_file" {
            assert!(TEMPLATE.contains("# Or a file of mode 0600 with the token: token_file = "));
            continue;
        }
        let found = match field.split_once('.') {
            Some((table @ ("provider" | "model"), name)) => {
                written.iter().any(|path| path.starts_with(&format!("{table}.")) && path.ends_with(&format!(".{name}")))
            }
            _ => written.contains(field),
        };
        assert!(found, "the template lacks {field}");
    }
}

#[test]
fn the_template_shows_the_defaults() {
    let (all, default) = (loaded(&uncommented()).config, Config::default());
    assert_eq!((all.listen, all.max_body_mib), (default.listen, default.max_body_mib));
    assert_eq!((&all.access.hosts, &all.access.origins), (&default.access.hosts, &default.access.origins));
    let route =
        Route { bundle: None, servers: Vec::new(), router: None, lambda: None, default_model: None, ..all.route };
    assert_eq!(route, default.route);
    assert_eq!((&all.timeouts, &all.retries, &all.privacy), (&default.timeouts, &default.retries, &default.privacy));
}
