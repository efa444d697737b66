//! `blindroute eval` on a made-up data set with the shipped routers.

use crate::harness::{command, run, run_within, small_bundle};
use blindroute_routing::bundle::Bundle;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A data set for the bundle's pool: 10 prompts in each split, of two tasks.
fn data_set(folder: &Path, bundle: &Path) -> PathBuf {
    let models = Bundle::open(bundle).unwrap().bundle.into_parts().models;
    let entries: Vec<_> = models
        .iter()
        .map(|model| serde_json::json!({"name": model.name, "cost": model.price, "cost_unit": model.unit}))
        .collect();
    let (mut prompts, mut outcomes) = (String::new(), "id".to_owned());
    models.iter().for_each(|model| write!(outcomes, ",{}", model.name).unwrap());
    for index in 0..30 {
        let split = ["train", "valid", "test"][index % 3];
        let (text, task) = if index % 2 == 0 { ("add 17 and 25", "sums") } else { ("who wrote it", "trivia") };
        let line = serde_json::json!({"id": format!("p{index}"), "prompt": format!("{text} {index}"), "source": task, "split": split});
        writeln!(prompts, "{line}").unwrap();
        write!(outcomes, "\np{index}").unwrap();
        (0..models.len()).for_each(|model| write!(outcomes, ",{}", (index + model) % 3 / 2).unwrap());
    }
    let path = folder.join("made <up>");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("models.json"), serde_json::to_string(&entries).unwrap()).unwrap();
    std::fs::write(path.join("prompts.jsonl"), prompts).unwrap();
    std::fs::write(path.join("outcomes.csv"), outcomes).unwrap();
    path
}

#[test]
fn a_report_in_every_form() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path());
    let data = data_set(home.path(), &bundle);
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (data, bundle) = (data.to_str().unwrap(), bundle.to_str().unwrap());
    let [html, csv, kept] = ["page.html", "values.csv", "embeddings"].map(file);
    let common = ["eval", "--data", data, "--bundle", bundle, "--embeddings", &kept, "--bootstrap", "20"];
    let both = ["--bundle-original", bundle, "--embeddings-original", &kept, "--source", "ours & free"];
    let arguments = [&common[..], &both, &["--html", &html, "--csv", &csv, "--json"]].concat();
    let found = run(&arguments).json();
    assert_eq!((&found["prompts"], &found["about"]["data"]), (&10.into(), &"made <up>".into()));
    let rows = found["rows"].as_array().unwrap();
    // Three routers twice; oracle, hull, k-NN, MLP, boosting, ridge, source only, best single, cheapest, random.
    assert_eq!(rows.len(), 6 + 10);
    assert!(rows.iter().filter(|row| row["group"] == "private").all(|row| row["default"]["score"].is_number()));
    // The same bundle on both sides: no difference.
    let differences = found["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 3 + 6);
    assert!(differences[..3].iter().all(|found| found["measures"]["audc"]["value"] == 0.0));
    assert_eq!(found["tasks"].as_array().unwrap().len(), 2);

    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("made &lt;up&gt;") && page.contains("ours &amp; free") && page.ends_with("</html>\n"));
    assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 1 + rows.len());

    // A second bundle is another seed of the same routers.
    let seeds = run(&[&common[..], &["--bundle", bundle, "--router", "direct", "--json"]].concat()).json();
    let row = seeds["rows"].as_array().unwrap().iter().find(|row| row["name"] == "direct").unwrap().clone();
    assert_eq!(row["measures"]["peak"]["deviation"], 0.0, "{row}");

    let one = run(&[&common[..], &["--router", "direct", "--split", "valid"]].concat());
    assert_eq!(one.code, Some(0), "{}", one.stderr);
    assert!(one.stdout.contains("\nprivate\n  direct ") && !one.stdout.contains("  uniroute"), "{}", one.stdout);
    assert!(one.stdout.contains("valid split, 10 prompts") && one.stdout.contains("chosen on these prompts"));
}

#[test]
fn what_cannot_be_measured_says_so_before_any_work() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path());
    let data = data_set(home.path(), &bundle);
    let mut parts = Bundle::open(&bundle).unwrap().bundle.into_parts();
    parts.routers.clear();
    let empty = home.path().join("empty.blindroute");
    std::fs::write(&empty, Bundle::new(parts).unwrap().write().unwrap()).unwrap();
    let [data, bundle, empty] = [&data, &bundle, &empty].map(|path| path.to_str().unwrap());
    let refused = |arguments: &[&str], says: &[&str]| {
        let mut all = vec!["eval", "--data", data];
        all.extend(arguments);
        let ran = run_within(Duration::from_secs(20), command(&all), b"");
        let error = ran.error();
        says.iter().for_each(|part| assert!(ran.stderr.contains(part), "{part:?} is not in {error}"));
    };
    refused(&["--bundle", bundle, "--router", "psychic"], &["no router \"psychic\"", "uniroute, direct, cscr"]);
    refused(&["--bundle", empty], &["empty.blindroute has no router", "blindroute train"]);
    refused(&["--bundle", bundle, "--split", "all"], &["--split", "train, valid or test"]);
    refused(&["--bundle", bundle, "--bootstrap=-1"], &["--bootstrap", "0 to 100000"]);
    refused(&["--bundle", bundle, "--bootstrap", "many"], &["0 to 100000"]);
    refused(&["--bundle", bundle, "--html", "/nowhere/page.html"], &["could not write /nowhere/page.html"]);
    refused(&["--bundle", bundle, "--embeddings-original", "x"], &["--bundle-original"]);
    refused(&["--bundle", "/nowhere.blindroute"], &["/nowhere.blindroute", "check that it is there"]);
    let other = home.path().join("made <up>/models.json");
    let text = std::fs::read_to_string(&other).unwrap();
    std::fs::write(&other, text.replacen("0.1", "0.15", 1)).unwrap();
    refused(&["--bundle", bundle], &["choose among 9 models", "prices must agree", "blindroute train"]);
}
