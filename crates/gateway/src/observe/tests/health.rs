//! The probes.

use crate::observe::{PartyState, Readiness, Sessions, alive, metrics_response, ready};
use axum::body::{Body, to_bytes};
use axum::http::Response;

fn read(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(to_bytes(response.into_body(), 1 << 20)).unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn readiness(reachable: [bool; 2], ready: usize) -> Readiness {
    let party = |index: usize| PartyState {
        name: format!("server {index}"),
        reachable: reachable[index],
        ..PartyState::default()
    };
    Readiness { parties: vec![party(0), party(1)], pairs: Vec::new(), sessions: Some(Sessions { ready, wanted: 2 }) }
}

#[test]
fn readiness_needs_all_parties_and_a_session() {
    let good = r#"{"status":"ready","reasons":[],"parties":[{"name":"server 0","reachable":true},{"name":"server 1","reachable":true}],"sessions":{"ready":1,"wanted":2}}"#;
    assert_eq!(read(ready(&readiness([true, true], 1))), (200, good.to_owned()));
    let table = [
        ([true, false], 1, vec!["server 1 does not answer"]),
        ([true, true], 0, vec!["no session is ready, of 2 wanted"]),
        (
            [false, false],
            0,
            vec!["server 0 does not answer", "server 1 does not answer", "no session is ready, of 2 wanted"],
        ),
    ];
    for (reachable, sessions, expected) in table {
        let readiness = readiness(reachable, sessions);
        let response = ready(&readiness);
        assert_eq!(response.headers()["retry-after"], "1");
        let (status, body) = read(response);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["status"], &body["reasons"]), (503, &"not ready".into(), &expected.into()));
    }
}

#[test]
fn a_router_on_this_machine_needs_nobody() {
    assert_eq!(read(ready(&Readiness::default())).0, 200);
    let none_wanted = Readiness { sessions: Some(Sessions { ready: 0, wanted: 0 }), ..Readiness::default() };
    assert_eq!(read(ready(&none_wanted)).0, 200);
}

#[test]
fn the_process_is_alive_whatever_its_parties_do() {
    assert_eq!(read(alive()), (200, r#"{"status":"alive"}"#.to_owned()));
}

#[test]
fn metrics_say_their_format() {
    let response = metrics_response(&super::metrics());
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(read(response).1.starts_with("# HELP blindroute_requests_total "));
}

#[test]
fn one_pair_of_servers_that_answers_is_enough() {
    let of = |reachable: [bool; 2]| {
        let pair = |index: usize| PartyState {
            name: format!("pair {index}"),
            reachable: reachable[index],
            failed: Some("then".to_owned()),
            ..PartyState::default()
        };
        Readiness { pairs: vec![pair(0), pair(1)], ..Readiness::default() }
    };
    assert_eq!((read(ready(&of([true, true]))).0, read(ready(&of([false, true]))).0), (200, 200));
    let (status, body) = read(ready(&of([false, false])));
    assert!(status == 503 && body.contains("pair 0 does not answer") && body.contains(r#""failed":"then""#), "{body}");
}
