//! Why texts cannot be classified.

/// Why a text could not be classified. Never holds the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifyError {
    /// The bundle has no classifiers.
    #[error(
        "this bundle has no pool of classifiers: name a bundle that has one by --bundle FILE (such as pool.blindroute), or put \
         one into a bundle with `blindroute train pool`"
    )]
    NoPool,
    /// There is no such task in the pool.
    #[error("there is no task {name:?} in this bundle's pool of classifiers; it has: {}", known.join(", "))]
    UnknownTask {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// Classifiers run whole.
    #[error("classifiers run in placement full or local, not in head; use --placement full")]
    Head,
    /// The number of texts of a session is out of range.
    #[error("the batch is {found} texts, expected 1 to {most}; give another --batch")]
    Batch {
        /// The number asked for.
        found: usize,
        /// The most.
        most: usize,
    },
    /// The depth is none of the pool's.
    #[error(
        "depth {found} is no exit of this bundle's pool: texts may leave after {} layers; give one of these by --depth",
        numbers(exits)
    )]
    Depth {
        /// The number of layers asked for.
        found: usize,
        /// After how many layers texts may leave.
        exits: Vec<usize>,
    },
    /// A depth and capacities, or capacities where nothing is chosen between texts.
    #[error("{0} decides the depth of all texts, so there are no capacities to choose; leave out --capacity or {0}")]
    NoChoice(&'static str),
    /// A depth or capacities, where thresholds decide.
    #[error("with policy open the bundle's thresholds decide which texts go on; leave out {0}, or use policy hidden")]
    NotOpen(&'static str),
    /// There is no session between which texts could be handed over.
    #[error(
        "texts are handed over between sessions, and policy hidden has one only; leave out --hand-over, or use policy open"
    )]
    NoHandOver,
    /// The task has no thresholds.
    #[error(
        "task {task:?} of this bundle has no thresholds for policy open; use policy hidden, or calibrate the pool again by \
         `blindroute train pool-router`"
    )]
    NoThresholds {
        /// The task.
        task: String,
    },
    /// The capacities cannot be used.
    #[error(
        "the capacities are {found:?}, expected {expected} numbers above 0 and at most 1, none larger than the one before: the \
         shares of all texts that go on past each exit but the last"
    )]
    Capacities {
        /// Those asked for.
        found: Vec<f32>,
        /// How many there should be.
        expected: usize,
    },
    /// The task's texts are pairs.
    #[error("task {task:?} classifies pairs of texts, and there is only one: add the other as text2 (--text2 TEXT)")]
    SecondMissing {
        /// The task.
        task: String,
    },
    /// The task's texts are no pairs.
    #[error(
        "task {task:?} classifies single texts, and there are two: leave out text2 (--text2), or name another task"
    )]
    SecondSuperfluous {
        /// The task.
        task: String,
    },
    /// There is a larger encoder, and the policy is not open.
    #[error(
        "which texts go on to a larger encoder is decided with policy open only, because you and its servers see it; use --policy open, \
         or leave out the larger encoders (--larger, --larger-config)"
    )]
    LargerHidden,
    /// A larger encoder cannot follow the options.
    #[error("encoder {encoder} of the cascade (counted from 0): {source}")]
    OfEncoder {
        /// Its place in the cascade.
        encoder: usize,
        /// Why.
        source: Box<ClassifyError>,
    },
    /// The encoders of a cascade are for different tasks.
    #[error(
        "task {task:?} of encoder {encoder} (counted from 0) has {found}, expected {expected} as in the smallest encoder: the encoders of \
         a cascade have the same labels in the same order; give a bundle that was trained for this task"
    )]
    OtherTask {
        /// The place of the encoder that differs.
        encoder: usize,
        /// The task.
        task: String,
        /// What it has.
        found: String,
        /// What the smallest encoder has.
        expected: String,
    },
    /// No text would go on from an encoder.
    #[error(
        "task {task:?} of encoder {encoder} (counted from 0) has no gain at its last exit, which would say which texts go on to the larger \
         encoder; train one with `blindroute train pool-router --larger`"
    )]
    NoLastGain {
        /// The place of the encoder.
        encoder: usize,
        /// The task.
        task: String,
    },
    /// The servers named no label or several.
    #[error(
        "the servers' answer names no single label, also in a second session: dealer and servers may hold files of different \
         splits (compare the digests they log when they start; split the bundle again, give out all files, restart all three), \
         or this text's scores are beyond the range that servers compare in (see what --placement local answers)"
    )]
    NoLabel,
}

impl ClassifyError {
    /// A word for the kind of error that stays the same from version to version.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPool => "no_pool",
            Self::UnknownTask { .. } => "unknown_task",
            Self::Head => "head_classifies_nothing",
            Self::Batch { .. } => "batch_size",
            Self::Depth { .. } => "depth",
            Self::NoChoice(_) => "no_choice_between_texts",
            Self::NotOpen(_) => "not_open",
            Self::NoHandOver => "no_hand_over",
            Self::NoThresholds { .. } => "no_thresholds",
            Self::Capacities { .. } => "capacities",
            Self::SecondMissing { .. } => "second_missing",
            Self::SecondSuperfluous { .. } => "second_superfluous",
            Self::LargerHidden => "larger_hidden",
            Self::OfEncoder { source, .. } => source.code(),
            Self::OtherTask { .. } => "other_task",
            Self::NoLastGain { .. } => "no_last_gain",
            Self::NoLabel => "no_label",
        }
    }
}

fn numbers(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
