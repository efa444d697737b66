//! The training of the router between two encoders of a cascade: the gain at the last exit of the smaller one, with everything else as
//! it is.
//!
//! The gain is trained as those of the other exits, on what the last exits of the two encoders say of the same texts. Its threshold is
//! chosen as shares are, among the texts that come to the last exit of the smaller encoder by its other thresholds, with the times of the
//! two encoders from the cost meter. For both, the time of a text is that of all layers.

use super::calibrate::{Candidates, Lists, chosen, thresholds};
use super::features::{Answers, Reader};
use super::gains::{Fitting, GainProgress, GainReport, Pieces, fit, gains_of, pieces_of};
use super::gate::Aims;
use super::router::{LEAST_DEV, check_dev, check_mix, identity, place, pool_of, wrong};
use super::seconds::Sessions;
use super::{ClassifierError, Labelled, LabelledTexts, RoutingOptions};
use blindroute_routing::bundle::{Bundle, Classifier, PoolShape};
use blindroute_routing::program::BundlePlan;
use serde::Serialize;
use std::path::Path;

/// The texts of a task as the two encoders read them, in the same order.
#[derive(Clone, Debug)]
pub struct CascadeTexts {
    /// By the smaller encoder.
    pub small: LabelledTexts,
    /// By the larger one.
    pub large: LabelledTexts,
}

/// A bundle whose texts may go on to a larger encoder.
#[derive(Debug)]
pub struct TrainedCascade {
    /// The bundle of the smaller encoder.
    pub bundle: Bundle,
    /// How good each trained task is.
    pub reports: Vec<CascadeReport>,
}

/// The results of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CascadeReport {
    /// Its name.
    pub task: String,
    /// The number of labels.
    pub labels: usize,
    /// How many labels were rounded to whole numbers, in all of its files.
    pub rounded: usize,
    /// Which gain the last exit has, and how good all rivals are on the development texts.
    pub gain: GainReport,
    /// The gain beyond which a text goes on to the larger encoder.
    pub threshold: f32,
    /// On the development texts, with gains that have not seen the text.
    pub dev: CascadeSplit,
    /// On the test texts.
    pub test: Option<CascadeSplit>,
}

/// What a cascade gives on one set of texts. All figures but `share` and `seconds` are shares of right answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CascadeSplit {
    /// The number of texts.
    pub texts: usize,
    /// Of the smaller encoder alone, in the open: each text leaves where its thresholds say.
    pub small: f64,
    /// Of the larger encoder alone, at its last exit.
    pub large: f64,
    /// Of the cascade.
    pub routed: f64,
    /// The share of all texts that goes on to the larger encoder.
    pub share: f64,
    /// In the mean, if that share of the texts goes on at random.
    pub random: f64,
    /// If those texts go on that only the larger encoder gets right.
    pub oracle: f64,
    /// Seconds per text on the stated network, estimated from the cost meter: all layers of the smaller encoder, and those of the larger
    /// one for the texts that go on.
    pub seconds: f64,
}

/// Trains the gain at the last exit of these tasks of a bundle's pool for texts that go on to a larger encoder, and chooses its threshold.
/// Everything else stays as it is. With a checkpoint file, continues from it and keeps it up to date. Calls `on_piece` after every piece of
/// the training.
pub fn train_cascade_router(
    (bundle, larger): (&Bundle, &Bundle),
    tasks: &[CascadeTexts],
    (options, seed): (&RoutingOptions, u64),
    checkpoint: Option<&Path>,
    on_piece: &mut dyn FnMut(&GainProgress),
) -> Result<TrainedCascade, ClassifierError> {
    let mut places = Vec::with_capacity(tasks.len());
    for task in tasks {
        check_cascade(bundle, larger, &task.small.name)?;
        let place = place(bundle, &task.small.name)?;
        if places.contains(&place) {
            return Err(wrong(format!("the task {:?} twice", task.small.name), "each task once"));
        }
        places.push(place);
        check_texts(task)?;
    }
    check_mix(options, 2)?;
    let small: Vec<LabelledTexts> = tasks.iter().map(|task| task.small.clone()).collect();
    check_dev(&small)?;
    let identity = identity(&[bundle, larger], &small, options, seed);
    let mut pieces = Pieces::new(checkpoint.map(|path| (path, identity)), tasks.len() * pieces_of(2), on_piece)?;
    let training = Training { bundles: [bundle, larger], options, seed };
    let mut pool = pool_of(bundle)?.clone();
    let mut reports = Vec::with_capacity(tasks.len());
    for (task, place) in tasks.iter().zip(places) {
        reports.push(training.train(&mut pool.tasks[place], task, &mut pieces)?);
    }
    let mut parts = bundle.parts().clone();
    parts.pool = Some(pool);
    Ok(TrainedCascade { bundle: Bundle::new(parts)?, reports })
}

