//! What one session runs, as a program: a router's task or a measurement, for one prompt or a batch.

use super::classify::ClassifyProgram;
use super::encoder::{Encoded, Encoder, LinearInputs, ScoredInputs};
use super::inputs::{EMBEDDING_RING, LAMBDA_DIGIT, LAMBDA_DIGITS, input_forms};
use super::plan::{BundlePlan, FRACTION, RULE_FRACTION};
use super::rule::RuleProgram;
use super::select::SelectProgram;
use super::task::{Measurement, Task, Work};
use crate::bundle::RuleShape;
use crate::lexical;
use crate::tokenizer::{BUCKETS, MAX_TOKENS};
use blindroute_protocol::{
    Error, Form, Interpreter, Machine, Masked, Pending, Program, RingWord, Share, Structure, Tuning, WeightSpec, gates,
};
use std::sync::Arc;

/// Why the choice is revealed, and the next best with it if the client asks for them.
const CHOICE: &str = "the client calls the chosen model itself";

/// Why the client learns that values were outside their ranges.
const OUTSIDE: &str = "the client must not take an answer that overflowing values may have made";

/// A program of a bundle: what dealer and servers agree on before a session.
#[derive(Clone, Debug)]
pub struct RouteProgram {
    plan: Arc<BundlePlan>,
    specs: Arc<[WeightSpec]>,
    work: Work,
    tuning: Tuning,
    batch: usize,
}

impl RouteProgram {
    /// The program of a task or of a measurement, for one prompt.
    ///
    /// # Errors
    /// If the bundle has no such router, the bucket is none of 32, 64, 128 and 256, or the selection is out of range.
    pub fn new(plan: Arc<BundlePlan>, work: impl Into<Work>) -> Result<Self, Error> {
        let work = work.into();
        let bucket = match work {
            Work::Task(Task::Route { bucket, .. } | Task::Classify { bucket, .. })
            | Work::Measurement(Measurement::Embed { bucket }) => Some(bucket),
            Work::Task(Task::Head { .. }) => None,
            Work::Measurement(Measurement::Select { candidates, keep, method }) => {
                SelectProgram { candidates, keep, method }.check()?;
                None
            }
        };
        if let Some(bucket) = bucket
            && !BUCKETS.contains(&bucket)
        {
            return Err(Error::Program(format!("unsupported bucket {bucket}: expected 32, 64, 128 or 256")));
        }
        if let Work::Task(task) = work
            && let Some(program) = ClassifyProgram::of(&plan, task)
        {
            program.check()?;
        }
        if let Work::Task(Task::Route { router, ranked, .. } | Task::Head { router, ranked }) = work {
            check_router(&plan, router, ranked)?;
        }
        let specs = plan.weights().into();
        Ok(Self { plan, specs, work, tuning: Tuning::default(), batch: 1 })
    }

    /// The embeddings of `batch` prompts of up to `tokens` tokens, for the clear interpreter, which need not pad prompts to a bucket.
    /// Servers have no such program.
    ///
    /// # Errors
    /// If there are no tokens or more than the largest bucket holds, or if `batch` is 0 or more than
    /// [`Work::most_prompts`].
    pub fn clear_embedding(plan: Arc<BundlePlan>, tokens: usize, batch: usize) -> Result<Self, Error> {
        if !(1..=MAX_TOKENS).contains(&tokens) {
            return Err(Error::Program(format!("prompts of {tokens} tokens, expected 1 to {MAX_TOKENS}")));
        }
        let (specs, work) = (plan.weights().into(), Measurement::Embed { bucket: tokens }.into());
        Self { plan, specs, work, tuning: Tuning::default(), batch: 1 }.with_batch(batch)
    }

    /// The same program with other implementations of its gates.
    #[must_use]
    pub fn with_tuning(self, tuning: Tuning) -> Self {
        Self { tuning, ..self }
    }

    /// The same program for several prompts at once, in the openings of one. All prompts have one bucket; each has its own
    /// length and λ.
    ///
    /// # Errors
    /// If `batch` is 0 or more than [`Work::most_prompts`].
    pub fn with_batch(self, batch: usize) -> Result<Self, Error> {
        let most = self.work.most_prompts();
        if !(1..=most).contains(&batch) {
            let expected = match self.work {
                Work::Measurement(Measurement::Select { .. }) => "a selection without a router takes 1".to_owned(),
                _ => format!("expected 1 to {most}"),
            };
            return Err(Error::Program(format!("unsupported batch of {batch} prompts: {expected}")));
        }
        if let Work::Task(task) = self.work
            && let Some(program) = ClassifyProgram::of(&self.plan, task)
        {
            program.check_batch(batch)?;
        }
        Ok(Self { batch, ..self })
    }

