//! Fingerprints through a mock endpoint, and models that join a pool.

use crate::harness::{self, command, run, run_within, small_bundle, write};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An endpoint that speaks as much of OpenAI's protocol as fingerprints need. `gruff` and `kind` answer differently,
/// `mute` tells no probabilities, and nobody else is known. The first request of all fails, as busy endpoints do.
struct Mock {
    address: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Mock {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, seen) = (socket.unwrap(), Arc::clone(&seen));
                std::thread::spawn(move || serve(socket, &seen));
            }
        });
        Self { address, asked }
    }
}

/// Answers one connection's requests until it closes.
fn serve(socket: TcpStream, seen: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut writer = socket;
    loop {
        let (mut path, mut length, mut key) = (String::new(), 0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("post ") {
                path = rest.split(' ').next().unwrap().to_owned();
            } else if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.parse().unwrap();
            } else if let Some(rest) = line.strip_prefix("authorization: ") {
                key = rest.to_owned();
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let first = {
            let mut seen = seen.lock().unwrap();
            seen.push(json!({"path": path, "key": key, "body": body}));
            seen.len() == 1
        };
        let (status, answer) = if first { (503, json!({})) } else { answer(&path, &body) };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        writer.write_all(format!("{head}{answer}").as_bytes()).unwrap();
    }
}

fn answer(path: &str, body: &Value) -> (u16, Value) {
    let words = |text: &str| text.split(' ').count() as f64;
    if path.ends_with("/chat/completions") {
        let prompt = body["messages"][0]["content"].as_str().unwrap();
        let few = body["model"].as_str().unwrap().starts_with("few");
        if few && body["top_logprobs"].as_u64() > Some(5) {
            let detail = "top_logprobs must be between 0 and 5";
            return (400, json!({"error": {"message": detail, "type": "invalid_request_error"}}));
        }
        let (token, logprob) = match body["model"].as_str().unwrap() {
            "few" | "few too" => ("no", -0.3),
            "gruff" => ("no", -0.1 * words(prompt)),
            "kind" => ("yes", -0.2),
            "mute" => return (200, json!({"choices": [{"message": {"content": "hm"}, "logprobs": null}]})),
            _ => {
                let message = format!("there is no such model, and you asked {prompt}");
                return (404, json!({"error": {"message": message}}));
            }
        };
        let step = json!({"token": token, "logprob": logprob, "top_logprobs": [
            {"token": token, "logprob": logprob}, {"token": "well", "logprob": -2.0},
        ]});
        return (
            200,
            json!({"choices": [{"message": {"content": format!("{token} {prompt}")}, "logprobs": {"content": [step]}}]}),
        );
    }
    let text = body["prompt"].as_str().unwrap();
    assert_eq!((&body["echo"], &body["max_tokens"]), (&json!(true), &json!(0)));
    (200, json!({"choices": [{"logprobs": {"token_logprobs": [null, -words(text)]}}]}))
}

#[test]
fn fingerprints_are_measured_resumed_and_refused() {
    let home = tempfile::tempdir().unwrap();
    let mock = Mock::start();
    let probes = "{\"prompt\": \"canary one\"}\n{\"prompt\": \"canary number two\"}\n{\"prompt\": \"three\"}\n{\"prompt\": \"unseen\", \"split\": \"test\"}\n";
    let probes = write(home.path(), "probes.jsonl", probes);
    let out = home.path().join("fingerprints.json").to_str().unwrap().to_owned();
    let fingerprint = |rest: &[&str]| {
        let common = ["fingerprint", "--base-url", &mock.address, "--probes", &probes];
        let mut command = command(&[&common[..], rest].concat());
        command.env("MOCK_KEY", "sesame");
        let ran = run_within(Duration::from_secs(60), command, b"");
        assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
        ran
    };
    let read = |path: &str| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let first = fingerprint(&["--model", "gruff", "--api-key-env", "MOCK_KEY", "--out", &out, "--json"]).json();
    assert_eq!((&first["models"], &first["probes"]), (&json!(1), &json!(3)));
    {
        let asked = mock.asked.lock().unwrap();
        // Three probes, of which the first was asked again.
        assert_eq!(asked.len(), 4);
        assert_eq!((&asked[3]["path"], &asked[3]["key"]), (&json!("/v1/chat/completions"), &json!("bearer sesame")));
        assert_eq!(asked[3]["body"]["top_logprobs"], json!(20));
    }
    // The model that is there is not asked again.
    let second = fingerprint(&["--model", "gruff", "--model", "kind", "--out", &out, "--json"]).json();
    assert_eq!((&second["models"], &second["measured"]), (&json!(2), &json!(["kind"])));
    assert_eq!(mock.asked.lock().unwrap().len(), 7);
    let found = read(&out);
    let descriptor = |model: usize| -> Vec<f64> {
        let entries = found["models"][model]["descriptor"].as_array().unwrap();
        entries.iter().map(|entry| entry.as_f64().unwrap()).collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    assert!((dot(&descriptor(0), &descriptor(0)) - 1.0).abs() < 1e-6);
    // Both think of "well", each of a word of its own.
    let shared = dot(&descriptor(0), &descriptor(1));
    assert!((0.05..0.5).contains(&shared), "{shared}");

    let own = home.path().join("own.json").to_str().unwrap().to_owned();
    let judged = home.path().join("judged.json").to_str().unwrap().to_owned();
    let perplexity = ["--kind", "perplexity", "--model", "gruff"];
    fingerprint(&[&perplexity[..], &["--out", &own]].concat());
    let judge = ["--scorer-url", &mock.address, "--scorer-model", "judge", "--out", &judged];
    fingerprint(&[&perplexity[..], &judge].concat());
    for path in [&own, &judged] {
        // The longer the prompt, the more surprising its answer, for the mock itself and for its judge.
        let entries = read(path)["models"][0]["descriptor"].clone();
        let of = |probe: usize| entries[probe].as_f64().unwrap();
        assert!(of(1) > of(0) && of(0) > of(2), "{entries}");
    }

    let refused = |rest: &[&str]| fingerprint(rest).error().to_owned();
    assert!(refused(&["--model", "nobody", "--out", &out]).contains("answered 404; check the model's name"));
    assert!(refused(&["--model", "mute", "--out", &out]).contains("returned no token's probability"));
    assert!(refused(&["--model", "mute", "--tokens", "3", "--out", &out]).contains("measured with other probes"));
    assert!(refused(&["--model", "kind", "--most", "1", "--out", &own]).contains("expected at least 2"));
    assert_eq!(read(&out)["models"].as_array().unwrap().len(), 2, "a refusal loses nothing");
    let address = ["fingerprint", "--base-url", "ftp://x", "--model", "a", "--probes", &probes, "--out", &out];
    assert!(run(&address).error().contains("it must begin with https://"));
}

/// Some endpoints tell of five likely tokens at each place, where OpenAI's tells of twenty.
#[test]
fn an_endpoint_that_tells_of_fewer_tokens_is_asked_for_fewer() {
    let home = tempfile::tempdir().unwrap();
    let mock = Mock::start();
    let probes = write(home.path(), "probes.jsonl", "\u{feff}{\"prompt\": \"one\"}\n{\"prompt\": \"two words\"}\n");
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let fingerprint = |out: &str, rest: &[&str]| {
        let common = ["fingerprint", "--base-url", &mock.address, "--probes", &probes, "--out", out, "--json"];
        run_within(Duration::from_secs(60), command(&[&common[..], rest].concat()), b"")
    };
    let used = |ran: &harness::Ran| ran.json()["top_logprobs"].clone();
    let (few, many) = (path("few.json"), path("many.json"));
    let ran = fingerprint(&few, &["--model", "few"]);
    assert!(used(&ran) == json!(5) && ran.stderr.contains("allows fewer than 20 top_logprobs"), "{}", ran.stderr);
    let kept: Value = serde_json::from_slice(&std::fs::read(&few).unwrap()).unwrap();
    assert_eq!(kept["top_logprobs"], json!(5));
    // The file says how its other models are asked.
    assert_eq!(used(&fingerprint(&few, &["--model", "few too", "--model", "kind"])), json!(5));
    let asked = mock.asked.lock().unwrap().last().unwrap()["body"]["top_logprobs"].clone();
    assert_eq!(asked, json!(5));
    // What was measured with twenty does not go together with five.
    assert_eq!(used(&fingerprint(&many, &["--model", "kind"])), json!(20));
    let ran = fingerprint(&many, &["--model", "few"]);
    assert!(ran.error().contains("allows fewer than 20 top_logprobs; give a smaller --top-logprobs"), "{}", ran.stderr);
    let ran = fingerprint(&many, &["--model", "few", "--top-logprobs", "5"]);
    assert!(
        ran.error().contains("was measured with other probes, tokens, kind, scorer or top_logprobs"),
        "{}",
        ran.stderr
    );
    assert_eq!(used(&fingerprint(&path("three.json"), &["--model", "few", "--top-logprobs", "3"])), json!(3));
    let own = fingerprint(&path("own.json"), &["--model", "gruff", "--kind", "perplexity"]);
    assert_eq!(used(&own), Value::Null);
    assert!(fingerprint(&few, &["--model", "a\u{1b}b"]).error().contains("the name of a --model holds the control"));
}

/// A table of three models, of which the second answers what holds a letter, the third the rest.
fn table(folder: &Path, name: &str, models: usize) -> String {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    let names = ["gruff", "kind", "late"];
    let (mut prompts, mut outcomes) = (String::new(), format!("id,{}\n", names[..models].join(",")));
    for index in 0..90 {
        let text = if index % 2 == 0 {
            format!("what is {index} plus {index}")
        } else {
            format!("translate the word number {index}")
        };
        let split = ["train", "valid", "test"][index / 2 % 3];
        writeln!(prompts, "{}", json!({"id": index.to_string(), "prompt": text, "source": "made up", "split": split}))
            .unwrap();
        let scores = [0.3, f64::from(index as u32 % 2), f64::from(1 - index as u32 % 2)];
        let scores: Vec<String> = scores[..models].iter().map(f64::to_string).collect();
        writeln!(outcomes, "{index},{}", scores.join(",")).unwrap();
    }
    let list: Vec<Value> =
        (0..models).map(|model| json!({"name": names[model], "cost": 1 + model, "cost_unit": "USD"})).collect();
    write(&folder, "prompts.jsonl", &prompts);
    write(&folder, "models.json", &Value::from(list).to_string());
    write(&folder, "outcomes.csv", &outcomes);
    folder.to_str().unwrap().to_owned()
}

#[test]
fn a_model_joins_a_bundle_by_its_outcomes_or_its_fingerprint() {
    let home = tempfile::tempdir().unwrap();
    let encoder = small_bundle(home.path()).to_str().unwrap().to_owned();
    let (two, three) = (table(home.path(), "two", 2), table(home.path(), "three", 3));
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let descriptors = |count: usize| {
        let names = ["gruff", "kind", "late"];
        let rows = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let models: Vec<Value> =
            (0..count).map(|model| json!({"name": names[model], "descriptor": rows[model]})).collect();
        let file = json!({"format": "blindroute-fingerprints", "version": 1, "kind": "footprint", "probes": "00",
            "tokens": 1, "scorer": null, "models": models});
        write(home.path(), &format!("of-{count}.json"), &file.to_string())
    };
    let (of_two, of_three) = (descriptors(2), descriptors(3));
    let (outcome, given, joined) = (path("outcome.blindroute"), path("given.blindroute"), path("joined.blindroute"));
    let train = |router: &[&str], data: &str, bundle: &str, out: &str| {
        let common = ["--data", data, "--bundle", bundle, "--out", out, "--json"];
        run(&[&["train"], router, &common[..]].concat())
    };
    train(&["uniroute", "--k", "2"], &two, &encoder, &outcome).json();
    train(&["direct"], &two, &outcome, &outcome).json();
    train(&["cscr", "--descriptor", "2", "--passes", "2"], &two, &outcome, &outcome).json();
    let late = train(&["cscr", "--descriptors", &of_two], &three, &encoder, &given);
    assert!(late.error().contains("no fingerprint of \"late\""), "{}", late.stderr);
    let found = train(&["cscr", "--descriptors", &of_two, "--passes", "2"], &two, &encoder, &given).json();
    assert_eq!(found["chosen"]["descriptor"], json!(3));

    let add = |bundle: &str, data: &str, rest: &[&str]| {
        run(&[&["bundle", "add", "--bundle", bundle, "--data", data, "--out", &joined, "--json"], rest].concat())
    };
    let made = add(&outcome, &three, &[]).json();
    assert_eq!((&made["added"], &made["left_out"]), (&json!(["late"]), &json!(["direct"])));
    let route =
        run(&["route", "--placement", "local", "--bundle", &joined, "--lambda", "0", "--json", "what is 4 plus 4"]);
    assert_eq!(route.json()["model"], json!("late"), "{}", route.stdout);
    assert!(add(&given, &three, &["--descriptors", &of_three]).json()["digest"].is_string());

    assert!(add(&given, &three, &[]).error().contains("do not match the outcomes of this table and this seed"));
    assert!(add(&given, &three, &["--descriptors", &of_two]).error().contains("no fingerprint of \"late\""));
    assert!(add(&outcome, &two, &[]).error().contains("every model of the table is already in the bundle's pool"));
    assert!(add(&joined, &two, &[]).error().contains("has no model \"late\""));
}
