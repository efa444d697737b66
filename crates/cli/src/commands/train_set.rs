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
        let [valid, test] = [Split::Valid, Split::Test].map(|split| SourceOnly::of(dataset, split));
        Ok(Self { reading: Reading::by(bundle, &texts)?, source_only: [valid?, test?] })
    }

    /// Lines of the report.
    pub(super) fn describe(&self) -> String {
        let [valid, test] = &self.source_only;
        format!("data set: {}\n{}\n{}", self.reading.describe(), valid.describe(), test.describe())
    }

    /// Sentences about what limits the router.
    pub(super) fn warnings(&self, valid_area: f64) -> Vec<String> {
        let mut warnings = self.reading.warnings();
        let known = self.source_only[0].area;
        if self.source_only[0].sources > 1 && valid_area <= known {
            warnings.push(format!(
                "on valid the router's area is {valid_area:.4}, and that of a router that knows only a prompt's source is \
                 {known:.4}: it has learned no more than the sources from this set"
            ));
        }
        warnings
    }
}
