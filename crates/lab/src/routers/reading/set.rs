//! What a data set can teach, for the reports of a training.

use crate::data::{Dataset, Reading, Split};
use crate::evaluation::SourceOnly;
use crate::routers::TrainRouterError;
use blindroute_routing::bundle::Bundle;
use serde::Serialize;

/// How the encoder reads the prompts, and what their sources alone tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetReport {
    /// How the encoder reads all prompts.
    pub reading: Reading,
    /// A router that knows only the sources, on train and valid with each prompt left out, and on test.
    pub source_only: [SourceOnly; 2],
}

impl SetReport {
    /// Reads the prompts with the bundle's tokenizer, and measures.
    ///
    /// # Errors
    /// If the bundle's tokenizer or the table cannot be used.
    pub fn of(bundle: &Bundle, dataset: &Dataset) -> Result<Self, TrainRouterError> {
        let texts: Vec<&str> = dataset.prompts().iter().map(|prompt| prompt.text.as_str()).collect();
        let source_only = [SourceOnly::left_one_out(dataset)?, SourceOnly::of(dataset, Split::Test)?];
        Ok(Self { reading: Reading::by(bundle, &texts)?, source_only })
    }

    /// Lines of the report.
    pub fn describe(&self) -> String {
        let [tuning, test] = &self.source_only;
        format!("data set: {}\n{}\n{}", self.reading.describe(), tuning.describe(), test.describe())
    }

    /// Sentences about what limits the router.
    pub fn warnings(&self, area: f64) -> Vec<String> {
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
