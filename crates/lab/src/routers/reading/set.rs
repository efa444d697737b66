//! What a data set can teach, for the reports of a training.

use blindroute_lab::data::{Dataset, Reading, Split};
use blindroute_lab::evaluation::SourceOnly;
use blindroute_routing::bundle::Bundle;
use serde::Serialize;

/// How the encoder reads the prompts, and what their sources alone tell.
#[derive(Debug, Serialize)]
pub(super) struct SetReport {
    reading: Reading,
    source_only: [SourceOnly; 2],
}

impl SetReport {
    pub(super) fn of(bundle: &Bundle, dataset: &Dataset) -> anyhow::Result<Self> {
        let texts: Vec<&str> = dataset.prompts().iter().map(|prompt| prompt.text.as_str()).collect();
        let source_only = [SourceOnly::left_one_out(dataset)?, SourceOnly::of(dataset, Split::Test)?];
        Ok(Self { reading: Reading::by(bundle, &texts)?, source_only })
    }

    /// Lines of the report.
    pub(super) fn describe(&self) -> String {
        let [tuning, test] = &self.source_only;
        format!("data set: {}\n{}\n{}", self.reading.describe(), tuning.describe(), test.describe())
    }

    /// Sentences about what limits the router.
    pub(super) fn warnings(&self, area: f64) -> Vec<String> {
        let mut warnings = self.reading.warnings();
        let known = self.source_only[0].area;
        if self.source_only[0].sources > 1 && area <= known {
            warnings.push(format!(
                "in the cross-validation the router's area is {area:.4}, and that of a router that knows only a prompt's source is \
                 {known:.4}: it has learned no more than the sources from this set"
            ));
        }
        warnings
    }
}
