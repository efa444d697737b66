//! From prompts to reports: one prompt, or several that share sessions.

mod by_version;

use crate::ask::{Answered, Decided, Ran, SESSIONS, ask, ranking};
use crate::error::PlacementError;
use crate::options::{RouteOptions, check_lambda};
use crate::pairs::{Pairs, Places, Tell, Trial};
use crate::report::{RankedModel, RouteReport, seen};
use crate::router::PrivateRouter;
use crate::unknown::{self, Fallback};
use blindroute_protocol::{Output, Tensor};
use blindroute_routing::program::{
    self, Measurement, Placement, SessionRequest, Task, outside_range, split_output, stack_inputs,
};
use blindroute_routing::tokenizer::{BUCKETS, Tokens};
use blindroute_runtime::Cancel;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An answer, or why there is none.
type Answer = Result<RouteReport, PlacementError>;

impl PrivateRouter {
    /// Routes one prompt.
    ///
    /// # Errors
    /// If the prompt is empty, the options name what is not there, or a party fails.
    pub fn route(&self, prompt: &str, options: &RouteOptions) -> Result<RouteReport, PlacementError> {
        self.route_cancellable(prompt, options, &Cancel::default())
    }

    /// Routes one prompt, unless it is cancelled before: by [`Cancel::cancel`] on a clone from another thread, or because the time of
    /// [`Cancel::after`] is up. It then returns within some tens of milliseconds, whatever it was waiting for: a place at the
    /// servers, a session that is kept ready, a connection, the preparation of a session, or its answer. What runs in this process
    /// (tokenising, the encoder of `head`, all of `local`) is finished first.
    ///
    /// A session that was begun is consumed and never used again. Its links are closed, upon which the servers drop what they hold
    /// of it: at once while they wait, otherwise after the step that they are at. Other sessions go on.
    ///
    /// ```
    /// use blindroute_placement::{Cancel, PrivateRouter, RouteOptions, default_bundle};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), blindroute_placement::PlacementError> {
    /// let router = PrivateRouter::in_process(&default_bundle()?)?;
    /// let cancel = Cancel::after(Duration::from_millis(1));
    /// let answer = router.route_cancellable("What is the capital of France?", &RouteOptions::default(), &cancel);
    /// assert!(answer.is_err_and(|error| error.is_cancelled()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`PrivateRouter::route`]; [`PlacementError::Cancelled`] if it was cancelled.
    pub fn route_cancellable(
        &self,
        prompt: &str,
        options: &RouteOptions,
        cancel: &Cancel,
    ) -> Result<RouteReport, PlacementError> {
        match self.versions(options.placement) {
            Some(versions) => self.route_by(versions, prompt, options, cancel),
            None => self.route_here(prompt, options, (cancel, Trial::default())),
        }
    }

    /// Routes with this version of the bundle.
    fn route_here(&self, prompt: &str, options: &RouteOptions, (cancel, trial): (&Cancel, Trial)) -> Answer {
        let asked = Asked { cancel: cancel.clone(), trial, ..self.asked(options)? };
        let mut answers = Vec::new();
        self.session(&asked, &[self.read(0, prompt)?], &mut |_, answer| answers.push(answer));
        let answer = answers.pop().unwrap_or(Err(PlacementError::NoChoice(0)));
        answer.map_err(|error| if error.is_cancelled() { PlacementError::Cancelled } else { error })
    }

    /// Routes several prompts, those of one bucket in one session: they take the openings of one prompt, so they wait for the
    /// network as often as one. The answers are in the order of the prompts.
    ///
    /// Prompts of different buckets go in a session per bucket, one after the other or with several pairs of servers one per pair
    /// at a time, so that none is padded further, or
    /// shown to be longer, than if it came alone. Those of `head` have no bucket and all go together. More prompts than a
    /// session takes ([`Task::most_prompts`]) are split. If you want smaller batches, give fewer prompts at a time. `local`
    /// asks no server, and routes one prompt after the other.
    ///
    /// Servers and dealer see how many prompts share a session, besides what they see of one.
    ///
    /// A prompt that cannot be routed does not disturb the others. One that cannot be read is left out of the session. One
    /// whose answer names no single model is asked for once more, in another session with other such prompts only. Only if a
    /// session fails do all of its prompts. After an error that all would meet ([`PlacementError::stops_all`]) no further session
    /// is begun.
    ///
    /// Each report's figures are those of the whole session, with the number of prompts that shared it, and for a prompt
    /// asked for twice those of both sessions. They do not include earlier sessions of this call.
    ///
    /// # Errors
    /// If the options name what is not there.
    pub fn route_batch(&self, prompts: &[&str], options: &RouteOptions) -> Result<Vec<Answer>, PlacementError> {
        self.route_batch_cancellable(prompts, options, &Cancel::default())
    }

