//! What classifiers answered in the clear.

use super::private::PrivateAnswers;
use super::texts::TestTexts;
use blindroute_routing::bundle::ClassifierTask;

/// A task's answers in the clear, by the place of the text; no label for a text without an answer.
#[derive(Clone, Debug)]
pub struct TaskAnswers<'a> {
    /// The task.
    pub task: &'a ClassifierTask,
    /// After how many layers texts may leave.
    pub exits: &'a [usize],
    /// Its texts.
    pub texts: &'a TestTexts,
    /// By exit, the label of each text if all leave there.
    pub by_exit: Vec<Vec<Option<usize>>>,
    /// With capacities, the task's own first.
    pub routed: Vec<Routed>,
    /// Under MPC, if that was asked for.
    pub private: Option<PrivateAnswers>,
}

/// The answers of sessions in which texts were chosen to go on.
#[derive(Clone, Debug)]
pub struct Routed {
    /// By exit but the last, the share of all texts that goes on.
    pub capacities: Vec<f32>,
    /// The label of each text.
    pub labels: Vec<Option<usize>>,
    /// For each text and exit, the share of its session's texts that left there.
    pub left: Vec<Vec<f64>>,
    /// How many texts were repeated to fill sessions.
    pub repeated: usize,
}
