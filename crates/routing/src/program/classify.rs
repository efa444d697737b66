//! The task of a nested pool: from tokens to labels.

use super::encoder::{Classified, Depths, Encoder};
use super::plan::BundlePlan;
use super::route::{linear_inputs, reveal_mark};
use super::task::Task;
use crate::bundle::MOST_EXITS;
use blindroute_protocol::{Error, Interpreter, Machine, RingWord};

/// Why the label is revealed.
const LABEL: &str = "the client asked for the label of its own text";

/// Why the labels' scores are revealed.
const SCORES: &str = "the client asked for the labels' scores of its own text, and the servers' operators allow it";

/// Why the client learns which texts would gain from going on.
const ONWARD: &str = "the client asked to decide itself which of its texts go on, and shows the servers which do";

/// A task of a nested pool, with the exits that its texts reach.
#[derive(Clone, Copy)]
pub(super) struct ClassifyProgram<'a> {
    pub(super) plan: &'a BundlePlan,
    /// The place of the task.
    pub(super) classifier: usize,
    /// The deepest exit.
    pub(super) exit: usize,
    pub(super) capacities: [usize; MOST_EXITS - 1],
    pub(super) scores: bool,
    /// The exit that the texts have left already.
    pub(super) begin: Option<usize>,
    pub(super) onward: bool,
}

impl<'a> ClassifyProgram<'a> {
    /// The program of a task; none for other tasks.
    pub(super) fn of(plan: &'a BundlePlan, task: Task) -> Option<Self> {
        let Task::Classify { classifier, exit, capacities, scores, begin, onward, .. } = task else { return None };
        Some(Self { plan, classifier, exit, capacities, scores, begin, onward })
    }

    /// Checks that the pool has these exits.
    ///
    /// # Errors
    /// If the bundle has no pool, or the pool no such task or exit.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.depths().map(drop)
    }

    /// Checks the capacities for a batch of so many texts.
    ///
    /// # Errors
    /// If more texts would go on than are there, or none.
    pub(super) fn check_batch(&self, batch: usize) -> Result<(), Error> {
        let mut left = batch;
        let first = self.begin.map_or(0, |begin| begin + 1);
        for (exit, &capacity) in self.capacities.iter().enumerate() {
            let range = match (first..self.exit).contains(&exit) {
                // Those that are asked about may not be fewer than those that leave.
                true if self.onward => batch..=batch,
                true => 1..=left,
                false => 0..=0,
            };
            if !range.contains(&capacity) {
                let (least, most) = (range.start(), range.end());
                return Err(Error::Program(format!(
                    "a capacity of {capacity} texts at exit {exit} of a batch of {batch} up to exit {}: expected {least} to {most}",
                    self.exit
                )));
            }
            if exit >= first {
                left = capacity.max(1);
            }
        }
        Ok(())
    }

    fn depths(&self) -> Result<Depths<'_>, Error> {
        let missing = |what: String| Err(Error::Program(what));
        let Some(pool) = &self.plan.pool else {
            return missing("the bundle has no pool of classifiers: choose one that has".to_owned());
        };
        let tasks = pool.tasks.len();
        let Some(task) = pool.tasks.get(self.classifier) else {
            return missing(format!("there is no task {}: expected an index below {tasks}", self.classifier));
        };
        let exits = pool.exits.len();
        if self.exit >= exits {
            return missing(format!("there is no exit {}: expected an index below {exits}", self.exit));
        }
        if let Some(begin) = self.begin.filter(|begin| *begin >= self.exit) {
            return missing(format!(
                "texts that left exit {begin} cannot leave at exit {}: expected a later one",
                self.exit
            ));
        }
        if self.onward && self.exit + 1 == exits && !task.goes_past(exits) {
            return missing(format!(
                "no text goes on past exit {}, the last, which has no gain: expected an earlier one, or a bundle of \
                 `blindroute train pool-router --larger`",
                self.exit
            ));
        }
        if self.onward && task.task.thresholds.is_empty() {
            return missing(
                "the task has no thresholds, which say for which gain a text goes on: choose a policy without them (hidden), \
                 or a pool of `blindroute train pool`"
                    .to_owned(),
            );
        }
        let (begin, onward) = (self.begin, self.onward);
        Ok(Depths { pool, task, begin, exit: self.exit, onward, capacities: &self.capacities })
    }

    pub(super) fn run<I: Interpreter>(&self, machine: &mut Machine<I>, encoder: &Encoder<'_>) -> Result<(), Error> {
        if encoder.plan.widths.after_attention_ring() <= u32::BITS {
            self.run_in::<I, u32>(machine, encoder)
        } else {
            self.run_in::<I, u64>(machine, encoder)
        }
    }

    fn run_in<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        encoder: &Encoder<'_>,
    ) -> Result<(), Error> {
        let depths = self.depths()?;
        let under = match depths.begin {
            None => {
                let inputs = linear_inputs::<I, A>(machine, Vec::new())?;
                encoder.begin_linear(machine, inputs)?.0
            }
            Some(exit) => {
                let (x, presence, inverse) = (machine.input(0)?, machine.input(1)?, machine.input(2)?);
                encoder.continue_linear(machine, x, (presence, inverse), depths.pool.exits[exit])?
            }
        };
        let Classified { answer, onward, outside } = encoder.classify::<I, A>(machine, under, depths, self.scores)?;
        machine.reveal(answer, if self.scores { SCORES } else { LABEL })?;
        if let Some(onward) = onward {
            machine.reveal(onward, ONWARD)?;
        }
        reveal_mark(machine, outside)
    }
}
