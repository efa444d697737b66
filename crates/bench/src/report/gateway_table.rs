//! Calls through the gateway as a table.

use crate::measure::gateway::calls::CallsMeasurement;

const CELLS: [&str; 9] =
    ["answer", "at once", "calls", "p50 ms", "p99 ms", "less route p50", "p99", "added p50", "added p99"];

pub(crate) fn heading() -> String {
    row("target", &CELLS.map(str::to_owned), "x direct")
}

pub(crate) fn line(measured: &CallsMeasurement) -> String {
    let CallsMeasurement { target, placement, form, connections, calls, ms, ms_beyond_route, added_ms, ratio, .. } =
        measured;
    let number = |value: f64| format!("{value:.3}");
    let cells = [
        form.name().to_owned(),
        connections.to_string(),
        calls.to_string(),
        number(ms.p50),
        number(ms.p99),
        number(ms_beyond_route.p50),
        number(ms_beyond_route.p99),
        number(added_ms.p50),
        number(added_ms.p99),
    ];
    let mut line = row(target, &cells, &format!("{ratio:.1}"));
    if !placement.is_empty() {
        line.push_str(&format!("  {placement}"));
    }
    if measured.closed > 0 {
        line.push_str(&format!("  {} connections were closed by it", measured.closed));
    }
    line
}

fn row(target: &str, cells: &[String; 9], last: &str) -> String {
    let mut text = format!("{target:<18}");
    for (cell, name) in cells.iter().zip(CELLS) {
        text.push_str(&format!("{cell:>width$}", width = name.len().max(7) + 2));
    }
    text.push_str(&format!("{last:>10}"));
    text
}
