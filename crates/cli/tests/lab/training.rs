//! The provider's commands beside training and evaluation: a student, an encoder's worth, a calibration.

use crate::harness::{self, command, run, run_within, small_bundle, write};
use blindroute_routing::bundle::{Bundle, Rule};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

fn texts() -> String {
    let mut texts = String::new();
    for index in 0..40 {
        let line = serde_json::json!({"text": format!("what is {index} plus {}", index * 3), "split": "train"});
        writeln!(texts, "{line}").unwrap();
    }
    writeln!(texts, "{}", serde_json::json!({"text": "canary of the test split", "split": "test"})).unwrap();
    texts
}

#[test]
fn a_student_is_taught_resumed_and_measured() {
    let home = tempfile::tempdir().unwrap();
    let teacher = small_bundle(home.path()).to_str().unwrap().to_owned();
    let texts = write(home.path(), "texts.jsonl", &texts());
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let student = |out: &str, checkpoint: &str, steps: &str| {
        let mut distil = command(&["distil", "--teacher", &teacher, "--text", &texts, "--ffn-width", "96"]);
        distil.args(["--tokens", "128", "--longest", "16", "--steps", steps, "--out", out]);
        distil.args(["--checkpoint", checkpoint, "--source", "our own", "--json"]);
        run_within(Duration::from_secs(120), distil, b"")
    };
    let (out, checkpoint) = (path("student.blindroute"), path("state"));
    let first = student(&out, &checkpoint, "3").json();
    assert_eq!((&first["texts"], &first["steps"]), (&40.into(), &3.into()));
    assert!(first["loss"]["embedding"].as_f64().unwrap() > 0.0);
    // A finished training has nothing left to do and gives the same bundle again.
    let again = student(&out, &checkpoint, "3").json();
    assert_eq!(again["digest"], first["digest"]);
    let other = student(&out, &checkpoint, "4");
    assert!(other.error().contains("belongs to a training with other options or texts"), "{}", other.stderr);
    let shown = run(&["bundle", "show", "--bundle", &out]);
    assert!(shown.stdout.contains("distilled on our own"), "{}", shown.stdout);
    assert!(shown.stdout.contains(&format!("digest    {}", first["digest"].as_str().unwrap())), "{}", shown.stdout);
    assert_eq!(run(&["bundle", "show", "--bundle", &out, "--json"]).json()["digest"], first["digest"]);

    let pairs = "{\"text\": \"a cat\", \"text2\": \"a cat\", \"label\": 5}\n{\"text\": \"a cat\", \"text2\": \"the law\", \"label\": 0}\n{\"text\": \"a cat\", \"text2\": \"cats\", \"label\": 3}\n";
    let pairs = write(home.path(), "pairs.jsonl", pairs);
    let found = run(&["similarity", "--bundle", &out, "--pairs", &pairs, "--json"]).json();
    assert_eq!((&found["pairs"], &found["bundle"]), (&3.into(), &first["digest"]));
    assert!(found["spearman"].as_f64().unwrap() > 0.4);
}

