use super::*;
use std::time::{Duration, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn noon() -> SystemTime {
    UNIX_EPOCH + 20_000 * DAY + DAY / 2
}

fn entry(name: &str, credential: Credential) -> Registered {
    Registered { name: name.into(), credential, routes_per_day: 10, routes_per_minute: 6, alarm_at: 12, revoked: false }
}

fn asked(routes: u32) -> Asked {
    Asked { routes, bits: 2.5 * f64::from(routes) }
}

fn by_token(token: [u8; 32]) -> Shown {
    Shown { certificate: Some([99; 32]), token: Some(token) }
}

/// A register with one client of a token and one of a certificate.
fn two(home: &Path) -> Clients {
    let register = home.join("clients.toml");
    Register::add(&register, entry("clinic", Credential::Token([1; 32]))).unwrap();
    Register::add(&register, entry("bank", Credential::Certificate([2; 32]))).unwrap();
    Clients::open(&register, &home.join("state")).unwrap()
}

#[test]
fn clients_are_known_by_token_or_certificate_and_nobody_else_is_answered() {
    let home = tempfile::tempdir().unwrap();
    let clients = two(home.path());
    let name = |shown| clients.admit(shown, asked(1), noon()).unwrap();
    assert_eq!(name(by_token([1; 32])), Ok("clinic".to_owned()));
    assert_eq!(name(Shown { certificate: Some([2; 32]), token: None }), Ok("bank".to_owned()));
    for unknown in [
        Shown::default(),
        by_token([2; 32]),
        by_token([0; 32]),
        // A token is no certificate, whatever its digest.
        Shown { certificate: Some([1; 32]), token: None },
    ] {
        assert_eq!(name(unknown), Err(Refusal::Unknown));
    }
}

#[test]
fn a_client_gets_its_routes_of_a_day_and_what_is_refused_is_not_counted() {
    let home = tempfile::tempdir().unwrap();
    let clients = two(home.path());
    let ask = |routes, now| clients.admit(by_token([1; 32]), asked(routes), now).unwrap().err();
    let minutes = |count: u32| noon() + count * Duration::from_secs(60);
    assert_eq!(ask(6, minutes(0)), None);
    assert_eq!(ask(5, minutes(1)), Some(Refusal::Day));
    assert_eq!(ask(4, minutes(1)), None);
    assert_eq!(ask(1, minutes(5)), Some(Refusal::Day));
    assert_eq!(clients.counts(minutes(5)).unwrap()[0].1, Counts { today: 10, ever: 10, bits: 25.0 });
    // The next day of UTC, and for another client at once.
    assert_eq!(ask(1, noon() + DAY), None);
    assert_eq!(clients.counts(noon() + DAY).unwrap()[0].1, Counts { today: 1, ever: 11, bits: 27.5 });
    let bank = Shown { certificate: Some([2; 32]), token: None };
    assert!(clients.admit(bank, asked(6), minutes(5)).unwrap().is_ok());
}

#[test]
fn case_39_a_client_gets_its_routes_of_a_minute_as_they_come_back() {
    let home = tempfile::tempdir().unwrap();
    let clients = two(home.path());
    let ask = |routes, seconds| {
        clients.admit(by_token([1; 32]), asked(routes), noon() + Duration::from_secs(seconds)).unwrap().err()
    };
    assert_eq!(ask(7, 0), Some(Refusal::Minute), "more than a minute's routes at once");
    assert_eq!(ask(6, 0), None);
    assert_eq!(ask(1, 9), Some(Refusal::Minute));
    assert_eq!(ask(1, 10), None, "one of six comes back in ten seconds");
    assert_eq!(ask(1, 10), Some(Refusal::Minute));
    assert_eq!(ask(1, 0), Some(Refusal::Minute), "a clock that was set back gives nothing");
}

#[test]
fn counts_outlive_the_process_and_what_a_crash_cut_off() {
    let home = tempfile::tempdir().unwrap();
    let clients = two(home.path());
    clients.admit(by_token([1; 32]), asked(3), noon()).unwrap().unwrap();
    clients.admit(by_token([1; 32]), asked(2), noon()).unwrap().unwrap();
    drop(clients);
    let state = home.path().join("state");
    let file = state.join("clients.usage");
    let whole = std::fs::read(&file).unwrap();
    let of = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        Usage::open(&state).map(|usage| usage.of(ClientKey::of("clinic")).unwrap().counts(noon()).ever)
    };
    assert_eq!(of(&whole).unwrap(), 5);
    assert_eq!(of(&whole[..whole.len() - 1]).unwrap(), 3, "the last entry was not acted upon");
    let mut longer = whole.clone();
    longer.extend([0; 104]);
    assert_eq!(of(&longer).unwrap(), 5, "the file was made longer and not written");
    for damaged in [&b"something else entirely"[..], &[&whole[..30], &[7], &whole[31..]].concat()] {
        assert!(matches!(of(damaged), Err(ClientsError::Damaged { .. })));
    }
    // Others may read while a server counts.
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(Usage::read(&state).unwrap().of("clinic", noon()).bits, 12.5);
    assert_eq!(Usage::read(&home.path().join("nowhere")).unwrap().of("clinic", noon()), Counts::default());
}

