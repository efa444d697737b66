//! Data sets: imported, checked, refused.

use crate::harness::{self, run};
use std::path::Path;

/// What no output may hold.
const SECRET: &str = "a secret question";

/// Writes EmbedLLM's three files, in which nobody needs the model `big-13b`.
fn embedllm(folder: &Path) {
    for (name, prompts) in [("train", &[1, 2, 3, 4][..]), ("val", &[5][..]), ("test", &[4, 6][..])] {
        let mut text = "prompt_id,model_id,category_id,label,prompt,model_name,category\n".to_owned();
        for prompt in prompts {
            for (model, label) in [("small-1b", prompt % 2), ("middle-7b", 1), ("big-13b", u8::from(*prompt != 3))] {
                let task = if prompt % 2 == 0 { "law" } else { "physics" };
                text += &format!("{prompt},0,0,{label},\"{SECRET}, {prompt}\",{model},{task}\n");
            }
        }
        std::fs::write(folder.join(name).with_extension("csv"), text).unwrap();
    }
}

#[test]
fn a_public_set_is_imported_and_checked() {
    let home = tempfile::tempdir().unwrap();
    embedllm(home.path());
    let (from, out) = (home.path().to_str().unwrap(), home.path().join("set"));
    let out = out.to_str().unwrap();
    let import = ["data", "import", "embedllm", "--from", from, "--out", out];
    let imported = run(&[&import[..], &["--json"]].concat()).json();
    assert_eq!(imported["splits"], serde_json::json!({"train": 4, "valid": 1, "test": 2}));
    assert_eq!(imported["cost_unit"], "parameters, billions");
    // Not over what is there.
    let again = run(&import);
    assert!(again.error().contains("already exists and is not empty; name a new folder"), "{}", again.stderr);

    let found = run(&["data", "check", "--data", out, "--json"]);
    assert!(!found.stdout.contains(SECRET));
    let found = found.json();
    assert_eq!(found["across_splits"]["groups"][0][1]["id"], "test-4");
    assert_eq!(found["models"][2]["dominated_by"], "middle-7b");

    let table = run(&["data", "check", "--data", out]);
    assert_eq!((table.code, table.stderr.as_str()), (Some(0), ""));
    let expected = "\
7 prompts, 3 models

source    train   valid    test
law           2       0       2
physics       2       1       0
all           4       1       2

scores and wins on train; a win means the cheapest of the best; costs: parameters, billions
model            cost   score    wins  missing
small-1b            1  0.5000       2        0
middle-7b           7  1.0000       2        0  always the same score
big-13b            13  0.7500       0        0  dominated by middle-7b

every model scores the same: 1 of the train prompts (25.0 %)
costs per query: none
read by the encoder: 7 prompts, none truncated, 6 different token sequences
area on valid: 0.9615 for a router that knows only a prompt's source, 0.9615 for one that knows
  nothing of it, 0.9615 for the oracle
texts that occur again: 1, 2 prompts: train-4 (train) = test-4 (test)
of these, in more than one split: 1, 2 prompts: train-4 (train) = test-4 (test)
warning: 1 texts occur in more than one split (2 prompts): results on them are too good; move all
  copies to one split
warning: 1 of 3 models score the same on every train prompt: middle-7b
warning: 1 of 3 models are dominated on train (another model costs no more and scores at least as
  much); keep them, because they may be the best for some prompts: big-13b
warning: 1 of 3 models are never the cheapest of the best-scoring models on train: big-13b
";
    assert_eq!(table.stdout, expected);
}

#[test]
fn imports_say_what_they_left_out_and_where_to_go() {
    let home = tempfile::tempdir().unwrap();
    embedllm(home.path());
    let train = home.path().join("train.csv");
    let text = std::fs::read_to_string(&train).unwrap();
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.starts_with("3,0,0,1,\"a secret question, 3\",middle")).collect();
    // The first row twice, with another label; one row not at all.
    std::fs::write(&train, lines.join("\n") + "\n" + &lines[1].replacen(",1,", ",0,", 1) + "\n").unwrap();
    let (from, out) = (home.path().to_str().unwrap(), home.path().join("set"));
    let out = out.to_str().unwrap();
    let import = ["data", "import", "embedllm", "--from", from, "--out", out];
    let ran = run(&import);
    assert!(ran.error().contains("1 of 7 prompts lack the score of a model"), "{}", ran.stderr);
    assert!(ran.error().contains("\"middle-7b\" (1 prompts)") && ran.stderr.contains("--drop-incomplete"));
    let ran = run(&[&import[..], &["--drop-incomplete"]].concat());
    let expected = format!(
        "{out}: 3 train, 1 valid and 2 test prompts, 3 models, costs in parameters, billions\n\
         1 scores are the mean of several values for one prompt and model\n\
         1 prompts lack a model's score and are left out\nnext: blindroute data check --data {out}\n"
    );
    assert_eq!((ran.stdout, ran.code), (expected, Some(0)));
}

