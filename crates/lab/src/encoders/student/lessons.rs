//! Stage (b) of PPRoute's Algorithm 1: a student that learns what routers need, not only what its teacher says.
//!
//! The whole student and the teacher's head are trained on L_routing + β·L_distill (Eq. 2): L_routing is CSCR's loss of the
//! head on the student's embeddings of a routing table's prompts, L_distill the distance from the teacher on the corpus. In
//! the trust-region form (Eq. 3) L_distill is to stay below a bound, and β is the multiplier of that: it grows while the bound
//! is broken and shrinks while it holds.

use super::corpus::{BatchSize, Corpus, Schedule};
use crate::data::TrainError;
use crate::routers::cscr::{Bands, Spectrum, query};
use crate::routers::tensors::{matrix, tensor};
use blindroute_routing::bundle::{Cscr, Matrix, Router, Rule};
use candle_core::{DType, Device, Result as Candle, Tensor, Var};
use sha2::{Digest, Sha256};

/// What keeps the student near its teacher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tie {
    /// β of Eq. 2.
    Weight(f64),
    /// The bound of Eq. 3 on L_distill.
    Trust(f64),
}

/// A routing table's train split, and the router whose head is trained with the student.
#[derive(Debug)]
pub struct Lessons {
    corpus: Corpus,
    scores: Matrix,
    cost: Vec<f32>,
    router: Router,
    head: Cscr,
    tie: Tie,
}

/// β before the bound of a trust region was looked at, its bounds, and by how much a step moves it at most.
const FIRST: f64 = 1.0;
const BETA: (f64, f64) = (1e-2, 1e3);
const MOVE: f64 = 0.05;

impl Lessons {
    /// The tokenised prompts, how each model did on them (`[prompts, M]`, from 0 to 1), and the teacher's router, which must
    /// be a CSCR one.
    pub fn new(corpus: Corpus, scores: Matrix, router: &Router, tie: Tie) -> Result<Self, TrainError> {
        let Rule::Cscr(head) = router.rule.clone() else {
            let hint = "name a router of the teacher's that `blindroute train cscr` made";
            return Err(TrainError::Options { what: "router without a head", hint });
        };
        let sizes = [
            ("the number of tokenised prompts", corpus.len(), scores.rows()),
            ("the number of the router's models", head.descriptors.rows(), scores.columns()),
        ];
        for (what, found, expected) in sizes {
            if found != expected {
                return Err(TrainError::Shape { what, found, expected });
            }
        }
        let (Tie::Weight(value) | Tie::Trust(value)) = tie;
        if !(value.is_finite() && value > 0.0) {
            return Err(TrainError::Options { what: "weight or bound of 0 or less", hint: "give a number above 0" });
        }
        let cost = head.cost.data().to_vec();
        Ok(Self { corpus, scores, cost, router: router.clone(), head, tie })
    }

    /// Names these very lessons.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.corpus.digest());
        for matrix in [&self.scores, &self.head.w1, &self.head.w2, &self.head.descriptors, &self.head.cost] {
            matrix.data().iter().for_each(|entry| hash.update(entry.to_le_bytes()));
        }
        hash.update(format!("{:?}", self.tie).as_bytes());
        hash.finalize().into()
    }
}

/// The head in training, and β.
#[derive(Debug)]
pub(super) struct Head<'a> {
    lessons: &'a Lessons,
    w1: Var,
    w2: Var,
    descriptors: Tensor,
    bands: Bands,
    /// `[1, 1]`; no gradient reaches it, so the optimiser only keeps it.
    beta: Var,
}

impl<'a> Head<'a> {
    pub(super) fn new(lessons: &'a Lessons, device: &Device) -> Candle<Self> {
        let Cscr { w1, w2, descriptors, .. } = &lessons.head;
        let beta = match lessons.tie {
            Tie::Weight(beta) => beta,
            Tie::Trust(_) => FIRST,
        };
        Ok(Self {
            lessons,
            w1: Var::from_tensor(&tensor(w1, device)?)?,
            w2: Var::from_tensor(&tensor(w2, device)?)?,
            descriptors: tensor(descriptors, device)?.t()?.contiguous()?,
            bands: Bands::new(&lessons.cost, &Spectrum::default(), DType::F32, device)?,
            beta: Var::from_tensor(&Tensor::new(&[[beta as f32]], device)?)?,
        })
    }

    pub(super) fn parameters(&self) -> Vec<(String, Var)> {
        let named = [("head.w1", &self.w1), ("head.w2", &self.w2), ("head.beta", &self.beta)];
        named.map(|(name, variable)| (name.to_owned(), variable.clone())).into()
    }

    /// Which prompts each step sees.
    pub(super) fn schedule(&self, size: BatchSize) -> Schedule<'a> {
        // Apart from the corpus's order.
        Schedule::new(&self.lessons.corpus, BatchSize { seed: size.seed.wrapping_add(1), ..size })
    }

    /// L_routing of embeddings `[B, hidden]` of the prompts at these places.
    pub(super) fn loss(&self, pooled: &Tensor, places: &[usize]) -> Candle<Tensor> {
        let scores: Vec<f32> = places.iter().flat_map(|place| self.lessons.scores.row(*place).to_vec()).collect();
        let scores = Tensor::from_vec(scores, (places.len(), self.lessons.scores.columns()), pooled.device())?;
        let query = query(pooled, self.w1.as_tensor(), self.w2.as_tensor())?;
        self.bands.loss(&query.matmul(&self.descriptors)?, &scores)
    }

    pub(super) fn beta(&self) -> Candle<f64> {
        self.beta.as_detached_tensor().flatten_all()?.to_dtype(DType::F64)?.get(0)?.to_scalar()
    }

    /// Moves β after a step whose L_distill was this.
    pub(super) fn tighten(&self, distill: f64) -> Candle<()> {
        let Tie::Trust(bound) = self.lessons.tie else { return Ok(()) };
        let moved = self.beta()? * (MOVE * (distill / bound - 1.0)).clamp(-MOVE, MOVE).exp();
        self.beta.set(&Tensor::new(&[[moved.clamp(BETA.0, BETA.1) as f32]], self.beta.device())?)
    }

    /// The router with the head as it is.
    pub(super) fn router(&self) -> Candle<Router> {
        let rule =
            Cscr { w1: matrix(self.w1.as_tensor())?, w2: matrix(self.w2.as_tensor())?, ..self.lessons.head.clone() };
        Ok(Router { rule: Rule::Cscr(rule), ..self.lessons.router.clone() })
    }
}
