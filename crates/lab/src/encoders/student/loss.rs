//! The distance of a student's states from its teacher's (L_distill of PPRoute, Eq. 2).

use super::neural_encoder::Batch;
use crate::routers::tensors::unit_rows;
use candle_core::{D, Result, Tensor};

/// Weights of two of the three parts; hidden states have weight 1. Embeddings have more weight because routers see nothing else.
/// Similarities among the texts of a batch are small numbers, and nearest-neighbour search depends on them.
const EMBEDDING: f64 = 2.0;
const SIMILARITY: f64 = 10.0;

/// The states of a batch that are compared.
#[derive(Clone, Debug)]
pub(crate) struct States {
    /// Hidden states after the compared layers, each `[batch · length, hidden]`.
    pub(crate) hidden: Vec<Tensor>,
    /// Embeddings, `[batch, hidden]`.
    pub(crate) pooled: Tensor,
}

/// The parts of a loss, each a scalar tensor.
#[derive(Clone, Debug)]
pub(crate) struct Distance {
    /// Mean square error of hidden states divided by the teacher's mean square, averaged over layers; real tokens only.
    pub(crate) hidden: Tensor,
    /// 1 − cosine of the embeddings, averaged over texts.
    pub(crate) embedding: Tensor,
    /// Mean square error of the cosines among the batch's embeddings.
    pub(crate) similarity: Tensor,
}

impl Distance {
    /// The weighted sum.
    pub(crate) fn total(&self) -> Result<Tensor> {
        &self.hidden + (((&self.embedding * EMBEDDING)? + (&self.similarity * SIMILARITY)?)?)
    }
}

/// The distance of `student` from `teacher`, whose states must not carry gradients.
pub(crate) fn distance(student: &States, teacher: &States, batch: &Batch) -> Result<Distance> {
    let mask = batch.mask.reshape(((), 1))?;
    let mut hidden = Tensor::zeros((), mask.dtype(), mask.device())?;
    for (mine, theirs) in student.hidden.iter().zip(&teacher.hidden) {
        let error = (mine - theirs)?.sqr()?.broadcast_mul(&mask)?.sum_all()?;
        let scale = theirs.sqr()?.broadcast_mul(&mask)?.sum_all()?;
        hidden = (hidden + (error / scale)?)?;
    }
    let (mine, theirs) = (unit_rows(&student.pooled)?, unit_rows(&teacher.pooled)?);
    let cosine = (&mine * &theirs)?.sum(D::Minus1)?.mean_all()?;
    let among = |rows: &Tensor| rows.matmul(&rows.t()?);
    Ok(Distance {
        hidden: (hidden / student.hidden.len().max(1) as f64)?,
        embedding: (1.0 - cosine)?,
        similarity: (among(&mine)? - among(&theirs)?)?.sqr()?.mean_all()?,
    })
}
