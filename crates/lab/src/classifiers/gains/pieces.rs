//! The finished pieces of a fitting of gains, kept in one file, so that an interrupted fitting continues and gives the same result.

use crate::classifiers::ClassifierError;
use crate::encoders::student::checkpoint::{self, Tensors};
use crate::routers::tensors;
use blindroute_routing::bundle::Matrix;
use candle_core::{Device, Result};
use std::path::Path;

/// How far a fitting of gains is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GainProgress {
    /// The name of the last finished piece: the task, the rival, and what it was trained on.
    pub piece: String,
    /// Finished pieces.
    pub done: usize,
    /// Pieces in total.
    pub pieces: usize,
}

/// Pieces by name. Each is a list of matrices.
pub(in crate::classifiers) struct Pieces<'a> {
    checkpoint: Option<(&'a Path, [u8; 32])>,
    finished: Tensors,
    done: usize,
    pieces: usize,
    on_piece: &'a mut dyn FnMut(&GainProgress),
}

impl<'a> Pieces<'a> {
    /// So many pieces, with what is finished in the checkpoint of this identity, if there is one. Calls `on_piece` after each.
    pub(in crate::classifiers) fn new(
        checkpoint: Option<(&'a Path, [u8; 32])>,
        pieces: usize,
        on_piece: &'a mut dyn FnMut(&GainProgress),
    ) -> std::result::Result<Self, ClassifierError> {
        let found = checkpoint.as_ref().map(|(path, identity)| checkpoint::read(path, identity)).transpose()?;
        Ok(Self { checkpoint, finished: found.flatten().unwrap_or_default(), done: 0, pieces, on_piece })
    }

    /// The piece of this name, which is made unless it is finished already.
    pub(super) fn piece(
        &mut self,
        name: String,
        make: impl FnOnce() -> Result<Vec<Matrix>>,
    ) -> std::result::Result<Vec<Matrix>, ClassifierError> {
        let kept: Vec<Matrix> = (0..)
            .map_while(|place| self.finished.get(&format!("{name}.{place}")))
            .map(tensors::matrix)
            .collect::<Result<_>>()?;
        let piece = if kept.is_empty() {
            let made = make()?;
            for (place, matrix) in made.iter().enumerate() {
                self.finished.insert(format!("{name}.{place}"), tensors::tensor(matrix, &Device::Cpu)?);
            }
            if let Some((path, identity)) = &self.checkpoint {
                checkpoint::write(path, self.finished.clone(), identity)?;
            }
            made
        } else {
            kept
        };
        self.done += 1;
        (self.on_piece)(&GainProgress { piece: name, done: self.done, pieces: self.pieces });
        Ok(piece)
    }
}