    /// The task or measurement that it runs.
    pub fn work(&self) -> Work {
        self.work
    }

    /// How many prompts it takes.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The plan of the bundle that it belongs to.
    pub fn plan(&self) -> &BundlePlan {
        &self.plan
    }
}

impl Program for RouteProgram {
    fn weights(&self) -> Vec<WeightSpec> {
        self.specs.to_vec()
    }

    fn inputs(&self) -> Vec<Form> {
        input_forms(&self.plan, self.work, self.batch)
    }

    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        let embeds = matches!(
            self.work,
            Work::Task(Task::Route { .. } | Task::Classify { .. }) | Work::Measurement(Measurement::Embed { .. })
        );
        // A polynomial compares one number per token and layer: keys cost it little.
        let by_keys = embeds && self.plan.encoder.carries_biases() && self.tuning == Tuning::Near;
        machine.tune(if by_keys { Tuning::Middle } else { self.tuning });
        let encoder = Encoder { plan: &self.plan.encoder, specs: &self.specs };
        let rule = |router: usize| RuleProgram { router: &self.plan.routers[router], specs: &self.specs };
        match self.work {
            Work::Measurement(Measurement::Select { candidates, keep, method }) => {
                SelectProgram { candidates, keep, method }.run(machine)
            }
            Work::Measurement(Measurement::Embed { .. }) => {
                let Encoded { embedding, outside, .. } = encoded(machine, &encoder, self.inputs().len(), Vec::new())?;
                // The client must not see the fraction bits below the embedding's own, which come from products with single
                // weights, nor the bits above its ring, which only inputs that no tokens give can reach.
                let embedding = machine.truncate_reduce(embedding, FRACTION)?.narrowed(EMBEDDING_RING);
                machine.reveal(embedding, "the client may know the embeddings of its own prompts")?;
                let Some(outside) = outside else { return Ok(()) };
                let count = gates::outside_count(machine, outside)?;
                let count = machine.open(count)?;
                reveal_outside(machine, &count)
            }
            Work::Task(Task::Route { router, ranked, .. }) => {
                // λ and, before it, lexical features, are the last inputs.
                let others = 1 + usize::from(self.plan.routers[router].lexical.is_some());
                let for_encoder = self.inputs().len() - others;
                let others = (0..others).map(|index| machine.input(for_encoder + index)).collect::<Result<_, _>>()?;
                let Encoded { embedding, mut beside, outside } = encoded(machine, &encoder, for_encoder, others)?;
                let digits = beside.pop().ok_or_else(|| Error::Program("a route without a lambda".into()))?;
                // Both are opened again together with the embedding.
                let lambda = deferred_lambda(machine, &digits)?;
                let ring = embedding.form().bits - FRACTION;
                let lexical = beside.pop().map(|features| deferred_lexical(machine, &features, ring)).transpose()?;
                // So is the count.
                let outside = outside.map(|outside| gates::outside_count(machine, outside)).transpose()?;
                let outside = outside.map(|count| machine.defer(count)).transpose()?;
                let embedding = machine.truncate_reduce(embedding, FRACTION)?;
                let mut embedding = machine.open(embedding)?;
                if let Some(lexical) = lexical {
                    embedding = embedding.beside(&machine.take(lexical)?)?;
                }
                if let Some(outside) = outside {
                    let count = machine.take(outside)?;
                    reveal_outside(machine, &count)?;
                }
                let bits = rule(router).choose(machine, &embedding, lambda, ranked)?;
                machine.reveal_bits(bits, CHOICE)
            }
            Work::Task(task @ Task::Classify { .. }) => match ClassifyProgram::of(&self.plan, task) {
                Some(program) => program.run(machine, &encoder),
                None => Ok(()),
            },
            Work::Task(Task::Head { router, ranked }) => {
                let embedding = machine.input::<u64>(0)?;
                let digits = machine.input::<u32>(1)?;
                let digits = machine.defer(digits)?;
                let embedding = machine.open(embedding)?;
                let digits = machine.take(digits)?;
                debug_assert_eq!(embedding.form().fraction, RULE_FRACTION);
                let lambda = deferred_lambda(machine, &digits)?;
                if self.plan.routers[router].rule == RuleShape::Direct {
                    // Other rules open something before they need the prices, and λ with it.
                    machine.exchange()?;
                }
                let bits = rule(router).choose(machine, &embedding, lambda, ranked)?;
                machine.reveal_bits(bits, CHOICE)
            }
        }
    }
}

