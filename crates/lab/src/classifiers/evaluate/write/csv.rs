//! CSV with one line per task, method and capacities.

use super::super::{Kind, MethodResult, Metric, PoolEvaluation, PrivateMethod, TaskEvaluation};
use crate::evaluation::Estimate;

const PRIVATE: [&str; 16] = [
    "private_texts",
    "private_unanswered",
    "private_accuracy",
    "private_accuracy_low",
    "private_accuracy_high",
    "private_equal_labels",
    "private_equal_labels_low",
    "private_equal_labels_high",
    "offline_ms",
    "online_ms",
    "total_ms",
    "openings",
    "server_bytes",
    "client_bytes",
    "material_bytes",
    "scene",
];

impl PoolEvaluation {
    /// Comma-separated values: a header, and one line per task, method and capacities, with each measure and its difference to the
    /// last exit, and the ends of their intervals; the figures under MPC for the two methods that ran there. What does not apply is
    /// empty.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut header: Vec<String> =
            ["bundle", "digest", "date", "batch", "task", "texts", "method", "capacities", "own"]
                .map(str::to_owned)
                .into();
        header.extend(["layers", "layers_low", "layers_high"].map(str::to_owned));
        for key in Metric::ALL.map(Metric::key) {
            header.extend(["", "_low", "_high"].map(|end| format!("{key}{end}")));
            header.extend(["", "_low", "_high"].map(|end| format!("{key}_difference{end}")));
        }
        header.extend(PRIVATE.map(str::to_owned));
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut written = writer.write_record(&header);
        for task in &self.tasks {
            for method in &task.methods {
                written = written.and_then(|()| writer.write_record(self.row(task, method)));
            }
        }
        // Writing to memory does not fail, and the bytes are text.
        let bytes = written.ok().and_then(|()| writer.into_inner().ok());
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn row(&self, task: &TaskEvaluation, method: &MethodResult) -> Vec<String> {
        let kind = match method.kind {
            Kind::Exit => "exit",
            Kind::Routing => "routing",
            Kind::Random => "random",
            Kind::Oracle => "oracle",
        };
        let mut row = vec![self.bundle.clone(), self.digest.clone(), self.date.clone(), self.batch.to_string()];
        row.extend([task.task.clone(), task.texts.to_string(), kind.to_owned(), method.shares()]);
        row.push(method.own.to_string());
        row.extend(numbers(Some(&method.layers)));
        for metric in Metric::ALL {
            row.extend(numbers(method.measures.get(&metric)));
            row.extend(numbers(method.difference.get(&metric)));
        }
        match self.private(task, method) {
            Some((texts, found)) => row.extend(self.under_mpc(texts, found)),
            None => row.extend(PRIVATE.map(|_| String::new())),
        }
        row
    }

    /// What ran of a method under MPC, and for how many texts.
    fn private<'a>(&self, task: &'a TaskEvaluation, method: &MethodResult) -> Option<(usize, &'a PrivateMethod)> {
        let private = task.private.as_ref()?;
        let is = |other: Option<&MethodResult>| other == Some(method);
        let found = if is(task.own_routing()) {
            &private.routed
        } else if is(task.last_exit()) {
            &private.alone
        } else {
            return None;
        };
        Some((private.texts, found))
    }

    fn under_mpc(&self, texts: usize, found: &PrivateMethod) -> Vec<String> {
        let took = &found.per_text;
        let mut cells = vec![texts.to_string(), found.unanswered_lines.len().to_string()];
        cells.extend(numbers(Some(&found.accuracy)));
        cells.extend(numbers(Some(&found.equal_labels)));
        let figures = [took.offline_ms, took.online_ms, took.total_ms, took.openings];
        cells.extend(figures.map(|figure| figure.to_string()));
        cells.extend([took.server_bytes, took.client_bytes, took.material_bytes].map(|bytes| bytes.to_string()));
        cells.push(self.scene.clone().unwrap_or_default());
        cells
    }
}

/// A number and the ends of its interval.
fn numbers(estimate: Option<&Estimate>) -> [String; 3] {
    let interval = estimate.and_then(|estimate| estimate.interval);
    let ends =
        [estimate.and_then(|estimate| estimate.value), interval.and_then(|i| i.low), interval.and_then(|i| i.high)];
    ends.map(|value| value.map_or_else(String::new, |value| value.to_string()))
}