#[test]
fn a_pool_of_classifiers_is_trained_from_files() {
    let home = tempfile::tempdir().unwrap();
    let mut parts = Bundle::open(&harness::default_bundle()).unwrap().bundle.into_parts();
    parts.layers.truncate(2);
    parts.encoder.layers = 2;
    let from = home.path().join("two.blindroute");
    std::fs::write(&from, Bundle::new(parts).unwrap().write().unwrap()).unwrap();
    let line = |index: usize| {
        let word = ["sea", "law"][index % 2];
        serde_json::json!({"text": format!("the {word} of {index}"), "label": word}).to_string() + "\n"
    };
    let train = write(home.path(), "train.jsonl", &(0..100).map(line).collect::<String>());
    let test = write(home.path(), "test.jsonl", &(100..140).map(line).collect::<String>());
    let out = home.path().join("pool.blindroute").to_str().unwrap().to_owned();
    let pool = |task: &str, exits: &str| {
        let mut pool = command(&["train", "pool", "--from", from.to_str().unwrap(), "--task", task, "--exits", exits]);
        pool.args(["--steps", "30", "--tokens", "128", "--longest", "16", "--rate", "0.0005", "--out", &out]);
        pool.args(["--source", "our own", "--json"]);
        run_within(Duration::from_secs(120), pool, b"")
    };
    let report = pool(&format!("words={train},,{test}"), "1,2").json();
    let task = &report["tasks"][0];
    assert_eq!((&task["task"], &task["train"], &task["dev"]["texts"]), (&"words".into(), &90.into(), &10.into()));
    assert!(task["test"]["exits"][1].as_f64().unwrap() > 0.9, "{report}");
    let bundle = Bundle::open(Path::new(&out)).unwrap().bundle;
    assert_eq!(report["digest"], bundle.digest().to_string());
    assert!(bundle.parts().origin.ends_with("trained on our own"), "{}", bundle.parts().origin);
    assert_eq!(bundle.parts().pool.as_ref().unwrap().tasks[0].task.labels, ["law", "sea"]);

    let gains = &task["gains"][0];
    assert!(["learned", "spread", "gated"].contains(&gains["kind"].as_str().unwrap()), "{gains}");
    assert!(["learned", "spread", "gated"].iter().all(|rival| gains[rival].as_f64().unwrap() > 0.5), "{gains}");
    assert!(report["network"] == "loopback" && task["dev"]["chosen"]["seconds"].as_f64().unwrap() > 0.0, "{report}");

    // A gate that is trained with the layers is in the state of the training.
    let state = home.path().join("gated").to_str().unwrap().to_owned();
    let mut gated = command(&["train", "pool", "--from", from.to_str().unwrap(), "--task", &format!("words={train}")]);
    gated.args(["--exits", "1,2", "--gated", "--cost", "0.5", "--steps", "2", "--tokens", "128", "--longest", "16"]);
    gated.args(["--checkpoint", &state, "--out", &format!("{state}.blindroute"), "--json"]);
    assert_eq!(run_within(Duration::from_secs(120), gated, b"").json()["tasks"][0]["task"], "words");
    let names =
        |path: &str| String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains("task.words.gate.0.weight");
    assert!(names(&state) && !names(&format!("{out}.checkpoint")));

    // The router alone, for servers that are far from each other, on scores that are rounded.
    let second = home.path().join("router.blindroute").to_str().unwrap().to_owned();
    let router = |task: &str, rest: &[&str]| {
        let mut router = command(&["train", "pool-router", "--from", &out, "--task", task, "--out", &second]);
        router.args(["--longest", "16", "--source", "the same"]).args(rest);
        run_within(Duration::from_secs(120), router, b"")
    };
    let words = format!("words={train},,{test}");
    let near = router(&words, &["--json"]).json();
    assert_eq!(near["tasks"], report["tasks"], "{near}");
    let other = router(&words, &["--network", "wan", "--json"]);
    assert!(other.error().contains("belongs to a training with other options or texts"), "{}", other.stderr);
    std::fs::remove_file(format!("{second}.checkpoint")).unwrap();
    let table = router(&words, &["--network", "wan", "--mix", "0.7,0.3"]);
    assert!(table.stdout.contains("gain after 1 layers: learned ") && table.stdout.contains("ms on wan per text"));
    let trained = Bundle::open(Path::new(&second)).unwrap().bundle;
    assert_eq!(trained.parts().layers, bundle.parts().layers);
    assert!(trained.parts().origin.ends_with("pool router (words, for wan): trained on the same"));
    let wrong = router("other=x", &[]);
    assert!(wrong.error().contains("no task \"other\", expected one of words"), "{}", wrong.stderr);
    let wrong = router(&words, &["--network", "moon"]);
    assert!(wrong.stderr.contains("expected loopback, lan, metro or wan"), "{}", wrong.stderr);
    let wrong = router(&words, &["--mix", "1,1", "--checkpoint", &format!("{second}.other")]);
    assert!(wrong.stderr.contains("expected 2 numbers from 0 to 1 with the sum 1"), "{}", wrong.stderr);
    let wrong = router(&words, &["--lambda=-1"]);
    assert!(wrong.error().contains("unsupported --lambda -1"), "{}", wrong.stderr);

    a_cheaper_pool(home.path(), &from, (&out, &words));

    let wrong = pool(&format!("words={train}"), "1,3");
    assert!(wrong.error().contains("list of the pool's exits"), "{}", wrong.stderr);
    let wrong = pool(&train, "1,2");
    assert!(wrong.error().contains("expected NAME=TRAIN.jsonl[,DEV.jsonl[,TEST.jsonl]]"), "{}", wrong.stderr);
}