/// Checks that a plan has this router, and that it can name so many models.
///
/// # Errors
/// If it has not, or cannot.
fn check_router(plan: &BundlePlan, router: usize, ranked: usize) -> Result<(), Error> {
    let routers = plan.routers.len();
    let found = plan.routers.get(router);
    let found = found
        .ok_or_else(|| Error::Program(format!("there is no router {router}: expected an index below {routers}")))?;
    if matches!(found.rule, RuleShape::UniRoute { clusters: 0 | 1, .. }) {
        return Err(Error::Program("a UniRoute router with one cluster or none: expected two or more".into()));
    }
    let most = found.most_ranked(plan.models);
    if (1..=most).contains(&ranked) {
        return Ok(());
    }
    Err(Error::Program(format!(
        "unsupported ranking of {ranked} models: expected 1 to {most} with this router and pool"
    )))
}

/// Reveals 1 for each prompt with rows outside the range of a norm.
fn reveal_outside<I: Interpreter>(machine: &mut Machine<I>, count: &Masked<I, u128>) -> Result<(), Error> {
    let any = gates::any_outside(machine, count)?;
    reveal_mark(machine, any)
}

/// Reveals the mark of each prompt whose values were outside their ranges.
pub(super) fn reveal_mark<I: Interpreter>(machine: &mut Machine<I>, mark: Share<I, u32>) -> Result<(), Error> {
    machine.reveal(mark, OUTSIDE)
}

/// λs `[B, 1, 1]` of [`RULE_FRACTION`] fraction bits from their digits, deferred: they take no opening of their own.
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

/// Lexical features with the fraction bits of the embedding, in a ring of `bits` bits, deferred: they take no opening of their own.
fn deferred_lexical<I: Interpreter>(
    machine: &mut Machine<I>,
    features: &Masked<I, u32>,
    bits: u32,
) -> Result<Pending<I, u64>, Error> {
    let features = machine.extend::<u32, u64>(features, 0, bits)?;
    machine.defer(features.raise(RULE_FRACTION - lexical::FRACTION))
}

/// The embeddings of the prompts whose inputs are the first `count`, with `beside` opened on the way.
fn encoded<I: Interpreter>(
    machine: &mut Machine<I>,
    encoder: &Encoder<'_>,
    count: usize,
    beside: Vec<Share<I, u32>>,
) -> Result<Encoded<I>, Error> {
    if encoder.plan.carries_biases() {
        return if encoder.plan.widths.after_attention_ring() <= u32::BITS {
            encoded_linear::<I, u32>(machine, encoder, beside)
        } else {
            encoded_linear::<I, u64>(machine, encoder, beside)
        };
    }
    let tokens = machine.input(0)?;
    let (means, padding) = (machine.input(1)?, machine.input(2)?);
    let pooling = if count == 4 { Some(machine.input(3)?) } else { None };
    encoder.run_scored(machine, ScoredInputs { tokens, means, padding, pooling, beside })
}

/// The same of an encoder with linear attention, whose sum after attention is in words `A`.
fn encoded_linear<I: Interpreter, A: RingWord>(
    machine: &mut Machine<I>,
    encoder: &Encoder<'_>,
    beside: Vec<Share<I, u32>>,
) -> Result<Encoded<I>, Error> {
    let inputs = linear_inputs::<I, A>(machine, beside)?;
    encoder.run_linear(machine, inputs)
}

/// The inputs of an encoder with linear attention, and what is opened with them.
pub(super) fn linear_inputs<I: Interpreter, A: RingWord>(
    machine: &mut Machine<I>,
    beside: Vec<Share<I, u32>>,
) -> Result<LinearInputs<I, A>, Error> {
    let (tokens, means) = (machine.input(0)?, machine.input(1)?);
    let (presence, inverse) = (machine.input(2)?, machine.input(3)?);
    Ok(LinearInputs { tokens, means, presence, inverse, beside })
}
