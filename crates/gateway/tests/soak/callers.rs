//! Callers that ask, read, and sometimes leave.

use crate::CALLERS;
use crate::bench::request;
use crate::plan::{Manners, Plan};
use crate::world::World;
use blindroute_dialects::Dialect;
use reqwest::Client;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What became of a request, as its caller saw it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An answer: its status and text.
    Told {
        status: u16,
        text: String,
    },
    Left,
}

/// The body of a request.
pub(crate) fn body(plan: Plan) -> String {
    let body = request(plan.dialect, plan.stream).replace("\"auto\"", &format!("\"{}\"", plan.model));
    body.replace("canary", &format!("request {} of a soak", plan.id))
}

/// Asks all of these requests, from all callers at once.
pub(crate) async fn run(world: &World, ids: Range<usize>) -> Vec<(Plan, Outcome)> {
    let next = Arc::new(AtomicUsize::new(ids.start));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (next, end, asking) = (Arc::clone(&next), ids.end, Asking::new(world));
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                loop {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    if id >= end {
                        return outcomes;
                    }
                    let plan = Plan::of(id);
                    let limit = Duration::from_secs(120);
                    let outcome = tokio::time::timeout(limit, asking.ask(plan)).await;
                    outcomes.push((plan, outcome.unwrap_or_else(|_| panic!("no end of {plan:?}"))));
                }
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for caller in callers {
        outcomes.extend(caller.await.unwrap());
    }
    outcomes
}

struct Asking {
    client: Client,
    url: String,
    provider: crate::provider::Provider,
}

impl Asking {
    fn new(world: &World) -> Self {
        Self { client: world.client.clone(), url: world.url.clone(), provider: world.provider.clone() }
    }

    async fn ask(&self, plan: Plan) -> Outcome {
        let post = self.client.post(format!("{}{}", self.url, plan.dialect.path())).body(body(plan));
        let post = post.header("content-type", "application/json");
        if plan.manners == Manners::Stays {
            let response = post.send().await.unwrap();
            let status = response.status().as_u16();
            return Outcome::Told { status, text: response.text().await.unwrap() };
        }
        let holding = self.provider.holding(plan.id);
        if plan.manners == Manners::LeavesBefore {
            tokio::select! {
                answer = post.send() => panic!("{plan:?} is held, and was answered: {answer:?}"),
                () = holding.notified() => {}
            }
        } else {
            let mut response = post.send().await.unwrap();
            assert_eq!(response.status(), 200, "{plan:?}");
            assert!(response.chunk().await.unwrap().is_some());
            holding.notified().await;
        }
        self.provider.forget_holding(plan.id);
        Outcome::Left
    }
}

/// The text of a whole answer or of a stream, in its dialect; nothing if it did not end properly.
pub(crate) fn said(plan: Plan, text: &str) -> Option<String> {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    if !plan.stream {
        let value = json(text)?;
        let said = match plan.dialect {
            Dialect::Chat => &value["choices"][0]["message"]["content"],
            Dialect::Responses => &value["output"][0]["content"][0]["text"],
            Dialect::Messages => &value["content"][0]["text"],
        };
        return said.as_str().map(str::to_owned);
    }
    let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let (delta, end): (fn(&serde_json::Value) -> &serde_json::Value, _) = match plan.dialect {
        Dialect::Chat => (|value| &value["choices"][0]["delta"]["content"], "[DONE]"),
        Dialect::Responses => (|value| &value["delta"], "response.completed"),
        Dialect::Messages => (|value| &value["delta"]["text"], "message_stop"),
    };
    let last = data.last()?;
    let ended = *last == end || json(last).is_some_and(|value| value["type"] == end);
    let said = data.iter().filter_map(|data| json(data)).filter_map(|value| delta(&value).as_str().map(str::to_owned));
    ended.then(|| said.collect())
}

/// Whether a text is an error of a dialect, whole or as the last event of a stream.
pub(crate) fn is_error(plan: Plan, status: u16, text: &str) -> bool {
    let last = match status {
        200 => text.lines().rfind(|line| line.starts_with("data: ")).map(|line| &line["data: ".len()..]),
        _ => Some(text),
    };
    let Some(Ok(value)) = last.map(serde_json::from_str::<serde_json::Value>) else { return false };
    let is_text = |value: &serde_json::Value| value.as_str().is_some_and(|text| !text.is_empty());
    match (plan.dialect, status) {
        (Dialect::Chat, _) => is_text(&value["error"]["message"]),
        (Dialect::Messages, _) => value["type"] == "error" && is_text(&value["error"]["message"]),
        (Dialect::Responses, 200) => {
            value["type"] == "error" && is_text(&value["message"])
                || value["type"] == "response.failed" && is_text(&value["response"]["error"]["message"])
        }
        (Dialect::Responses, _) => is_text(&value["error"]["message"]),
    }
}
