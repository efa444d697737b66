//! A nested pool of classifiers: one encoder that texts may leave at several depths.
//!
//! After how many layers a text may leave is the same for all tasks; each place is an *exit*. Each task has a head at every exit,
//! and at every exit but the last a gain, which predicts how much the text's answer would improve if it went on. So the pool's
//! models are the encoder up to each of its exits, and a model that was not enough is continued, not started again.
//!
//! A task may have a gain at the last exit too. It predicts how much the text's answer would improve in a larger encoder, which has a
//! bundle of its own and starts from the text: the two are then a *cascade*.

use serde::{Deserialize, Serialize};

use super::{
    config::{Attention, EncoderConfig, is_unprintable, setting},
    encoder::{LinearLayer, Named, Take},
    error::BundleError,
    router::Router,
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

/// The most exits of a pool.
pub const MOST_EXITS: usize = 4;
/// The most tasks of a pool.
const MOST_TASKS: usize = 64;
/// The most labels of a task.
const MOST_LABELS: usize = 1024;
/// The most units of a gain.
const MOST_UNITS: usize = 1024;
/// The largest threshold of a gain: differences from it are below what servers compare.
const LARGEST_THRESHOLD: f32 = 128.0;
/// The threshold of an exit past which all texts go. Nothing is asked there.
pub const ALL_GO: f32 = -LARGEST_THRESHOLD;
/// The longest label, in bytes.
const LONGEST_LABEL: usize = 256;

/// A nested pool of classifiers on a bundle's encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifierPool {
    /// After how many layers a text may leave, in rising order. The last is the encoder's number of layers.
    pub exits: Vec<usize>,
    /// The tasks.
    pub tasks: Vec<Classifier>,
}

/// A task of a pool: what texts are classified into, and the weights for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    /// What is public about it.
    pub task: ClassifierTask,
    /// By exit, from the features to the labels' scores, `[hidden, labels]`.
    pub heads: Vec<LinearLayer>,
    /// By exit but the last, how much a text gains if it goes on; in front of a larger encoder, one for the last exit too.
    pub gains: Vec<Gain>,
}

/// What is public about a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifierTask {
    /// Its name in this bundle: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// The labels, in the order of the heads' columns.
    pub labels: Vec<String>,
    /// Whether its texts are pairs of two.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pair: bool,
    /// By exit but the last, which share of all texts goes on, above 0 and not rising. Calibration chose them on texts that were
    /// not in the training.
    pub capacities: Vec<f32>,
    /// By exit but the last, the gain beyond which a text goes on if the client decides for each text by itself; none if it was not
    /// calibrated for that. The same texts gave them as the capacities. Where the last exit has a gain, it has a threshold too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<f32>,
}

/// How much a text is predicted to gain from going on. Only the order of gains counts, and how they compare with thresholds.
#[derive(Clone, Debug, PartialEq)]
pub enum Gain {
    /// The sum of the squares of the first half of the units less that of the others: any quadratic form of its rank in the
    /// features, and no weight comes after the squares. The weight is `[hidden, units]`, and the number of units is even.
    Quadratic(LinearLayer),
    /// Minus the lead of the label with the largest score over the second: a text whose label is unsure gains most. Of many labels it
    /// orders texts better than a quadratic form, and takes two openings more, five for more than 16 labels.
    Lead,
}

impl Gain {
    /// The number of its units; none of a lead.
    pub fn units(&self) -> usize {
        match self {
            Self::Quadratic(units) => units.weight.columns(),
            Self::Lead => 0,
        }
    }
}

/// What is public about a pool, in the header of a bundle and in the plan of its programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolShape {
    /// After how many layers a text may leave, in rising order.
    pub exits: Vec<usize>,
    /// The tasks; the first is the default.
    pub tasks: Vec<TaskShape>,
}

/// What is public about a task and its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskShape {
    /// Its name, labels and default capacities.
    #[serde(flatten)]
    pub task: ClassifierTask,
    /// The units of the gain at each exit but the last, and at the last if it has one; 0 for [`Gain::Lead`].
    pub units: Vec<usize>,
}

