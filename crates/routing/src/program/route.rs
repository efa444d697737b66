//! One route: placement, router and bucket as a program, for one prompt or a batch.

use super::encoder::{Encoded, Encoder, EncoderInputs};
use super::inputs::{EMBEDDING_RING, LAMBDA_DIGIT, LAMBDA_DIGITS, input_forms};
use super::plan::{BundlePlan, FRACTION, RULE_FRACTION, RulePlan};
use super::rule::RuleProgram;
use super::select::{SelectMethod, SelectProgram};
use blindroute_protocol::{Error, Form, Interpreter, Machine, Masked, Pending, Program, Structure, Tuning, WeightSpec};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why the choice leaves the masked world.
const CHOICE: &str = "the client calls the chosen model itself";

/// Where encoder and rule run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// Both on the client, in the clear: the router is public.
    Local,
    /// The encoder on the client, the rule under MPC.
    Head,
    /// Both under MPC.
    Full,
}

/// What a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Task {
    /// Tokens to the one-hot choice of the router of this index.
    Route {
        /// The router.
        router: usize,
        /// Tokens, padding included.
        bucket: usize,
    },
    /// An embedding to the one-hot choice of the router of this index.
    Head {
        /// The router.
        router: usize,
    },
    /// Given similarities and scores to the one-hot choice of CSCR's rule: a measurement.
    Select {
        /// Candidates.
        candidates: usize,
        /// How many survive the search.
        keep: usize,
        /// How the search goes.
        #[serde(default)]
        method: SelectMethod,
    },
    /// Tokens to their embedding.
    Embed {
        /// Tokens, padding included.
        bucket: usize,
    },
}

/// The most prompts of a batch.
const MOST_PROMPTS: usize = 64;
/// The most tokens of a batch, padding included: sixteen prompts of the largest bucket. A session's memory grows with
/// them.
const MOST_TOKENS: usize = 4096;

impl Task {
    /// The most prompts that one program of this task takes.
    pub fn most_prompts(self) -> usize {
        match self {
            // Of its searches only the routers' own takes a batch, and its measurements are of one.
            Self::Select { .. } => 1,
            Self::Head { .. } => MOST_PROMPTS,
            Self::Route { bucket, .. } | Self::Embed { bucket } => MOST_PROMPTS.min(MOST_TOKENS / bucket.max(1)),
        }
    }
}

/// A program of a model: what dealer and servers agree on before a session.
#[derive(Clone, Debug)]
pub struct RouteProgram {
    plan: Arc<BundlePlan>,
    specs: Arc<[WeightSpec]>,
    task: Task,
    tuning: Tuning,
    batch: usize,
}

impl RouteProgram {
    /// The program of a task.
    ///
    /// # Errors
    /// If the model has no such router, or the bucket is none of 32, 64, 128 and 256.
    pub fn new(plan: Arc<BundlePlan>, task: Task) -> Result<Self, Error> {
        let (router, bucket) = match task {
            Task::Route { router, bucket } => (Some(router), Some(bucket)),
            Task::Head { router } => (Some(router), None),
            Task::Embed { bucket } => (None, Some(bucket)),
            Task::Select { candidates, keep, method } => {
                SelectProgram { candidates, keep, method }.check()?;
                (None, None)
            }
        };
        if let Some(bucket) = bucket
            && !crate::tokenizer::BUCKETS.contains(&bucket)
        {
            return Err(Error::Program(format!("{bucket} tokens are no bucket")));
        }
        if let Some(router) = router {
            let plan =
                plan.routers.get(router).ok_or_else(|| Error::Program(format!("there is no router {router}")))?;
            if matches!(plan.rule, RulePlan::UniRoute { clusters: 0 | 1 }) {
                return Err(Error::Program("UniRoute needs two clusters or more".into()));
            }
        }
        let specs = plan.weights().into();
        Ok(Self { plan, specs, task, tuning: Tuning::default(), batch: 1 })
    }

    /// The same task by other implementations of its gates.
    #[must_use]
    pub fn with_tuning(self, tuning: Tuning) -> Self {
        Self { tuning, ..self }
    }

