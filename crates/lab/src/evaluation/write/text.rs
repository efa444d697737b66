//! The table for the terminal.

use super::super::{Evaluation, Group, Measure};
use super::{difference, percent};
use std::fmt::Write as _;

/// The columns: those of PPRoute's Table 5, and the hull area.
const COLUMNS: [Measure; 5] = [Measure::Audc, Measure::Qnc, Measure::Peak, Measure::PeakCost, Measure::HullArea];

impl Evaluation {
    /// A table for the terminal: the methods by group, with each measure, its deviation over seeds and its interval; then the
    /// differences.
    pub fn to_text(&self) -> String {
        let about = &self.about;
        let date = about.date.as_ref().map(|date| format!(", {date}")).unwrap_or_default();
        let mut text = format!(
            "{}, {} split, {} prompts, {} models{date}\n",
            line(&about.data),
            line(&about.split),
            self.prompts,
            self.singles.len()
        );
        let _ = writeln!(text, "score: mean, 0 to 1; cost: {}", line(&self.cost_meaning()));
        let mut table = vec![std::iter::once(String::new()).chain(COLUMNS.map(|m| m.heading().to_owned())).collect()];
        for group in Group::ALL {
            if self.group(group).next().is_some() {
                table.push(vec![group.to_string()]);
            }
            for (_, row) in self.group(group) {
                let name = if row.seeds > 1 {
                    format!("  {} ({} seeds)", row.name, row.seeds)
                } else {
                    format!("  {}", row.name)
                };
                let cells = COLUMNS.map(|measure| self.measured(row, measure));
                table.push(std::iter::once(line(&name)).chain(cells).collect());
            }
        }
        text.push_str(&aligned(&table));
        if !self.differences.is_empty() {
            let same = self.differences.iter().any(|found| found.same_choices.is_some()).then_some("same choices");
            let headings = ["difference", "AUDC", "peak", "hull area"].into_iter().chain(same);
            let mut table = vec![headings.map(str::to_owned).collect()];
            for found in &self.differences {
                let (of, from) = (&self.rows[found.of], &self.rows[found.from]);
                let what = match from.group {
                    Group::Baseline => format!("  {} {} − {}", of.group, of.name, from.name),
                    _ => format!("  {}: {} − {}", of.name, of.group, from.group),
                };
                let measures = [&found.measures.audc, &found.measures.peak, &found.measures.hull_area];
                let cells = std::iter::once(line(&what)).chain(measures.map(difference));
                table.push(cells.chain(found.same_choices.map(percent)).collect());
            }
            text.push('\n');
            text.push_str(&aligned(&table));
        }
        let _ = write!(text, "\n{}", self.interval_note());
        if let Some(note) = self.mark_note() {
            let _ = write!(text, "\n{note}");
        }
        if let Some(best) = self.best_private {
            let _ = write!(text, "\nBest private router here by hull area: {}.", line(&self.rows[best].name));
        }
        let source = about.source.iter().map(|source| format!("Data and licence: {source}"));
        for note in source.chain(about.notes.iter().cloned()) {
            let _ = write!(text, "\n{}", line(&note));
        }
        text
    }
}

/// A line for the terminal. Names come from files, so control characters are replaced.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The table with columns as wide as their widest cells.
fn aligned(table: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in table {
        for (column, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
