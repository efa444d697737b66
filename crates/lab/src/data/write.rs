//! Writing the native format: the folder is written completely or not at all.

use crate::data::{DataError, Dataset, PerSplit, Prompt};
use blindroute_routing::bundle::{Matrix, Model};
use serde_json::json;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A data set to write, with scores and costs row by row.
pub(super) struct Native<'a> {
    pub(super) models: &'a [Model],
    pub(super) prompts: &'a [Prompt],
    pub(super) scores: &'a [f32],
    pub(super) query_costs: Option<&'a [f32]>,
}

/// Checks early whether the folder can be written.
pub(super) fn check_out(out: &Path) -> Result<(), DataError> {
    let write = |source| DataError::Write { path: out.to_owned(), source };
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(DataError::Occupied { path: out.to_owned() }),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let there = fs::metadata(folder_of(out)).map_err(write)?;
            if there.is_dir() && out.file_name().is_some() {
                Ok(())
            } else {
                Err(write(io::ErrorKind::NotADirectory.into()))
            }
        }
        Err(error) => Err(write(error)),
    }
}

impl Dataset {
    /// Writes the set in the native format into a new or empty folder, completely or not at all: [`Dataset::load`] gives the
    /// same set again.
    ///
    /// # Errors
    /// If the folder is not empty or cannot be written, or if the format cannot hold the set (as a model whose name is `id`).
    pub fn save(&self, folder: &Path) -> Result<(), DataError> {
        let (scores, query_costs) = (self.scores.data(), self.query_costs.as_ref().map(Matrix::data));
        Native { models: &self.models, prompts: &self.prompts, scores, query_costs }.write(folder)
    }
}

/// The number of prompts per split.
pub(super) fn counts(prompts: &[Prompt]) -> PerSplit {
    let mut counts = PerSplit::default();
    prompts.iter().for_each(|prompt| *counts.of(prompt.split) += 1);
    counts
}

impl Native<'_> {
    /// Writes a folder beside `out`, reads it again as training would, and renames it to `out`.
    pub(super) fn write(&self, out: &Path) -> Result<(), DataError> {
        check_out(out)?;
        let partial = Partial::make(out)?;
        let models: Vec<_> = (self.models.iter())
            .map(|model| json!({"name": model.name, "cost": model.price, "cost_unit": model.unit}))
            .collect();
        partial.file("models.json", |file| Ok(serde_json::to_writer_pretty(file, &models)?))?;
        partial.file("prompts.jsonl", |file| {
            for Prompt { id, text, source, split } in self.prompts {
                let line = json!({"id": id, "prompt": text, "source": source, "split": split.to_string()});
                writeln!(file, "{line}")?;
            }
            Ok(())
        })?;
        partial.file("outcomes.csv", |file| self.table(file, self.scores))?;
        if let Some(costs) = self.query_costs {
            partial.file("costs.csv", |file| self.table(file, costs))?;
        }
        // A data set that cannot be read must not get the name.
        Dataset::load(&partial.path)?;
        let write = |source| DataError::Write { path: out.to_owned(), source };
        match fs::remove_dir(out) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(write(error)),
            _ => fs::rename(&partial.path, out).map_err(write),
        }
    }

    fn table(&self, file: &mut dyn io::Write, cells: &[f32]) -> io::Result<()> {
        let mut table = csv::Writer::from_writer(file);
        let names = self.models.iter().map(|model| model.name.as_str());
        table.write_record(std::iter::once("id").chain(names))?;
        for (prompt, row) in self.prompts.iter().zip(cells.chunks_exact(self.models.len())) {
            table.write_field(&prompt.id)?;
            table.write_record(row.iter().map(f32::to_string))?;
        }
        table.flush()
    }
}

/// A folder that is removed on drop unless it was renamed.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn make(out: &Path) -> Result<Self, DataError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(out.file_name().unwrap_or_default());
        name.push(format!(".{}.partial", std::process::id()));
        let path = folder_of(out).join(name);
        fs::create_dir(&path).map_err(|source| DataError::Write { path: path.clone(), source })?;
        Ok(Self { path })
    }

    fn file(&self, name: &str, fill: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<(), DataError> {
        let path = self.path.join(name);
        let filled = || {
            let mut file = io::BufWriter::new(fs::File::create_new(&path)?);
            fill(&mut file)?;
            file.flush()
        };
        filled().map_err(|source| DataError::Write { path: path.clone(), source })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the renaming there is nothing to remove. If removal fails, nothing can be done here.
        fs::remove_dir_all(&self.path).ok();
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
