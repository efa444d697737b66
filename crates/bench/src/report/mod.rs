//! Figures as lines, tables and JSON.

pub(crate) mod gateway_table;
pub(crate) mod papers;
pub(crate) mod selection_table;

use serde::Serialize;
use std::io::Write;

/// Prints one measurement.
pub(crate) fn print(json: bool, measurement: &impl Serialize, line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(measurement)?)?;
    } else {
        writeln!(out, "{line}")?;
    }
    // Each measurement takes a while: none waits for the next to be seen.
    Ok(out.flush()?)
}

/// A measurement as JSON, with the figures of other systems added.
pub(crate) fn with(row: &impl serde::Serialize, others: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
    let mut row = serde_json::to_value(row)?;
    if let (Some(row), Some(others)) = (row.as_object_mut(), others.as_object()) {
        row.extend(others.clone());
    }
    Ok(row)
}