    /// The same, unless it is cancelled before, as [`route_cancellable`](Self::route_cancellable): prompts that have no answer by then
    /// have an error that [says so](PlacementError::is_cancelled).
    ///
    /// # Errors
    /// If the options name what is not there.
    pub fn route_batch_cancellable(
        &self,
        prompts: &[&str],
        options: &RouteOptions,
        cancel: &Cancel,
    ) -> Result<Vec<Answer>, PlacementError> {
        match self.versions(options.placement) {
            Some(versions) => self.batch_by(versions, prompts, options, cancel),
            None => self.batch_here(prompts, options, (cancel, Trial::default())),
        }
    }

    /// Routes with this version of the bundle.
    fn batch_here(
        &self,
        prompts: &[&str],
        options: &RouteOptions,
        (cancel, trial): (&Cancel, Trial),
    ) -> Result<Vec<Answer>, PlacementError> {
        let asked = Asked { cancel: cancel.clone(), trial, ..self.asked(options)? };
        let mut answers = BTreeMap::new();
        let mut buckets: BTreeMap<usize, Vec<Read>> = BTreeMap::new();
        for (place, prompt) in prompts.iter().enumerate() {
            match self.read(place, prompt) {
                Ok(read) => {
                    let bucket = if asked.placement == Placement::Full { read.tokens.bucket() } else { 0 };
                    buckets.entry(bucket).or_default().push(read);
                }
                Err(error) => drop(answers.insert(place, Err(error))),
            }
        }
        let most = |bucket: usize| asked.task(bucket).map_or(1, Task::most_prompts);
        let batches =
            buckets.iter().flat_map(|(bucket, group)| group.chunks(most(*bucket)).map(Batch)).collect::<Vec<_>>();
        let run = |Batch(batch): &Batch<'_>, tell: &mut Tell<'_, RouteReport>| self.session(&asked, batch, tell);
        answers.extend(if asked.placement == Placement::Local {
            Pairs::default().sessions(&batches, run)
        } else {
            self.pairs.sessions(&batches, run)
        });
        Ok(answers.into_values().collect())
    }

    /// Checks, before any prompt is routed, that a bundle with these routers and models can follow the options, and so can its next
    /// version if there is one.
    ///
    /// # Errors
    /// If the options name what is not there, or a number is out of range.
    pub fn check(&self, options: &RouteOptions) -> Result<(), PlacementError> {
        let versions = self.versions_of(options.placement);
        versions.into_iter().try_for_each(|router| router.asked(options).map(drop))
    }

    /// The task that the route of a prompt asks of the servers; none in placement `local`.
    ///
    /// # Errors
    /// If the prompt is empty or too long, or the options name what is not there.
    pub fn task(&self, prompt: &str, options: &RouteOptions) -> Result<Option<Task>, PlacementError> {
        let asked = self.asked(options)?;
        let bucket = if asked.placement == Placement::Full { self.tokens(prompt)?.bucket() } else { 0 };
        Ok(asked.task(bucket))
    }

    fn asked(&self, options: &RouteOptions) -> Result<Asked, PlacementError> {
        let router = self.router_index(options.router.as_deref())?;
        let lambda = options.lambda.unwrap_or(self.public.lambdas[router]);
        check_lambda(lambda)?;
        let fallback = options.unknown_text.as_ref().map(|unknown| unknown.resolve(&self.public.models)).transpose()?;
        let (ranked, most) = (options.ranking, self.plan.routers[router].most_ranked(self.plan.models));
        if !(1..=most).contains(&ranked) {
            let router = self.plan.routers[router].name.clone();
            return Err(PlacementError::Ranking { found: ranked, most, router });
        }
        let (cancel, trial) = (Cancel::default(), Trial::default());
        Ok(Asked { placement: options.placement, router, lambda, fallback, ranked, cancel, trial })
    }

