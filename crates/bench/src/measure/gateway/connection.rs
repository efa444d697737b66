//! A caller of Chat Completions that keeps its connection.

use super::message::{Message, Side};
use super::{Form, TEXT};
use anyhow::{Context, bail};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bytes of a request.
pub(crate) struct Request(Vec<u8>);

/// One call's times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// From the request's first byte to the answer's last.
    pub(crate) latency: Duration,
    /// Of that the route, as the gateway says.
    pub(crate) route: Duration,
}

/// A connection to one address.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    /// How often the other side had closed it between two calls.
    pub(crate) closed: usize,
}

impl Request {
    /// A question for a model. Questions differ by their number, so that each begins a conversation of its own.
    pub(crate) fn new(address: SocketAddr, model: &str, form: Form, number: usize) -> Self {
        let question = format!("Question {number}: what is the capital of France?");
        let body = serde_json::json!({
            "model": model, "messages": [{"role": "user", "content": question}], "stream": form == Form::Stream,
        });
        Self::post(address, "/v1/chat/completions", &body.to_string())
    }

    fn post(address: SocketAddr, path: &str, body: &str) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nauthorization: Bearer none\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        Self((head + body).into_bytes())
    }

    /// A page.
    pub(crate) fn get(address: SocketAddr, path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes())
    }
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: Vec::new(), closed: 0 }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// If there is no answer. A connection that the other side closed before is opened anew.
    pub(crate) fn send(&mut self, request: &Request) -> anyhow::Result<(Message, Duration)> {
        let had_one = self.stream.is_some();
        match self.once(request) {
            Err(_) if had_one => {
                self.closed += 1;
                self.once(request)
            }
            answer => answer,
        }
        .with_context(|| format!("no answer from {}", self.address))
    }

    fn once(&mut self, request: &Request) -> anyhow::Result<(Message, Duration)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                self.buffer.clear();
                stream
            }
        };
        let begun = Instant::now();
        stream.write_all(&request.0)?;
        let answer = Message::read(&mut stream, &mut self.buffer, Side::Caller)?;
        let latency = begun.elapsed();
        let answer = answer.context("the connection was closed")?;
        if answer.keeps() {
            self.stream = Some(stream);
        }
        Ok((answer, latency))
    }

    /// Calls once, and checks the answer.
    ///
    /// # Errors
    /// If there is no answer, or it is not the mock's.
    pub(crate) fn call(&mut self, request: &Request, form: Form) -> anyhow::Result<Sample> {
        let (answer, latency) = self.send(request)?;
        let text = text(&answer, form).with_context(|| {
            let why = answer.header("x-blindroute-why").unwrap_or("not said");
            format!(
                "{} answered with status {}, why: {why}, which is not the mock's answer",
                self.address, answer.status
            )
        })?;
        anyhow::ensure!(text == TEXT, "{} answered another text than the mock's", self.address);
        if let Some(why @ "default") = answer.header("x-blindroute-why") {
            bail!(
                "the gateway answered without a route ({why}): look at its log with -v, or ask for fewer --connections"
            );
        }
        let route =
            answer.header("x-blindroute-route-ms").map_or(Ok(0.0), str::parse).context("the time of a route")?;
        Ok(Sample { latency, route: Duration::try_from_secs_f64(route / 1000.0)? })
    }
}

/// The text of an answer; nothing if it is no whole answer.
fn text(answer: &Message, form: Form) -> Option<String> {
    let content = |body: &[u8], of: &str| {
        let value: serde_json::Value = serde_json::from_slice(body).ok()?;
        Some(value["choices"][0][of]["content"].as_str().unwrap_or_default().to_owned())
    };
    if answer.status != 200 {
        return None;
    }
    if form == Form::Whole {
        return content(&answer.body, "message");
    }
    let events = std::str::from_utf8(&answer.body).ok()?;
    let data: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let (last, deltas) = data.split_last()?;
    (*last == "[DONE]").then(|| deltas.iter().filter_map(|data| content(data.as_bytes(), "delta")).collect())
}