    /// The same task for so many prompts at once, in the openings of one. All are of one bucket; each has its own length
    /// and λ.
    ///
    /// # Errors
    /// If there are none, or more than [`Task::most_prompts`].
    pub fn with_batch(self, batch: usize) -> Result<Self, Error> {
        let most = self.task.most_prompts();
        if !(1..=most).contains(&batch) {
            let why = match self.task {
                Task::Select { .. } => "a selection alone takes one, for most of its methods know no batch".to_owned(),
                _ => format!("this task takes 1 to {most}"),
            };
            return Err(Error::Program(format!("a batch of {batch} prompts: {why}")));
        }
        Ok(Self { batch, ..self })
    }

    /// What it does.
    pub fn task(&self) -> Task {
        self.task
    }

    /// For how many prompts.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The model it belongs to.
    pub fn plan(&self) -> &BundlePlan {
        &self.plan
    }
}

impl Program for RouteProgram {
    fn weights(&self) -> Vec<WeightSpec> {
        self.specs.to_vec()
    }

    fn inputs(&self) -> Vec<Form> {
        input_forms(&self.plan, self.task, self.batch)
    }

    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        machine.tune(self.tuning);
        let encoder = Encoder { plan: &self.plan.encoder, specs: &self.specs };
        let rule = |router: usize| RuleProgram { router: &self.plan.routers[router], specs: &self.specs };
        match self.task {
            Task::Select { candidates, keep, method } => SelectProgram { candidates, keep, method }.run(machine),
            Task::Embed { .. } => {
                let inputs = encoder_inputs(machine, self.inputs().len())?;
                let embedding = encoder.run(machine, inputs)?.embedding;
                // The fraction bits below the embedding's own are those of products with single weights, and the bits
                // above its ring those of inputs that no tokens give: neither is the client's to know.
                let embedding = machine.truncate_reduce(embedding, FRACTION)?.narrowed(EMBEDDING_RING);
                machine.reveal(embedding, "the client may know the embeddings of its own prompts")
            }
            Task::Route { router, .. } => {
                let count = self.inputs().len();
                let mut inputs = encoder_inputs(machine, count - 1)?;
                inputs.digits = Some(machine.input(count - 1)?);
                let Encoded { embedding, digits } = encoder.run(machine, inputs)?;
                let digits = digits.ok_or_else(|| Error::Program("a route without a λ".into()))?;
                // λ leaves with the embedding.
                let lambda = deferred_lambda(machine, &digits)?;
                let embedding = machine.truncate_reduce(embedding, FRACTION)?;
                let embedding = machine.open(embedding)?;
                let bits = rule(router).choose(machine, &embedding, lambda)?;
                machine.reveal_bits(bits, CHOICE)
            }
            Task::Head { router } => {
                let embedding = machine.input::<u64>(0)?;
                let digits = machine.input::<u32>(1)?;
                let digits = machine.defer(digits)?;
                let embedding = machine.open(embedding)?;
                let digits = machine.take(digits)?;
                debug_assert_eq!(embedding.form().fraction, RULE_FRACTION);
                let lambda = deferred_lambda(machine, &digits)?;
                if self.plan.routers[router].rule == RulePlan::Direct {
                    // Elsewhere λ leaves with what the rule opens before it needs the prices.
                    machine.exchange()?;
                }
                let bits = rule(router).choose(machine, &embedding, lambda)?;
                machine.reveal_bits(bits, CHOICE)
            }
        }
    }
}

/// λs `[B, 1, 1]` of [`RULE_FRACTION`] fraction bits from their digits, on their way to be opened. No opening of its own.
fn deferred_lambda<I: Interpreter>(
    machine: &mut Machine<I>,
    digits: &Masked<I, u32>,
) -> Result<Pending<I, u64>, Error> {
    let table: Vec<i64> = (0..1 << LAMBDA_DIGIT).collect();
    let digits = machine.lookup::<u32, u64>(digits, &table, 64)?;
    let mut units = digits.restructure(&Structure::Columns(0, 1));
    for index in 1..LAMBDA_DIGITS {
        let digit = digits.restructure(&Structure::Columns(index, 1));
        units = units.add(&digit.scale(1 << (LAMBDA_DIGIT as usize * index)))?;
    }
    machine.defer(units.divide(RULE_FRACTION))
}

/// The first inputs: tokens, means, padding, and pooling weights if there are four.
fn encoder_inputs<I: Interpreter>(machine: &mut Machine<I>, count: usize) -> Result<EncoderInputs<I>, Error> {
    Ok(EncoderInputs {
        tokens: machine.input(0)?,
        means: machine.input(1)?,
        padding: machine.input(2)?,
        pooling: if count == 4 { Some(machine.input(3)?) } else { None },
        digits: None,
    })
}
