//! The file that lists pairs and models.

use anyhow::Context;
use blindroute_routing::tokenizer::BUCKETS;
use blindroute_runtime::config::Configuration;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Pairs and models.
#[derive(Debug, Deserialize)]
pub(super) struct PlanFile {
    #[serde(default)]
    pub(super) pairs: Vec<PairEntry>,
    #[serde(default)]
    pub(super) models: Vec<ModelEntry>,
}

/// The machines of a dealer and two servers.
#[derive(Debug, Deserialize)]
pub(super) struct PairEntry {
    pub(super) name: String,
    /// Memory that each of the two servers has for blindroute.
    pub(super) memory_mib: f64,
    /// One-way delay between the two servers.
    pub(super) delay_ms: f64,
    /// Between the two servers, in each direction.
    pub(super) megabits: f64,
    /// How many times as fast as the machine of the estimate the servers compute.
    #[serde(default = "one")]
    pub(super) cores: f64,
}

/// A model and its sessions.
#[derive(Debug, Deserialize)]
pub(super) struct ModelEntry {
    /// The name in the answer; the bundle's file name if there is none.
    #[serde(default)]
    name: Option<String>,
    pub(super) bundle: PathBuf,
    /// Sessions per hour.
    pub(super) load: f64,
    pub(super) bucket: usize,
    pub(super) batch: usize,
    /// The router of the bundle, its first if there is neither this nor a task.
    #[serde(default)]
    pub(super) router: Option<String>,
    /// The task of the bundle's pool of classifiers.
    #[serde(default)]
    pub(super) task: Option<String>,
    /// Sessions that hold material at the same time.
    #[serde(default = "two")]
    pub(super) sessions: usize,
}

fn one() -> f64 {
    1.0
}

fn two() -> usize {
    2
}

impl PlanFile {
    /// Reads and checks it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = Self::load(path)?.config;
        let mut names: Vec<&str> = file.pairs.iter().map(|pair| pair.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
            anyhow::bail!("{}: two pairs are called {:?}; give each a name of its own", path.display(), twice[0]);
        }
        Ok(file)
    }
}

impl ModelEntry {
    pub(super) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.bundle.display().to_string())
    }

    /// Reads the bundle.
    pub(super) fn read(&self) -> anyhow::Result<blindroute_routing::bundle::Bundle> {
        blindroute_console::bundles::read(&self.bundle).with_context(|| format!("model {:?}", self.name()))
    }
}

impl Configuration for PlanFile {
    fn resolve(&mut self, base: &Path) {
        for model in &mut self.models {
            // The name stays as it was written.
            model.name.get_or_insert_with(|| model.bundle.display().to_string());
            model.bundle = base.join(&model.bundle);
        }
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let number = |number: f64, least: f64| number.is_finite() && number >= least;
        let pairs = |good: &dyn Fn(&PairEntry) -> bool| self.pairs.iter().all(good);
        let models = |good: &dyn Fn(&ModelEntry) -> bool| self.models.iter().all(good);
        let checks = [
            (!self.pairs.is_empty(), "pairs", "is missing: expected at least one table [[pairs]]"),
            (!self.models.is_empty(), "models", "is missing: expected at least one table [[models]]"),
            (
                pairs(&|pair| number(pair.memory_mib, 1.0)),
                "memory_mib",
                "is out of range: expected at least 1 in each pair",
            ),
            (pairs(&|pair| number(pair.delay_ms, 0.0)), "delay_ms", "is out of range: expected 0 or more"),
            (
                pairs(&|pair| number(pair.megabits, 0.001)),
                "megabits",
                "is out of range: expected a number greater than 0.001",
            ),
            (
                pairs(&|pair| number(pair.cores, 0.001)),
                "cores",
                "is out of range: expected at least 0.001; 1 if left out",
            ),
            (
                models(&|model| number(model.load, 0.0)),
                "load",
                "is out of range: expected sessions per hour, 0 or more",
            ),
            (
                models(&|model| BUCKETS.contains(&model.bucket)),
                "bucket",
                "is no bucket: expected 32, 64, 128 or 256 in each model",
            ),
            (models(&|model| (1..=64).contains(&model.batch)), "batch", "is out of range: expected 1 to 64"),
            (models(&|model| (1..=1024).contains(&model.sessions)), "sessions", "is out of range: expected 1 to 1024"),
            (
                models(&|model| model.router.is_none() || model.task.is_none()),
                "task",
                "stands beside a router: expected one of them in each model",
            ),
        ];
        checks.into_iter().find(|(good, ..)| !good).map(|(_, field, problem)| (field, problem))
    }
}