/// A table of `count` prompts in which the prompt's kind decides which of two models is right.
fn table(folder: &Path, count: usize, prompt: &dyn Fn(usize, &str) -> String) -> String {
    let folder = folder.join("table");
    std::fs::create_dir(&folder).unwrap();
    let (mut prompts, mut outcomes) = (String::new(), "id,small,large\n".to_owned());
    for index in 0..count {
        let text = [format!("what is {index} plus {index}"), format!("translate the word number {index}")];
        let (text, split) = (prompt(index, &text[index % 2]), ["train", "valid", "test"][index / 2 % 3]);
        let line = serde_json::json!({"id": index.to_string(), "prompt": text, "source": "", "split": split});
        writeln!(prompts, "{line}").unwrap();
        writeln!(outcomes, "{index},{},{}", 1 - index % 2, index % 2).unwrap();
    }
    write(&folder, "prompts.jsonl", &prompts);
    write(&folder, "outcomes.csv", &outcomes);
    let models = [("small", 1), ("large", 4)]
        .map(|(name, cost)| serde_json::json!({"name": name, "cost": cost, "cost_unit": "USD"}));
    write(&folder, "models.json", &serde_json::Value::from(models.to_vec()).to_string());
    folder.to_str().unwrap().to_owned()
}

/// PPRoute's three stages: a head on the teacher, the student with it, and the head on the student.
#[test]
fn a_student_is_taught_to_route_in_three_stages() {
    let home = tempfile::tempdir().unwrap();
    let encoder = small_bundle(home.path()).to_str().unwrap().to_owned();
    let (texts, table) =
        (write(home.path(), "texts.jsonl", &texts()), table(home.path(), 60, &|_, text| text.to_owned()));
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (teacher, student, tuned) = (path("teacher.blindroute"), path("student.blindroute"), path("tuned.blindroute"));
    let train_of = |kind: &str, bundle: &str, out: &str, rest: &[&str]| {
        let common = ["train", kind, "--data", &table, "--bundle", bundle, "--out", out, "--json"];
        run_within(Duration::from_secs(120), command(&[&common[..], rest].concat()), b"")
    };
    let train =
        |bundle: &str, out: &str, rest: &[&str]| train_of("cscr", bundle, out, &[&["--passes", "2"], rest].concat());
    train(&encoder, &teacher, &["--descriptor", "2"]).json();
    let distil = |teacher: &str, rest: &[&str]| {
        let common = ["distil", "--teacher", teacher, "--text", &texts, "--ffn-width", "96", "--tokens", "128"];
        let common = [&common[..], &["--longest", "16", "--steps", "3", "--out", &student, "--json"]].concat();
        run_within(Duration::from_secs(120), command(&[&common[..], rest].concat()), b"")
    };
    let taught = distil(&teacher, &["--routing", &table, "--trust", "0.5"]).json();
    // It may be below 0: the cheap models' part of the sum counts more above the line than below.
    assert!(taught["loss"]["routing"].is_f64(), "{taught}");
    let found = train(&student, &tuned, &["--fine-tune", "cscr"]).json();
    assert_eq!((&found["router"], &found["chosen"]["descriptor"]), (&"cscr".into(), &2.into()));

    assert!(distil(&encoder, &["--routing", &table]).error().contains("is for other models than the data set"));
    assert!(distil(&teacher, &["--routing", &table, "--beta", "0"]).error().contains("above 0"));
    assert!(train(&student, &tuned, &["--fine-tune", "none"]).error().contains("no router \"none\""));

    // A UniRoute router keeps the clusters of the teacher's.
    train_of("uniroute", &encoder, &teacher, &["--k", "3"]).json();
    let kept = train_of("uniroute", &student, &tuned, &["--fine-tune", "uniroute", "--from", &teacher]).json();
    assert_eq!(kept["chosen"]["clusters"], 3, "{kept}");
    let centroids = |file: &str| {
        let bundle = Bundle::open(Path::new(file)).unwrap().bundle;
        match &bundle.router(Some("uniroute")).unwrap().rule {
            Rule::UniRoute(rule) => rule.centroids.clone(),
            _ => panic!("it is another kind"),
        }
    };
    assert_eq!(centroids(&tuned), centroids(&teacher));
    let both =
        train_of("uniroute", &student, &tuned, &["--fine-tune", "uniroute", "--from", &teacher, "--lexical", "1"]);
    assert!(both.error().contains("weights of lexical features do not fit a router that continues"), "{}", both.stderr);
    let other = train(&tuned, &tuned, &["--fine-tune", "uniroute"]);
    assert!(
        other.error().contains("is of kind uniroute: name a router of the kind that is trained"),
        "{}",
        other.stderr
    );
}

