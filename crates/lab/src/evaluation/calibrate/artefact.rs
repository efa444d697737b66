//! The file of a calibration, which `route --calibration` reads.

use super::{Estimate, Target};
use crate::data::DataError;
use crate::data::text::Text;
use blindroute_routing::bundle::Model;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: &str = "blindroute-calibration";
const VERSION: u32 = 1;
/// More than a pool of thousands needs.
const MAX_BYTES: u64 = 16 << 20;
const HINT: &str = "make a calibration with `blindroute calibrate`";

/// A λ for one router over one pool, and the estimates that it is based on. It has no prompt, and of the router only the name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    format: String,
    version: u32,
    /// The router's name.
    pub router: String,
    /// The pool's models, in order.
    pub models: Vec<String>,
    /// The target.
    pub target: Target,
    /// The weight of cost, with its interval for other prompts of the same kind.
    pub lambda: Estimate,
    /// The number of prompts.
    pub prompts: usize,
    /// The mean relative cost at this λ.
    pub cost: Estimate,
    /// The mean score at this λ, if outcomes were given.
    pub score: Option<Estimate>,
}

/// What can be wrong with the file of a calibration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtefactError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] DataError),
    /// The file is not a calibration.
    #[error("{} is not a calibration ({problem}); make one with `blindroute calibrate`", .path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The file has another version.
    #[error("the calibration {} has version {found}, expected {VERSION}; calibrate again, or update the program", .path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// The version of the file.
        found: u32,
    },
    /// The calibration is for another pool or router.
    #[error(
        "the calibration is for {what} {found:?}, expected {expected:?}; make one for this bundle with `blindroute calibrate`"
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

/// What a calibration found on a number of prompts.
pub(super) struct Estimates {
    pub(super) prompts: usize,
    pub(super) lambda: Estimate,
    pub(super) cost: Estimate,
    pub(super) score: Option<Estimate>,
}

impl Calibration {
    pub(super) fn new(router: &str, models: &[Model], target: Target, found: Estimates) -> Self {
        let Estimates { prompts, lambda, cost, score } = found;
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

    /// Checks that the calibration is for this router over this pool.
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
