use std::sync::Arc;
use std::time::Duration;

use super::*;

fn open(home: &Home) -> Reload {
    Reload::open(&home.path(), pool(), environment()).unwrap()
}

fn changes(applied: &[&str], needs_restart: &[&str]) -> Changes {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Changes { applied: owned(applied), needs_restart: owned(needs_restart) }
}

#[test]
fn the_last_good_configuration_stays_until_the_file_is_good_again() {
    let home = Home::new(GOOD);
    let reload = open(&home);
    let first = reload.current();
    home.write(&GOOD.replace("daily = 5", "daily = five"));
    assert!(matches!(reload.reload(), Err(ConfigError::Invalid { .. })));
    home.write(&GOOD.replace("default_model = \"mini\"", "default_model = \"x\""));
    assert!(matches!(reload.reload(), Err(ConfigError::Invalid { .. })));
    fs::remove_file(home.path()).unwrap();
    assert!(matches!(reload.reload(), Err(ConfigError::Read { .. })));
    home.write("  \n");
    assert!(matches!(reload.reload(), Err(ConfigError::Emptied { .. })));
    assert!(Arc::ptr_eq(&first, &reload.current()));
    home.write(&GOOD.replace("daily = 5", "daily = 6"));
    assert_eq!(reload.reload().unwrap(), changes(&["budget.daily"], &[]));
    assert_eq!(reload.current().budget.daily, Decimal::parse("6"));
    assert_eq!(first.budget.daily, Decimal::parse("5"), "who holds the old one goes on with it");
    assert!(reload.reload().unwrap().is_empty());
}

#[test]
fn a_change_is_taken_up_when_it_was_seen_twice_and_a_mistake_is_tried_once() {
    let home = Home::new(GOOD);
    let reload = open(&home);
    assert!(reload.look().is_none());
    // Half of a file can be good by itself: here, without its budget.
    let half = GOOD.split("[budget]").next().unwrap();
    home.write(half);
    assert!(reload.look().is_none());
    home.write(&GOOD.replace("daily = 5", "daily = 7"));
    assert!(reload.look().is_none());
    assert_eq!(reload.current().budget.daily, Decimal::parse("5"));
    assert_eq!(reload.look().unwrap().unwrap(), changes(&["budget.daily"], &[]));
    assert!(reload.look().is_none());
    home.write("x = 1");
    assert!(reload.look().is_none());
    assert!(reload.look().unwrap().is_err());
    assert!((0..3).all(|_| reload.look().is_none()), "the same mistake is not tried again");
    // Back to what holds: nothing changes, but the mistake is over.
    home.write(&GOOD.replace("daily = 5", "daily = 7"));
    assert!(reload.look().is_none());
    assert!(reload.look().unwrap().unwrap().is_empty());
}

#[test]
fn fields_that_need_a_restart_are_named_and_keep_their_values() {
    let home = Home::new(GOOD);
    let reload = open(&home);
    let changed = "listen = \"127.0.0.1:1\"\ndata = \"elsewhere\"\nmax_body_mib = 1\n".to_owned()
        + &GOOD.replace("[route]", "[route]\nranking = 2\nservers = [\"p.toml\"]\nbundle = \"b\"");
    home.write(&changed);
    let expected = changes(&["max_body_mib", "route.ranking"], &["listen", "data", "route.servers", "route.bundle"]);
    assert_eq!(reload.reload().unwrap(), expected);
    let now = reload.current();
    assert_eq!((now.listen.port(), now.route.servers.len(), now.max_body_mib), (8088, 0, 1));
    assert_eq!((&now.route.bundle, now.data.ends_with("blindroute/gateway")), (&None, true));
}

#[test]
fn a_gateway_that_others_can_call_does_not_lose_its_token() {
    let open_to_all = "listen = \"0.0.0.0:8088\"\n[access]\ntoken_env = \"CANARY_KEY\"\n";
    let home = Home::new(&(open_to_all.to_owned() + GOOD));
    let reload = open(&home);
    // Good by itself; but the gateway still listens for all.
    home.write(GOOD);
    let error = reload.reload().unwrap_err();
    assert!(matches!(&error, ConfigError::NeedsRestart { fields, .. } if *fields == ["listen"]), "{error}");
    assert!(error.to_string().contains("no token"), "{error}");
    assert!(reload.current().access.token.is_some());
}

#[test]
fn what_changed_is_named_without_values() {
    let home = Home::new(GOOD);
    let reload = open(&home);
    let header = format!("headers = {{ x-key = \"{CANARY}\" }}\nkey_env");
    let with_header = GOOD.replacen("key_env", &header, 1);
    home.write(&with_header);
    assert_eq!(reload.reload().unwrap(), changes(&["provider.one.headers.x-key"], &[]));
    home.write(&with_header.replace(CANARY, "another"));
    assert_eq!(reload.reload().unwrap(), changes(&["provider.one.headers.x-key"], &[]));
    assert_eq!(reload.current().provider("one").unwrap().headers["x-key"].expose(), "another");
    let third = "[[model]]\nname = \"third\"\nprovider = \"two\"\n[embeddings]\nprovider = \"one\"\nmodels = [\"m\"]\n";
    home.write(&(GOOD.to_owned() + third));
    let applied = ["embeddings.models", "embeddings.provider", "model.third", "provider.one.headers.x-key"];
    assert_eq!(reload.reload().unwrap(), changes(&applied, &[]));
}

#[test]
fn a_key_that_is_replaced_in_its_file_is_taken_up() {
    let home = Home::new(&GOOD.replace("key_env = \"CANARY_KEY\"", "key_file = \"key\""));
    home.key("key", CANARY, 0o600);
    let reload = open(&home);
    assert!(reload.look().is_none());
    home.key("key", "another-key", 0o600);
    assert!(reload.look().is_none());
    assert_eq!(reload.look().unwrap().unwrap(), changes(&["provider.one.key"], &[]));
    assert_eq!(reload.current().provider("one").unwrap().key.as_ref().unwrap().secret.expose(), "another-key");
    // A mode that is wrong and put right again changes no content.
    set_mode(&home.0.path().join("key"), 0o644);
    assert!(reload.look().is_none());
    assert!(reload.look().unwrap().is_err());
    set_mode(&home.0.path().join("key"), 0o600);
    assert!(reload.look().is_none());
    assert!(reload.look().unwrap().is_ok());
}

#[test]
fn a_watch_tells_of_changes_and_ends_with_the_gateway() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let home = Home::new(GOOD);
    runtime.block_on(async {
        let reload = Arc::new(open(&home));
        let mut told = reload.subscribe();
        let watch = reload.watch(Duration::from_millis(5));
        home.write(&GOOD.replace("daily = 5", "daily = 8"));
        tokio::time::timeout(Duration::from_secs(60), told.changed()).await.unwrap().unwrap();
        assert_eq!(told.borrow().budget.daily, Decimal::parse("8"));
        drop(reload);
        tokio::time::timeout(Duration::from_secs(60), watch).await.unwrap().unwrap();
    });
    let fixed = Reload::fixed(Config::default());
    assert!(fixed.look().is_none() && fixed.reload().unwrap().is_empty() && fixed.current().is_echo());
}
