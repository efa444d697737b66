//! Stage (b) of PPRoute's Algorithm 1: a student that learns from a routing table as well as from its teacher.
//!
//! The student and the teacher's CSCR projection are trained together on L_routing + β·L_distill (Eq. 2). L_routing is CSCR's
//! loss of the projection on the student's embeddings of the table's prompts. L_distill is the distance from the teacher on
//! the corpus. In the trust-region form (Eq. 3), L_distill has an upper bound and β is its multiplier: β grows while the bound
//! is exceeded and shrinks while it holds.

use super::corpus::{BatchSize, Corpus, Schedule};
use crate::data::TableError;
use crate::routers::TrainError;
use crate::routers::cscr::{Bands, Spectrum, project};
use crate::routers::tensors::{matrix, tensor};
use blindroute_routing::bundle::{Cscr, Matrix, Router, Rule};
use blindroute_routing::tokenizer::Tokenizer;
use candle_core::{DType, Device, Result as Candle, Tensor, Var};
use sha2::{Digest, Sha256};

/// What keeps the student close to its teacher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tie {
    /// β of Eq. 2.
    Weight(f64),
    /// The bound of Eq. 3 on L_distill.
    Trust(f64),
}

/// The train split of a routing table, and the router whose projection is trained with the student.
#[derive(Debug)]
pub struct Lessons {
    corpus: Corpus,
    scores: Matrix,
    cost: Vec<f32>,
    router: Router,
    projection: Cscr,
    /// The lexical features that the projection reads beside the embeddings, `[prompts, features]`.
    features: Option<Matrix>,
    tie: Tie,
}

/// The first β of a trust region.
const FIRST: f64 = 1.0;
/// The range of β.
const BETA: (f64, f64) = (1e-2, 1e3);
/// The largest change of log β per step.
const MOVE: f64 = 0.05;

impl Lessons {
    /// Lessons from tokenised prompts, the score of each model on them (`[prompts, M]`, from 0 to 1), and the teacher's router,
    /// which must be a CSCR router. `tokenizer` is the teacher's: the router may read lexical features of the prompts.
    pub fn new(
        corpus: Corpus,
        scores: Matrix,
        router: &Router,
        tokenizer: &Tokenizer,
        tie: Tie,
    ) -> Result<Self, TrainError> {
        let Rule::Cscr(projection) = router.rule.clone() else {
            let hint = "name a router of the teacher that `blindroute train cscr` made";
            return Err(TrainError::Options { what: "router without a projection", hint });
        };
        let sizes = [
            ("the number of tokenised prompts", corpus.len(), scores.rows()),
            ("the number of the router's models", projection.descriptors.rows(), scores.columns()),
        ];
        for (what, found, expected) in sizes {
            if found != expected {
                return Err(TableError::Shape { what, found, expected }.into());
            }
        }
        let (Tie::Weight(value) | Tie::Trust(value)) = tie;
        if !(value.is_finite() && value > 0.0) {
            return Err(TrainError::Options { what: "weight or bound of 0 or less", hint: "give a number above 0" });
        }
        let cost = projection.cost.data().to_vec();
        let features = router.lexical.map(|settings| {
            let rows: Vec<Vec<f32>> =
                (0..corpus.len()).map(|place| tokenizer.lexical(corpus.text(place), settings)).collect();
            Matrix::from_fn(rows.len(), settings.width(), |row, column| rows[row][column])
        });
        Ok(Self { corpus, scores, cost, router: router.clone(), projection, features, tie })
    }

    /// The digest of the lessons.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.corpus.digest());
        for matrix in [
            &self.scores,
            &self.projection.w1,
            &self.projection.w2,
            &self.projection.descriptors,
            &self.projection.cost,
        ]
        .into_iter()
        .chain(&self.features)
        {
            matrix.data().iter().for_each(|entry| hash.update(entry.to_le_bytes()));
        }
        hash.update(format!("{:?}", self.tie).as_bytes());
        hash.finalize().into()
    }
}

