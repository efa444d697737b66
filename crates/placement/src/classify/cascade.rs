//! A cascade: separate encoders, smallest first. A text that would gain from the next one is classified again by it, from its tokens.

use super::error::ClassifyError;
use super::options::{Asked, ClassifyOptions, Policy, Text};
use super::{Answer, ClassifyReport};
use crate::error::PlacementError;
use crate::router::PrivateRouter;
use blindroute_routing::program::BundlePlan;
use std::collections::BTreeMap;

/// Encoders of different sizes for the same task, smallest first, each with a bundle and servers of its own.
///
/// The first classifies every text. If the gain at the last exit of its bundle says that the next encoder does better, the text goes on to
/// that one, which starts from the text, and so forth. That is decided with [`Policy::Open`]: you learn which texts go on. The servers of
/// a larger encoder see only that a text came, and those of the smaller one learn nothing by it.
///
/// ```
/// use blindroute_placement::{Cascade, ClassifyOptions, ClientConfig, PlacementError, Policy, PrivateRouter, Text};
///
/// fn labels(small: &ClientConfig, large: &ClientConfig) -> Result<(), PlacementError> {
///     let cascade = Cascade::from(PrivateRouter::connect(small)?).with_larger(PrivateRouter::connect(large)?);
///     let options = ClassifyOptions::default().with_policy(Policy::Open);
///     for answer in cascade.classify_batch(&[Text::from("Is water wet?")], &options)? {
///         let report = answer?;
///         println!("{} by encoder {:?}, {}", report.label, report.encoder, report.bundle.name);
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Cascade {
    smallest: PrivateRouter,
    larger: Vec<PrivateRouter>,
}

impl From<PrivateRouter> for Cascade {
    /// The cascade of one encoder, which answers as it does alone.
    fn from(smallest: PrivateRouter) -> Self {
        Self { smallest, larger: Vec::new() }
    }
}

impl Cascade {
    /// The same with this encoder after the others.
    #[must_use]
    pub fn with_larger(mut self, larger: PrivateRouter) -> Self {
        self.larger.push(larger);
        self
    }

    /// Classifies texts, in the order in which they are given, as [`PrivateRouter::classify_batch`] does with the smallest encoder and
    /// with each larger one for the texts that go on to it. Figures of a text are sums over the encoders that it came to.
    ///
    /// A text whose larger encoder fails has its error, and no answer of a smaller one: that was never asked for. Others keep theirs.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub fn classify_batch(&self, texts: &[Text<'_>], options: &ClassifyOptions) -> Result<Vec<Answer>, PlacementError> {
        let asked = asked(&self.plans(), options)?;
        if self.larger.is_empty() {
            return self.smallest.classify_batch(texts, options);
        }
        let exits = asked.iter().map(|asked| asked.exits.len()).sum();
        let mut answers = BTreeMap::new();
        let mut going: Vec<(usize, Option<ClassifyReport>)> = (0..texts.len()).map(|text| (text, None)).collect();
        for (encoder, (router, asked)) in self.encoders().zip(&asked).enumerate() {
            let here: Vec<Text<'_>> = going.iter().map(|(text, _)| texts[*text]).collect();
            let told = router.classify_asked(asked, &here);
            let mut next = Vec::new();
            for ((text, before), told) in going.into_iter().zip(told) {
                match told.map(|told| (told.report.of_encoder((encoder, exits), before.as_ref()), told.goes_on)) {
                    Ok((report, true)) => next.push((text, Some(report))),
                    Ok((report, false)) => drop(answers.insert(text, Ok(report))),
                    Err(error) => {
                        if encoder > 0 {
                            tracing::warn!(%error, encoder, "a larger encoder did not answer a text");
                        }
                        answers.insert(text, Err(error));
                    }
                }
            }
            going = next;
        }
        Ok(answers.into_values().collect())
    }

    /// Checks, before any text is classified, that its encoders can follow the options together.
    ///
    /// # Errors
    /// As for [`check_plans`](Self::check_plans).
    pub fn check(&self, options: &ClassifyOptions) -> Result<(), ClassifyError> {
        Self::check_plans(&self.plans(), options)
    }

    /// The same for encoders of these plans, smallest first, before they are started.
    ///
    /// # Errors
    /// If one of them cannot follow the options, the policy is not open, their tasks or labels differ, or one before the last has no gain
    /// at its last exit.
    pub fn check_plans(plans: &[&BundlePlan], options: &ClassifyOptions) -> Result<(), ClassifyError> {
        asked(plans, options).map(drop)
    }

    fn encoders(&self) -> impl Iterator<Item = &PrivateRouter> {
        std::iter::once(&self.smallest).chain(&self.larger)
    }

    fn plans(&self) -> Vec<&BundlePlan> {
        self.encoders().map(|router| &*router.plan).collect()
    }
}

/// What each encoder is asked.
fn asked(plans: &[&BundlePlan], options: &ClassifyOptions) -> Result<Vec<Asked>, ClassifyError> {
    let Some((smallest, larger)) = plans.split_first() else { return Err(ClassifyError::NoPool) };
    let mut all = vec![Asked::of(smallest, options)?];
    if larger.is_empty() {
        return Ok(all);
    }
    if options.policy != Policy::Open {
        return Err(ClassifyError::LargerHidden);
    }
    // The first task of another bundle may be another one.
    let options = options.clone().with_task(&all[0].name);
    for (place, plan) in larger.iter().enumerate() {
        let encoder = place + 1;
        let next = Asked::of(plan, &options)
            .map_err(|source| ClassifyError::OfEncoder { encoder, source: Box::new(source) })?;
        let tasks = (next.task_of(plan), all[0].task_of(smallest));
        if let (Some(next_task), Some(first)) = tasks
            && let Some((found, expected)) = next_task.task.differs_from(&first.task)
        {
            return Err(ClassifyError::OtherTask { encoder, task: next.name, found, expected });
        }
        all.push(next);
    }
    for (encoder, (asked, plan)) in all.iter_mut().zip(plans).take(larger.len()).enumerate() {
        if !asked.go_past(plan) {
            return Err(ClassifyError::NoLastGain { encoder, task: asked.name.clone() });
        }
    }
    Ok(all)
}
