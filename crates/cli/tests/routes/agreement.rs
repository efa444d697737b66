//! The private route against the clear interpreter: the default bundle, real processes, real prompts.
//!
//! Five prompts here, in debug builds. A whole split in a release build, some minutes:
//! `blindroute agreement --data ulab_llmrouter --journal FILE`.

use crate::harness::{command, default_bundle, run_within};
use blindroute_testkit::shared_data;
use std::time::Duration;

#[test]
fn case_18_private_and_clear_choose_alike_and_a_journal_goes_on() {
    let Some(data) = shared_data() else { return };
    let home = tempfile::tempdir().unwrap();
    let data = data.join("routing/ulab_llmrouter");
    let (bundle, journal) = (default_bundle(), home.path().join("journal"));
    let agreement = |rest: &[&str]| {
        let (data, bundle, journal) = (data.to_str().unwrap(), bundle.to_str().unwrap(), journal.to_str().unwrap());
        let common = ["agreement", "--data", data, "--bundle", bundle, "--journal", journal, "--router", "uniroute"];
        run_within(Duration::from_secs(300), command(&[&common[..], rest].concat()), b"")
    };
    let first = agreement(&["--every", "500", "--json"]).json();
    assert_eq!((&first["prompts"], &first["split"]), (&3.into(), &"test".into()));
    let found = agreement(&["--every", "250", "--json"]).json();
    assert_eq!(found["prompts"], 5);
    // Those of the first run, and the two between them.
    let lines = std::fs::read_to_string(&journal).unwrap();
    assert_eq!(lines.lines().count(), 1 + 5, "{lines}");
    assert!(found["cosine"]["least"].as_f64().unwrap() >= 0.999, "{found}");
    let router = &found["routers"][0];
    let differ = router["differences"].as_array().unwrap();
    assert_eq!((&router["router"], router["equal"].as_u64().unwrap()), (&"uniroute".into(), 5 - differ.len() as u64));
    // A prompt at a border may go elsewhere; `lead` says how near the border it is.
    assert!(differ.len() <= 1 && differ.iter().all(|one| one["lead"].as_f64().unwrap() < 0.005), "{found}");
    assert!(router["close"].as_u64().unwrap() <= 2, "{found}");
    assert!(router["equal_over_curve"].as_f64().unwrap() > 0.85, "{found}");
    let audc = |side: &str| router[side]["audc"]["value"].as_f64().unwrap();
    assert!(differ.len() == 1 || (audc("clear") - audc("private")).abs() < 0.01, "{found}");

    // Both sides, and their difference, have intervals from the same resamples.
    let ends = |of: &serde_json::Value| ["low", "high"].map(|end| of["interval"][end].as_f64().unwrap());
    for of in [&router["clear"]["audc"], &router["private"]["audc"], &router["audc_difference"]] {
        let (value, [low, high]) = (of["value"].as_f64().unwrap(), ends(of));
        assert!(low <= value && value <= high, "{of}");
    }
    let difference = &router["audc_difference"];
    assert!((difference["value"].as_f64().unwrap() - (audc("private") - audc("clear"))).abs() < 1e-12, "{found}");
    let width = |of: &serde_json::Value| ends(of)[1] - ends(of)[0];
    assert!(width(difference) < width(&router["private"]["audc"]), "{found}");
    assert_eq!(found["bootstrap"]["resamples"], 1000);

    let text = agreement(&["--every", "500"]).stdout;
    assert!(text.contains("  AUDC, private − clear: ") && text.contains("In brackets: 95 % intervals"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(
        text.contains("3 prompts of the test split") && text.contains("full routes chose the same model"),
        "{text}"
    );
    let other = agreement(&["--router", "direct"]);
    assert!(other.error().contains("it is of another bundle, other prompts or other routers"), "{}", other.stderr);
    assert!(agreement(&["--router", "oracle"]).error().contains("there is no router \"oracle\""));
}
