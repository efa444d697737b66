//! The table for the terminal.

use super::super::{Estimate, Evaluation, Group, Interval, Measure, Measures, Row};
use super::table::{Entry, table, wrapped};
use super::{number, percent, signed};

/// The columns: those of PPRoute's Table 5, and the hull area.
const COLUMNS: [Measure; 5] = [Measure::Audc, Measure::Qnc, Measure::Peak, Measure::PeakCost, Measure::HullArea];
/// The columns of differences.
const DIFFERENCES: [Measure; 3] = [Measure::Audc, Measure::Peak, Measure::HullArea];

impl Evaluation {
    /// A table for the terminal, at most 100 columns wide: the methods by group, with each measure, its deviation over seeds and
    /// its interval; then the differences.
    pub fn to_text(&self) -> String {
        let about = &self.about;
        let date = about.date.as_ref().map(|date| format!(", {date}")).unwrap_or_default();
        let head = format!(
            "{}, {} split, {} prompts, {} models{date}",
            about.data,
            about.split,
            self.prompts,
            self.singles.len()
        );
        let mut notes =
            vec![self.interval_note("The second line of each method has its", "≥ and ≤ mean unbounded to one side")];
        notes.extend(self.mark_note().map(str::to_owned));
        notes.extend(
            self.best_private.map(|best| format!("Best private router here by hull area: {}.", self.rows[best].name)),
        );
        notes.extend(about.source.iter().map(|source| format!("Data and licence: {source}")));
        notes.extend(about.notes.iter().cloned());
        let notes: Vec<String> = notes.iter().map(|note| wrapped(&line(note))).collect();
        let mut text = format!("{}\n", wrapped(&line(&head)));
        text += &format!("{}\n", wrapped(&line(&format!("score: mean, 0 to 1; cost: {}", self.cost_meaning()))));
        text += &table(&self.methods());
        if !self.differences.is_empty() {
            text += &format!("\n{}", table(&self.pairs()));
        }
        text + &format!("\n{}", notes.join("\n"))
    }

    /// The methods by group.
    fn methods(&self) -> Vec<Entry> {
        let mut entries =
            vec![Entry::Row(String::new(), vec![COLUMNS.map(|measure| measure.heading().to_owned()).to_vec()])];
        for group in Group::ALL {
            if self.group(group).next().is_some() {
                entries.push(Entry::Heading(group.to_string()));
            }
            for (_, row) in self.group(group) {
                let seeds = if row.seeds > 1 { format!(" ({} seeds)", row.seeds) } else { String::new() };
                let values = COLUMNS.map(|measure| self.value(row, measure)).to_vec();
                let intervals = COLUMNS.map(|measure| interval(Measures::get(&row.measures, measure), number, "–"));
                entries.push(Entry::Row(line(&format!("  {}{seeds}", row.name)), lines(values, intervals.to_vec())));
            }
        }
        entries
    }

    /// A measure with its deviation, and with a mark if the flat left end overstates it.
    fn value(&self, row: &Row, measure: Measure) -> String {
        let estimate = Measures::get(&row.measures, measure);
        let mark = if row.is_overstated(measure) { "†" } else { "" };
        let deviation = estimate.deviation.map(|deviation| format!("±{deviation:.4}")).unwrap_or_default();
        number(estimate.value) + mark + &deviation
    }

    /// The differences, by what is compared.
    fn pairs(&self) -> Vec<Entry> {
        let same = self.differences.iter().any(|found| found.same_choices.is_some());
        let headings = ["AUDC", "peak", "hull area"].into_iter().chain(same.then_some("same choices"));
        let mut entries = vec![Entry::Row("difference".to_owned(), vec![headings.map(str::to_owned).collect()])];
        let mut heading = String::new();
        for found in &self.differences {
            let (of, from) = (&self.rows[found.of], &self.rows[found.from]);
            let compared = match from.group {
                Group::Baseline => format!("{} − {}", of.group, from.name),
                _ => format!("{} − {}", of.group, from.group),
            };
            if compared != heading {
                entries.push(Entry::Heading(line(&compared)));
                heading = compared;
            }
            let estimates = DIFFERENCES.map(|measure| Measures::get(&found.measures, measure));
            let mut values = estimates.map(|estimate| signed(estimate.value)).to_vec();
            values.extend(found.same_choices.map(percent));
            let intervals = estimates.map(|estimate| interval(estimate, signed, " to "));
            entries.push(Entry::Row(line(&format!("  {}", of.name)), lines(values, intervals.to_vec())));
        }
        entries
    }
}

/// A line of values, and one of intervals if there is one.
pub(crate) fn lines(values: Vec<String>, intervals: Vec<String>) -> Vec<Vec<String>> {
    let some = intervals.iter().any(|interval| !interval.is_empty());
    std::iter::once(values).chain(some.then_some(intervals)).collect()
}

/// Both ends of an interval, or the one that is bounded.
pub(crate) fn interval(estimate: &Estimate, number: fn(Option<f64>) -> String, between: &str) -> String {
    match estimate.interval {
        Some(Interval { low: Some(low), high: Some(high) }) => number(Some(low)) + between + &number(Some(high)),
        Some(Interval { low: Some(low), high: None }) => format!("≥ {}", number(Some(low))),
        Some(Interval { low: None, high: Some(high) }) => format!("≤ {}", number(Some(high))),
        _ => String::new(),
    }
}

/// A line for the terminal. Names come from files, so control characters are replaced.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
