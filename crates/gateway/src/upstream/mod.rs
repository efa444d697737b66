//! Calling providers: one request in the caller's dialect becomes one answer in the caller's dialect.
//!
//! [`Upstream::send`] asks one model, again if that makes sense, and returns when the answer is in hand, or of a stream the first
//! token. A [`Failure`] says whether the next model of the ranking may be asked. Once an answer was returned, nothing is asked
//! again: what goes wrong then becomes an error event of the dialect.
//!
//! - A provider that speaks the caller's dialect gets the caller's bytes but for `model` and, for streams of Chat, the wish to know
//!   the usage, which is taken out of the answer again. Its answers and errors pass byte for byte. Others get a translation.
//! - Dropping the future of `send`, or the answer, or not reading it in time, breaks off the provider's connection. What was used is said once, by
//!   [`Settle`], however the call ends.
//! - The key is read in one place, and an error that repeats it is not passed on.
//!
//! Which headers pass is in `headers.rs`, which failures are tried again in `retry.rs`.

mod answer;
mod call;
pub mod echo;
mod exchange;
mod failure;
mod flow;
mod headers;
mod look;
mod passage;
mod replay;
mod retry;
mod settle;
mod source;
mod unread;

pub use answer::{Answer, AnswerBody, AnswerStream};
pub use call::{Call, Endpoint, Forward, Manner};
pub use exchange::MAX_ANSWER;
pub use failure::{Failure, Reason};
pub use look::{Look, LookError, look};
pub use settle::{End, Settle};
pub use unread::Unread;

use crate::config::Streams;
use call::{Prepared, Terms};
use exchange::{Exchange, Got, GotBody};
use flow::Flow;
use reqwest::Client;
use reqwest::redirect::Policy;
use settle::Settlement;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Why calls cannot be made at all.
#[derive(Debug, thiserror::Error)]
#[error("calls over HTTP cannot be made; check the proxies in the environment and the system's certificates: {0}")]
pub struct UpstreamError(#[from] reqwest::Error);

/// Calls providers. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Upstream {
    client: Client,
}

impl Upstream {
    /// Takes so long for a connection at most. Proxies are those of the environment. Redirects are not followed, since the key
    /// would go with them, and nothing is decompressed.
    ///
    /// # Errors
    /// If the system's certificates or a proxy cannot be used.
    pub fn new(connect: Duration) -> Result<Self, UpstreamError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(connect)
            .tcp_nodelay(true)
            .user_agent(concat!("blindroute/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client })
    }

    /// Asks a model. `settle` is called once, however the call ends.
    ///
    /// # Errors
    /// What the caller is told, and whether another model may be asked.
    pub async fn send(&self, call: &Call<'_>, settle: Settle) -> Result<Answer, Failure> {
        // Before anything is awaited, so that it is settled too if this future is dropped.
        let settlement = Settlement::new(settle);
        let asked = self.ask(call::prepare(call), Terms::from(call)).await;
        finish(asked, call.manner.streams == Streams::Pad, settlement)
    }

    /// Passes a request for another endpoint on: the caller's bytes but for the model's name, and the provider's answer byte for
    /// byte. `settle` is called once, however it ends.
    ///
    /// # Errors
    /// What the caller is told.
    pub async fn forward(&self, forward: &Forward<'_>, settle: Settle) -> Result<Answer, Failure> {
        let settlement = Settlement::new(settle);
        let asked = self.ask(call::prepare_forward(forward), Terms::from(forward)).await;
        finish(asked, false, settlement)
    }

    /// Asks until there is an answer, or no reason to ask again.
    async fn ask(&self, prepared: Result<Prepared, Failure>, terms: Terms<'_>) -> Result<(Got, u32), Failure> {
        let prepared = prepared?;
        let Manner { timeouts, retries, .. } = terms.manner;
        let total = (Instant::now() + timeouts.total, timeouts.total);
        let exchange = Exchange { client: &self.client, terms, prepared: &prepared, total };
        let mut attempts = 1;
        loop {
            let failure = match exchange.once().await {
                Ok(got) => return Ok((got, attempts)),
                Err(failure) => Failure { attempts, ..failure },
            };
            let wait = retry::wait(attempts, failure.wait, retries.longest_wait);
            match wait.filter(|wait| Instant::now() + *wait < total.0) {
                Some(wait) if failure.retry && attempts < retries.attempts => sleep(wait).await,
                _ => return Err(failure),
            }
            attempts += 1;
        }
    }
}

/// Settles what is over, and gives on what is not.
fn finish(asked: Result<(Got, u32), Failure>, pad: bool, mut settlement: Settlement) -> Result<Answer, Failure> {
    let (got, attempts) = match asked {
        Ok(asked) => asked,
        Err(failure) => {
            settlement.end(failure.reason.end());
            return Err(failure);
        }
    };
    let body = match got.body {
        GotBody::Whole(bytes, usage) => {
            settlement.note(usage);
            settlement.end(End::Proper);
            AnswerBody::Whole(bytes)
        }
        GotBody::Pieces(begun) => AnswerBody::Stream(AnswerStream::new(Flow::new(*begun, pad, settlement))),
    };
    Ok(Answer { status: got.status, headers: got.headers, body, attempts })
}