impl TaskShape {
    /// Whether a text may go on past the last of so many exits, to a larger encoder.
    pub fn goes_past(&self, exits: usize) -> bool {
        self.units.len() == exits
    }
}

impl ClassifierPool {
    pub(super) fn list<'a>(&'a self, list: &mut Named<'a>) {
        for classifier in &self.tasks {
            let name = &classifier.task.name;
            for (exit, head) in classifier.heads.iter().enumerate() {
                head.list(&format!("task.{name}.head.{exit}"), list);
            }
            for (exit, gain) in classifier.gains.iter().enumerate() {
                if let Gain::Quadratic(units) = gain {
                    units.list(&format!("task.{name}.gain.{exit}"), list);
                }
            }
        }
    }
}

impl ClassifierTask {
    /// By exit but the last, how many texts of a batch go on: the task's share of them, rounded up.
    pub fn going(&self, batch: usize) -> Vec<usize> {
        going(&self.capacities, batch)
    }

    /// What this task has that another one for the same purpose has otherwise, and what that has: the kind of texts, how many labels, or
    /// a label. The texts and labels of a cascade's encoders are the same.
    pub fn differs_from(&self, other: &Self) -> Option<(String, String)> {
        let texts = |pair| if pair { "pairs of texts" } else { "single texts" };
        let count = |labels: &[String]| format!("{} labels", labels.len());
        if self.pair != other.pair {
            return Some((texts(self.pair).to_owned(), texts(other.pair).to_owned()));
        }
        if self.labels.len() != other.labels.len() {
            return Some((count(&self.labels), count(&other.labels)));
        }
        let (place, (found, expected)) =
            self.labels.iter().zip(&other.labels).enumerate().find(|(_, (found, expected))| found != expected)?;
        Some((format!("{found:?} as label {place}"), format!("{expected:?}")))
    }

    /// A setting that no task of a pool with so many exits and gains has, what was found, and what is expected.
    pub(crate) fn problem(&self, exits: usize, gains: usize) -> Option<(&'static str, String, String)> {
        if !(2..=MOST_LABELS).contains(&self.labels.len()) {
            return Some(("number of labels", self.labels.len().to_string(), format!("from 2 to {MOST_LABELS}")));
        }
        let wrong = |label: &&String| {
            label.trim().is_empty() || label.len() > LONGEST_LABEL || label.chars().any(is_unprintable)
        };
        if let Some(label) = self.labels.iter().find(wrong) {
            let short: String = label.chars().take(64).collect();
            return Some(("label", format!("{short:?}"), format!("1 to {LONGEST_LABEL} printable bytes")));
        }
        let mut sorted: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(("list of labels", format!("one with {:?} twice", twice[0]), "different labels".to_owned()));
        }
        let falls = self.capacities.windows(2).all(|pair| pair[0] >= pair[1]);
        let inside = self.capacities.iter().all(|share| *share > 0.0 && *share <= 1.0);
        if self.capacities.len() + 1 != exits || !falls || !inside {
            let expected = format!("{} shares above 0 and at most 1, none larger than the one before", exits - 1);
            return Some(("list of capacities", format!("{:?}", self.capacities), expected));
        }
        let possible = self.thresholds.iter().all(|threshold| threshold.abs() <= LARGEST_THRESHOLD);
        let past = gains == exits;
        if !possible || self.thresholds.len() != gains && (past || !self.thresholds.is_empty()) {
            let none = if past { "" } else { "none, or " };
            let expected = format!("{none}{gains} from -{LARGEST_THRESHOLD} to {LARGEST_THRESHOLD}");
            return Some(("list of thresholds", format!("{:?}", self.thresholds), expected));
        }
        None
    }
}

