//! What is answered, and when a party is ready.

use super::super::answer::{Status, to};
use super::super::board::{Board, Found};
use super::super::readiness::{Facts, Readiness};
use super::super::request::{Method, Request, Unreadable};
use blindroute_runtime::identity::Dated;
use blindroute_runtime::{Role, Validity};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn asked(board: &Board, method: Method, path: &str) -> (Status, String) {
    let answer = to(board, Ok(Request { method, path: path.to_owned() }));
    (answer.status, String::from_utf8(answer.bytes()).unwrap())
}

#[test]
fn a_party_that_starts_is_alive_and_not_ready_and_one_that_ended_is_neither() {
    let board = Board::default();
    let (status, text) = asked(&board, Method::Get, "/livez");
    assert!(
        status == Status::Ok && text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nok\n"),
        "{text}"
    );
    let (status, text) = asked(&board, Method::Get, "/readyz");
    assert!(
        status == Status::Unavailable && text.contains("\nRetry-After: 2\r\n") && text.contains("\nit is starting"),
        "{text}"
    );
    let (status, text) = asked(&board, Method::Get, "/metrics");
    assert!(status == Status::Ok && text.contains("\nContent-Type: text/plain; version=0.0.4"), "{text}");
    let samples: Vec<&str> =
        text.split("\r\n\r\n").nth(1).unwrap().lines().filter(|line| !line.starts_with('#')).collect();
    assert!(samples.len() == 1 && samples[0].starts_with("blindroute_operator_build_info{version="), "{samples:?}");
    board.end();
    assert_eq!(asked(&board, Method::Get, "/livez").0, Status::Unavailable);
    let fenced = Board::default();
    fenced.found(Found { taken_over: true, ..Found::default() });
    assert_eq!(asked(&fenced, Method::Get, "/livez").0, Status::Unavailable);
}

#[test]
fn only_three_paths_are_answered_and_only_to_be_read() {
    let board = Board::default();
    for path in ["/", "/metrics/", "/livez/x", "livez", "//livez", "/../metrics", "*", "/debug/pprof"] {
        for method in [Method::Get, Method::Head, Method::Other] {
            assert_eq!(asked(&board, method, path).0, Status::NotFound, "{path}");
        }
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        let (status, text) = asked(&board, Method::Other, path);
        assert!(status == Status::NotAllowed && text.contains("\nAllow: GET, HEAD\r\n"), "{text}");
        // The same head as the whole answer has, and no body.
        let (whole, head) = (asked(&board, Method::Get, path).1, asked(&board, Method::Head, path).1);
        assert!(head.ends_with("\r\n\r\n") && whole.starts_with(&head) && whole.len() > head.len(), "{head}");
    }
    assert_eq!(to(&board, Err(Unreadable::Malformed)).status, Status::BadRequest);
    assert_eq!(to(&board, Err(Unreadable::TooLong)).status, Status::TooLong);
}

fn dated(what: &'static str, from: SystemTime, until: SystemTime) -> Dated {
    Dated { what, role: Role::Server0, file: "server0.pem".into(), validity: Validity { from, until } }
}

#[test]
fn each_reason_is_a_line_and_notes_make_nothing_unready() {
    let now = SystemTime::UNIX_EPOCH + 20_000 * DAY;
    let good = Facts {
        is_serving: true,
        certificates: vec![
            dated("certificate", now - DAY, now + 31 * DAY),
            dated("authority", now - DAY, now + 99 * DAY),
        ],
        ..Facts::default()
    };
    let said = |facts: &Facts| {
        let readiness = Readiness::of(facts, now);
        (readiness.is_ready(), readiness.to_string())
    };
    assert_eq!(said(&good), (true, "ready\n".to_owned()));
    let soon = Facts { certificates: vec![dated("certificate", now - DAY, now + 12 * DAY + DAY / 2)], ..good.clone() };
    assert_eq!(said(&soon), (true, "ready\nnote: certificate of server0 expires in 12 days\n".to_owned()));
    let authority = Facts { certificates: vec![dated("authority", now - DAY, now - DAY)], ..good.clone() };
    assert_eq!(said(&authority), (true, "ready\nnote: authority of server0 has expired\n".to_owned()));
    let over = Facts { certificates: vec![dated("certificate", now - 9 * DAY, now - DAY)], ..good.clone() };
    let (ready, text) = said(&over);
    assert!(
        !ready && text.starts_with("its certificate has expired: renew it (server0)\nnote: certificate of"),
        "{text}"
    );
    let early = Facts { certificates: vec![dated("certificate", now + DAY, now + 99 * DAY)], ..good.clone() };
    assert_eq!(said(&early), (false, "its certificate does not hold yet: compare the clock (server0)\n".to_owned()));
    let all = Facts {
        stopping: Some("SIGTERM"),
        ledger: Some("disk".to_owned()),
        parties: vec![(Role::Dealer, Err("refused\nby\u{1b}[31m it".to_owned())), (Role::Server0, Ok(None))],
        ..good
    };
    let expected =
        "it is stopping (SIGTERM)\nits ledger takes no session: disk\ndealer does not answer: refused by [31m it\n";
    assert_eq!(said(&all), (false, expected.to_owned()));
    let stored = Facts { stopping: None, ledger: None, stored: 1, ..all.clone() };
    let expected = "ready\nnote: dealer does not answer, so only stored material is used: refused by [31m it\n";
    assert_eq!(said(&stored), (true, expected.to_owned()));
    let alone = Facts { parties: vec![(Role::Server0, Err("refused".to_owned()))], ..stored };
    assert_eq!(said(&alone), (false, "server0 does not answer: refused\n".to_owned()));
    assert!(!said(&Facts { is_serving: false, ..soon.clone() }).0);
    let clocks = |ahead| {
        said(&Facts { parties: vec![(Role::Dealer, Ok(Some(ahead)))], certificates: Vec::new(), ..soon.clone() })
    };
    for ahead in [0, 59, -59] {
        assert_eq!(clocks(ahead), (true, "ready\n".to_owned()));
    }
    for (ahead, word) in [(60, "60 seconds ahead of"), (-75, "75 seconds behind")] {
        let (ready, text) = clocks(ahead);
        assert!(ready && text.starts_with("ready\nnote: the clock of dealer is ") && text.contains(word), "{text}");
    }
}
