//! What a student's weights computed before they got its program, from which training leads to that program by degrees.
//!
//! A student starts from the weights of an encoder with another program, adapted to its own ([`adapt`](super::super::start::adapt)).
//! For the first steps its layers compute a mixture: a share of what the former encoder computed, and the rest by the
//! student's own program. The share falls from one to zero, so the student's first step is the former encoder, exactly.

use blindroute_routing::bundle::{Activation, Attention};
use candle_core::{DType, Device, Result, Tensor};

/// A parabola s·(r·x + c)² + level, folded into the weights around a square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parabola {
    pub(crate) sign: f32,
    pub(crate) root: f32,
    pub(crate) shift: f32,
    pub(crate) level: f32,
}

impl Parabola {
    /// No parabola: nothing is folded into the weights.
    pub(crate) const LINE: Self = Self { sign: 1.0, root: 1.0, shift: 0.0, level: 0.0 };
}

/// What a layer computed with the weights that it was adapted from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Former {
    /// How scores became weights.
    pub(crate) attention: Attention,
    /// By attention head, the former scores over the present ones.
    pub(crate) scores: Vec<f32>,
    /// By attention head, the former context over the present one.
    pub(crate) contexts: Vec<f32>,
    /// The activation.
    pub(crate) activation: Activation,
    /// By unit, the parabola that was folded into the weights around the activation.
    pub(crate) parabolas: Vec<Parabola>,
    /// The constant that divides rows after attention where the former encoder divided by their standard deviation.
    pub(crate) deviation: Option<f64>,
}

impl Former {
    /// Nothing was adapted: the former operations take what the present ones take.
    pub(crate) fn unchanged(attention: Attention, activation: Activation, heads: usize, units: usize) -> Self {
        let (scores, contexts) = (vec![1.0; heads], vec![1.0; heads]);
        Self { attention, scores, contexts, activation, parabolas: vec![Parabola::LINE; units], deviation: None }
    }
}

/// [`Former`] in tensors.
#[derive(Clone, Debug)]
pub(super) struct FormerTensors {
    pub(super) attention: Attention,
    /// `[1, heads, 1, 1]`.
    pub(super) scores: Tensor,
    /// `[1, heads, 1, 1]`.
    pub(super) contexts: Tensor,
    pub(super) activation: Activation,
    /// Root, shift, sign and level of the parabolas, each `[1, units]`.
    parabolas: [Tensor; 4],
    pub(super) deviation: Option<f64>,
}

impl FormerTensors {
    pub(super) fn new(former: &Former, dtype: DType, device: &Device) -> Result<Self> {
        let by_head = |values: &[f32]| Tensor::from_slice(values, (1, values.len(), 1, 1), device)?.to_dtype(dtype);
        let by_unit = |of: fn(&Parabola) -> f32| {
            let values: Vec<f32> = former.parabolas.iter().map(of).collect();
            Tensor::from_slice(&values, (1, values.len()), device)?.to_dtype(dtype)
        };
        Ok(Self {
            attention: former.attention,
            scores: by_head(&former.scores)?,
            contexts: by_head(&former.contexts)?,
            activation: former.activation,
            parabolas: [by_unit(|p| p.root)?, by_unit(|p| p.shift)?, by_unit(|p| p.sign)?, by_unit(|p| p.level)?],
            deviation: former.deviation,
        })
    }

    /// What stands for the former activation where the present weights surround it: with the former argument
    /// (x − shift)/root, the value less the level, times the sign.
    pub(super) fn activated(&self, x: &Tensor, activation: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let [root, shift, sign, level] = &self.parabolas;
        let before = x.broadcast_sub(shift)?.broadcast_div(root)?;
        activation(&before)?.broadcast_sub(level)?.broadcast_mul(sign)
    }
}

/// share · former + (1 − share) · own.
pub(super) fn mixed(share: f64, former: Tensor, own: Tensor) -> Result<Tensor> {
    (former * share)? + (own * (1.0 - share))?
}
