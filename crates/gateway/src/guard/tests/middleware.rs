//! The rules together, in front of a server that answers everything.

use super::headers;
use crate::config::{Config, Environment};
use crate::guard::{Guard, Refusal, Rules, Token, check, read_body};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use axum::middleware::from_fn_with_state;
use tower::ServiceExt as _;

/// The status, the headers and the body of an answer.
type Answer = (u16, HeaderMap, String);

fn server(guard: &Guard) -> Router {
    Router::new().fallback(async || "reached").layer(from_fn_with_state(guard.clone(), check))
}

fn block_on<Output>(future: impl Future<Output = Output>) -> Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Asks with a good host unless the list has one.
fn ask(guard: &Guard, method: Method, path: &str, list: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    *request.headers_mut() = headers(list);
    if !list.iter().any(|(name, _)| *name == "host") {
        request.headers_mut().insert("host", "localhost:8088".parse().unwrap());
    }
    block_on(async {
        let (parts, body) = server(guard).oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    })
}

fn with(change: impl FnOnce(&mut Rules)) -> Guard {
    let mut rules = Rules::default();
    change(&mut rules);
    Guard::new(rules)
}

#[test]
fn what_is_allowed_reaches_the_server() {
    let guard = Guard::new(Rules::default());
    for (method, path) in [
        (Method::POST, "/v1/chat/completions"),
        (Method::POST, "/v1/messages?beta=true"),
        (Method::GET, "/v1/models?limit=1000"),
        (Method::GET, "/"),
        (Method::HEAD, "/livez"),
    ] {
        let (status, headers, body) = ask(&guard, method.clone(), path, &[]);
        assert_eq!((status, body == "reached" || method == Method::HEAD), (200, true), "{path}");
        assert!(!headers.contains_key("access-control-allow-origin") && !headers.contains_key("vary"), "{path}");
    }
}