/// How many texts of a batch these shares of them are: rounded up, and at least one. They do not rise, as the shares do not.
pub fn going(shares: &[f32], batch: usize) -> Vec<usize> {
    // The nearest f32 to a share such as 0.1 may be above it.
    let texts = |share: &f32| (f64::from(*share) * batch as f64 - 1e-4).ceil() as usize;
    shares.iter().map(|share| texts(share).clamp(1, batch.max(1))).collect()
}

impl PoolShape {
    /// The shape of a pool.
    pub fn of(pool: &ClassifierPool) -> Self {
        let task = |classifier: &Classifier| TaskShape {
            task: classifier.task.clone(),
            units: classifier.gains.iter().map(Gain::units).collect(),
        };
        Self { exits: pool.exits.clone(), tasks: pool.tasks.iter().map(task).collect() }
    }

    /// The place of the task of this name, or of the first.
    pub fn task(&self, name: Option<&str>) -> Option<usize> {
        match name {
            Some(name) => self.tasks.iter().position(|found| found.task.name == name),
            None => (!self.tasks.is_empty()).then_some(0),
        }
    }

    /// Checks that it is one of a pool on this encoder.
    ///
    /// # Errors
    /// If it is not, or a size is out of range.
    pub(crate) fn check(&self, encoder: &EncoderConfig) -> Result<(), BundleError> {
        if encoder.attention != Attention::Linear {
            return Err(setting(
                "encoder.attention beside a pool of classifiers",
                encoder.attention,
                Attention::Linear,
            ));
        }
        let Self { exits, tasks } = self;
        let rising = exits.windows(2).all(|pair| pair[0] < pair[1]);
        if !(1..=MOST_EXITS).contains(&exits.len()) || !rising || exits[0] == 0 || exits.last() != Some(&encoder.layers)
        {
            let expected =
                format!("1 to {MOST_EXITS} rising numbers of layers, the last of which is {}", encoder.layers);
            return Err(setting("list of the pool's exits", format!("{exits:?}"), expected));
        }
        if !(1..=MOST_TASKS).contains(&tasks.len()) {
            return Err(setting("number of the pool's tasks", tasks.len(), format!("from 1 to {MOST_TASKS}")));
        }
        for (place, TaskShape { task, units }) in tasks.iter().enumerate() {
            let name = &task.name;
            Router::check_name(name)?;
            let fits = |units: &usize| units.is_multiple_of(2) && *units <= MOST_UNITS;
            if ![exits.len() - 1, exits.len()].contains(&units.len()) || !units.iter().all(fits) {
                let expected = format!(
                    "{} even numbers up to {MOST_UNITS}, or one more in front of a larger encoder",
                    exits.len() - 1
                );
                return Err(setting(&format!("units of task {name:?}"), format!("{units:?}"), expected));
            }
            if let Some((what, found, expected)) = task.problem(exits.len(), units.len()) {
                return Err(setting(&format!("{what} of task {name:?}"), found, expected));
            }
            if tasks[..place].iter().any(|earlier| earlier.task.name == *name) {
                return Err(setting("list of tasks", format!("one with {name:?} twice"), "different names"));
            }
        }
        Ok(())
    }

    pub(super) fn build(&self, take: &mut Take<'_>, hidden: usize) -> Result<ClassifierPool, BundleError> {
        let mut tasks = Vec::with_capacity(self.tasks.len());
        for TaskShape { task, units } in &self.tasks {
            let name = &task.name;
            let heads = (0..self.exits.len())
                .map(|exit| LinearLayer::build(take, &format!("task.{name}.head.{exit}"), hidden, task.labels.len()))
                .collect::<Result<_, _>>()?;
            let gains = (units.iter().enumerate())
                .map(|(exit, units)| match units {
                    0 => Ok(Gain::Lead),
                    _ => LinearLayer::build(take, &format!("task.{name}.gain.{exit}"), hidden, *units)
                        .map(Gain::Quadratic),
                })
                .collect::<Result<_, BundleError>>()?;
            tasks.push(Classifier { task: task.clone(), heads, gains });
        }
        Ok(ClassifierPool { exits: self.exits.clone(), tasks })
    }
}
