//! What is answered to which request.

use super::board::Board;
use super::families;
use super::request::{Method, Request, Unreadable};
use blindroute_runtime::exposition::CONTENT_TYPE;
use std::time::SystemTime;

/// The type of every other body.
const TEXT: &str = "text/plain; charset=utf-8";

/// A status of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    NotAllowed,
    TooLong,
    Unavailable,
}

impl Status {
    const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::NotAllowed => "405 Method Not Allowed",
            Self::TooLong => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }

    /// A header that goes with it.
    const fn header(self) -> &'static str {
        match self {
            Self::NotAllowed => "Allow: GET, HEAD\r\n",
            Self::Unavailable => "Retry-After: 2\r\n",
            _ => "",
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Status,
    kind: &'static str,
    pub(super) body: String,
    /// Whether only its head is sent.
    head_only: bool,
}

impl Answer {
    fn text(status: Status, body: impl Into<String>) -> Self {
        Self { status, kind: TEXT, body: body.into(), head_only: false }
    }

    /// As it is sent, after which the connection is closed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { status, kind, body, head_only } = self;
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n{}Connection: close\r\n\r\n",
            status.line(),
            body.len(),
            status.header()
        );
        if *head_only { head.into_bytes() } else { (head + body).into_bytes() }
    }
}

/// The answer to a request, or to what is none.
pub(super) fn to(board: &Board, request: Result<Request, Unreadable>) -> Answer {
    let request = match request {
        Ok(request) => request,
        Err(Unreadable::Malformed) => return Answer::text(Status::BadRequest, "this is no request of HTTP/1.1\n"),
        Err(Unreadable::TooLong) => return Answer::text(Status::TooLong, "the head of the request is too long\n"),
    };
    let now = SystemTime::now();
    let answered: fn(&Board, SystemTime) -> Answer = match request.path.as_str() {
        "/livez" => |board, _| alive(board),
        "/readyz" => ready,
        "/metrics" => |board, now| {
            let body = families::text(board.readings(now).as_ref());
            Answer { kind: CONTENT_TYPE, ..Answer::text(Status::Ok, body) }
        },
        _ => |_, _| Answer::text(Status::NotFound, "there are /livez, /readyz and /metrics\n"),
    };
    let mut answer = answered(board, now);
    match request.method {
        Method::Get => {}
        Method::Head => answer.head_only = true,
        Method::Other if answer.status == Status::NotFound => {}
        Method::Other => return Answer::text(Status::NotAllowed, "only GET and HEAD are answered\n"),
    }
    answer
}

fn alive(board: &Board) -> Answer {
    match board.is_alive() {
        true => Answer::text(Status::Ok, "ok\n"),
        false => Answer::text(Status::Unavailable, "this party has ended, or another process took its ledger over\n"),
    }
}

fn ready(board: &Board, now: SystemTime) -> Answer {
    let readiness = board.readiness(now);
    let status = if readiness.is_ready() { Status::Ok } else { Status::Unavailable };
    Answer::text(status, readiness.to_string())
}