/// The question is at the end: only `tail` reads it.
#[test]
fn the_best_window_on_valid_is_stored_and_what_the_set_teaches_is_said() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).to_str().unwrap().to_owned();
    // Beginnings of seven kinds, which have nothing to do with the question.
    let examples = "one more example. ".repeat(70);
    let table = table(home.path(), 24, &|index, text| format!("{} {examples}{text}", index % 7));
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (out, embeddings) = (path("tail.blindroute"), path("tail.embeddings"));
    let train = |bundle: &str, rest: &[&str]| {
        let common = ["train", "direct", "--data", &table, "--bundle", bundle, "--out", &out];
        let all = [&common[..], &["--embeddings", &embeddings], rest].concat();
        run_within(Duration::from_secs(120), command(&all), b"")
    };
    let ran = train(&bundle, &["--window", "head,tail", "--lexical", "0", "--json"]);
    assert!(ran.stderr.contains("cscr was trained with another window than tail and is left out"), "{}", ran.stderr);
    let found = ran.json();
    assert_eq!((&found["reads"]["window"], &found["tried"][0]["window"]), (&"tail".into(), &"head".into()));
    let area = |place: usize| found["tried"][place]["area"].as_f64().unwrap();
    assert!(area(1) > area(0) + 0.1, "{found}");
    let reading = serde_json::json!({"window": "tail", "prompts": 24, "truncated": 24, "distinct": 24});
    assert_eq!(found["set"]["reading"], reading);
    // There is one source, so it knows no more than the models' means.
    assert_eq!(found["set"]["source_only"][1]["sources"], 1);
    let shown = run(&["bundle", "show", "--bundle", &out]).stdout;
    assert!(shown.contains("up to 256 tokens, window tail") && shown.contains("routers   1"), "{shown}");

    // Words tell the two kinds of prompts apart as well: features of them are tried, and are in the bundle if they are better.
    let found = train(&out, &["--lexical", "0,0.5,1", "--json"]).json();
    let tried = found["tried"].as_array().unwrap();
    let scale = |trial: &serde_json::Value| trial["lexical"]["scale"].as_f64();
    let scales: Vec<_> = tried.iter().map(scale).collect();
    assert!(scales[0].is_none() && (2.0 * scales[1].unwrap() - scales[2].unwrap()).abs() < 1e-3, "{found}");
    let best = tried.iter().map(|trial| trial["area"].as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(found["reads"]["area"], best);
    let features = run(&["bundle", "show", "--bundle", &out, "--json"]).json()["routers"][0]["lexical"].clone();
    assert_eq!(features, found["reads"]["lexical"]);
    let text = train(&out, &["--lexical", "1"]).stdout;
    assert!(text.contains("window tail, 269 lexical features of scale "), "{text}");
    assert!(run(&["bundle", "show", "--bundle", &out]).stdout.contains("with 269 lexical features"));
    assert!(
        train(&out, &["--lexical", "1,-1"])
            .error()
            .contains("a weight of lexical features is -1, expected numbers of 0 or more")
    );

    // Without the option, the bundle's window stays.
    let text = train(&out, &[]).stdout.replace("\n  ", " ");
    let says = "data set: 24 prompts, 24 truncated to their last 256 tokens, 24 different token sequences\narea on train and valid: ";
    assert!(text.contains(says) && text.contains("warning: 24 of 24 prompts have more than 256 tokens"), "{text}");
    assert!(run(&["bundle", "show", "--bundle", &out]).stdout.contains("window tail"));

    // Long lines are broken.
    let check = run(&["data", "check", "--data", &table]).stdout.replace("\n  ", " ");
    let says =
        "24 truncated to their first 256 tokens, 7 different token sequences, with window tail 24, with window both 24";
    assert!(check.contains(says), "{check}");
    assert!(check.contains("users put their question at the end: try `train --window head,tail,both`"), "{check}");
    assert!(check.contains("only 7 different token sequences in their first 256 tokens"), "{check}");
    let check = run(&["data", "check", "--data", &table, "--bundle", &out, "--json"]).json();
    assert_eq!((&check["readings"][0], &check["readings"][1]["distinct"]), (&reading, &7.into()));
    assert_eq!(check["source_only"]["split"], "valid");

    let eval = ["eval", "--data", &table, "--bundle", &out, "--embeddings", &embeddings, "--bootstrap", "0"];
    let text = run_within(Duration::from_secs(120), command(&eval), b"").stdout;
    assert!(text.contains("  source only ") && text.contains("8 prompts, 8 truncated to their last 256"), "{text}");
    let eval = run_within(Duration::from_secs(120), command(&[&eval[..], &["--json"]].concat()), b"").json();
    assert_eq!(eval["about"]["readings"][0]["distinct"], 8);
}

