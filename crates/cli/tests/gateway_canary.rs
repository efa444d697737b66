//! A word of a prompt and one of an answer are looked for wherever they must not be: in logs, pages, files, and in the memory of the
//! servers and the dealer. Only the gateway's own memory holds them.
//!
//! A program of its own, because reading all memory keeps the processor from the gateways of other tests, which have deadlines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod harness;

use blindroute_placement::PrivateRouter;
use blindroute_routing::bundle::Bundle;
use harness::{Process, children, command, default_bundle, nowhere_in_files, wait_for};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// In prompts and in answers.
const WORDS: [&str; 2] = ["Xylophonquist7719canary", "Zwieselbrunft4283canary"];

/// A provider on a thread of its own. It refuses a request with the word "fail", and holds one with the word "hold" until the test ends.
struct Provider {
    address: String,
    holds: Arc<AtomicBool>,
}

impl Provider {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let provider = Self { address: listener.local_addr().unwrap().to_string(), holds: Arc::default() };
        let holds = Arc::clone(&provider.holds);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let holds = Arc::clone(&holds);
                std::thread::spawn(move || answer(&mut stream, &holds));
            }
        });
        provider
    }
}

fn answer(stream: &mut TcpStream, holds: &AtomicBool) {
    let request = message(stream);
    assert!(request.contains(WORDS[0]), "the provider gets the prompt");
    let said = WORDS[1];
    let (status, kind, body) = if request.contains("hold") {
        holds.store(true, Ordering::SeqCst);
        while stream.read(&mut [0; 64]).is_ok_and(|size| size > 0) {}
        return;
    } else if request.contains("fail") {
        (400, "application/json", format!(r#"{{"error":{{"message":"{said}","type":"invalid_request_error"}}}}"#))
    } else if request.contains("\"stream\":true") {
        let event = |delta: &str, reason: &str| {
            format!(
                "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{{\"index\":0,\
                 \"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
            )
        };
        let first = event(&format!(r#"{{"role":"assistant","content":"{said}"}}"#), "null");
        (200, "text/event-stream", first + &event("{}", "\"stop\"") + "data: [DONE]\n\n")
    } else {
        let message = format!(r#"{{"role":"assistant","content":"{said}"}}"#);
        let choice = format!(r#"{{"index":0,"message":{message},"finish_reason":"stop"}}"#);
        let usage = r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#;
        let body = format!(
            r#"{{"id":"c","object":"chat.completion","created":7,"model":"m","choices":[{choice}],"usage":{usage}}}"#
        );
        (200, "application/json", body)
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok();
}

/// One message with a length.
fn message(stream: &mut TcpStream) -> String {
    let (mut read, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0usize) {
                return text;
            }
        }
        match stream.read(&mut part) {
            Ok(size) if size > 0 => read.extend_from_slice(&part[..size]),
            _ => return text,
        }
    }
}

/// Sends a request, without waiting for the answer.
fn send(address: &str, path: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(MINUTE)).unwrap();
    let method = if body.is_empty() { "GET" } else { "POST" };
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream
}

fn ask(address: &str, path: &str, body: &str) -> String {
    let mut told = String::new();
    send(address, path, body).read_to_string(&mut told).unwrap();
    told
}

struct Running {
    process: Process,
    address: String,
    home: tempfile::TempDir,
}

impl Running {
    /// A gateway with all logs, which keeps everything below a folder of its own.
    fn start(provider: &Provider) -> Self {
        let home = tempfile::tempdir().unwrap();
        let models = Bundle::open(&default_bundle()).unwrap().bundle.into_parts().models;
        let pool: Vec<_> = models.into_iter().map(|model| serde_json::Value::from(model.name)).collect();
        let text = format!(
            "data = \"data\"\n[route]\ndeadline = \"60s\"\non_failure = \"error\"\nready = 1\n[retries]\nattempts = 1\n\
             [[provider]]\nname = \"mock\"\ndialects = [\"chat\"]\nbase_url = \"http://{}/v1\"\n\
             [[model]]\nname = \"m\"\nprovider = \"mock\"\npool = {}\ninput = 1\noutput = 2\nmax_output = 100\n",
            provider.address,
            serde_json::Value::from(pool)
        );
        std::fs::write(home.path().join("gateway.toml"), text).unwrap();
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let mut gateway = command(&["gateway", "-vv", "--config", "gateway.toml", "--listen", "127.0.0.1:0", "--json"]);
        gateway.current_dir(home.path()).env("TMPDIR", home.path()).env("XDG_DATA_HOME", home.path());
        gateway.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut process = Process(gateway.spawn().unwrap());
        let line = process.first_line(2 * MINUTE);
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self { process, address: ready["listening"].as_str().unwrap().to_owned(), home }
    }

    /// Asks in several ways, and checks that each request and answer went where it should.
    fn converse(&self) {
        let prompt = |extra: &str| format!("Please tell me about {} in one sentence{extra}.", WORDS[0]);
        let chat = |extra: &str, stream: bool| {
            serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": prompt(extra)}], "stream": stream})
                .to_string()
        };
        for stream in [false, true] {
            let told = ask(&self.address, "/v1/chat/completions", &chat("", stream));
            assert!(told.contains(WORDS[1]) && told.contains("x-blindroute-placement: full"), "{told}");
        }
        let messages = serde_json::json!({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": prompt("")}]});
        let told = ask(&self.address, "/v1/messages", &messages.to_string());
        assert!(told.contains(WORDS[1]) && told.contains("\"type\":\"message\""), "{told}");
        // Errors: of the provider, of a body that is no JSON, of a model that is none.
        let told = ask(&self.address, "/v1/chat/completions", &chat(", and fail", false));
        assert!(
            told.starts_with("HTTP/1.1 400 ") && told.contains(WORDS[1]),
            "the caller reads what its provider said: {told}"
        );
        for wrong in [chat("", false).replace('}', ""), chat("", false).replace("auto", WORDS[0])] {
            let told = ask(&self.address, "/v1/chat/completions", &wrong);
            assert!(told.starts_with("HTTP/1.1 4"), "{told}");
            assert!(!told.contains("canary"), "{told}");
        }
        let told = ask(&self.address, "/v1/route", &chat("", false));
        assert!(told.starts_with("HTTP/1.1 200 ") && !told.contains("canary"), "{told}");
    }
}

/// The word as bytes, and as ids of tokens in the forms that programs hold them in.
fn needles() -> Vec<Vec<u8>> {
    let router = PrivateRouter::local(&Bundle::open(&default_bundle()).unwrap().bundle).unwrap();
    let ids = router.tokens(WORDS[0]).unwrap().ids;
    // Without the marks of the beginning and the end.
    let ids = &ids[1..ids.len() - 1];
    assert!(ids.len() >= 5, "{ids:?}");
    let small = WORDS[0].to_lowercase();
    let mut needles: Vec<Vec<u8>> = WORDS.iter().map(|word| word.as_bytes().to_vec()).collect();
    needles.push(small.into_bytes());
    needles.push(ids.iter().flat_map(|id| id.to_le_bytes()).collect());
    needles.push(ids.iter().flat_map(|id| u64::from(*id).to_le_bytes()).collect());
    needles.push(ids.iter().flat_map(|id| (*id as f32).to_le_bytes()).collect());
    needles
}

/// Which of these a process holds; nothing if there is no `gcore`.
fn held(process: u32, folder: &Path, needles: &[Vec<u8>]) -> Option<Vec<usize>> {
    let prefix = folder.join("core");
    let ran = Command::new("gcore").arg("-o").arg(&prefix).arg(process.to_string()).output().ok()?;
    let core = PathBuf::from(format!("{}.{process}", prefix.display()));
    assert!(core.is_file(), "gcore: {}", String::from_utf8_lossy(&ran.stderr));
    let bytes = std::fs::read(&core).unwrap();
    std::fs::remove_file(&core).unwrap();
    assert!(bytes.len() > 10 << 20, "a core of {} bytes", bytes.len());
    Some(found(&bytes, needles))
}

/// The size of a page of memory.
const PAGE: usize = 4096;

/// Which needles are in the bytes, in one pass: most bytes of a core begin none.
fn found(bytes: &[u8], needles: &[Vec<u8>]) -> Vec<usize> {
    // Each is looked for by its first byte that is not zero, of which memory is full.
    let anchor = |needle: &[u8]| needle.iter().position(|byte| *byte != 0).unwrap();
    let mut anchors = [false; 256];
    needles.iter().for_each(|needle| anchors[usize::from(needle[anchor(needle)])] = true);
    let mut found = vec![false; needles.len()];
    // Most of the pages of a core were never used.
    for (page, part) in bytes.chunks(PAGE).enumerate().filter(|(_, part)| part.iter().any(|byte| *byte != 0)) {
        for (at, byte) in part.iter().enumerate().filter(|(_, byte)| anchors[usize::from(**byte)]) {
            for (needle, found) in needles.iter().zip(&mut found) {
                let (at, offset) = (page * PAGE + at, anchor(needle));
                let here = needle[offset] == *byte && at >= offset;
                *found |= here && bytes[at - offset..].starts_with(needle);
            }
        }
    }
    (0..needles.len()).filter(|at| found[*at]).collect()
}

#[test]
fn words_and_tokens_are_found_in_bytes() {
    let needles = needles();
    for (at, needle) in needles.iter().enumerate() {
        let mut bytes = vec![0; 999];
        // Across the end of a page.
        bytes.resize(2 * PAGE - needle.len() / 2, 0);
        bytes.extend(needle);
        assert_eq!(found(&bytes, &needles), [at]);
        bytes.pop();
        assert_eq!(found(&bytes, &needles), [0; 0]);
    }
}

#[test]
fn case_30_a_canary_of_a_prompt_and_one_of_an_answer_are_nowhere_but_in_the_gateways_memory() {
    let provider = Provider::start();
    let mut running = Running::start(&provider);
    let parties = children(running.process.0.id());
    assert_eq!(parties.len(), 3);
    running.converse();
    for page in ["/metrics", "/", "/readyz", "/v1/models"] {
        let told = ask(&running.address, page, "");
        assert!(told.starts_with("HTTP/1.1 200 "), "{page}: {told}");
        assert!(!told.to_lowercase().contains("canary"), "{page}: {told}");
    }
    let log = || std::fs::read_to_string(running.home.path().join("log")).unwrap();
    wait_for("the servers' logs", MINUTE, || log().contains("served"));
    // While a call is under way, so that the gateway has the prompt: then the search is seen to find it.
    let body = format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"{}, hold"}}]}}"#, WORDS[0]);
    let held_call = send(&running.address, "/v1/chat/completions", &body);
    wait_for("the call that is held", MINUTE, || provider.holds.load(Ordering::SeqCst));
    let (cores, needles) = (tempfile::tempdir().unwrap(), needles());
    match held(running.process.0.id(), cores.path(), &needles) {
        None => println!("skipped: there is no gcore, so memory was not looked at"),
        Some(found) => {
            assert!(found.contains(&0), "the gateway holds the prompt that it passes on: {found:?}");
            for party in &parties {
                assert_eq!(held(*party, cores.path(), &needles), Some(Vec::new()), "process {party}: {}", log());
            }
        }
    }
    drop(held_call);
    running.process.signal("TERM");
    // Its own end too: until then it removes files of its record.
    assert!(running.process.ended(MINUTE).is_some());
    harness::all_gone(&parties, MINUTE);
    let log = log().to_lowercase();
    // Numbers as whole words: the digits of a time of day may hold any of them.
    let words: Vec<&str> = log.split(|sign: char| !sign.is_ascii_alphanumeric()).collect();
    assert!(!log.contains("xylophon") && !words.contains(&"7719") && !words.contains(&"4283"), "{log}");
    for word in WORDS {
        assert!(nowhere_in_files(running.home.path(), word) >= 3);
    }
}
