//! An evaluation of a pool as a table for the terminal, as CSV, and as an HTML page.

mod chart;
mod csv;
mod html;
mod text;

use super::{PoolEvaluation, PrivateMethod, PrivateResult, TaskEvaluation};
use crate::evaluation::write::{estimate, number, percent};

impl PoolEvaluation {
    /// What was measured, in sentences.
    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            format!(
                "Sessions of up to {} texts of one bucket, in a random order. Layers: per text, in the mean of a full session; a text \
                 alone in its session goes through all layers.",
                self.batch
            ),
            "Routing: the texts of the largest predicted gain go on, as many as the capacities say (the share past each exit \
             but the last). Random: as many, but random ones; mean over draws. Oracle: each text leaves at its first right exit."
                .to_owned(),
        ];
        notes.push(match self.bootstrap.resamples {
            0 => "No intervals were requested.".to_owned(),
            resamples => format!(
                "Intervals: the middle 95 % of {resamples} paired bootstrap resamples of the texts, seed {}.",
                self.bootstrap.seed
            ),
        });
        notes
    }

    /// The means over tasks, in sentences.
    fn summary_lines(&self) -> Vec<String> {
        let found = &self.summary;
        let tasks = if found.tasks == 1 { "1 task".to_owned() } else { format!("{} tasks", found.tasks) };
        let shown = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percent);
        let mut lines = vec![format!(
            "{tasks}, own capacities beside the last exit alone: accuracy loss {}, layers saved {}",
            number(found.accuracy_loss),
            shown(found.layers_saved)
        )];
        if let Some(scene) = &self.scene {
            lines.push(format!(
                "under MPC ({scene}): online time saved {}, whole time saved {}",
                shown(found.online_saved),
                shown(found.time_saved)
            ));
        }
        lines
    }
}

impl TaskEvaluation {
    /// The task in a line.
    fn describe(&self) -> String {
        let exits: Vec<String> = self.exits.iter().map(ToString::to_string).collect();
        let f1 = self.f1_of.iter().map(|label| format!(", F1 of label {label:?}")).collect::<String>();
        format!(
            "{}: {} texts, {} labels, exits after {} layers, own capacities {}{f1}",
            self.task,
            self.texts,
            self.labels,
            exits.join(", "),
            self.own_capacities()
        )
    }

    /// The texts without an answer in the clear, in a sentence.
    fn unanswered(&self) -> Option<String> {
        let lines = &self.unanswered_lines;
        (!lines.is_empty()).then(|| format!("without an answer from some method in the clear: {}", listed(lines)))
    }
}

impl PrivateResult {
    /// Both ways, with their names.
    fn ways(&self) -> [(&'static str, &PrivateMethod); 2] {
        [("own capacities", &self.routed), ("all at the last exit", &self.alone)]
    }

    /// How the times compare, in sentences.
    fn compared(&self) -> String {
        format!(
            "Under MPC: {} sessions each way, in turn; {} texts were repeated to fill those with capacities, and none at the last \
             exit. Time with own capacities over that of the last exit: online {}, total {}. Times and bytes are per text, openings \
             per session.",
            self.sessions,
            self.repeated,
            estimate(&self.online_ratio),
            estimate(&self.time_ratio)
        )
    }
}

/// Lines of a file, and how many.
fn listed(lines: &[u64]) -> String {
    const MOST: usize = 20;
    if let [line] = lines {
        return format!("1 text, line {line}");
    }
    let first: Vec<String> = lines.iter().take(MOST).map(ToString::to_string).collect();
    let more = if lines.len() > MOST { ", …" } else { "" };
    format!("{} texts, lines {}{more}", lines.len(), first.join(", "))
}
