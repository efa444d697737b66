//! The spans of one request.

use super::attribute::Attribute;
use super::send::Tracer;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What kind of work a span is, as OTLP numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// A piece of work that is over.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) id: [u8; 8],
    pub(super) begun: u64,
    pub(super) ended: u64,
    pub(super) attributes: Vec<Attribute>,
}

impl Span {
    /// One that began so long ago and ends now.
    pub(crate) fn route(took: Duration, attributes: Vec<Attribute>) -> Self {
        let ended = now();
        let begun = ended.saturating_sub(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        Self { name: "route", kind: Kind::Internal, id: random(), begun, ended, attributes }
    }
}

/// A request with all its spans.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(super) id: [u8; 16],
    pub(super) root: Span,
    pub(super) children: Vec<Span>,
}

/// The trace of a request. It is over, and sent, when all of its clones and its open spans are gone. Without a collector it does nothing.
#[derive(Clone)]
pub(crate) struct Trace(Option<Arc<Gathered>>);

struct Gathered {
    tracer: Tracer,
    whole: Mutex<Option<Whole>>,
}

impl Trace {
    /// One that does nothing.
    pub(super) const NONE: Self = Self(None);

    /// Begins a trace.
    pub(super) fn begin(tracer: Tracer) -> Self {
        let begun = now();
        let root =
            Span { name: "request", kind: Kind::Server, id: random(), begun, ended: begun, attributes: Vec::new() };
        let whole = Whole { id: random(), root, children: Vec::new() };
        Self(Some(Arc::new(Gathered { tracer, whole: Mutex::new(Some(whole)) })))
    }

    /// Says this of the request.
    pub(crate) fn say(&self, attributes: impl IntoIterator<Item = Attribute>) {
        if let Some(gathered) = &self.0 {
            gathered.with(|whole| whole.root.attributes.extend(attributes));
        }
    }

    /// Adds a piece of work.
    pub(crate) fn add(&self, span: impl FnOnce() -> Span) {
        if let Some(gathered) = &self.0 {
            let span = span();
            gathered.with(|whole| whole.children.push(span));
        }
    }

    /// Begins a call of a provider.
    pub(crate) fn call(&self) -> Open {
        Open { trace: self.clone(), begun: now() }
    }
}

/// A call of a provider that goes on.
pub(crate) struct Open {
    trace: Trace,
    begun: u64,
}

impl Open {
    /// Ends the call.
    pub(crate) fn end(self, attributes: impl FnOnce() -> Vec<Attribute>) {
        let begun = self.begun;
        let span =
            || Span { name: "call", kind: Kind::Client, id: random(), begun, ended: now(), attributes: attributes() };
        self.trace.add(span);
    }
}

impl Gathered {
    fn with(&self, change: impl FnOnce(&mut Whole)) {
        self.lock().as_mut().map(change);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Whole>> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        let whole = self.lock().take();
        if let Some(mut whole) = whole {
            whole.root.ended = now();
            self.tracer.send(whole);
        }
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A number for a span or a trace. Without random bytes it is zero, which collectors refuse.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Nothing depends on a trace.
    let _ = getrandom::fill(&mut bytes);
    bytes
}
