//! What a caller says about a classification, and the sessions that follow from it.

use super::error::ClassifyError;
use blindroute_routing::bundle::{ALL_GO, ClassifierTask, MOST_EXITS, PoolShape, TaskShape, going};
use blindroute_routing::program::{BundlePlan, Placement, Task};
use blindroute_routing::tokenizer::BUCKETS;
use blindroute_runtime::Cancel;

/// How to classify texts. The default is placement `full`, with the first task of the bundle's pool and that task's own
/// capacities, in sessions of 32 texts.
///
/// ```
/// use blindroute_placement::ClassifyOptions;
///
/// let options = ClassifyOptions::default().with_task("topic").with_batch(16);
/// assert_eq!((options.batch, options.capacities), (16, None));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClassifyOptions {
    /// The task's name in the bundle's pool; the first task if it is `None`.
    pub task: Option<String>,
    /// `full`, or `local` in the clear.
    pub placement: Placement,
    /// Whether the answer has the labels' scores. Servers refuse that unless their operators allow it.
    pub scores: bool,
    /// After how many layers all texts leave; one of the pool's exits. With it, nothing is chosen between texts.
    pub depth: Option<usize>,
    /// By exit but the last, the share of all texts that goes on; the task's own if it is `None`.
    pub capacities: Option<Vec<f32>>,
    /// How many texts share a session, at most: a bucket may take fewer. With one, nothing is chosen between texts.
    pub batch: usize,
    /// Who learns after how many layers a text leaves.
    pub policy: Policy,
    /// With [`Policy::Open`] and several pairs, whether texts that go on past the first exit go on with another pair, to which the first
    /// one hands them over in shares. They stay if no other pair with a [name](blindroute_runtime::ClientConfig::name) is up.
    pub hand_over: bool,
}

/// Who learns after how many layers each text leaves the encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nobody. The servers choose in secret between the texts of a session, of which so many go on as the capacities say.
    #[default]
    Hidden,
    /// You and the servers. A text goes on if its gain exceeds the bundle's threshold, which you learn, and you tell the servers which of your
    /// texts go on. A text alone is spared layers too. The servers learn of each text one of as many numbers as there are exits.
    Open,
}

impl Default for ClassifyOptions {
    fn default() -> Self {
        Self {
            task: None,
            placement: Placement::Full,
            scores: false,
            depth: None,
            capacities: None,
            batch: 32,
            policy: Policy::Hidden,
            hand_over: false,
        }
    }
}

impl ClassifyOptions {
    /// The same for the task of this name.
    #[must_use]
    pub fn with_task(self, task: impl Into<String>) -> Self {
        Self { task: Some(task.into()), ..self }
    }

    /// The same in another placement.
    #[must_use]
    pub fn with_placement(self, placement: Placement) -> Self {
        Self { placement, ..self }
    }

    /// The same with the labels' scores in the answer.
    #[must_use]
    pub fn with_scores(self) -> Self {
        Self { scores: true, ..self }
    }

    /// The same with all texts leaving after so many layers.
    #[must_use]
    pub fn with_depth(self, layers: usize) -> Self {
        Self { depth: Some(layers), ..self }
    }

    /// The same with these shares of all texts going on past each exit but the last.
    #[must_use]
    pub fn with_capacities(self, capacities: impl Into<Vec<f32>>) -> Self {
        Self { capacities: Some(capacities.into()), ..self }
    }

    /// The same with so many texts in a session.
    #[must_use]
    pub fn with_batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// The same with another policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same with texts that go on past the first exit handed over to another pair.
    #[must_use]
    pub fn with_hand_over(self) -> Self {
        Self { hand_over: true, ..self }
    }

    /// Checks, before any text is classified, that a bundle of this plan can follow the options.
    ///
    /// # Errors
    /// If it has no pool or no such task, or a number is out of range.
    pub fn check(&self, plan: &BundlePlan) -> Result<(), ClassifyError> {
        Asked::of(plan, self).map(drop)
    }

