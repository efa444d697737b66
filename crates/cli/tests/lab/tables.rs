//! Tables that nobody can learn from: every command that reads one says what is wrong and what to do.

use crate::harness::{run, small_bundle, write};
use std::path::Path;

const MODELS: &str = r#"[{"name": "small", "cost": 1, "cost_unit": "USD"}, {"name": "large", "cost": 4}]"#;
const ONE_MODEL: &str = r#"[{"name": "small", "cost": 1, "cost_unit": "USD"}]"#;
const OUTCOMES: &str = "id,small,large\na,1,0\nb,0,1\nc,1,0\n";
const SECRET: &str = "canary in a prompt";

fn prompts(splits: [&str; 3]) -> String {
    let line = |(id, split): (&str, &str)| {
        format!("{}\n", serde_json::json!({"id": id, "prompt": SECRET, "source": "", "split": split}))
    };
    ["a", "b", "c"].into_iter().zip(splits).map(line).collect()
}

#[test]
fn every_command_says_what_is_wrong_with_a_table() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let bundle = small_bundle(home.path()).to_str().unwrap().to_owned();
    let texts: String = (0..20).map(|index| format!("{{\"text\": \"a text of {index}\"}}\n")).collect();
    let texts = write(home.path(), "texts.jsonl", &texts);
    let (data, out) = (file("data"), file("out"));
    std::fs::create_dir(&data).unwrap();
    let train = |kind| vec!["train", kind, "--data", &data, "--bundle", &bundle, "--out", &out];
    let commands = [
        train("uniroute"),
        train("direct"),
        train("cscr"),
        vec!["eval", "--data", &data, "--bundle", &bundle],
        vec!["agreement", "--data", &data, "--bundle", &bundle],
        vec!["bundle", "add", "--data", &data, "--bundle", &bundle, "--out", &out],
        vec!["distil", "--teacher", &bundle, "--text", &texts, "--out", &out, "--routing", &data],
    ];
    let good = prompts(["train", "valid", "test"]);
    let cases = [
        (MODELS, good.clone(), OUTCOMES.replace("small", "tiny"), "the column \"tiny\" is not a model of models.json"),
        (MODELS, good.clone(), OUTCOMES.replace("a,1", "a,NaN"), "line 2: the score of \"small\" is NaN"),
        (MODELS, good.clone(), OUTCOMES.replace("a,1", "a,"), "line 2: the score of \"small\" is missing"),
        (MODELS, good.clone(), OUTCOMES.replace("a,1", "a"), "line 2: the row has 2 fields, the header 3"),
        (MODELS, prompts(["train", "train", "test"]), OUTCOMES.to_owned(), "the split valid has no prompt"),
        (ONE_MODEL, good.clone(), OUTCOMES.replace(",large", ""), "it has 1 models, expected at least two"),
        (
            MODELS,
            good.clone(),
            OUTCOMES.replace("1,0", "0,0"),
            "every model scores the same on every prompt of the split train",
        ),
        (MODELS, good.replace("{", "{,"), OUTCOMES.to_owned(), "line 1: the line is not valid JSON"),
    ];
    for (models, prompts, outcomes, says) in cases {
        let folder = Path::new(&data);
        write(folder, "models.json", models);
        write(folder, "prompts.jsonl", &prompts);
        write(folder, "outcomes.csv", &outcomes);
        for command in &commands {
            let ran = run(command);
            assert!(ran.error().contains(says), "{command:?} should say {says:?}: {}", ran.stderr);
            assert!(!ran.stderr.contains(SECRET) && !Path::new(&out).exists());
        }
    }
}

#[test]
fn a_split_that_tells_nothing_apart_is_not_measured_on() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).to_str().unwrap().to_owned();
    let out = home.path().join("out.blindroute").to_str().unwrap().to_owned();
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    write(&data, "models.json", MODELS);
    let more = "{\"id\": \"d\", \"prompt\": \"another\", \"source\": \"\", \"split\": \"train\"}\n";
    write(&data, "prompts.jsonl", &(prompts(["train", "valid", "test"]) + more));
    write(&data, "outcomes.csv", &(OUTCOMES.replace("c,1,0", "c,1,1") + "d,0,1\n"));
    let data = data.to_str().unwrap();
    let trained = run(&["train", "uniroute", "--k", "2", "--data", data, "--bundle", &bundle, "--out", &out]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let measured = run(&["eval", "--data", data, "--bundle", &out]);
    assert!(measured.error().contains("every model scores the same on every prompt of the split test"));
}

#[test]
fn prompts_to_calibrate_with_say_what_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).to_str().unwrap().to_owned();
    let out = home.path().join("out.json").to_str().unwrap().to_owned();
    let line = |scores: &str| format!("{{\"prompt\": \"{SECRET}\", \"scores\": {{{scores}}}}}\n");
    for (text, says) in [
        (String::new(), "has no prompt"),
        (line("\"tiny\": 1"), "line 1: the score of"),
        ("{\"prompt\": \" \"}\n".to_owned(), "line 1: its prompt is empty"),
        (line("\"tiny\": NaN"), "line 1: it holds NaN or Infinity, which JSON does not have"),
        (format!("{{\"prompt\": \"{SECRET}\"}}\n"), "not enough data: 1 different prompts"),
    ] {
        let prompts = write(home.path(), "prompts.jsonl", &text);
        let ran = run(&["calibrate", "--prompts", &prompts, "--bundle", &bundle, "--cost", "0.5", "--out", &out]);
        assert!(ran.error().contains(says), "it should say {says:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains(SECRET));
    }
}