    fn read(&self, place: usize, prompt: &str) -> Result<Read, PlacementError> {
        let started = Instant::now();
        let tokens = self.tokenizer.encode(prompt)?;
        Ok(Read { place, tokens, took: started.elapsed() })
    }

    /// Routes prompts of one bucket in one session, and tells each one's answer by its place.
    fn session(&self, asked: &Asked, prompts: &[Read], tell: &mut dyn FnMut(usize, Answer)) {
        let started = Instant::now();
        let (mut batch, mut inputs) = (Vec::with_capacity(prompts.len()), Vec::with_capacity(prompts.len()));
        for prompt in prompts {
            match self.inputs(asked, &prompt.tokens) {
                Ok(of_one) => {
                    batch.push(prompt);
                    inputs.push(of_one);
                }
                Err(error) => tell(prompt.place, Err(error)),
            }
        }
        let Some(first) = batch.first() else { return };
        let bucket = first.tokens.bucket();
        let read = batch.iter().map(|prompt| prompt.took).sum::<Duration>();
        // In `local` a second run would give the same.
        let sessions = if asked.placement == Placement::Local { 1 } else { SESSIONS };
        let mut run = |places: &[usize]| {
            let inputs: Vec<&[Tensor<f32>]> = places.iter().map(|&place| inputs[place].as_slice()).collect();
            self.run(asked, bucket, &inputs)
        };
        let named = |output: &Output| ranking(output, self.plan.models, asked.ranked);
        ask(batch.len(), sessions, &mut run, &named, &mut |place, asked_for| {
            let prompt = batch[place];
            let took = started.elapsed() + read;
            tell(prompt.place, asked_for.and_then(|decided| self.report(asked, prompt, &decided, took)));
        });
    }

    /// The inputs of a prompt's task.
    fn inputs(&self, asked: &Asked, tokens: &Tokens) -> Result<Vec<Tensor<f32>>, PlacementError> {
        if asked.placement != Placement::Head {
            return self.route_inputs(asked.router, &tokens.ids, tokens.bucket(), asked.lambda);
        }
        if self.clear.is_none() {
            return Err(PlacementError::NeedsBundle { placement: "head" });
        }
        let (measurement, inputs) = self.head_encoding(tokens)?;
        let (embedding, _) = self.clear(measurement, inputs)?;
        if outside_range(&embedding) {
            return Err(PlacementError::OutsideRange);
        }
        let values: Vec<f32> = program::embedding(&embedding).iter().map(|x| *x as f32).collect();
        check_embedding(&values)?;
        Ok(self.head_inputs(asked.router, &tokens.ids, &values, asked.lambda))
    }

    /// What the encoder runs on in `head`: always the largest bucket, whatever the prompt's length. The servers see when
    /// a session begins, so an encoder that took longer for longer prompts would show them the length.
    fn head_encoding(&self, tokens: &Tokens) -> Result<(Measurement, Vec<Tensor<f32>>), PlacementError> {
        let positions = self.public.encoder.max_tokens;
        let bucket = BUCKETS.into_iter().rfind(|&bucket| bucket <= positions).unwrap_or(BUCKETS[0]);
        let inputs = self.encoder_inputs(&tokens.ids, bucket)?;
        Ok((Measurement::Embed { bucket }, inputs.tensors))
    }

    /// Runs a batch: each prompt's output, in the order of the inputs.
    fn run(&self, asked: &Asked, bucket: usize, inputs: &[&[Tensor<f32>]]) -> Result<Answered, PlacementError> {
        let batch = inputs.len();
        asked.cancel.check()?;
        let Some(task) = asked.task(bucket) else {
            let task = Task::route(asked.router, bucket).with_ranked(asked.ranked);
            let run = |inputs: &&[Tensor<f32>]| {
                asked.cancel.check()?;
                self.clear(task, inputs.to_vec()).map(|(output, _)| output)
            };
            return Ok((inputs.iter().map(run).collect::<Result<_, _>>()?, Ran::default()));
        };
        let request = SessionRequest::new(task).with_batch(batch);
        let route = match inputs {
            [one] => self.private_until(request, one, (&asked.cancel, asked.trial))?,
            several => self.private_until(request, &stack_inputs(several)?, (&asked.cancel, asked.trial))?,
        };
        Ok((split_output(&route.0.output, batch)?, route.into()))
    }

