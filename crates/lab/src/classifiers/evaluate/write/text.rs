//! The table for the terminal.

use super::super::{Metric, PoolEvaluation, PrivateResult, TaskEvaluation};
use super::listed;
use crate::evaluation::Estimate;
use crate::evaluation::write::{Entry, interval, line, lines, number, signed, table, wrapped};

impl PoolEvaluation {
    /// A table for the terminal, at most 100 columns wide: for each task the methods with their measures and, on the next line,
    /// the intervals; then what ran under MPC; then means over the tasks.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text =
            format!("{}\n", wrapped(&line(&format!("{}, digest {}, {}", self.bundle, self.digest, self.date))));
        for task in &self.tasks {
            text += &format!("\n{}\n{}", wrapped(&line(&task.describe())), table(&methods(task)));
            let unanswered = task.unanswered();
            text.extend(unanswered.map(|unanswered| format!("{}\n", wrapped(&line(&unanswered)))));
            if let Some(private) = &task.private {
                text += &format!("\n{}{}\n", table(&under_mpc(private)), wrapped(&private.compared()));
                for (way, method) in private.ways().into_iter().filter(|way| !way.1.unanswered_lines.is_empty()) {
                    let unanswered = listed(&method.unanswered_lines);
                    text += &format!("{}\n", wrapped(&format!("without an answer under MPC, {way}: {unanswered}")));
                }
            }
        }
        for sentence in self.summary_lines().into_iter().chain(self.notes()) {
            text += &format!("\n{}", wrapped(&line(&sentence)));
        }
        text
    }
}

/// The methods of a task.
fn methods(task: &TaskEvaluation) -> Vec<Entry> {
    let metrics = task.metrics();
    let headings = ["layers", "accuracy", "− last exit"].into_iter();
    let headings = headings.chain(metrics.iter().skip(1).map(|metric| metric.heading()));
    let mut entries = vec![Entry::Row(String::new(), vec![headings.map(str::to_owned).collect()])];
    for method in &task.methods {
        let difference = method.difference.get(&Metric::Accuracy).copied();
        let layers = method.layers.value.map_or_else(|| "–".to_owned(), |layers| format!("{layers:.2}"));
        let accuracy = method.measure(Metric::Accuracy);
        let rest: Vec<Estimate> = metrics.iter().skip(1).map(|metric| method.measure(*metric)).collect();
        let mut values = vec![layers, number(accuracy.value)];
        values.push(difference.map(|difference| signed(difference.value)).unwrap_or_default());
        values.extend(rest.iter().map(|estimate| number(estimate.value)));
        let mut intervals = vec![String::new(), interval(&accuracy, number, "–")];
        intervals.push(difference.map(|difference| interval(&difference, signed, " to ")).unwrap_or_default());
        intervals.extend(rest.iter().map(|estimate| interval(estimate, number, "–")));
        entries.push(Entry::Row(format!("  {}", method.name()), lines(values, intervals)));
    }
    entries
}

/// Both ways under MPC.
fn under_mpc(private: &PrivateResult) -> Vec<Entry> {
    let headings = ["accuracy", "equal labels", "ms online", "offline", "total", "openings", "kB servers", "material"];
    let name = format!("  under MPC, {} texts", private.texts);
    let mut entries = vec![Entry::Row(name, vec![headings.map(str::to_owned).to_vec()])];
    for (way, method) in private.ways() {
        let took = &method.per_text;
        let mut values = vec![number(method.accuracy.value), number(method.equal_labels.value)];
        values.extend([took.online_ms, took.offline_ms, took.total_ms].map(|ms| format!("{ms:.2}")));
        values.push(format!("{:.1}", took.openings));
        values.extend([took.server_bytes, took.material_bytes].map(|bytes| format!("{:.1}", bytes / 1000.0)));
        let intervals = [method.accuracy, method.equal_labels].map(|estimate| interval(&estimate, number, "–"));
        entries.push(Entry::Row(format!("  {way}"), lines(values, intervals.to_vec())));
    }
    entries
}
