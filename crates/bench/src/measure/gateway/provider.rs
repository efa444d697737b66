//! A provider that is a mock: it answers every call of Chat Completions at once and alike, whole or as a stream.

use super::TEXT;
use super::message::{Message, Side};
use anyhow::Context;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// Its answers, written out before the first call.
struct Answers {
    whole: Vec<u8>,
    stream: Vec<u8>,
    /// A stream without the event that tells the usage.
    stream_alone: Vec<u8>,
    models: Vec<u8>,
}

/// Answers on this address until the program ends, one thread per connection; gives the address.
///
/// # Errors
/// If it cannot listen.
pub(crate) fn start(listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)
        .with_context(|| format!("cannot listen on {listen}: name another address with --upstream-listen"))?;
    let address = listener.local_addr()?;
    let answers = Arc::new(Answers::new());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answers = Arc::clone(&answers);
            // A connection that breaks ends its thread; the caller notices.
            std::thread::spawn(move || serve(stream, &answers).ok());
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, answers: &Answers) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(request) = Message::read(&mut stream, &mut buffer, Side::Provider)? {
        stream.write_all(answers.to(&request))?;
        if !request.keeps() {
            break;
        }
    }
    Ok(())
}

impl Answers {
    fn new() -> Self {
        let usage = serde_json::json!({"prompt_tokens": 14, "completion_tokens": 7, "total_tokens": 21});
        let whole = serde_json::json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "mock",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
            "usage": usage,
        });
        let chunk = |choices: serde_json::Value, usage: serde_json::Value| {
            let chunk = serde_json::json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "mock",
                "choices": choices, "usage": usage,
            });
            format!("data: {chunk}\n\n")
        };
        let delta = |delta: serde_json::Value, reason: Option<&str>| {
            let choice = serde_json::json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
            chunk(choice, serde_json::Value::Null)
        };
        let mut events = vec![delta(serde_json::json!({"role": "assistant", "content": ""}), None)];
        events.extend(TEXT.split_inclusive(' ').map(|word| delta(serde_json::json!({"content": word}), None)));
        events.push(delta(serde_json::json!({}), Some("stop")));
        let done = "data: [DONE]\n\n".to_owned();
        let alone = events.iter().chain([&done]).cloned().collect::<Vec<_>>();
        events.extend([chunk(serde_json::json!([]), usage), done]);
        Self {
            whole: written(whole.to_string().as_bytes()),
            stream: streamed(&events),
            stream_alone: streamed(&alone),
            models: written(br#"{"object":"list","data":[{"id":"mock","object":"model"}]}"#),
        }
    }

    fn to(&self, request: &Message) -> &[u8] {
        if !request.path.ends_with("/chat/completions") {
            return &self.models;
        }
        let asked: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (asked["stream"] == true, asked["stream_options"]["include_usage"] == true) {
            (false, _) => &self.whole,
            (true, true) => &self.stream,
            (true, false) => &self.stream_alone,
        }
    }
}

fn written(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn streamed(events: &[String]) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = events.iter().map(|event| format!("{:x}\r\n{event}\r\n", event.len()));
    [head.to_owned(), chunks.collect(), "0\r\n\r\n".to_owned()].concat().into_bytes()
}
