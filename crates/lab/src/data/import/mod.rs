//! Reading what the authors of public routing sets publish, and writing it in the native format.
//!
//! [`embedllm`], [`mixinstruct`] and [`routerbench`] say what each set's files look like and what that is known from.
//! The folder appears whole or not at all. Several values for one prompt and model become their mean. Where the
//! publisher split the set, that stands, and [`check()`](super::check()) says which prompts are on two sides.

use super::PerSplit;
use serde::Serialize;
use std::path::PathBuf;

pub mod embedllm;
pub mod mixinstruct;
pub mod routerbench;

mod gather;
mod prices;
#[cfg(test)]
mod tests;
mod turns;
mod write;

/// The largest published file: they are read row by row, and hold much that is not kept.
const MAX_PUBLISHED_BYTES: u64 = 16 << 30;

/// What to read and where to write it.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where the published files are.
    pub from: PathBuf,
    /// The folder to write: a new one, or an empty one.
    pub out: PathBuf,
    /// A CSV file with the columns `model_name`, `cost` and `cost_unit`; without one, models cost what their names say
    /// their sizes are.
    pub prices: Option<PathBuf>,
    /// Leave prompts out that lack some model's score, instead of refusing the set.
    pub drop_incomplete: bool,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The folder.
    pub out: PathBuf,
    /// How many models.
    pub models: usize,
    /// What their prices count.
    pub cost_unit: String,
    /// Whether there are prices per query.
    pub query_costs: bool,
    /// How many prompts each split has.
    pub splits: PerSplit,
    /// How many prompts were left out because some model's score was missing.
    pub dropped: usize,
    /// How many scores are the mean of several values.
    pub averaged: usize,
}
