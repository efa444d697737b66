//! What the finished rounds gave, in one file.

use super::report::{RoundReport, SlimRow};
use crate::classifiers::ClassifierError;
use crate::encoders::student::CheckpointError;
use crate::encoders::student::checkpoint::{self, Tensors};
use blindroute_routing::bundle::Bundle;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What is told of the finished rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Log {
    pub(super) alone: Vec<SlimRow>,
    pub(super) accepted: Vec<SlimRow>,
    pub(super) rounds: Vec<RoundReport>,
}

/// The file with the bundle and the log of the finished rounds.
pub(super) struct State<'a> {
    file: Option<(&'a Path, [u8; 32])>,
}

impl<'a> State<'a> {
    pub(super) fn new(path: Option<&'a Path>, identity: [u8; 32]) -> Self {
        Self { file: path.map(|path| (path, identity)) }
    }

    /// The file of the training of a round.
    pub(super) fn of_round(&self, round: usize) -> Option<PathBuf> {
        self.file.map(|(path, _)| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".round{round}"));
            name.into()
        })
    }

    /// What was written, if there is anything.
    pub(super) fn read(&self) -> Result<Option<(Bundle, Log)>, ClassifierError> {
        let Some((path, identity)) = &self.file else { return Ok(None) };
        let Some(tensors) = checkpoint::read(path, identity)? else { return Ok(None) };
        let fault = |problem: String| CheckpointError::File { path: (*path).to_owned(), problem };
        let bytes = |name: &str| {
            let tensor = tensors.get(name).ok_or_else(|| fault(format!("it has no {name}")))?;
            tensor.to_vec1::<u8>().map_err(|error| fault(error.to_string()))
        };
        let log = serde_json::from_slice(&bytes("log")?).map_err(|error| fault(error.to_string()))?;
        Ok(Some((Bundle::read(&bytes("bundle")?)?.bundle, log)))
    }

    /// Writes what is finished, and removes what was kept of the training of these rounds.
    pub(super) fn write(&self, bundle: &Bundle, log: &Log) -> Result<(), ClassifierError> {
        let Some((path, identity)) = &self.file else { return Ok(()) };
        let fault = |problem: String| CheckpointError::File { path: (*path).to_owned(), problem };
        let log_bytes = serde_json::to_vec(log).map_err(|error| fault(error.to_string()))?;
        let mut tensors = Tensors::new();
        for (name, bytes) in [("log", log_bytes), ("bundle", bundle.write()?)] {
            let length = bytes.len();
            tensors.insert(name.to_owned(), Tensor::from_vec(bytes, length, &Device::Cpu)?);
        }
        checkpoint::write(path, tensors, identity)?;
        if let Some(of_round) = self.of_round(log.rounds.len()).filter(|file| file.exists()) {
            std::fs::remove_file(&of_round).map_err(|error| fault(error.to_string()))?;
        }
        Ok(())
    }
}
