//! Each rule alone.

use super::headers;
use crate::guard::{Endpoint, Forms, Refusal, Token, dialect, host, origin, token};
use axum::http::{HeaderMap, Method, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blindroute_dialects::Dialect;

#[test]
fn hosts_are_compared_without_their_ports() {
    let hosts = ["localhost", "127.0.0.1", "::1", "Gateway.example"].map(str::to_owned);
    let check = |line: &str, list: &[(&str, &str)]| host::check(&line.parse::<Uri>().unwrap(), &headers(list), &hosts);
    let good = [
        "localhost",
        "localhost:8088",
        "LOCALHOST:1",
        "127.0.0.1:8088",
        "[::1]",
        "[::1]:8088",
        "[0:0::1]:80",
        "gateway.example:65535",
        "localhost:",
    ];
    for host in good {
        assert_eq!(check("/v1/models", &[("host", host)]), Ok(()), "{host}");
    }
    let bad = [
        "evil.example",
        "evil.example:8088",
        "localhost.evil.example",
        "evil.localhost",
        "localhost.",
        "localhost:8088:1",
        "localhost:80a",
        "localhost:123456",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost/evil",
        "127.0.0.2",
        "127.0.0.1.evil.example",
        "2130706433",
        "0.0.0.0:8088",
        "::1",
        "[::2]",
        "[::1",
        "[::1]8088",
        "[localhost]",
        "[]",
        "",
        ":8088",
        "localhost, evil.example",
        "localhost evil.example",
    ];
    for host in bad {
        assert_eq!(check("/v1/models", &[("host", host)]), Err(Refusal::OtherHost), "{host}");
    }
    assert_eq!(check("/", &[]), Err(Refusal::NoHost));
    assert_eq!(check("/", &[("host", "localhost"), ("host", "localhost")]), Err(Refusal::SeveralHosts));
    assert_eq!(check("/", &[("host", "localhost"), ("host", "evil.example")]), Err(Refusal::SeveralHosts));
    // An address in the request line counts too.
    assert_eq!(check("http://evil.example/", &[("host", "localhost")]), Err(Refusal::OtherHost));
    assert_eq!(check("http://localhost:8088/", &[("host", "evil.example")]), Err(Refusal::OtherHost));
    assert_eq!(check("http://localhost:8088/", &[("host", "localhost")]), Ok(()));
}

#[test]
fn pages_of_other_origins_are_refused() {
    let origins = ["https://app.example".to_owned()];
    let check = |endpoint, method: Method, list: &[(&str, &str)]| {
        origin::check(Some(endpoint), &method, &headers(list), &origins).map(|origin| origin.is_some())
    };
    let api = |list: &[(&str, &str)]| check(Endpoint::Chat, Method::POST, list);
    assert_eq!(api(&[]), Ok(false));
    for site in ["none", "same-origin"] {
        assert_eq!(api(&[("sec-fetch-site", site)]), Ok(false), "{site}");
    }
    for site in ["cross-site", "same-site", "", "new-kind"] {
        assert_eq!(api(&[("sec-fetch-site", site)]), Err(Refusal::OtherSite), "{site}");
    }
    assert_eq!(api(&[("origin", "https://app.example"), ("sec-fetch-site", "cross-site")]), Ok(true));
    let bad = [
        "null",
        "",
        "https://app.example.evil.example",
        "https://app.example:444",
        "http://app.example",
        "https://APP.example",
        "https://app.example/",
        "http://localhost:8088",
        "chrome-extension://abc",
        "https://app.example, https://evil.example",
    ];
    for origin in bad {
        for site in ["none", "same-origin", "cross-site"] {
            let list = [("host", "localhost:8088"), ("origin", origin), ("sec-fetch-site", site)];
            assert_eq!(api(&list), Err(Refusal::OtherOrigin), "{origin} {site}");
        }
    }
    let twice = [("origin", "https://app.example"), ("origin", "https://app.example")];
    assert_eq!(api(&twice), Err(Refusal::OtherOrigin));
}

#[test]
fn forms_come_from_the_gateway_itself() {
    let origins = ["https://app.example".to_owned(), "null".to_owned()];
    let check = |method: Method, list: &[(&str, &str)]| {
        origin::check(Some(Endpoint::Forget), &method, &headers(list), &origins).is_ok()
    };
    let own = |origin| [("host", "localhost:8088"), ("origin", origin)];
    assert!(check(Method::POST, &own("http://localhost:8088")));
    assert!(check(Method::POST, &own("https://localhost:8088")));
    assert!(check(Method::GET, &[("host", "localhost:8088")]));
    let others = [
        "http://localhost:3000",
        "http://localhost",
        "null",
        "https://app.example",
        "localhost:8088",
        "file://localhost:8088",
        "",
    ];
    for origin in others {
        assert!(!check(Method::POST, &own(origin)), "{origin}");
        assert!(!check(Method::GET, &own(origin)), "{origin}");
    }
    assert!(!check(Method::POST, &[("host", "localhost:8088")]), "a form without an origin");
    assert!(!check(Method::POST, &[("origin", "http://localhost:8088")]), "without a host");
}

#[test]
fn the_token_is_taken_from_each_header() {
    let secret = Token::new("correct horse battery");
    let check = |endpoint, list: &[(&str, &str)]| token::check(endpoint, &headers(list), Some(&secret));
    let api = |list: &[(&str, &str)]| check(Some(Endpoint::Chat), list);
    let right = "correct horse battery";
    assert_eq!(api(&[("authorization", &format!("Bearer {right}"))]), Ok(()));
    assert_eq!(api(&[("authorization", &format!("bEARER  {right} "))]), Ok(()));
    assert_eq!(api(&[("x-api-key", right)]), Ok(()));
    assert_eq!(api(&[("x-api-key", "sk-other"), ("authorization", &format!("Bearer {right}"))]), Ok(()));
    assert_eq!(api(&[]), Err(Refusal::NoToken));
    let wrong = ["correct horse batter", "correct horse batteryy", "Correct horse battery", "", "x"];
    for given in wrong {
        assert_eq!(api(&[("x-api-key", given)]), Err(Refusal::WrongToken), "{given}");
        assert!(api(&[("authorization", &format!("Bearer {given}"))]).is_err(), "{given}");
    }
    assert_eq!(api(&[("authorization", right)]), Err(Refusal::NoToken));
    // A browser's password is for pages only.
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let password = basic(&format!("anyone:{right}"));
    assert_eq!(check(Some(Endpoint::Page), &[("authorization", &password)]), Ok(()));
    assert_eq!(api(&[("authorization", &password)]), Err(Refusal::NoToken));
    for pair in [format!("{right}:"), "anyone:wrong".to_owned()] {
        assert_eq!(
            check(Some(Endpoint::Page), &[("authorization", &basic(&pair))]),
            Err(Refusal::WrongToken),
            "{pair}"
        );
    }
    for header in ["Basic ?", "Basic", &basic("no colon")] {
        assert_eq!(check(Some(Endpoint::Page), &[("authorization", header)]), Err(Refusal::NoToken), "{header}");
    }
    // Which endpoints need it.
    let open: Vec<Endpoint> =
        Endpoint::ALL.into_iter().filter(|endpoint| check(Some(*endpoint), &[]).is_ok()).collect();
    assert_eq!(open, [Endpoint::Alive, Endpoint::Ready]);
    assert!(check(None, &[]).is_err());
    assert_eq!(token::check(Some(Endpoint::Chat), &HeaderMap::new(), None), Ok(()));
    assert_eq!(format!("{secret:?}"), "(secret)");
}

#[test]
fn forms_have_the_token_of_this_process_once() {
    let (forms, other) = (Forms::new().unwrap(), Forms::new().unwrap());
    let token = forms.token().to_owned();
    assert_eq!(token.len(), 64);
    assert_ne!(token, other.token());
    let body = |text: String| forms.check(text.as_bytes());
    assert_eq!(body(format!("token={token}")), Ok(()));
    assert_eq!(body(format!("a=b&token={token}&c")), Ok(()));
    let wrong = [
        String::new(),
        "token=".to_owned(),
        token.clone(),
        format!("token{token}"),
        format!("nottoken={token}"),
        format!("token={}", other.token()),
        format!("token={}", &token[1..]),
        format!("token={token}&token={token}"),
        format!("token=x&token={token}"),
        format!("token={token}x"),
    ];
    for text in wrong {
        assert_eq!(body(text.clone()), Err(Refusal::OtherForm), "{text}");
    }
    assert_eq!(format!("{forms:?}"), "(secret)");
}

#[test]
fn the_dialect_is_known_from_the_path_or_the_header() {
    let none = HeaderMap::new();
    let anthropic = headers(&[("anthropic-version", "2023-06-01")]);
    let table = [
        ("/v1/chat/completions", Dialect::Chat, Dialect::Chat),
        ("/v1/responses", Dialect::Responses, Dialect::Responses),
        ("/v1/responses/resp_1", Dialect::Responses, Dialect::Responses),
        ("/v1/messages", Dialect::Messages, Dialect::Messages),
        ("/v1/messages/count_tokens", Dialect::Messages, Dialect::Messages),
        ("/v1/messages/batches", Dialect::Messages, Dialect::Messages),
        ("/v1/messagesx", Dialect::Chat, Dialect::Messages),
        ("/v1/models", Dialect::Chat, Dialect::Messages),
        ("/nowhere", Dialect::Chat, Dialect::Messages),
    ];
    for (path, plain, with_header) in table {
        assert_eq!((dialect(path, &none), dialect(path, &anthropic)), (plain, with_header), "{path}");
    }
}

#[test]
fn each_path_is_one_endpoint_with_its_methods() {
    for endpoint in Endpoint::ALL {
        assert_eq!(Endpoint::of_path(endpoint.path()), Some(endpoint));
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let listed = endpoint.allow().split(", ").any(|name| name == method.as_str());
            assert_eq!(endpoint.takes(&method), listed, "{endpoint:?} {method}");
        }
    }
    assert_eq!(Endpoint::of_path("/v1/models/openai/gpt-5"), Some(Endpoint::Models));
    for path in
        ["", "/v1", "/v1/", "/v1/models/", "/v1/chat/completions/", "/V1/models", "//", "/metricsx", "/v1/completions"]
    {
        assert_eq!(Endpoint::of_path(path), None, "{path}");
    }
    let taken = |endpoint: Endpoint| [Method::GET, Method::POST].map(|method| endpoint.takes(&method));
    assert_eq!(
        [Endpoint::Chat, Endpoint::Page, Endpoint::Forget].map(taken),
        [[false, true], [true, false], [true, true]]
    );
}
