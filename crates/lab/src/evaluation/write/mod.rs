//! An evaluation as a table for the terminal, as CSV, and as an HTML page.

mod axes;
mod chart;
mod csv;
mod escape;
mod html;
mod labels;
mod page;
mod scale;
mod table;
mod text;

pub use table::wrapped;

// What the reports of other rooms are made of.
pub(crate) use axes::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, axes};
pub(crate) use chart::marker;
pub(crate) use escape::escape;
pub(crate) use html::cell;
pub(crate) use page::page;
pub(crate) use scale::Scale;
pub(crate) use table::{Entry, table};
pub(crate) use text::{interval, line, lines};

use super::{Estimate, Evaluation, Group, Measure, Measures, Row};

impl Evaluation {
    /// The rows of a group.
    fn group(&self, group: Group) -> impl Iterator<Item = (usize, &Row)> {
        self.rows.iter().enumerate().filter(move |(_, row)| row.group == group)
    }

    /// The meaning of the cost axis.
    fn cost_axis(&self) -> &'static str {
        match self.cost_by_query {
            true => "mean cost of the queries, relative to the largest mean of a model",
            false => "mean price, relative to the most expensive model",
        }
    }

    /// The same, with the unit of prices.
    fn cost_meaning(&self) -> String {
        match self.cost_unit.as_str() {
            "" => self.cost_axis().to_owned(),
            unit => format!("{}; prices in {unit}", self.cost_axis()),
        }
    }

    /// A measure of a row, with a mark if the flat left end overstates it.
    fn measured(&self, row: &Row, measure: Measure) -> String {
        let text = estimate(Measures::get(&row.measures, measure));
        if !row.is_overstated(measure) {
            return text;
        }
        match text.split_once(' ') {
            Some((value, rest)) => format!("{value}† {rest}"),
            None => text + "†",
        }
    }

    /// The meaning of the mark of [`Self::measured`], if it is used.
    fn mark_note(&self) -> Option<&'static str> {
        self.rows.iter().any(|row| row.is_overstated(Measure::Audc)).then_some(
            "† The curve begins above the cheapest model's cost, so the flat left end overstates its AUDC; compare by hull area.",
        )
    }

    /// How the intervals were made, in a sentence. `place` says where they are, and `unbounded` how an end is shown that they
    /// lack.
    fn interval_note(&self, place: &str, unbounded: &str) -> String {
        match self.bootstrap.resamples {
            0 => "No intervals were requested.".to_owned(),
            resamples => format!(
                "{place} 95 % intervals from {resamples} paired bootstrap resamples of the prompts, seed {}; {unbounded}.",
                self.bootstrap.seed
            ),
        }
    }
}

impl Row {
    /// Whether the flat left end overstates this measure.
    fn is_overstated(&self, measure: Measure) -> bool {
        measure == Measure::Audc && self.begins_late && !self.one_point
    }
}

/// A number with four decimals; – for none.
pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

/// A number with its sign and four decimals; – for none.
pub(crate) fn signed(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:+.4}"))
}

/// A share of prompts.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A number with its deviation and interval.
pub(crate) fn estimate(estimate: &Estimate) -> String {
    let mut text = number(estimate.value);
    if let Some(deviation) = estimate.deviation {
        text.push_str(&format!(" ± {deviation:.4}"));
    }
    if let Some(interval) = estimate.interval.filter(|ends| ends.low.is_some() || ends.high.is_some()) {
        text.push_str(&format!(" [{}, {}]", number(interval.low), number(interval.high)));
    }
    text
}

/// A difference with its sign and interval.
pub(crate) fn difference(estimate: &Estimate) -> String {
    let interval = estimate.interval.map(|interval| format!(" [{}, {}]", signed(interval.low), signed(interval.high)));
    signed(estimate.value) + &interval.unwrap_or_default()
}