#[test]
fn a_revoked_client_is_refused_from_its_next_session_on_and_as_one_that_never_was() {
    let home = tempfile::tempdir().unwrap();
    let clients = two(home.path());
    let register = home.path().join("clients.toml");
    let ask = || clients.admit(by_token([1; 32]), asked(1), noon()).unwrap();
    assert!(ask().is_ok());
    Register::revoke(&register, "clinic").unwrap();
    assert_eq!(ask(), Err(Refusal::Unknown));
    // A register that cannot be read lets nobody back in.
    std::fs::write(&register, "[[client]]\nname = \"clinic\"\n").unwrap();
    assert_eq!(ask(), Err(Refusal::Unknown));
    let error = Register::revoke(&register, "clinic").unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("credential"), "{error}");
}

#[test]
fn names_and_credentials_are_registered_once() {
    let home = tempfile::tempdir().unwrap();
    let register = home.path().join("clients.toml");
    Register::add(&register, entry("clinic", Credential::Token([1; 32]))).unwrap();
    for (again, said) in [
        (entry("clinic", Credential::Token([2; 32])), "choose another name"),
        (entry("other", Credential::Token([1; 32])), "under another name"),
        (entry("", Credential::Token([3; 32])), "1 to 64 bytes"),
        (entry("a\nb", Credential::Token([3; 32])), "1 to 64 bytes"),
        (Registered { routes_per_minute: 0, ..entry("slow", Credential::Token([3; 32])) }, "expected 1 or more"),
    ] {
        let error = Register::add(&register, again).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let error = Register::revoke(&register, "nobody").unwrap_err().to_string();
    assert!(error.contains("client list"), "{error}");
    assert_eq!(Register::load(&register).unwrap().clients.len(), 1);
    let text = std::fs::read_to_string(&register).unwrap();
    std::fs::write(&register, text.replace("token:01", "key:01")).unwrap();
    let error = Register::load(&register).unwrap_err().to_string();
    assert!(error.contains("64 hexadecimal digits"), "{error}");
}

#[test]
fn the_two_servers_know_a_client_by_different_tokens_of_one_secret() {
    let home = tempfile::tempdir().unwrap();
    let secret = ClientSecret::generate().unwrap();
    let file = home.path().join("secret");
    std::fs::write(&file, secret.to_line().as_bytes()).unwrap();
    let read = ClientSecret::load(&file).unwrap();
    let [zero, one] = [Role::Server0, Role::Server1].map(|server| secret.token(server));
    assert_eq!([&zero, &one], [&read.token(Role::Server0), &read.token(Role::Server1)]);
    assert_ne!(zero, one);
    assert_ne!(zero, ClientSecret::generate().unwrap().token(Role::Server0));
    let registration = Registration::of_secret("clinic", &secret, (1, 1, 1));
    assert_eq!(registration.entry(Role::Server0).credential, Credential::Token(zero.digest().0));
    assert_eq!(registration.entry(Role::Server1).credential, Credential::Token(one.digest().0));
    // Neither the registration nor a print of the secret gives a token away.
    let shown = format!("{registration:?} {secret:?} {zero:?} {}", toml::to_string(&registration).unwrap());
    let digits = |token: &ClientToken| base16ct::lower::encode_string(token.expose());
    assert!(![digits(&zero), digits(&one), secret.to_line().trim().to_owned()].iter().any(|it| shown.contains(it)));
    for wrong in ["", "12", &"g".repeat(64), &"0".repeat(65)] {
        std::fs::write(&file, wrong).unwrap();
        let error = ClientSecret::load(&file).unwrap_err().to_string();
        assert!(error.contains("64 hexadecimal digits") && (wrong.is_empty() || !error.contains(wrong)), "{error}");
    }
}