    /// Checks that this text is one for the task.
    ///
    /// # Errors
    /// As [`check`](Self::check), and if there are two texts and the task takes one, or the other way round.
    pub fn check_text(&self, plan: &BundlePlan, text: &Text<'_>) -> Result<(), ClassifyError> {
        Asked::of(plan, self)?.check_text(text)
    }
}

/// What is classified: a text, or a pair of texts where the task takes pairs. Not printable.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// The text, or the first.
    pub text: &'a str,
    /// The second of a pair.
    pub text2: Option<&'a str>,
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, text2: None }
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Text({} bytes, pair: {})", self.text.len(), self.text2.is_some())
    }
}

/// Options whose names and numbers were checked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) placement: Placement,
    pub(super) classifier: usize,
    pub(super) scores: bool,
    pub(super) name: String,
    pub(super) labels: Vec<String>,
    pair: bool,
    /// After how many layers texts may leave.
    pub(super) exits: Vec<usize>,
    /// The deepest exit that is used.
    pub(super) exit: usize,
    /// The shares of the texts that go on; none if all texts leave at one depth.
    shares: Option<Vec<f32>>,
    batch: usize,
    /// In the open, the exits where the client decides which texts go on, and the last one.
    pub(super) stops: Option<Vec<usize>>,
    /// Whether texts that go on past the first of them change the pair.
    pub(super) hand_over: bool,
    /// Whether texts may go on past the last exit, to a larger encoder.
    pub(super) past: bool,
    pub(super) cancel: Cancel,
}

/// The texts of sessions for one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sessions {
    pub(super) bucket: usize,
    /// The most texts of a session.
    pub(super) size: usize,
    /// Whether every session has that many, for which texts are repeated. Else nothing is chosen between texts.
    pub(super) filled: bool,
}

impl Sessions {
    /// How many texts a session for so many of the caller's has.
    pub(super) fn texts(self, given: usize) -> usize {
        if self.filled { self.size.max(given) } else { given }
    }
}

impl Asked {
    pub(super) fn of(plan: &BundlePlan, options: &ClassifyOptions) -> Result<Self, ClassifyError> {
        let pool = plan.pool.as_ref().ok_or(ClassifyError::NoPool)?;
        let classifier = pool.task(options.task.as_deref()).ok_or_else(|| unknown(pool, options))?;
        let task = &pool.tasks[classifier].task;
        if options.placement == Placement::Head {
            return Err(ClassifyError::Head);
        }
        let most = most(BUCKETS[0]);
        if !(1..=most).contains(&options.batch) {
            return Err(ClassifyError::Batch { found: options.batch, most });
        }
        let exits = pool.exits.clone();
        let exit = match options.depth {
            None => exits.len() - 1,
            Some(found) => (exits.iter().position(|layers| *layers == found))
                .ok_or_else(|| ClassifyError::Depth { found, exits: exits.clone() })?,
        };
        let stops = match options.policy {
            Policy::Hidden => None,
            Policy::Open => Some(stops(task, exits.len() - 1, options)?),
        };
        if options.hand_over && stops.is_none() {
            return Err(ClassifyError::NoHandOver);
        }
        let alone = options.batch == 1 && stops.is_none();
        let fixed = [(options.depth.is_some(), "--depth"), (alone, "--batch 1")];
        let fixed = fixed.into_iter().find(|(fixed, _)| *fixed).map(|(_, option)| option);
        let shares = match (fixed, &options.capacities) {
            (Some(option), Some(_)) => return Err(ClassifyError::NoChoice(option)),
            (Some(_), None) => None,
            (None, None) if stops.is_some() => None,
            (None, given) => Some(check_shares(given.as_ref().unwrap_or(&task.capacities), exits.len() - 1)?),
        };
        Ok(Self {
            placement: options.placement,
            classifier,
            scores: options.scores,
            name: task.name.clone(),
            labels: task.labels.clone(),
            pair: task.pair,
            exits,
            exit,
            shares,
            batch: options.batch,
            stops,
            hand_over: options.hand_over,
            past: false,
            cancel: Cancel::default(),
        })
    }

    /// Lets texts go on past the last exit; says whether the bundle of this plan has a gain there.
    pub(super) fn go_past(&mut self, plan: &BundlePlan) -> bool {
        self.past = self.task_of(plan).is_some_and(|task| task.goes_past(self.exits.len()));
        self.past
    }