/// Checks that a task of two bundles has the same kind of texts and the same labels in the same order.
///
/// # Errors
/// If it does not, or one of them does not have the task.
pub fn check_cascade(bundle: &Bundle, larger: &Bundle, name: &str) -> Result<(), ClassifierError> {
    let of = |bundle| Ok::<_, ClassifierError>(&pool_of(bundle)?.tasks[place(bundle, name)?].task);
    let in_larger = |error| match error {
        ClassifierError::Pool { found, expected } => {
            ClassifierError::Pool { found: format!("{found}, in the larger encoder's bundle"), expected }
        }
        error => error,
    };
    let (small, large) = (of(bundle)?, of(larger).map_err(in_larger)?);
    let Some((found, expected)) = large.differs_from(small) else { return Ok(()) };
    let expected = format!(
        "{expected} as in the smaller one: the encoders of a cascade have the same labels in the same order; give a bundle that was \
         trained for this task"
    );
    Err(ClassifierError::Task {
        task: name.to_owned(),
        found: format!("{found} in the larger encoder's bundle"),
        expected,
    })
}

/// Checks that both encoders read the same texts.
fn check_texts(CascadeTexts { small, large }: &CascadeTexts) -> Result<(), ClassifierError> {
    let labels =
        |texts: &LabelledTexts| (texts.dev.labels.clone(), texts.test.as_ref().map(|test| test.labels.clone()));
    if small.name == large.name && labels(small) == labels(large) {
        return Ok(());
    }
    let expected =
        "the same texts in the same order for both encoders; read the same files with the same seed".to_owned();
    Err(ClassifierError::Task {
        task: small.name.clone(),
        found: "other texts for the larger encoder".to_owned(),
        expected,
    })
}

struct Training<'a> {
    /// The smaller and the larger one.
    bundles: [&'a Bundle; 2],
    options: &'a RoutingOptions,
    seed: u64,
}

/// What the two encoders say of one set of texts.
struct Both {
    /// At the last exits of the two.
    last: Answers,
    /// Whether the smaller one alone is right in the open.
    right: Vec<bool>,
    /// The texts that come to its last exit.
    arrived: Vec<usize>,
}

