//! The metrics as text, and the answer that holds it.

use super::Metrics;
use super::family::Family;
use super::series::{BOUNDS, Series, Times, Value};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE as CONTENT_TYPE_HEADER};
use axum::http::{HeaderValue, Response};
pub use blindroute_runtime::exposition::CONTENT_TYPE;
use blindroute_runtime::exposition::{Exposition, Histogram, Kind, decimal};

/// The answer to `/metrics`.
#[must_use]
pub fn metrics_response(metrics: &Metrics) -> Response<Body> {
    let mut response = Response::new(Body::from(metrics.text()));
    response.headers_mut().insert(CONTENT_TYPE_HEADER, HeaderValue::from_static(CONTENT_TYPE));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// All values as text.
pub(super) fn text(series: &Series) -> String {
    let mut out = Exposition::default();
    for family in Family::ALL {
        let (name, kind, labels, help) = family.about();
        out.family(name, kind, help);
        let mut any = false;
        for ((_, values), value) in series.0.iter().filter(|((of, _), _)| *of == family) {
            any = true;
            let pairs: Vec<(&str, &str)> = labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
            match value {
                Value::Whole(whole) => out.sample(name, &pairs, whole),
                Value::Pico(pico) => out.sample(name, &pairs, decimal(*pico, 12)),
                Value::Times(times) => out.histogram(name, &pairs, &histogram(times)),
            }
        }
        // A value without labels is there from the start, so that its first change is seen.
        if !any && labels.is_empty() {
            match kind {
                Kind::Histogram => out.histogram(name, &[], &histogram(&Times::default())),
                Kind::Counter | Kind::Gauge => out.sample(name, &[], 0),
            }
        }
    }
    out.into_text()
}

fn histogram(times: &Times) -> Histogram<'static> {
    let within = BOUNDS.iter().map(|(_, bound)| *bound).zip(times.within).collect();
    Histogram { within, count: times.count, sum: decimal(times.sum, 9) }
}