    fn report(&self, asked: &Asked, prompt: &Read, decided: &Decided<Vec<usize>>, total: Duration) -> Answer {
        let (&Decided { answer: ref named, ran, batch }, tokens) = (decided, &prompt.tokens);
        if let (Some(reporter), Some(pair), Some(&place)) = (&self.reporter, ran.pair, named.first()) {
            // What the router chose, also where another model takes its place here.
            self.pairs.report_choice(reporter, pair, place);
        }
        let fallback = asked.fallback.and_then(|fallback| fallback.model(&tokens.unknown));
        let ranking = with_first(fallback, named).into_iter().filter_map(|model| self.public.models.get(model));
        let ranking: Vec<RankedModel> = ranking.map(RankedModel::from).collect();
        let RankedModel { model, price, price_unit } = ranking.first().cloned().ok_or(PlacementError::NoChoice(0))?;
        Ok(RouteReport {
            model,
            price,
            price_unit,
            ranking,
            placement: asked.placement,
            bundle: self.pairs.bundle(ran.pair).unwrap_or(self.bundle()).clone(),
            pair: self.pairs.used(ran.pair),
            router: self.plan.routers[asked.router].name.clone(),
            lambda: asked.lambda,
            tokens: tokens.ids.len(),
            unknown: tokens.unknown.tokens,
            cut_from: tokens.truncated.as_ref().map(ToString::to_string),
            unknown_note: unknown::note(&tokens.unknown, fallback.is_some()),
            by_unknown_text: fallback.is_some(),
            bucket: (asked.placement == Placement::Full).then(|| tokens.bucket()),
            batch,
            ms: ran.milliseconds(total),
            openings: ran.openings,
            bytes: ran.bytes,
            development: ran.development,
            seen: seen(asked.placement, batch, asked.ranked),
        })
    }
}

/// Options whose names and numbers were checked.
struct Asked {
    placement: Placement,
    router: usize,
    lambda: f32,
    fallback: Option<Fallback>,
    /// How many models the answer names.
    ranked: usize,
    cancel: Cancel,
    trial: Trial,
}

impl Asked {
    /// What the servers are asked to run; none in `local`.
    fn task(&self, bucket: usize) -> Option<Task> {
        let task = match self.placement {
            Placement::Local => return None,
            Placement::Head => Task::head(self.router),
            Placement::Full => Task::route(self.router, bucket),
        };
        Some(task.with_ranked(self.ranked))
    }
}

/// A ranking of as many models that begins with this one, if one is given.
fn with_first(first: Option<usize>, ranking: &[usize]) -> Vec<usize> {
    let others = ranking.iter().copied().filter(|&model| Some(model) != first);
    first.into_iter().chain(others).take(ranking.len()).collect()
}

/// A prompt and its tokens.
struct Read {
    /// Its place among the caller's prompts.
    place: usize,
    tokens: Tokens,
    took: Duration,
}

/// The prompts of a session.
struct Batch<'a>(&'a [Read]);

impl Places for Batch<'_> {
    fn places(&self) -> Vec<usize> {
        self.0.iter().map(|prompt| prompt.place).collect()
    }
}

/// The largest entry of an embedding that is shared; those of encoders are far smaller.
const LARGEST_ENTRY: f32 = 1024.0;

/// Checks that this is an embedding that the servers can compute with.
///
/// # Errors
/// If an entry is not a number, or far larger than those of encoders: it would wrap around in the servers' rings.
fn check_embedding(embedding: &[f32]) -> Result<(), PlacementError> {
    let fits = embedding.iter().all(|entry| entry.abs() <= LARGEST_ENTRY);
    if fits { Ok(()) } else { Err(PlacementError::EmbeddingRange) }
}

#[cfg(test)]
mod tests;
