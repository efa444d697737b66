//! The text format of Prometheus, version 0.0.4.

use super::Metrics;
use super::family::{Family, Kind};
use super::series::{BOUNDS, Series, Times, Value};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE as CONTENT_TYPE_HEADER};
use axum::http::{HeaderValue, Response};
use std::fmt::Write as _;

/// The format's type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    let mut out = String::new();
    for family in Family::ALL {
        let (name, kind, labels, help) = family.about();
        line(&mut out, format_args!("# HELP {name} {help}"));
        line(&mut out, format_args!("# TYPE {name} {}", kind.name()));
        let mut any = false;
        for ((_, values), value) in series.0.iter().filter(|((of, _), _)| *of == family) {
            any = true;
            let pairs: Vec<String> = labels.iter().zip(values).map(|(name, value)| pair(name, value)).collect();
            match value {
                Value::Whole(whole) => sample(&mut out, name, &pairs, &whole.to_string()),
                Value::Pico(pico) => sample(&mut out, name, &pairs, &decimal(*pico, 12)),
                Value::Times(times) => histogram(&mut out, name, &pairs, times),
            }
        }
        // A value without labels is there from the start, so that its first change is seen.
        if !any && labels.is_empty() {
            match kind {
                Kind::Histogram => histogram(&mut out, name, &[], &Times::default()),
                Kind::Counter | Kind::Gauge => sample(&mut out, name, &[], "0"),
            }
        }
    }
    out
}

fn histogram(out: &mut String, name: &str, pairs: &[String], times: &Times) {
    let mut count = 0;
    let bucket = format!("{name}_bucket");
    for ((_, bound), within) in BOUNDS.iter().zip(times.within) {
        count += within;
        sample(out, &bucket, &[pairs, &[pair("le", bound)]].concat(), &count.to_string());
    }
    sample(out, &bucket, &[pairs, &[pair("le", "+Inf")]].concat(), &times.count.to_string());
    sample(out, &format!("{name}_sum"), pairs, &decimal(times.sum, 9));
    sample(out, &format!("{name}_count"), pairs, &times.count.to_string());
}

fn sample(out: &mut String, name: &str, pairs: &[String], value: &str) {
    if pairs.is_empty() {
        line(out, format_args!("{name} {value}"));
    } else {
        line(out, format_args!("{name}{{{}}} {value}", pairs.join(",")));
    }
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A whole number of so small parts, exactly.
fn decimal(value: u128, places: usize) -> String {
    let digits = format!("{value:0width$}", width = places + 1);
    let (whole, parts) = digits.split_at(digits.len() - places);
    let parts = parts.trim_end_matches('0');
    if parts.is_empty() { whole.to_owned() } else { format!("{whole}.{parts}") }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}
