//! Importing public routing sets: reading the published files and writing them in the native format.
//!
//! [`embedllm`], [`mixinstruct`] and [`routerbench`] describe the files of each set and the sources of that description. The
//! folder is written completely or not at all. Several values for one prompt and model are averaged. The publisher's splits are
//! kept; [`check()`](super::check()) reports prompts that are in two of them.

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

/// The largest published file. Files are read row by row, and most of their content is not kept.
const MAX_PUBLISHED_BYTES: u64 = 16 << 30;

/// What to import, and where to write it.
#[derive(Clone, Debug)]
pub struct Job {
    /// The published file or folder.
    pub from: PathBuf,
    /// The folder to write, which must be new or empty.
    pub out: PathBuf,
    /// A CSV file with the columns `model_name`, `cost` and `cost_unit`. Without it, the sizes in the models' names are the prices.
    pub prices: Option<PathBuf>,
    /// Whether prompts with a missing score are left out. Otherwise they are an error.
    pub drop_incomplete: bool,
}

/// A summary of the written data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The folder.
    pub out: PathBuf,
    /// The number of models.
    pub models: usize,
    /// The unit of the prices.
    pub cost_unit: String,
    /// Whether there are costs per query.
    pub query_costs: bool,
    /// The number of prompts per split.
    pub splits: PerSplit,
    /// The number of prompts that were left out because of a missing score.
    pub dropped: usize,
    /// The number of scores that are the mean of several values.
    pub averaged: usize,
}
