//! From texts to labels: batches of texts that share sessions of a nested pool of classifiers.

mod cascade;
pub(crate) mod error;
mod open;
mod options;
mod report;

pub use cascade::Cascade;
pub use error::ClassifyError;
pub use options::{ClassifyOptions, Policy, Text};
pub use report::ClassifyReport;

use crate::ask::{Answered, Decided, Ran, SESSIONS, ask};
use crate::error::PlacementError;
use crate::pairs::{Pairs, Places, Tell, Trial};
use crate::router::PrivateRouter;
use blindroute_protocol::{Output, Tensor};
use blindroute_routing::program::{
    Placement, SessionRequest, label, outside_range, scores, split_output, stack_inputs,
};
use blindroute_routing::tokenizer::Tokens;
use blindroute_runtime::Cancel;
use open::{OpenTexts, goes_on};
use options::{Asked, Sessions};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An answer, or why there is none.
type Answer = Result<ClassifyReport, PlacementError>;

impl PrivateRouter {
    /// Classifies texts, in the order in which they are given. Those of one bucket share sessions of
    /// [`batch`](ClassifyOptions::batch) texts, one session after the other or with several pairs of servers one per pair at a
    /// time.
    ///
    /// In a session, the servers choose in secret which texts go on past each exit: those of the largest predicted gain, so many as the
    /// capacities say. A session with fewer texts is filled with repetitions of its own, so that this share stays the same. A text alone in its session, a batch of
    /// 1 and texts of a given [`depth`](ClassifyOptions::depth) are not chosen between: all leave at that depth (or the last), and none is repeated.
    ///
    /// With [`Policy::Open`], a text goes on if its gain exceeds the bundle's threshold, in a further session of those texts only, which
    /// continues from what the servers hold; figures of a text are those of all these sessions.
    ///
    /// Servers and dealer see the task, the bucket, the number of texts, and the capacities; not which texts went on. `local` asks no
    /// server and runs the same sessions in the clear, so that its labels are those to compare with.
    ///
    /// A text that cannot be classified does not disturb the others, as in [`route_batch`](Self::route_batch). After an error that all
    /// texts would meet ([`PlacementError::stops_all`]) no further session is begun.
    ///
    /// # Errors
    /// If the options name what is not there.
    pub fn classify_batch(&self, texts: &[Text<'_>], options: &ClassifyOptions) -> Result<Vec<Answer>, PlacementError> {
        self.classify_batch_cancellable(texts, options, &Cancel::default())
    }

    /// The same, unless it is cancelled before, as [`route_cancellable`](Self::route_cancellable): texts that have no answer by then have
    /// an error that [says so](PlacementError::is_cancelled).
    ///
    /// # Errors
    /// If the options name what is not there.
    pub fn classify_batch_cancellable(
        &self,
        texts: &[Text<'_>],
        options: &ClassifyOptions,
        cancel: &Cancel,
    ) -> Result<Vec<Answer>, PlacementError> {
        let mut asked = Asked::of(&self.plan, options)?;
        asked.cancel = cancel.clone();
        let told = self.classify_asked(&asked, texts);
        Ok(told.into_iter().map(|told| told.map(|told| told.report)).collect())
    }

    /// The same for options that were checked.
    fn classify_asked(&self, asked: &Asked, texts: &[Text<'_>]) -> Vec<Result<Told, PlacementError>> {
        let mut answers = BTreeMap::new();
        let mut buckets: BTreeMap<usize, Vec<Read>> = BTreeMap::new();
        for (place, text) in texts.iter().enumerate() {
            match self.read_text(asked, place, text) {
                Ok(read) => buckets.entry(read.tokens.bucket()).or_default().push(read),
                Err(error) => drop(answers.insert(place, Err(error))),
            }
        }
        let mut batches = Vec::new();
        for (&bucket, group) in &buckets {
            batches.extend(group.chunks(asked.most(bucket)).map(|texts| Batch { bucket, texts }));
        }
        let run = |&Batch { bucket, texts }: &Batch<'_>, tell: &mut Tell<'_, Told>| {
            self.classify_session(asked, asked.sessions(bucket, texts.len()), texts, tell);
        };
        answers.extend(if asked.placement == Placement::Local {
            Pairs::default().sessions(&batches, run)
        } else {
            self.pairs.sessions(&batches, run)
        });
        answers.into_values().collect()
    }

    fn read_text(&self, asked: &Asked, place: usize, text: &Text<'_>) -> Result<Read, PlacementError> {
        asked.check_text(text)?;
        let started = Instant::now();
        let tokens = match text.text2 {
            Some(second) => self.tokenizer.encode_pair(text.text, second)?,
            None => self.tokenizer.encode(text.text)?,
        };
        let inputs = self.encoder_inputs(&tokens.ids, tokens.bucket())?.tensors;
        Ok(Read { place, pair: text.text2.is_some(), tokens, inputs, took: started.elapsed() })
    }

    /// Classifies texts of one bucket in one session, and tells each one's answer by its place.
    fn classify_session(&self, asked: &Asked, sessions: Sessions, texts: &[Read], tell: &mut Tell<'_, Told>) {
        let started = Instant::now();
        let read = texts.iter().map(|text| text.took).sum::<Duration>();
        // In `local` a second run would give the same.
        let most = if asked.placement == Placement::Local { 1 } else { SESSIONS };
        // In the open, where each text left, and why the others got no further.
        let (exits, failed) = (RefCell::new(vec![None; texts.len()]), RefCell::new(None));
        let mut run = |places: &[usize]| {
            let inputs: Vec<&[Tensor<f32>]> = places.iter().map(|&place| texts[place].inputs.as_slice()).collect();
            let Some(stops) = &asked.stops else { return self.run_classifiers(asked, sessions, &inputs) };
            let open = OpenTexts { router: self, asked, bucket: sessions.bucket, texts: &inputs };
            let ended = open.run(stops)?;
            let mut exits = exits.borrow_mut();
            places.iter().zip(ended.exits).for_each(|(place, exit)| exits[*place] = Some(exit));
            failed.replace(ended.failed.map(Arc::new));
            Ok(ended.answered)
        };
        let answer = |output: &Output| match &*failed.borrow() {
            Some(error) if goes_on(output) => Err(PlacementError::Batch(Arc::clone(error))),
            // All sessions ended, so it goes on from the last exit.
            None if asked.past && goes_on(output) => Ok(Labelled { label: None, scores: None }),
            _ => answer(asked, output),
        };
        ask(texts.len(), most, &mut run, &answer, &mut |place, decided| {
            let (text, total) = (&texts[place], started.elapsed() + read);
            let report = |decided: Decided<Labelled>| {
                let goes_on = decided.answer.label.is_none();
                let report = self.classify_report(asked, sessions, text, decided, total);
                let report = match exits.borrow()[place] {
                    Some(exit) => report.in_the_open(&asked.exits, exit),
                    None => report,
                };
                Told { report, goes_on }
            };
            tell(text.place, decided.map(report));
        });
    }

    /// Runs a session: each text's output, in the order of the inputs.
    fn run_classifiers(
        &self,
        asked: &Asked,
        sessions: Sessions,
        inputs: &[&[Tensor<f32>]],
    ) -> Result<Answered, PlacementError> {
        asked.cancel.check()?;
        let size = sessions.texts(inputs.len());
        let filled: Vec<&[Tensor<f32>]> = inputs.iter().copied().cycle().take(size).collect();
        let request = SessionRequest::new(asked.task(sessions, size)).with_batch(size);
        let stacked = stack_inputs(&filled)?;
        let (output, ran) = if asked.placement == Placement::Local {
            (self.clear_request(request, stacked)?.0, Ran::default())
        } else {
            let (mut outcome, pair) = self.private_until(request, &stacked, (&asked.cancel, Trial::default()))?;
            (std::mem::take(&mut outcome.output), (outcome, pair).into())
        };
        let mut outputs = split_output(&output, size)?;
        outputs.truncate(inputs.len());
        Ok((outputs, ran))
    }

    fn classify_report(
        &self,
        asked: &Asked,
        sessions: Sessions,
        text: &Read,
        decided: Decided<Labelled>,
        total: Duration,
    ) -> ClassifyReport {
        let Decided { answer, ran, batch: texts } = decided;
        let batch = sessions.texts(texts);
        let (capacities, depth) = report::depths(asked.task(sessions, batch), batch, &asked.exits);
        let by_label = |scores: Vec<f64>| asked.labels.iter().cloned().zip(scores).collect();
        ClassifyReport {
            label: answer.label.map(|label| asked.labels[label].clone()).unwrap_or_default(),
            scores: answer.scores.map(by_label),
            task: asked.name.clone(),
            placement: asked.placement,
            encoder: None,
            bundle: self.pairs.bundle(ran.pair).unwrap_or(self.bundle()).clone(),
            pair: self.pairs.used(ran.pair),
            tokens: text.tokens.ids.len(),
            cut_from: text.cut_from(),
            bucket: (asked.placement == Placement::Full).then_some(sessions.bucket),
            batch,
            padded: batch - texts,
            depth,
            capacities,
            ms: ran.milliseconds(total),
            openings: ran.openings,
            bytes: ran.bytes,
            development: ran.development,
            seen: report::seen(asked.placement, asked.scores, depth.is_some()),
            leaked_bits: 0,
        }
    }
}

/// A text's tokens and inputs.
struct Read {
    /// Its place among the caller's texts.
    place: usize,
    pair: bool,
    tokens: Tokens,
    inputs: Vec<Tensor<f32>>,
    took: Duration,
}

impl Read {
    /// A sentence that says which of how many tokens were read, if the text was truncated.
    fn cut_from(&self) -> Option<String> {
        let truncated = self.tokens.truncated.as_ref()?;
        if !self.pair {
            return Some(truncated.to_string());
        }
        let (kept, more) = (self.tokens.ids.len(), if truncated.exact { "" } else { "more than " });
        Some(format!("only {kept} of {more}{} tokens were read, the first of each text", truncated.tokens))
    }
}

/// The texts of a session.
struct Batch<'a> {
    bucket: usize,
    texts: &'a [Read],
}

impl Places for Batch<'_> {
    fn places(&self) -> Vec<usize> {
        self.texts.iter().map(|text| text.place).collect()
    }
}

/// What came of a text.
struct Told {
    report: ClassifyReport,
    /// Whether it goes on to a larger encoder. Then the report has no label.
    goes_on: bool,
}

/// A text's label, by its place, and the scores of all labels if they were asked for. Without a label it goes on to a larger encoder.
struct Labelled {
    label: Option<usize>,
    scores: Option<Vec<f64>>,
}

/// What an output says.
///
/// # Errors
/// If it names no single label, or the text's values were outside their ranges.
fn answer(asked: &Asked, output: &Output) -> Result<Labelled, PlacementError> {
    if outside_range(output) {
        return Err(PlacementError::OutsideRange);
    }
    let values = scores(output);
    if values.len() != asked.labels.len() {
        return Err(ClassifyError::NoLabel.into());
    }
    if !asked.scores {
        let label = label(output).ok_or(ClassifyError::NoLabel)?;
        return Ok(Labelled { label: Some(label), scores: None });
    }
    let best = |best: usize, place: usize| if values[place] > values[best] { place } else { best };
    Ok(Labelled { label: Some((0..values.len()).fold(0, best)), scores: Some(values.to_vec()) })
}
