//! The whole state of a training in one file, so that an interrupted training can continue.
//!
//! The file is in safetensors format. It has every variable with its two running means, and the identity of the training. It
//! is written under another name and then renamed, so that an interruption never leaves an incomplete checkpoint. A training of
//! several parts keeps what its finished parts gave instead ([`write()`], [`read`]).

use crate::routers::optimiser::AdamW;
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What can be wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file could not be read or written.
    #[error("could not use the checkpoint {}: {problem}; name another file with --checkpoint, or remove this one to start again", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The checkpoint belongs to another training.
    #[error("the checkpoint {} belongs to a training with other options or texts; name another file with --checkpoint, or remove this one to start again", .path.display())]
    Other {
        /// Which file.
        path: PathBuf,
    },
}

const IDENTITY: &str = "identity";
const STEPS: &str = "steps";

/// Tensors by name.
pub(crate) type Tensors = HashMap<String, Tensor>;

fn fault(path: &Path, problem: impl ToString) -> CheckpointError {
    CheckpointError::File { path: path.to_owned(), problem: problem.to_string() }
}

/// Writes tensors. `identity` is a digest of the training's options and texts.
pub(crate) fn write(path: &Path, mut tensors: Tensors, identity: &[u8; 32]) -> Result<(), CheckpointError> {
    let fault = |problem: &dyn ToString| fault(path, problem.to_string());
    let identity = Tensor::new(identity.as_slice(), &Device::Cpu).map_err(|error| fault(&error))?;
    tensors.insert(IDENTITY.to_owned(), identity);
    let beside = path.with_extension("part");
    candle_core::safetensors::save(&tensors, &beside).map_err(|error| fault(&error))?;
    std::fs::rename(&beside, path).map_err(|error| fault(&error))
}

/// The tensors of a checkpoint, if there is one.
///
/// # Errors
/// If the file is not a checkpoint, or belongs to another training.
pub(crate) fn read(path: &Path, identity: &[u8; 32]) -> Result<Option<Tensors>, CheckpointError> {
    if !path.exists() {
        return Ok(None);
    }
    let broken = |error: candle_core::Error| fault(path, error);
    let mut tensors = candle_core::safetensors::load(path, &Device::Cpu).map_err(broken)?;
    let found = tensors.remove(IDENTITY).ok_or_else(|| fault(path, format!("it has no {IDENTITY}")))?;
    if found.to_vec1::<u8>().map_err(broken)? != identity {
        return Err(CheckpointError::Other { path: path.to_owned() });
    }
    Ok(Some(tensors))
}

/// Writes the state.
pub(crate) fn save(path: &Path, optimiser: &AdamW, identity: &[u8; 32]) -> Result<(), CheckpointError> {
    let mut tensors = HashMap::new();
    for tracked in &optimiser.tracked {
        let name = &tracked.name;
        tensors.insert(format!("value.{name}"), tracked.value.as_detached_tensor());
        tensors.insert(format!("mean.{name}"), tracked.mean.clone());
        tensors.insert(format!("square.{name}"), tracked.square.clone());
    }
    let steps = Tensor::new(&[optimiser.steps as i64], &Device::Cpu).map_err(|error| fault(path, error))?;
    tensors.insert(STEPS.to_owned(), steps);
    write(path, tensors, identity)
}

/// Restores the state, if there is a checkpoint.
///
/// # Errors
/// If the file is not a checkpoint, or belongs to another training.
pub(crate) fn load(path: &Path, optimiser: &mut AdamW, identity: &[u8; 32]) -> Result<bool, CheckpointError> {
    let Some(mut tensors) = read(path, identity)? else { return Ok(false) };
    let broken = |error: candle_core::Error| fault(path, error);
    let mut take = |name: String| tensors.remove(&name).ok_or_else(|| fault(path, format!("it has no {name}")));
    let steps = take(STEPS.to_owned())?.to_vec1::<i64>().map_err(broken)?;
    for tracked in &mut optimiser.tracked {
        let device = tracked.value.device().clone();
        let mut here = |kind: &str| take(format!("{kind}.{}", tracked.name))?.to_device(&device).map_err(broken);
        let (value, mean, square) = (here("value")?, here("mean")?, here("square")?);
        tracked.value.set(&value).map_err(broken)?;
        (tracked.mean, tracked.square) = (mean, square);
    }
    optimiser.steps = steps.first().map_or(0, |steps| usize::try_from(*steps).unwrap_or(0));
    Ok(true)
}