#[test]
fn a_calibration_is_made_and_used() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).to_str().unwrap().to_owned();
    let mut lines = String::new();
    for index in 0..40 {
        let prompt = ["prove that", "who wrote", "translate", "write code for"][index % 4];
        writeln!(lines, "{}", serde_json::json!({"prompt": format!("{prompt} number {index}")})).unwrap();
    }
    let prompts = write(home.path(), "prompts.jsonl", &lines);
    let out = home.path().join("calibration.json").to_str().unwrap().to_owned();
    let calibrate = |rest: &[&str]| {
        let common = ["calibrate", "--bundle", &bundle, "--prompts", &prompts, "--router", "direct", "--out", &out];
        run(&[&common[..], rest].concat())
    };
    let found = calibrate(&["--cost", "0.6", "--tolerance", "0.5", "--json"]).json();
    assert_eq!((&found["version"], &found["prompts"], &found["router"]), (&1.into(), &40.into(), &"direct".into()));
    assert!(found["cost"]["value"].as_f64().unwrap() <= 0.6);
    let lambda = found["lambda"]["value"].as_f64().unwrap();

    let route = |router: &str| {
        run(&[
            "route",
            "--placement",
            "local",
            "--bundle",
            &bundle,
            "--router",
            router,
            "--calibration",
            &out,
            "--json",
            "hi",
        ])
    };
    assert!((route("direct").json()["lambda"].as_f64().unwrap() - lambda).abs() < 1e-6);
    assert!(route("uniroute").error().contains("the calibration is for the router \"direct\", expected \"uniroute\""));

    std::fs::remove_file(&out).unwrap();
    let narrow = calibrate(&["--cost", "0.6", "--tolerance", "0.0001"]);
    assert!(narrow.error().contains("not enough data: with 40 different prompts"), "{}", narrow.stderr);
    assert!(calibrate(&["--score", "0.5"]).error().contains("needs the score of each model on each prompt"));
    assert!(calibrate(&["--cost", "2"]).error().contains("the target cost is 2, expected a number from 0 to 1"));
    assert!(!Path::new(&out).exists(), "a refusal writes nothing");
}

