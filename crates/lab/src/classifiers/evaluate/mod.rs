//! Measuring a nested pool of classifiers on labelled texts, beside its exits alone, random choice and an oracle.
//!
//! [`TestTexts`] are a task's texts with their labels. Whoever runs the classifiers gives the label that each text got at each exit
//! and in sessions with capacities ([`TaskAnswers`]), in the order of [`sessions`], and what private sessions took
//! ([`PrivateAnswers`]). [`PoolEvaluation`] holds the figures with their intervals. It can be written as a table for the terminal
//! ([`PoolEvaluation::to_text`]), JSON (serde), CSV ([`PoolEvaluation::to_csv`]) or an HTML page ([`PoolEvaluation::to_html`]).
//!
//! **Layers** are the cost: layers per text, in the mean of a session. A session that is filled with repeated texts counts as a full
//! one, because its share of texts that go on is the same; [`Routed::repeated`] says how many were repeated. A text
//! alone in its session goes through all layers.
//!
//! **Intervals** are the middle 95 % of a bootstrap over texts, paired: all methods see the same resamples. The sessions stay what they
//! were. Ratios of times are resampled over sessions.

mod answers;
mod measured;
mod methods;
mod metrics;
mod private;
mod result;
mod sessions;
#[cfg(test)]
mod tests;
mod texts;
mod write;

pub use answers::{Routed, TaskAnswers};
pub use metrics::Metric;
pub use private::{PrivateAnswers, PrivateMethod, PrivateResult, PrivateSession, Served};
pub use result::{Kind, MethodResult, PoolEvaluation, Summary, TaskEvaluation};
pub use sessions::{Session, capacity_grid, leaving, sessions};
pub use texts::{TestText, TestTexts};