    /// The task in the plan that it was asked of.
    pub(super) fn task_of<'p>(&self, plan: &'p BundlePlan) -> Option<&'p TaskShape> {
        plan.pool.as_ref().and_then(|pool| pool.tasks.get(self.classifier))
    }

    pub(super) fn check_text(&self, text: &Text<'_>) -> Result<(), ClassifyError> {
        let task = || self.name.clone();
        match (self.pair, text.text2) {
            (true, None) => Err(ClassifyError::SecondMissing { task: task() }),
            (false, Some(_)) => Err(ClassifyError::SecondSuperfluous { task: task() }),
            _ => Ok(()),
        }
    }

    /// A session for so many texts of a bucket. A text alone has none to be chosen before.
    pub(super) fn sessions(&self, bucket: usize, texts: usize) -> Sessions {
        Sessions { bucket, size: self.most(bucket), filled: self.shares.is_some() && texts > 1 }
    }

    /// The most texts of a session of a bucket.
    pub(super) fn most(&self, bucket: usize) -> usize {
        self.batch.min(most(bucket))
    }

    /// What a session of `size` texts runs.
    pub(super) fn task(&self, sessions: Sessions, size: usize) -> Task {
        let mut capacities = [0; MOST_EXITS - 1];
        let shares = self.shares.as_ref().filter(|_| sessions.filled);
        let texts = shares.map_or_else(|| vec![size; self.exit], |shares| going(shares, size));
        capacities.iter_mut().zip(texts).for_each(|(capacity, texts)| *capacity = texts);
        let (classifier, bucket, scores) = (self.classifier, sessions.bucket, self.scores);
        Task::Classify { classifier, bucket, exit: self.exit, capacities, scores, begin: None, onward: false }
    }

    /// What a session of `size` texts runs in the open up to an exit, from the exit where servers kept them or from the client's inputs.
    pub(super) fn open_task(&self, bucket: usize, begin: Option<usize>, exit: usize, size: usize) -> Task {
        let mut capacities = [0; MOST_EXITS - 1];
        capacities[begin.map_or(0, |begin| begin + 1)..exit].fill(size);
        let (classifier, scores) = (self.classifier, self.scores);
        let onward = self.past || exit + 1 < self.exits.len();
        Task::Classify { classifier, bucket, exit, capacities, scores, begin, onward }
    }
}

/// The most texts of a session in this bucket.
fn most(bucket: usize) -> usize {
    let capacities = [0; MOST_EXITS - 1];
    Task::classify(0, bucket, 0, capacities).most_prompts()
}

/// The exits before the last at which a client decides in the open which texts go on, and the last one.
fn stops(task: &ClassifierTask, last: usize, options: &ClassifyOptions) -> Result<Vec<usize>, ClassifyError> {
    let given = [(options.depth.is_some(), "--depth"), (options.capacities.is_some(), "--capacity")];
    if let Some((_, option)) = given.into_iter().find(|(given, _)| *given) {
        return Err(ClassifyError::NotOpen(option));
    }
    // With one exit there is nothing to decide.
    if task.thresholds.len() < last {
        return Err(ClassifyError::NoThresholds { task: task.name.clone() });
    }
    let asked = task.thresholds.iter().take(last).enumerate().filter(|(_, threshold)| **threshold > ALL_GO);
    Ok(asked.map(|(exit, _)| exit).chain([last]).collect())
}

fn check_shares(shares: &[f32], expected: usize) -> Result<Vec<f32>, ClassifyError> {
    let inside = shares.iter().all(|share| *share > 0.0 && *share <= 1.0);
    let falls = shares.windows(2).all(|pair| pair[0] >= pair[1]);
    if shares.len() != expected || !inside || !falls {
        return Err(ClassifyError::Capacities { found: shares.to_vec(), expected });
    }
    Ok(shares.to_vec())
}

fn unknown(pool: &PoolShape, options: &ClassifyOptions) -> ClassifyError {
    ClassifyError::UnknownTask {
        name: options.task.clone().unwrap_or_default(),
        known: pool.tasks.iter().map(|task| task.task.name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests;