#[test]
fn refusals_speak_the_callers_dialect() {
    let guard = with(|rules| rules.token = Some(Token::new("a long local token")));
    for (path, start) in [
        ("/v1/messages", r#"{"type":"error","error":{"type":"authentication_error","message":"#),
        ("/v1/chat/completions", r#"{"error":{"message":"#),
        ("/v1/responses", r#"{"error":{"message":"#),
    ] {
        let (status, headers, body) = ask(&guard, Method::POST, path, &[("x-api-key", "canary")]);
        assert_eq!(
            (status, &headers["www-authenticate"], &headers["content-type"]),
            (401, &"Bearer".parse().unwrap(), &"application/json".parse().unwrap())
        );
        assert!(body.starts_with(start) && !body.contains("canary"), "{body}");
        assert_eq!(ask(&guard, Method::POST, path, &[("x-api-key", "a long local token")]).0, 200, "{path}");
    }
    let (status, headers, body) = ask(&guard, Method::GET, "/", &[]);
    assert_eq!((status, &headers["content-type"]), (401, &"text/plain; charset=utf-8".parse().unwrap()));
    assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Basic ") && body.contains("token"), "{body}");
}

#[test]
fn unknown_paths_and_wrong_methods_are_said() {
    let guard = Guard::new(Rules::default());
    let (status, _, body) = ask(&guard, Method::GET, "/v1/canary", &[]);
    assert_eq!(status, 404);
    assert!(body.contains("/v1/chat/completions") && !body.contains("canary") && !body.contains("  "), "{body}");
    let (status, _, body) = ask(&guard, Method::POST, "/v1/messages/batches", &[]);
    assert!(status == 404 && body.contains("not_found_error"), "{body}");
    for (method, path, allow) in [
        (Method::GET, "/v1/chat/completions", "POST"),
        (Method::POST, "/v1/models", "GET, HEAD"),
        (Method::DELETE, "/forget", "GET, HEAD, POST"),
        (Method::OPTIONS, "/v1/responses", "POST"),
    ] {
        let list = if path == "/forget" { vec![("origin", "http://localhost:8088")] } else { vec![] };
        let (status, headers, body) = ask(&guard, method, path, &list);
        assert_eq!((status, &headers["allow"]), (405, &allow.parse().unwrap()), "{path}");
        assert!(body.contains(allow), "{body}");
    }
}

#[test]
fn a_web_page_cannot_spend_the_key() {
    let guard = Guard::new(Rules::default());
    for list in [
        vec![("host", "evil.example")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null"), ("content-type", "text/plain")],
        vec![("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        vec![("sec-fetch-site", "same-site")],
    ] {
        for (method, path) in [
            (Method::POST, "/v1/chat/completions"),
            (Method::GET, "/"),
            (Method::POST, "/forget"),
            (Method::GET, "/metrics"),
            (Method::GET, "/livez"),
        ] {
            let (status, headers, body) = ask(&guard, method, path, &list);
            assert!(status == 403 && body != "reached", "{path} {list:?}: {status}");
            assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
        }
    }
    let question = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let (status, headers, _) = ask(&guard, Method::OPTIONS, "/v1/chat/completions", &question);
    assert!(status == 403 && !headers.keys().any(|name| name.as_str().starts_with("access-control")));
}

#[test]
fn allowed_origins_get_cors() {
    let guard = with(|rules| {
        rules.origins = vec!["https://app.example".to_owned()];
        rules.token = Some(Token::new("a long local token"));
    });
    let question = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
        ("access-control-request-private-network", "true"),
    ];
    // Browsers send no token with the question.
    let (status, headers, body) = ask(&guard, Method::OPTIONS, "/v1/chat/completions", &question);
    assert_eq!((status, body.as_str()), (204, ""));
    let said = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(said("access-control-allow-origin"), "https://app.example");
    assert_eq!(said("access-control-allow-methods"), "POST");
    assert_eq!(said("access-control-allow-headers"), "authorization,content-type");
    assert_eq!(said("access-control-allow-private-network"), "true");
    assert!(said("vary").contains("origin") && !headers.contains_key("access-control-allow-credentials"));
    // The request itself needs the token; its answer, and its refusal, can be read by the page.
    let page = ("origin", "https://app.example");
    for (list, expected) in [(vec![page], 401), (vec![page, ("x-api-key", "a long local token")], 200)] {
        let (status, headers, _) = ask(&guard, Method::POST, "/v1/chat/completions", &list);
        assert_eq!(
            (status, &headers["access-control-allow-origin"]),
            (expected, &"https://app.example".parse().unwrap())
        );
        assert!(headers["access-control-expose-headers"].to_str().unwrap().contains("x-blindroute-cost"));
        assert_eq!(headers["vary"], "origin");
    }
    // The page for people is for no other page.
    assert_eq!(ask(&guard, Method::GET, "/forget", &[page, ("x-api-key", "a long local token")]).0, 403);
    assert_eq!(ask(&guard, Method::OPTIONS, "/forget", &question).0, 403);
}

#[test]
fn long_bodies_are_refused_by_their_length_and_while_they_are_read() {
    let guard = with(|rules| rules.max_body = 10);
    for (length, expected) in [("10", 200), ("11", 413), ("99999999999999999999", 413), ("x", 413)] {
        let (status, _, body) = ask(&guard, Method::POST, "/v1/messages", &[("content-length", length)]);
        assert_eq!(status, expected, "{length}");
        assert_eq!(status == 413, body.contains("request_too_large") && body.contains("10 bytes"), "{body}");
    }
    let read = |chunks: Vec<Result<&'static str, std::io::Error>>| {
        let chunks = futures_util::stream::iter(chunks.into_iter().map(|chunk| chunk.map(Bytes::from)));
        block_on(read_body(Body::from_stream(chunks), 10))
    };
    assert_eq!(read(vec![Ok("01234"), Ok("56789")]), Ok(Bytes::from("0123456789")));
    assert_eq!(read(vec![Ok("01234"), Ok("567890")]), Err(Refusal::TooLarge { limit: 10 }));
    assert_eq!(read(vec![Ok("01234567890")]), Err(Refusal::TooLarge { limit: 10 }));
    assert_eq!(read(vec![Ok("01234"), Err(std::io::Error::other("gone"))]), Err(Refusal::Interrupted));
    assert_eq!(read(vec![]), Ok(Bytes::new()));
}

#[test]
fn rules_can_be_replaced_while_the_gateway_runs() {
    let guard = Guard::new(Rules::default());
    let one = guard.clone();
    assert_eq!(ask(&guard, Method::GET, "/v1/models", &[]).0, 200);
    one.replace(Rules::from(&Config::default()));
    assert_eq!((ask(&guard, Method::GET, "/v1/models", &[]).0, guard.rules().max_body), (200, 32 << 20));
    one.replace(Rules { hosts: vec!["gateway.example".to_owned()], ..Rules::default() });
    assert_eq!(ask(&guard, Method::GET, "/v1/models", &[]).0, 403);
    assert_eq!(ask(&guard, Method::GET, "/v1/models", &[("host", "gateway.example")]).0, 200);
}

#[test]
fn the_rules_are_those_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-long-local-token").unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let file = folder.path().join("gateway.toml");
    let text = "max_body_mib = 1\n[access]\ntoken_file = \"token\"\nhosts = [\"Gateway.example\"]\norigins = [\"https://app.example\"]\n";
    std::fs::write(&file, text).unwrap();
    let guard = Guard::new(Rules::from(&Config::load(&file, &[], &Environment::process()).unwrap()));
    let good = [("host", "gateway.example:1"), ("origin", "https://app.example"), ("x-api-key", "a-long-local-token")];
    assert_eq!((ask(&guard, Method::GET, "/v1/models", &good).0, guard.rules().max_body), (200, 1 << 20));
    for (changed, status) in [
        (("host", "other.example"), 403),
        (("origin", "https://other.example"), 403),
        (("x-api-key", "a-long-local-tokeN"), 401),
    ] {
        let list = good.map(|(name, value)| if name == changed.0 { changed } else { (name, value) });
        assert_eq!(ask(&guard, Method::GET, "/v1/models", &list).0, status, "{changed:?}");
    }
}
