//! What a session can run: a router's task, or a measurement.

use super::select::SelectMethod;
use crate::bundle::MOST_EXITS;
use serde::{Deserialize, Serialize};

/// Where encoder and rule run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// Both on the client, in the clear: the router is public.
    Local,
    /// The encoder on the client, the rule under MPC.
    Head,
    /// Both under MPC.
    #[default]
    Full,
}

impl Placement {
    /// Its name in commands, configurations and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Head => "head",
            Self::Full => "full",
        }
    }
}

impl std::str::FromStr for Placement {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Local, Self::Head, Self::Full].into_iter().find(|placement| placement.name() == name).ok_or(())
    }
}

/// What routers and classifiers do under MPC. The answer is the choice of a model, or the label or scores of a text, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Task {
    /// From tokens to the one-hot choice of the router of this index: the placement `full`.
    Route {
        /// The router.
        router: usize,
        /// Tokens, padding included.
        bucket: usize,
        /// How many models the answer names, the best first, each one-hot; left out on the wire if it is one.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        ranked: usize,
    },
    /// From an embedding to the one-hot choice of the router of this index: the placement `head`.
    Head {
        /// The router.
        router: usize,
        /// How many models the answer names, the best first, each one-hot; left out on the wire if it is one.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        ranked: usize,
    },
    /// From tokens to the label, or the labels' scores, of a task of the nested pool, for a batch of texts of which so many go on
    /// past each exit as the capacities say.
    Classify {
        /// The task, by its place in the pool.
        classifier: usize,
        /// Tokens, padding included.
        bucket: usize,
        /// The deepest exit, from 0.
        exit: usize,
        /// By exit before that one, how many texts of the batch go on, at least one and no more than at the exit before. Where it is
        /// as many as there are, nothing is compared. Zero for other exits.
        capacities: [usize; MOST_EXITS - 1],
        /// Whether the answer is the labels' scores, and not only which label has the largest.
        scores: bool,
        /// The exit at which the session before left the texts with the servers. Without it, they come from the client.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        begin: Option<usize>,
        /// Whether texts may go on past the deepest exit: the answer says which would gain enough, and has no label or scores of
        /// these. The servers keep all of them for a session that begins there; past the last exit nothing is kept, for another
        /// encoder starts from the text.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        onward: bool,
    },
}

/// Parts of a router on their own, for benchmarks and comparisons with plain code. Servers refuse them unless their
/// operators opt in: embeddings tell what a secret encoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Measurement {
    /// From given similarities and scores to the one-hot choice of CSCR's rule.
    Select {
        /// Candidates.
        candidates: usize,
        /// How many survive the search.
        keep: usize,
        /// How the search works.
        #[serde(default)]
        method: SelectMethod,
    },
    /// From tokens to their embedding.
    Embed {
        /// Tokens, padding included.
        bucket: usize,
    },
}

/// A task or a measurement. On the wire it is an object whose `task` is `route`, `head`, `classify`, `select` or `embed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a task `route`, `head` or `classify`, or a measurement `select` or `embed`, with its fields"
)]
pub enum Work {
    /// A router's task.
    Task(Task),
    /// A measurement.
    Measurement(Measurement),
}

/// The most models that the answer to a prompt names.
pub const MOST_RANKED: usize = 4;
/// The most prompts in a batch.
const MOST_PROMPTS: usize = 64;
/// The most tokens in a batch, padding included: sixteen prompts of the largest bucket. A session's memory grows with them.
const MOST_TOKENS: usize = 4096;

impl Work {
    /// The most prompts that one program for this takes.
    #[must_use]
    pub fn most_prompts(self) -> usize {
        match self {
            Self::Task(task) => task.most_prompts(),
            Self::Measurement(Measurement::Embed { bucket }) => prompts_of(bucket),
            // Only the search of the routers takes batches.
            Self::Measurement(Measurement::Select { .. }) => 1,
        }
    }
}

impl Task {
    /// The choice of the router of this index for prompts of a bucket, from their tokens.
    #[must_use]
    pub const fn route(router: usize, bucket: usize) -> Self {
        Self::Route { router, bucket, ranked: 1 }
    }

    /// The choice of the router of this index, from embeddings.
    #[must_use]
    pub const fn head(router: usize) -> Self {
        Self::Head { router, ranked: 1 }
    }

    /// The same, but the answer names the best so many models instead of the best one. Other tasks than routes stay as they are.
    #[must_use]
    pub fn with_ranked(self, ranked: usize) -> Self {
        match self {
            Self::Route { router, bucket, .. } => Self::Route { router, bucket, ranked },
            Self::Head { router, .. } => Self::Head { router, ranked },
            Self::Classify { .. } => self,
        }
    }

    /// The labels of texts that come from the client and leave at this exit at last, where no text is decided about in the open.
    #[must_use]
    pub fn classify(classifier: usize, bucket: usize, exit: usize, capacities: [usize; MOST_EXITS - 1]) -> Self {
        Self::Classify { classifier, bucket, exit, capacities, scores: false, begin: None, onward: false }
    }

    /// The most prompts that one program for this task takes.
    #[must_use]
    pub fn most_prompts(self) -> usize {
        match self {
            Self::Head { .. } => MOST_PROMPTS,
            Self::Route { bucket, .. } | Self::Classify { bucket, .. } => prompts_of(bucket),
        }
    }
}

/// Of models that an answer names, and of prompts that share a session: what is left out on the wire.
pub(super) fn one() -> usize {
    1
}

/// Whether it is left out on the wire.
pub(super) fn is_one(count: &usize) -> bool {
    *count == one()
}

/// The most prompts of this bucket that one program takes.
fn prompts_of(bucket: usize) -> usize {
    MOST_PROMPTS.min(MOST_TOKENS / bucket.max(1))
}

impl From<Task> for Work {
    fn from(task: Task) -> Self {
        Self::Task(task)
    }
}

impl From<Measurement> for Work {
    fn from(measurement: Measurement) -> Self {
        Self::Measurement(measurement)
    }
}
