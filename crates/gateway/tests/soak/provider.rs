//! A provider that does with each call what the plan says, and notes it.

use crate::bench::{answer, events};
use crate::plan::{Deed, Manners, Plan};
use blindroute_dialects::Dialect;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A call as the provider saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted {
    pub(crate) model: &'static str,
    pub(crate) deed: Deed,
}

#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) base_url: String,
    calls: Arc<Mutex<HashMap<usize, Vec<Noted>>>>,
    holds: Arc<Mutex<HashMap<usize, Arc<Notify>>>>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let provider = Self { base_url, calls: Arc::default(), holds: Arc::default() };
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let provider = serving.clone();
                tokio::spawn(async move { provider.serve(stream).await });
            }
        });
        provider
    }

    /// All calls so far, in their order, by the request's number.
    pub(crate) fn calls(&self) -> HashMap<usize, Vec<Noted>> {
        self.calls.lock().unwrap().clone()
    }

    /// Is told when the provider holds the call of this request.
    pub(crate) fn holding(&self, id: usize) -> Arc<Notify> {
        Arc::clone(self.holds.lock().unwrap().entry(id).or_default())
    }

    pub(crate) fn forget_holding(&self, id: usize) {
        self.holds.lock().unwrap().remove(&id);
    }

    async fn serve(&self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut buffer = Vec::new();
        while let Some((dialect, body)) = request(&mut stream, &mut buffer).await {
            let (plan, deed) = self.note(&body);
            let answered = if plan.stream {
                self.streamed(&mut stream, plan, dialect, deed).await
            } else {
                self.whole(&mut stream, plan, dialect, deed).await
            };
            if !answered {
                return;
            }
        }
    }

    fn note(&self, body: &str) -> (Plan, Deed) {
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        let model = if value["model"] == "large-2026" { "best" } else { "next" };
        let id = body.split("request ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let (plan, mut calls) = (Plan::of(id), self.calls.lock().unwrap());
        let calls = calls.entry(id).or_default();
        let deed = plan.deed(calls.len());
        calls.push(Noted { model, deed });
        (plan, deed)
    }

    /// Says whether the connection can go on.
    async fn whole(&self, stream: &mut TcpStream, plan: Plan, dialect: Dialect, deed: Deed) -> bool {
        let body = worded(answer(dialect), plan, dialect);
        match deed {
            Deed::Good | Deed::Slow => {
                if deed == Deed::Slow {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
                send(stream, &head(200, "", &body)).await && send(stream, &body).await
            }
            Deed::Status(status) => refuse(stream, status).await,
            Deed::Truncated => {
                send(stream, &(head(200, "", &body) + &body[..body.len() / 2])).await;
                false
            }
            Deed::Stall => {
                send(stream, &(head(200, "", &body) + &body[..body.len() / 2])).await;
                closed(stream).await
            }
            Deed::ErrorEvent => {
                let error = r#"{"type":"error","error":{"message":"down","type":"api_error"}}"#;
                send(stream, &(head(200, "", error) + error)).await
            }
            Deed::Hold => self.hold(stream, plan).await,
            Deed::Reset | Deed::Silent | Deed::Cut | Deed::CleanEnd => reset(stream),
        }
    }

    async fn streamed(&self, stream: &mut TcpStream, plan: Plan, dialect: Dialect, deed: Deed) -> bool {
        let (first, rest) = events(dialect);
        let [first, rest] = [first, rest].map(|part| worded(&part, plan, dialect));
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        let begun = head.clone() + &chunk(&first);
        match deed {
            Deed::Good | Deed::Slow => {
                if deed == Deed::Slow {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
                send(stream, &begun).await && send(stream, &(chunk(&rest) + "0\r\n\r\n")).await
            }
            Deed::Status(status) => refuse(stream, status).await,
            Deed::Reset => reset(stream),
            Deed::Truncated => {
                send(stream, &(head + "fff\r\ndata: {")).await;
                false
            }
            Deed::Stall => {
                send(stream, &head).await;
                closed(stream).await
            }
            Deed::Silent => {
                send(stream, &begun).await;
                closed(stream).await
            }
            Deed::Cut => {
                send(stream, &begun).await;
                false
            }
            Deed::ErrorEvent => {
                let error = match dialect {
                    Dialect::Chat => "data: {\"error\":{\"message\":\"down\",\"type\":\"server_error\"}}\n\n",
                    Dialect::Responses => {
                        "event: error\ndata: {\"type\":\"error\",\"sequence_number\":9,\"code\":\"server_error\",\"message\":\"down\",\"param\":null}\n\n"
                    }
                    Dialect::Messages => {
                        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"down\"}}\n\n"
                    }
                };
                send(stream, &(begun + &chunk(error) + "0\r\n\r\n")).await
            }
            Deed::CleanEnd => send(stream, &(begun + "0\r\n\r\n")).await,
            Deed::Hold => {
                if plan.manners == Manners::LeavesWithin {
                    send(stream, &begun).await;
                }
                self.hold(stream, plan).await
            }
        }
    }

    /// Waits until the caller has left.
    async fn hold(&self, stream: &mut TcpStream, plan: Plan) -> bool {
        self.holding(plan.id).notify_one();
        closed(stream).await
    }
}

/// The answer's text and usage for a request.
fn worded(text: &str, plan: Plan, dialect: Dialect) -> String {
    let name = if dialect == Dialect::Chat { "completion_tokens" } else { "output_tokens" };
    text.replace("Hello", &plan.text()).replace(&format!("\"{name}\":2"), &format!("\"{name}\":{}", plan.output()))
}

fn head(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n", body.len())
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

async fn send(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).await.is_ok()
}

async fn refuse(stream: &mut TcpStream, status: u16) -> bool {
    let body = r#"{"type":"error","error":{"message":"down","type":"server_error"}}"#;
    send(stream, &(head(status, "retry-after: 0\r\n", body) + body)).await
}

fn reset(stream: &TcpStream) -> bool {
    stream.set_zero_linger().unwrap();
    false
}

async fn closed(stream: &mut TcpStream) -> bool {
    while stream.read(&mut [0; 1024]).await.is_ok_and(|size| size > 0) {}
    false
}

/// The dialect and the body of the next request.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(Dialect, String)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let size = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let all = end + 4 + size.parse::<usize>().unwrap();
            if buffer.len() >= all {
                let body = String::from_utf8(buffer[end + 4..all].to_vec()).unwrap();
                buffer.drain(..all);
                let path = head.split(' ').nth(1).unwrap();
                return Some((Dialect::ALL.into_iter().find(|dialect| dialect.path() == path).unwrap(), body));
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(size) if size > 0 => buffer.extend_from_slice(&part[..size]),
            _ => return None,
        }
    }
}
