//! Asking a provider once.

use super::call::{Mode, Prepared, Terms};
use super::failure::{Failure, Reason};
use super::flow::{Begun, NotBegun, Times, begin};
use super::passage::Passage;
use super::source::{self, Source};
use super::{headers, replay, retry};
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use blindroute_dialects::errors::ApiError;
use blindroute_dialects::json::{Json, parse};
use blindroute_dialects::sse::Parser;
use blindroute_dialects::stream::Progress;
use blindroute_dialects::usage::Usage;
use reqwest::{Client, Response};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};

/// The largest answer that is not a stream: 64 MiB.
pub const MAX_ANSWER: usize = 64 << 20;

/// The largest error.
const MAX_ERROR: usize = 1 << 20;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// What a provider answered, as the caller gets it.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: GotBody,
}

pub(super) enum GotBody {
    Whole(Bytes, Option<Usage>),
    Pieces(Box<Begun>),
}

/// One call that can be made more than once.
pub(super) struct Exchange<'e> {
    pub(super) client: &'e Client,
    pub(super) terms: Terms<'e>,
    pub(super) prepared: &'e Prepared,
    /// When all of it is due, and how long that was.
    pub(super) total: (Instant, Duration),
}

impl Exchange<'_> {
    /// Asks once, and returns when the answer or its first token is in hand.
    pub(super) async fn once(&self) -> Result<Got, Failure> {
        let timeouts = &self.terms.manner.timeouts;
        let mode = self.prepared.mode;
        let times = Times {
            first_token: (Instant::now() + timeouts.first_token, timeouts.first_token),
            total: self.total,
            idle: timeouts.idle,
            ping: self.terms.manner.ping,
        };
        let Prepared { url, headers, body, .. } = self.prepared;
        let request = self.client.post(url).headers(headers.clone()).body(body.clone()).send();
        // A whole answer has no first token: its status comes when all of it is written.
        let (due, late) = match mode {
            Mode::Pieces => (times.first_token.0.min(times.total.0), times.late()),
            Mode::Whole | Mode::AtOnce => (times.total.0, Reason::Total(times.total.1)),
        };
        let response = timeout_at(due, request).await.map_err(|_| self.own(late))?;
        let response =
            response.map_err(|error| self.own(if error.is_connect() { Reason::Connect } else { Reason::Transport }))?;
        if response.status().is_redirection() {
            return Err(self.own(Reason::Redirect));
        }
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        if response.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(self.own(Reason::Encoding));
        }
        let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes().get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/json"))
        });
        match mode {
            Mode::Whole => self.whole(response).await,
            Mode::Pieces if !is_json => self.pieces(response, times).await,
            // A provider may not know streams, or send an error in this way.
            Mode::Pieces | Mode::AtOnce => self.at_once(response).await,
        }
    }

    fn own(&self, reason: Reason) -> Failure {
        Failure::own(reason, self.terms.dialect)
    }

    /// The headers for the caller, with this type of content if the body is not the provider's own.
    fn headers(&self, response: &Response, own: Option<HeaderValue>) -> HeaderMap {
        let mut headers = headers::incoming(response.headers());
        if let Some(kind) = own {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        headers
    }

    /// The provider answered with a status that is no success.
    async fn refused(&self, response: Response) -> Failure {
        let (status, received) = (response.status(), response.headers().clone());
        let mut headers = self.headers(&response, None);
        let read = source::whole(response, MAX_ERROR, self.terms.manner.timeouts.idle, self.total).await;
        let body = read.ok().filter(|body| !headers::repeats_key(&self.terms, body));
        let error = ApiError::of_upstream(status.as_u16(), body.as_deref().unwrap_or_default());
        let body = match body.filter(|_| self.prepared.translation.is_none()) {
            Some(body) => body.into(),
            None => {
                headers.insert(header::CONTENT_TYPE, JSON);
                error.body(self.terms.dialect).into()
            }
        };
        Failure {
            status,
            headers: Box::new(headers),
            body,
            reason: Reason::Status(status.as_u16()),
            fallback: retry::elsewhere(status.as_u16(), &error),
            attempts: 1,
            retry: retry::again(status.as_u16(), &received, &error),
            wait: retry::asked(&received, SystemTime::now()),
        }
    }

    /// The provider answered 200, and then with an error.
    fn failed(&self, error: &ApiError) -> Failure {
        // Of the events themselves: a stream that broke off, and one that is none.
        let broken = matches!(error.code.as_deref(), Some("upstream_stream"));
        let reason = if broken { Reason::Body } else { Reason::Error(error.kind) };
        let retry = retry::again(error.status, &HeaderMap::new(), error);
        let status = if error.status == 500 { 502 } else { error.status };
        Failure { retry, ..Failure::of_error(&error.clone().with_status(status), reason, self.terms.dialect) }
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, Failure> {
        let read = source::whole(response, MAX_ANSWER, self.terms.manner.timeouts.idle, self.total).await;
        read.map_err(|reason| self.own(reason))
    }

    /// The value of a whole body, if it is an answer.
    fn value<'b>(&self, body: &'b [u8]) -> Result<Json<'b>, Failure> {
        let value = parse(body).ok().filter(|value| matches!(value, Json::Object(_)));
        let value = value.ok_or_else(|| self.own(Reason::Body))?;
        match ApiError::of_json(&value) {
            Some(error) => Err(self.failed(&error)),
            None => Ok(value),
        }
    }

    async fn whole(&self, response: Response) -> Result<Got, Failure> {
        let own = self.prepared.translation.as_ref().map(|_| JSON);
        let (status, headers) = (response.status(), self.headers(&response, own));
        let body = self.body(response).await?;
        let value = self.value(&body)?;
        let (body, usage) = match &self.prepared.translation {
            None => {
                let usage = Usage::of_response(self.prepared.to, &value);
                drop(value);
                (body, usage)
            }
            Some(translation) => {
                let (text, usage) =
                    translation.response(&body, now()).map_err(|error| self.failed(&error.to_api_error()))?;
                (text.into_bytes(), usage)
            }
        };
        Ok(Got { status, headers, body: GotBody::Whole(body.into(), usage) })
    }

    async fn pieces(&self, response: Response, times: Times) -> Result<Got, Failure> {
        let own = self.prepared.translation.as_ref().map(|_| EVENTS);
        let (status, mut headers) = (response.status(), self.headers(&response, own));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let begun = begin(Source::new(response), self.passage(), times).await;
        let begun = begun.map_err(|why| match why {
            NotBegun::Reason(reason) => self.own(reason),
            NotBegun::Error(error) => self.failed(&error),
        })?;
        Ok(Got { status, headers, body: GotBody::Pieces(Box::new(begun)) })
    }

    /// Gives a whole answer as a stream, all at once.
    async fn at_once(&self, response: Response) -> Result<Got, Failure> {
        let (status, mut headers) = (response.status(), self.headers(&response, Some(EVENTS)));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let body = self.body(response).await?;
        let events = replay::events(self.prepared.to, &self.value(&body)?).ok_or_else(|| self.own(Reason::Body))?;
        let mut passage = self.passage();
        let written = replayed(&mut passage, &events);
        if passage.progress() == Progress::Failed {
            let error = passage.failure().cloned();
            return Err(error.map_or_else(|| self.own(Reason::Body), |error| self.failed(&error)));
        }
        Ok(Got { status, headers, body: GotBody::Whole(written.into(), passage.usage()) })
    }

    fn passage(&self) -> Passage {
        let wants_usage = self.terms.wants_usage;
        Passage::new(self.terms.dialect, wants_usage, self.prepared.translation.as_ref(), now())
    }
}

/// What the caller gets for a whole stream.
pub(super) fn replayed(passage: &mut Passage, events: &str) -> Vec<u8> {
    let mut parsed = Vec::new();
    // The events are ours: they are UTF-8, and no larger than the answer.
    let read = Parser::new(2 * MAX_ANSWER).push(events.as_bytes(), &mut parsed);
    let mut written: Vec<u8> = parsed.into_iter().flat_map(|event| passage.event(event)).collect();
    written.extend(if read.is_ok() { passage.end() } else { passage.break_off(Reason::Body.to_api_error()) });
    written
}

/// The seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