#[test]
fn bad_texts_and_options_are_refused_before_any_training() {
    let home = tempfile::tempdir().unwrap();
    let teacher = small_bundle(home.path()).to_str().unwrap().to_owned();
    let out = home.path().join("student.blindroute").to_str().unwrap().to_owned();
    let good = write(home.path(), "texts.jsonl", &texts());
    let broken = write(home.path(), "broken.jsonl", "{\"text\": \"a\"}\nsecret canary\n");
    let few = write(home.path(), "few.jsonl", "{\"text\": \"a\"}\n");
    let refused = |text: &str, rest: &[&str]| {
        let common = ["distil", "--teacher", &teacher, "--out", &out, "--text", text];
        let ran = run(&[&common[..], rest].concat());
        assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
        ran.error().to_owned()
    };
    assert!(refused(&broken, &[]).contains("line 2: it is not a JSON object"));
    assert!(refused(&few, &[]).contains("1 different texts to learn from"));
    assert!(refused(&good, &["--layers", "2"]).contains("number of layers is 2, expected from 1 to 1"));
    assert!(refused(&good, &["--rate", "0"]).contains("unsupported --rate 0: expected a number above 0"));
    assert!(refused(&good, &["--longest", "100", "--tokens", "100"]).contains("--tokens at least twice that"));
}

/// Makes a cheaper pool of `out`, with its task `words`. The bundle `from` has no pool.
fn a_cheaper_pool(home: &Path, from: &Path, (out, words): (&str, &str)) {
    let cheaper = home.join("slim.blindroute").to_str().unwrap().to_owned();
    let slim = |rest: &[&str]| {
        let mut slim = command(&["train", "pool-slim", "--from", out, "--task", words, "--out", &cheaper]);
        slim.args(["--longest", "16", "--tokens", "128", "--rounds", "1", "--changes", "1", "--steps", "2"]);
        slim.args(["--source", "the same"]).args(rest);
        run_within(Duration::from_secs(240), slim, b"")
    };
    let found = slim(&["--beta", "4", "--dev", "8", "--json"]).json();
    let slimmed = &found["report"];
    let seconds = |score: &serde_json::Value| score["cost"]["seconds"].as_f64().unwrap();
    assert!(seconds(&slimmed["end"]) < seconds(&slimmed["start"]), "{found}");
    assert_eq!((slimmed["accepted"].as_array().unwrap().len(), &found["network"]), (1, &"loopback".into()));
    let trained = Bundle::open(Path::new(&cheaper)).unwrap().bundle;
    assert_eq!(found["digest"], trained.digest().to_string());
    assert!(trained.parts().origin.ends_with("pool made cheaper (words, for loopback): trained on the same"));
    // Everything is in the state already, so this is the same again.
    let text = slim(&["--beta", "4", "--dev", "8"]).stdout;
    assert!(text.contains(found["digest"].as_str().unwrap()), "{text}");
    for says in ["each change alone", "stored with 6 bits", "accepted, each after", "softmax attention, GELU", "routed"]
    {
        assert!(text.contains(says), "{says}: {text}");
    }
    let wrong = slim(&["--beta", "0"]);
    assert!(wrong.error().contains("the weight of the cost is 0, expected a number above 0"), "{}", wrong.stderr);
    let wrong = slim(&["--dev", "0"]);
    assert!(wrong.stderr.contains("unsupported --dev 0"), "{}", wrong.stderr);
    let mut none =
        command(&["train", "pool-slim", "--from", from.to_str().unwrap(), "--task", words, "--out", &cheaper]);
    none.args(["--longest", "16"]);
    let none = run_within(Duration::from_secs(120), none, b"");
    assert!(none.error().contains("the bundle has no pool of classifiers"), "{}", none.stderr);
}