impl Training<'_> {
    /// Trains the gain of a task and chooses its threshold.
    fn train(
        &self,
        classifier: &mut Classifier,
        task: &CascadeTexts,
        pieces: &mut Pieces<'_>,
    ) -> Result<CascadeReport, ClassifierError> {
        let [small, large] = self.seconds(task)?;
        let dev = self.both(classifier, (&task.small.dev, &task.large.dev), &task.small.name)?;
        let last = classifier.heads.len() - 1;
        let head = classifier.heads[last].clone();
        let mix = self.options.mix.clone().unwrap_or_else(|| vec![0.5; 2]);
        let costs = vec![small / (small + large), 1.0];
        let aims = Aims { balance: self.options.balance, cost: self.options.cost, mix, costs };
        let name = format!("{}.larger", task.small.name);
        let heads = [head.clone(), head];
        let fitting =
            Fitting { task: &name, answers: &dev.last, heads: &heads, aims: &aims, joint: None, seed: self.seed };
        let none = || wrong("no exit".to_owned(), "one or more");
        let fitted = fit(&fitting, pieces)?.pop().ok_or_else(none)?;

        let arrived = dev.last.only(&dev.arrived);
        if arrived.labels.len() < LEAST_DEV {
            let expected = format!("at least {LEAST_DEV} to choose the threshold there; give a larger file");
            let found = format!("{} development texts that come to the last exit", arrived.labels.len());
            return Err(ClassifierError::Task { task: task.small.name.clone(), found, expected });
        }
        let held_out = dev.arrived.iter().map(|text| fitted.held_out[*text]).collect();
        // Layers of different encoders are no common measure, so they are not reported.
        let candidates = Candidates::new(&arrived, vec![held_out], &[1, 2], self.seed);
        let share = chosen(&candidates, &Lists::of_cascade(small, large), self.options.lambda).shares;
        let gains = gains_of(&fitted.gain, &heads[0], &arrived.features[0]);
        let threshold = thresholds(&[gains], &share)[0];
        // Held-out gains are on other scales, so the share decides among them.
        let least = thresholds(&[dev.arrived.iter().map(|text| fitted.held_out[*text]).collect()], &share)[0];
        let dev_split = dev.split(&fitted.held_out, least, [small, large]);

        classifier.gains.truncate(last);
        classifier.task.thresholds.truncate(last);
        let test = match (&task.small.test, &task.large.test) {
            (Some(of_small), Some(of_large)) => {
                let test = self.both(classifier, (of_small, of_large), &task.small.name)?;
                let gains = gains_of(&fitted.gain, &heads[0], &test.last.features[0]);
                Some(test.split(&gains, threshold, [small, large]))
            }
            _ => None,
        };
        classifier.gains.push(fitted.gain);
        classifier.task.thresholds.push(threshold);
        let (name, labels, rounded) = (task.small.name.clone(), task.small.labels.len(), task.small.rounded);
        Ok(CascadeReport { task: name, labels, rounded, gain: fitted.report, threshold, dev: dev_split, test })
    }

    /// Seconds per text through all layers of each encoder.
    fn seconds(&self, task: &CascadeTexts) -> Result<[f64; 2], ClassifierError> {
        let of = |bundle: &Bundle, texts: &LabelledTexts| {
            let pool = pool_of(bundle)?;
            let mut plan = BundlePlan::of(bundle);
            plan.pool = Some(PoolShape::of(pool));
            let lengths = texts.dev.texts.iter().map(Vec::len);
            let sessions = Sessions::new(plan, self.options.network, place(bundle, &texts.name)?, lengths);
            sessions.with_shares(&vec![1.0; pool.exits.len() - 1])
        };
        Ok([of(self.bundles[0], &task.small)?, of(self.bundles[1], &task.large)?])
    }

    fn both(
        &self,
        classifier: &Classifier,
        (small, large): (&Labelled, &Labelled),
        name: &str,
    ) -> Result<Both, ClassifierError> {
        let exits = &pool_of(self.bundles[0])?.exits;
        let last = exits.len() - 1;
        if classifier.task.thresholds.len() < last {
            let expected =
                "one for each exit before the last; train them with `blindroute train pool-router` without --larger"
                    .to_owned();
            let found = "no thresholds for policy open".to_owned();
            return Err(ClassifierError::Task { task: name.to_owned(), found, expected });
        }
        let small = Reader::new(self.bundles[0], exits)?.answers(&classifier.heads, small)?;
        let pool = pool_of(self.bundles[1])?;
        let head = pool.tasks[place(self.bundles[1], name)?].heads.last().cloned();
        let end = pool.exits.last().copied().unwrap_or_default();
        let large = Reader::new(self.bundles[1], &[end])?.answers(head.as_slice(), large)?;
        let gains: Vec<Vec<f32>> = (0..last)
            .map(|exit| gains_of(&classifier.gains[exit], &classifier.heads[exit], &small.features[exit]))
            .collect();
        let leaves = |text: usize| {
            (0..last).find(|exit| gains[*exit][text] <= classifier.task.thresholds[*exit]).unwrap_or(last)
        };
        let left: Vec<usize> = (0..small.labels.len()).map(leaves).collect();
        let by_exit: Vec<Vec<bool>> = (0..=last).map(|exit| small.right(exit)).collect();
        let right = left.iter().enumerate().map(|(text, exit)| by_exit[*exit][text]).collect();
        let arrived = (0..left.len()).filter(|text| left[*text] == last).collect();
        let last = Answers {
            // Only the smaller encoder's features decide.
            features: vec![small.features[last].clone(); 2],
            probabilities: vec![small.probabilities[last].clone(), large.probabilities[0].clone()],
            labels: small.labels,
        };
        Ok(Both { last, right, arrived })
    }
}

impl Both {
    /// What comes of the texts if those that arrived go on where their gain exceeds the threshold.
    fn split(&self, gains: &[f32], threshold: f32, [small, large]: [f64; 2]) -> CascadeSplit {
        let larger = self.last.right(1);
        let texts = self.last.labels.len();
        let mut goes = vec![false; texts];
        self.arrived.iter().for_each(|text| goes[*text] = gains[*text] > threshold);
        let share_of =
            |right: &dyn Fn(usize) -> bool| (0..texts).filter(|text| right(*text)).count() as f64 / texts.max(1) as f64;
        let share = share_of(&|text| goes[text]);
        let [alone, all] = [share_of(&|text| self.right[text]), share_of(&|text| larger[text])];
        CascadeSplit {
            texts,
            small: alone,
            large: all,
            routed: share_of(&|text| if goes[text] { larger[text] } else { self.right[text] }),
            share,
            random: (1.0 - share) * alone + share * all,
            oracle: share_of(&|text| self.right[text] || larger[text]),
            seconds: small + share * large,
        }
    }
}
