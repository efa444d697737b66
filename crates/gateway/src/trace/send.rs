//! Sending traces, beside the requests.

use super::otlp;
use super::span::{Trace, Whole};
use reqwest::Client;
use reqwest::redirect::Policy;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// The most traces that wait. More are dropped.
const WAITING: usize = 1024;

/// The most traces of one request to the collector.
const TOGETHER: usize = 64;

/// How long the collector may take, and the pause after it failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How traces are sent: by this client, to this address, as they come.
type Outgoing = (Client, String, Receiver<Whole>);

/// Makes traces; without a collector those that do nothing. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Tracer {
    queue: Option<Sender<Whole>>,
    /// Until the thread that sends takes it.
    waiting: Arc<Mutex<Option<Outgoing>>>,
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.queue.is_some() { "traces" } else { "no traces" })
    }
}

impl Tracer {
    /// For the collector at this address, if there is one.
    ///
    /// # Errors
    /// If no calls can be made at all.
    pub(crate) fn new(collector: Option<&str>) -> Result<Self, reqwest::Error> {
        let Some(collector) = collector else { return Ok(Self { queue: None, waiting: Arc::default() }) };
        let client = Client::builder().redirect(Policy::none()).timeout(PATIENCE).build()?;
        let (queue, received) = mpsc::channel(WAITING);
        let url = format!("{}/v1/traces", collector.trim_end_matches('/'));
        Ok(Self { queue: Some(queue), waiting: Arc::new(Mutex::new(Some((client, url, received)))) })
    }

    /// Begins the trace of a request.
    pub(crate) fn begin(&self) -> Trace {
        if self.queue.is_some() { Trace::begin(self.clone()) } else { Trace::NONE }
    }

    pub(super) fn send(&self, whole: Whole) {
        // If there is no room, the collector is down or slow, which has its own line in the log.
        let _ = self.queue.as_ref().map(|queue| queue.try_send(whole));
    }

    /// Sends what comes, as long as the gateway runs.
    pub(crate) async fn run(self) {
        let taken = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((client, url, mut received)) = taken else { return };
        let (mut traces, mut was_down) = (Vec::new(), false);
        while received.recv_many(&mut traces, TOGETHER).await > 0 {
            let post = client.post(&url).header("content-type", "application/json").body(otlp::body(&traces));
            let failure = match post.send().await {
                Ok(answer) if answer.status().is_success() => None,
                Ok(answer) => Some(format!("it answered with status {}", answer.status().as_u16())),
                Err(error) => Some(error.without_url().to_string()),
            };
            traces.clear();
            match &failure {
                Some(failure) if !was_down => {
                    tracing::warn!(
                        failure,
                        "the collector of traces cannot be used; traces are dropped until it can; check telemetry.otlp"
                    );
                }
                None if was_down => tracing::info!("the collector of traces takes traces again"),
                _ => {}
            }
            was_down = failure.is_some();
            if was_down {
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}