#[test]
fn a_set_with_gaps_is_checked_and_not_trained_on() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write("models.json", r#"[{"name": "one", "cost": 1}, {"name": "two", "cost": 2}]"#);
    let line =
        |id: &str, split: &str| format!("{{\"id\": \"{id}\", \"prompt\": \"{SECRET}\", \"split\": \"{split}\"}}\n");
    write("prompts.jsonl", &(line("a", "train") + &line("b", "valid") + &line("c", "test")));
    write("outcomes.csv", "id,one,two\na,1,\nb,1,1\nc,0,1\n");
    let data = home.path().to_str().unwrap();
    let found = run(&["data", "check", "--data", data]);
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    assert!(found.stdout.contains("warning: 1 scores are missing: training rejects the set"), "{}", found.stdout);
    assert!(!found.stdout.contains(SECRET));
    let out = home.path().join("out");
    let bundle = harness::default_bundle();
    let (out, bundle) = (out.to_str().unwrap(), bundle.to_str().unwrap());
    let trained = run(&["train", "direct", "--data", data, "--bundle", bundle, "--out", out]);
    let error = trained.error();
    assert!(error.contains("outcomes.csv, line 2: the score of \"two\" is missing"), "{error}");
    assert!(error.contains("`blindroute data check` lists all that are missing"), "{error}");
    // What cannot be read is an error for the check too.
    write("outcomes.csv", &format!("id,one,two\na,1,{SECRET}\nb,1,1\nc,0,1\n"));
    let found = run(&["data", "check", "--data", data]);
    assert!(found.error().contains("line 2: the score of \"two\" is not a number"), "{}", found.stderr);
    assert!(!found.stderr.contains(SECRET));
}

/// What stands in files reaches the terminal without commanding it, and a table's units are said everywhere.
#[test]
fn what_files_hold_does_not_command_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    let models =
        r#"[{"name": "one", "cost": "1", "cost_unit": "USD"}, {"name": "two", "cost": 2, "cost_unit": "EUR"}]"#;
    write("models.json", models);
    let line = |id: &str, split: &str| {
        serde_json::json!({"id": id, "prompt": "the same", "source": "\u{9b}31m\nsource", "split": split}).to_string()
            + "\n"
    };
    write(
        "prompts.jsonl",
        &(line("a\u{1b}[2J\nb", "train")
            + &line("b", "valid")
            + &line("c", "test")
            + &line("d", "train").replace("the same", "another")),
    );
    write("outcomes.csv", "id,one,two\nd,0,1\n\"a\u{1b}[2J\nb\",1,0\nb,0,1\nc,1,0\n");
    let data = home.path().to_str().unwrap();
    let clean = |text: &str| text.chars().all(|c| c == '\n' || !c.is_control());
    let found = run(&["data", "check", "--data", data]);
    assert!(clean(&found.stdout) && found.stdout.contains("a\\u001b[2J\\u000ab (train)"), "{}", found.stdout);
    assert!(found.stdout.contains("\n\\u009b31m\\u000asource") && found.stdout.contains("costs: in several units"));
    let json = run(&["data", "check", "--data", data, "--json"]);
    assert!(clean(&json.stdout));
    assert_eq!(json.json()["across_splits"]["groups"][0][0]["id"], "a\u{1b}[2J\nb");

    let units = "the models' prices are in 2 units (\"EUR\", \"USD\")";
    assert!(found.stdout.contains(units), "{}", found.stdout);
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (bundle, out) = (harness::small_bundle(home.path()), path("out.blindroute"));
    let bundle = bundle.to_str().unwrap();
    let trained = run(&["train", "uniroute", "--k", "2", "--data", data, "--bundle", bundle, "--out", &out, "--json"]);
    assert!(trained.stderr.contains(units), "{}", trained.stderr);
    assert!(trained.json()["warnings"][0].as_str().unwrap().contains(units));
    let measured = run(&["eval", "--data", data, "--bundle", &out, "--bootstrap", "0"]);
    assert_eq!(measured.code, Some(0), "{}", measured.stderr);
    assert!(measured.stderr.contains(units) && measured.stdout.contains(units), "{}", measured.stdout);
    let prompts = harness::write(home.path(), "mine.jsonl", &"{\"prompt\": \"the same\"}\n".repeat(80));
    let calibrated =
        run(&["calibrate", "--prompts", &prompts, "--bundle", &out, "--cost", "0.9", "--out", &path("c.json")]);
    assert!(calibrated.stderr.contains(units), "{}", calibrated.stderr);
    // Eighty copies of one prompt are one prompt.
    assert!(calibrated.error().contains("not enough data: 1 different prompts"), "{}", calibrated.stderr);

    // A name fails where it is read, not after minutes of training.
    for (name, says) in [("", "the name of model 2 is empty"), ("\\u001b[2J", "control character U+001B")] {
        write("models.json", &models.replace("two", name));
        for arguments in [
            vec!["data", "check", "--data", data],
            vec!["train", "direct", "--data", data, "--bundle", bundle, "--out", &out],
        ] {
            let ran = run(&arguments);
            assert!(ran.error().contains(says) && clean(&ran.stderr), "{}", ran.stderr);
        }
    }
    for name in ["", "Mine", "a\u{1b}b"] {
        let ran = run(&["train", "direct", "--name", name, "--data", "nowhere", "--bundle", bundle, "--out", &out]);
        assert!(ran.error().contains("router name is ") && clean(&ran.stderr), "{}", ran.stderr);
    }
    // A path is printed as well.
    let ran = run(&["data", "check", "--data", "no\u{1b}[2J\nwhere"]);
    assert!(clean(&ran.stderr) && ran.error().contains("no\\u001b[2J\\u000awhere"), "{:?}", ran.stderr);
}
