//! The file that `route` takes.

use super::{Estimate, Target};
use crate::data::DataError;
use crate::data::text::Text;
use blindroute_routing::bundle::Model;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: &str = "blindroute-calibration";
const VERSION: u32 = 1;
/// Far more than a pool of thousands needs.
const MAX_BYTES: u64 = 16 << 20;
const HINT: &str = "make a calibration with `blindroute calibrate`";

/// A λ for one router over one pool, and why it is this one. It holds no prompt and nothing of the router but its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    format: String,
    version: u32,
    /// The router's name.
    pub router: String,
    /// The pool's models, in order.
    pub models: Vec<String>,
    /// What was asked for.
    pub target: Target,
    /// The weight of cost, and where it lies for other such prompts.
    pub lambda: Estimate,
    /// How many prompts.
    pub prompts: usize,
    /// The mean relative cost at this λ.
    pub cost: Estimate,
    /// The mean score at this λ, where outcomes were given.
    pub score: Option<Estimate>,
}

/// What can be wrong with a calibration's file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtefactError {
    /// It could not be read.
    #[error(transparent)]
    File(#[from] DataError),
    /// It is none.
    #[error("{} is no calibration ({problem}); make one with `blindroute calibrate`", .path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// It is of a later version.
    #[error("the calibration {} has version {found}, this program reads version {VERSION}; make it anew or update", .path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It is for another pool or router.
    #[error(
        "the calibration is for {what} {found:?}, this is {expected:?}; make one for this bundle with `blindroute calibrate`"
    )]
    Other {
        /// What differs.
        what: &'static str,
        /// The calibration's.
        found: String,
        /// The bundle's.
        expected: String,
    },
}

impl Calibration {
    pub(super) fn new(
        router: &str,
        models: &[Model],
        target: Target,
        lambda: Estimate,
        prompts: usize,
        cost: Estimate,
        score: Option<Estimate>,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            router: router.to_owned(),
            models: models.iter().map(|model| model.name.clone()).collect(),
            target,
            lambda,
            prompts,
            cost,
            score,
        }
    }

    /// The weight of cost to route with.
    pub fn weight(&self) -> f32 {
        self.lambda.value as f32
    }

    /// Reads a calibration from its file.
    pub fn open(path: &Path) -> Result<Self, ArtefactError> {
        let content = |problem: String| ArtefactError::Content { path: path.to_owned(), problem };
        let bytes = Text::read(path, MAX_BYTES, HINT)?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| content(error.to_string()))?;
        if value.get("format").and_then(serde_json::Value::as_str) != Some(FORMAT) {
            return Err(content(format!("its format is not {FORMAT:?}")));
        }
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(found) if found == u64::from(VERSION) => {}
            found => {
                let found = found.and_then(|found| u32::try_from(found).ok()).unwrap_or(0);
                return Err(ArtefactError::Version { path: path.to_owned(), found });
            }
        }
        let calibration: Self = serde_json::from_value(value).map_err(|error| content(error.to_string()))?;
        for name in &calibration.models {
            Model::check_name(name).map_err(|problem| content(format!("a model's name {problem}")))?;
        }
        let weight = calibration.weight();
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(content(format!("its weight of cost is {weight}")));
        }
        Ok(calibration)
    }

    /// Whether it is for this router over this pool.
    pub fn check(&self, router: &str, models: &[Model]) -> Result<(), ArtefactError> {
        let other = |what, found: String, expected: String| Err(ArtefactError::Other { what, found, expected });
        if self.router != router {
            return other("the router", self.router.clone(), router.to_owned());
        }
        if !self.models.iter().eq(models.iter().map(|model| &model.name)) {
            let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
            return other("the models", self.models.join(", "), names.join(", "));
        }
        Ok(())
    }
}
