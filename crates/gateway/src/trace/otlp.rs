//! Spans as OTLP has them in JSON.

use super::attribute::{Attribute, SCHEMA, Value};
use super::span::{Span, Whole};
use base16ct::lower::encode_string;
use serde_json::{Value as Json, json};

/// The body of a request to a collector.
pub(super) fn body(traces: &[Whole]) -> String {
    let spans: Vec<Json> = traces.iter().flat_map(spans).collect();
    let resource = [text("service.name", "blindroute-gateway"), text("service.version", env!("CARGO_PKG_VERSION"))];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "schemaUrl": SCHEMA,
        "scopeSpans": [{"scope": {"name": "blindroute-gateway"}, "schemaUrl": SCHEMA, "spans": spans}],
    }]})
    .to_string()
}

fn spans(whole: &Whole) -> Vec<Json> {
    let children = whole.children.iter().map(|child| span(&whole.id, Some(&whole.root.id), child));
    std::iter::once(span(&whole.id, None, &whole.root)).chain(children).collect()
}

fn span(trace: &[u8], parent: Option<&[u8; 8]>, span: &Span) -> Json {
    let failed = span.attributes.iter().any(|attribute| matches!(attribute, Attribute::Error(_)));
    let mut written = json!({
        "traceId": encode_string(trace),
        "spanId": encode_string(&span.id),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": span.begun.to_string(),
        "endTimeUnixNano": span.ended.to_string(),
        "attributes": span.attributes.iter().map(attribute).collect::<Vec<_>>(),
        // 2 is an error, 0 says nothing.
        "status": {"code": if failed { 2 } else { 0 }},
    });
    if let Some(parent) = parent {
        written["parentSpanId"] = encode_string(parent).into();
    }
    written
}

fn attribute(attribute: &Attribute) -> Json {
    match attribute.parts() {
        (name, Value::Text(value)) => text(name, value),
        // Whole numbers of 64 bits are texts in this form.
        (name, Value::Whole(value)) => json!({"key": name, "value": {"intValue": value.to_string()}}),
        (name, Value::Flag(value)) => json!({"key": name, "value": {"boolValue": value}}),
    }
}

fn text(name: &str, value: &str) -> Json {
    json!({"key": name, "value": {"stringValue": value}})
}