/// The projection during training, and β.
#[derive(Debug)]
pub(super) struct Projection<'a> {
    lessons: &'a Lessons,
    w1: Var,
    w2: Var,
    descriptors: Tensor,
    features: Option<Tensor>,
    bands: Bands,
    /// `[1, 1]`. No gradient reaches it; it is a parameter so that checkpoints hold it.
    beta: Var,
}

impl<'a> Projection<'a> {
    pub(super) fn new(lessons: &'a Lessons, device: &Device) -> Candle<Self> {
        let Cscr { w1, w2, descriptors, .. } = &lessons.projection;
        let beta = match lessons.tie {
            Tie::Weight(beta) => beta,
            Tie::Trust(_) => FIRST,
        };
        Ok(Self {
            lessons,
            w1: Var::from_tensor(&tensor(w1, device)?)?,
            w2: Var::from_tensor(&tensor(w2, device)?)?,
            descriptors: tensor(descriptors, device)?.t()?.contiguous()?,
            features: lessons.features.as_ref().map(|features| tensor(features, device)).transpose()?,
            bands: Bands::new(&lessons.cost, &Spectrum::default(), DType::F32, device)?,
            beta: Var::from_tensor(&Tensor::new(&[[beta as f32]], device)?)?,
        })
    }

    pub(super) fn parameters(&self) -> Vec<(String, Var)> {
        // Checkpoints use these names.
        let named = [("head.w1", &self.w1), ("head.w2", &self.w2), ("head.beta", &self.beta)];
        named.map(|(name, variable)| (name.to_owned(), variable.clone())).into()
    }

    /// Which prompts each step sees.
    pub(super) fn schedule(&self, size: BatchSize) -> Schedule<'a> {
        // Another seed than that of the corpus.
        Schedule::new(&self.lessons.corpus, BatchSize { seed: size.seed.wrapping_add(1), ..size })
    }

    /// L_routing of embeddings `[B, hidden]` of the prompts at these indices.
    pub(super) fn loss(&self, pooled: &Tensor, places: &[usize]) -> Candle<Tensor> {
        let scores: Vec<f32> = places.iter().flat_map(|place| self.lessons.scores.row(*place).to_vec()).collect();
        let scores = Tensor::from_vec(scores, (places.len(), self.lessons.scores.columns()), pooled.device())?;
        let inputs = match &self.features {
            Some(features) => {
                let places: Vec<u32> = places.iter().map(|place| *place as u32).collect();
                let places = Tensor::from_vec(places, scores.dim(0)?, pooled.device())?;
                Tensor::cat(&[pooled, &features.index_select(&places, 0)?], 1)?
            }
            None => pooled.clone(),
        };
        let query = project(&inputs, self.w1.as_tensor(), self.w2.as_tensor())?;
        self.bands.loss(&query.matmul(&self.descriptors)?, &scores)
    }

    pub(super) fn beta(&self) -> Candle<f64> {
        self.beta.as_detached_tensor().flatten_all()?.to_dtype(DType::F64)?.get(0)?.to_scalar()
    }

    /// Changes β after a step with this L_distill.
    pub(super) fn tighten(&self, distill: f64) -> Candle<()> {
        let Tie::Trust(bound) = self.lessons.tie else { return Ok(()) };
        let moved = self.beta()? * (MOVE * (distill / bound - 1.0)).clamp(-MOVE, MOVE).exp();
        self.beta.set(&Tensor::new(&[[moved.clamp(BETA.0, BETA.1) as f32]], self.beta.device())?)
    }

    /// The router with the current projection.
    pub(super) fn router(&self) -> Candle<Router> {
        let rule = Cscr {
            w1: matrix(self.w1.as_tensor())?,
            w2: matrix(self.w2.as_tensor())?,
            ..self.lessons.projection.clone()
        };
        Ok(Router { rule: Rule::Cscr(rule), ..self.lessons.router.clone() })
    }
}
