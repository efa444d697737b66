//! The heads of the tasks while they are trained, and the loss.

use crate::routers::tensors;
use blindroute_routing::bundle::{LinearLayer, Matrix};
use candle_core::{D, DType, Device, Result, Tensor, Var};

/// A head is the variables times this factor, so that it learns as with a rate that is larger by this factor.
const FACTOR: f64 = 10.0;

/// The head of a task at an exit.
#[derive(Debug)]
struct Head {
    weight: Var,
    bias: Var,
}

/// The heads of a task, by exit.
#[derive(Debug)]
pub(super) struct Heads {
    name: String,
    heads: Vec<Head>,
}

impl Heads {
    /// The heads of the task of this name, which start as these.
    pub(super) fn new(name: &str, start: &[LinearLayer], dtype: DType) -> Result<Self> {
        let variable = |matrix: &Matrix| {
            let value = tensors::tensor(matrix, &Device::Cpu)?.to_dtype(dtype)?;
            Var::from_tensor(&(value / FACTOR)?)
        };
        let head = |of: &LinearLayer| Ok(Head { weight: variable(&of.weight)?, bias: variable(&of.bias)? });
        Ok(Self { name: name.to_owned(), heads: start.iter().map(head).collect::<Result<_>>()? })
    }

    /// Every variable with its name, in a fixed order.
    pub(super) fn parameters(&self) -> Vec<(String, Var)> {
        let of = |(exit, head): (usize, &Head)| {
            let name = |part| format!("task.{}.head.{exit}.{part}", self.name);
            [(name("weight"), head.weight.clone()), (name("bias"), head.bias.clone())]
        };
        self.heads.iter().enumerate().flat_map(of).collect()
    }

    /// The logarithms of the labels' probabilities, by exit, from the features there.
    pub(super) fn log_probabilities(&self, features: &[Tensor]) -> Result<Vec<Tensor>> {
        let of = |(head, features): (&Head, &Tensor)| {
            let scores = features.matmul(&(head.weight.as_tensor() * FACTOR)?)?;
            log_softmax(&scores.broadcast_add(&(head.bias.as_tensor() * FACTOR)?)?)
        };
        self.heads.iter().zip(features).map(of).collect()
    }

    /// The heads in the form of a bundle.
    pub(super) fn layers(&self) -> Result<Vec<LinearLayer>> {
        let matrix = |variable: &Var| tensors::matrix(&(variable.as_detached_tensor() * FACTOR)?);
        let layer = |head: &Head| Ok(LinearLayer { weight: matrix(&head.weight)?, bias: matrix(&head.bias)? });
        self.heads.iter().map(layer).collect()
    }
}

/// The logarithm of softmax over the columns, of operations that have gradients.
pub(super) fn log_softmax(scores: &Tensor) -> Result<Tensor> {
    let centred = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?;
    centred.broadcast_sub(&centred.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

/// One in the column of each row's label, `[rows, columns]`, in the form of this tensor.
fn one_hot(labels: &[usize], like: &Tensor) -> Result<Tensor> {
    let (count, columns) = like.dims2()?;
    let mut chosen = vec![0.0; count * columns];
    labels.iter().enumerate().for_each(|(row, label)| chosen[row * columns + label] = 1.0);
    Tensor::from_vec::<_, f64>(chosen, (count, columns), like.device())?.to_dtype(like.dtype())
}

/// The probabilities of the true label, `[texts, exits]`, from the logarithms of all labels' probabilities by exit.
pub(super) fn likelihoods(logs: &[Tensor], labels: &[usize]) -> Result<Tensor> {
    let of = |log: &Tensor| (one_hot(labels, log)? * log)?.sum_keepdim(D::Minus1)?.exp();
    Tensor::cat(&logs.iter().map(of).collect::<Result<Vec<_>>>()?, 1)
}

/// The cross entropy at every exit, each a scalar, and their mean with that of earlier exits towards the last, `distillation` times.
pub(super) fn loss(logs: &[Tensor], labels: &[usize], distillation: f64) -> Result<(Vec<Tensor>, Tensor)> {
    let Some((last, earlier)) = logs.split_last() else { candle_core::bail!("there is no exit") };
    let (count, chosen) = (last.dim(0)?, one_hot(labels, last)?);
    let towards = |target: &Tensor, log: &Tensor| (target * log)?.sum_all()? / -(count as f64);
    let entropies = logs.iter().map(|log| towards(&chosen, log)).collect::<Result<Vec<_>>>()?;
    let mut sum = Tensor::zeros((), last.dtype(), last.device())?;
    for entropy in &entropies {
        sum = (sum + entropy)?;
    }
    let target = last.detach().exp()?;
    for log in earlier {
        sum = (sum + (towards(&target, log)? * distillation)?)?;
    }
    Ok((entropies, (sum / logs.len() as f64)?))
}
