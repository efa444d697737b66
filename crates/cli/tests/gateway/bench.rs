//! `bench gateway` in short: a mock provider, the gateway as a process, and callers.

use crate::harness::{self, command, run, run_within};
use std::net::TcpListener;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_short_measurement_checks_every_answer_and_compares_with_direct_calls() {
    let home = tempfile::tempdir().unwrap();
    let mut bench = command(&["bench", "gateway", "--requests", "4", "--connections", "1", "--placement", "local"]);
    // The proxy that is named is the mock itself.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    bench.args(["--json", "--upstream-listen", &port.to_string(), "--proxy", &format!("itself=http://{port}")]);
    bench.env("TMPDIR", home.path());
    let ran = run_within(2 * MINUTE, bench, b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines = ran.lines();
    let of = |target: &str, form: &str| {
        let found = lines.iter().find(|line| line["target"] == target && line["form"] == form);
        found.unwrap_or_else(|| panic!("no line of {target}, {form}: {}", ran.stdout)).clone()
    };
    for form in ["whole", "stream"] {
        for target in ["direct", "gateway, named", "gateway, routed", "itself"] {
            let line = of(target, form);
            assert_eq!((&line["calls"], &line["connections"], &line["checked"]), (&4.into(), &1.into(), &true.into()));
            assert!(line["ms"]["p99"].as_f64() >= line["ms"]["p50"].as_f64(), "{line}");
        }
        let (direct, routed) = (of("direct", form), of("gateway, routed", form));
        assert_eq!((&direct["added_ms"]["p50"], &direct["ratio"]), (&0.0.into(), &1.0.into()));
        // The route's own time is taken off, which a named model does not have.
        assert!(routed["ms_beyond_route"]["p50"].as_f64() < routed["ms"]["p50"].as_f64(), "{routed}");
        assert_eq!(of("gateway, named", form)["ms_beyond_route"], of("gateway, named", form)["ms"]);
    }
    // The gateway's configuration and record are gone with it.
    assert_eq!(harness::entries(home.path()), [""; 0]);
}

#[test]
fn a_proxy_that_is_no_address_is_refused() {
    for wrong in ["x", "x=https://127.0.0.1:1", "x=http://nowhere"] {
        assert!(run(&["bench", "gateway", "--proxy", wrong]).error().contains("NAME=http://ADDRESS:PORT"), "{wrong}");
    }
}
