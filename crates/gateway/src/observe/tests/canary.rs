//! A prompt in the wrong place reaches neither logs nor metrics.

use super::metrics;
use crate::guard::Endpoint;
use crate::money::{Amount, Tokens};
use crate::observe::{Outcome, Summary};
use crate::store::Why;
use blindroute_dialects::Dialect;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const CANARY: &str = "the canary prompt: my doctor said";

/// Keeps every event as text, at every level.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_prompt_as_a_name_is_not_written() {
    let (metrics, kept) = (metrics(), Kept::default());
    tracing::subscriber::with_default(kept.clone(), || {
        let request = metrics.begin(Some(Endpoint::Chat), Dialect::Chat);
        metrics.route(CANARY, Outcome::Routed, Duration::from_millis(1));
        metrics.settled(CANARY, CANARY, &Tokens::default(), Amount::ZERO);
        metrics.retry(CANARY, CANARY);
        metrics.fallback(CANARY, CANARY);
        metrics.first_byte(CANARY, Duration::from_millis(1));
        request.finish(Summary { status: 200, model: Some(CANARY), why: Some(Why::Named) });
        metrics.begin(Some(Endpoint::Messages), Dialect::Messages).finish(Summary {
            status: 200,
            model: Some("gpt-4o-mini"),
            why: Some(Why::Kept),
        });
        drop(metrics.begin(None, Dialect::Responses));
    });
    let lines = kept.0.lock().unwrap().clone();
    let all = format!("{}\n{}\n{metrics:?}", lines.join("\n"), metrics.text());
    for word in ["canary", "my doctor"] {
        assert!(!all.contains(word), "{word} is in:\n{all}");
    }
    // One line for each request, with these fields only.
    let without_time = |line: &str| line.split(" ms=").next().unwrap().to_owned();
    let lines: Vec<String> = lines.iter().map(|line| without_time(line)).collect();
    let start = "INFO blindroute_gateway::request message=";
    assert_eq!(
        lines,
        [
            format!("{start}answered endpoint=\"chat\" status=200 model=\"other\" why=\"named\""),
            format!("{start}answered endpoint=\"messages\" status=200 model=\"gpt-4o-mini\" why=\"kept\""),
            format!("{start}cancelled endpoint=\"other\""),
        ]
    );
}
