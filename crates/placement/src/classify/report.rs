//! What a classification reports: the label and its cost.

use crate::report::{BundleUsed, Bytes, Milliseconds, PairUsed};
use blindroute_routing::program::{Placement, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answer to one text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifyReport {
    /// The label.
    pub label: String,
    /// The score of each label; only if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<BTreeMap<String, f64>>,
    /// The task's name.
    pub task: String,
    /// Where the classifiers ran.
    pub placement: Placement,
    /// Of a cascade, the place of the encoder that answered, from 0; left out of JSON if there is one encoder only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<usize>,
    /// Which bundle was used; of a cascade, that of the encoder that answered.
    pub bundle: BundleUsed,
    /// The pair of servers that answered, the last of them if texts were handed over; left out of JSON if there is one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairUsed>,
    /// Tokens used, of both texts of a pair.
    pub tokens: usize,
    /// A sentence that says which of how many tokens were read, if the text was truncated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_from: Option<String>,
    /// The length that servers and dealer see; `None` if they see no length.
    pub bucket: Option<usize>,
    /// How many texts shared the session, repeated ones included. The figures below are those of the whole session, so all of
    /// its texts report the same.
    pub batch: usize,
    /// How many of them were repeated to fill the session.
    pub padded: usize,
    /// After how many layers all texts of the session left; `None` if servers chose, by predicted gain, which texts go on.
    pub depth: Option<usize>,
    /// How many texts of the session went on past each exit before the last one used.
    pub capacities: Vec<usize>,
    /// Times.
    pub ms: Milliseconds,
    /// Exchanges between the servers.
    pub openings: u32,
    /// Traffic.
    pub bytes: Bytes,
    /// Whether the servers run for development and protect nothing; left out of JSON if they do not.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub development: bool,
    /// Who saw what.
    pub seen: String,
    /// How many bits about the text servers or dealer may have learnt from where it left: 0 unless that was decided in the open. Of
    /// a cascade, from the encoder too.
    pub leaked_bits: u32,
}

impl ClassifyReport {
    /// The report of a text that left at this exit in the open.
    pub(super) fn in_the_open(self, exits: &[usize], exit: usize) -> Self {
        let depth = exits.get(exit).copied();
        if self.placement == Placement::Local {
            return Self { depth, capacities: Vec::new(), ..self };
        }
        let leaked_bits = bits(exits.len());
        let seen = self.seen.replace("number of texts, depth", "number of texts, after how many layers each left");
        Self { depth, capacities: Vec::new(), seen, leaked_bits, ..self }
    }

    /// The report of the encoder at this place of a cascade with so many exits in all, after those of the encoders before it.
    pub(super) fn of_encoder(self, (encoder, exits): (usize, usize), before: Option<&Self>) -> Self {
        let before = before.map_or((Milliseconds::default(), 0, Bytes::default()), |before| {
            (before.ms, before.openings, before.bytes)
        });
        let leaked_bits = if self.placement == Placement::Local { 0 } else { bits(exits) };
        let seen = self.seen.replace("servers and dealer:", "servers and dealer of each encoder that was asked:");
        let (ms, openings, bytes) = (before.0.and(self.ms), before.1 + self.openings, before.2.and(self.bytes));
        Self { encoder: Some(encoder), ms, openings, bytes, leaked_bits, seen, ..self }
    }
}

/// The bits that say which of so many exits it is, rounded up.
fn bits(exits: usize) -> u32 {
    exits.next_power_of_two().ilog2()
}

/// How many texts of a batch went on past each exit, and after how many layers all left if nothing was chosen.
pub(super) fn depths(task: Task, batch: usize, exits: &[usize]) -> (Vec<usize>, Option<usize>) {
    let Task::Classify { exit, capacities, .. } = task else { return (Vec::new(), None) };
    let capacities = capacities[..exit.min(capacities.len())].to_vec();
    let all = capacities.iter().all(|capacity| *capacity == batch);
    (capacities, exits.get(exit).copied().filter(|_| all))
}

/// Who saw what, in one line.
pub(super) fn seen(placement: Placement, scores: bool, fixed: bool) -> String {
    let answer = if scores { "scores" } else { "label" };
    if placement == Placement::Local {
        return format!("you: text, {answer}, classifiers; no server was asked");
    }
    let depth = if fixed { "depth" } else { "capacities" };
    format!("you: text, {answer}; servers and dealer: the task, the length's bucket, number of texts, {depth}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_is_reported_only_if_all_texts_had_it() {
        let depths = |exit, capacities| super::depths(Task::classify(0, 32, exit, capacities), 8, &[3, 6, 12]);
        assert_eq!(depths(2, [4, 2, 0]), (vec![4, 2], None));
        assert_eq!(depths(2, [8, 8, 0]), (vec![8, 8], Some(12)));
        assert_eq!(depths(2, [8, 2, 0]), (vec![8, 2], None));
        assert_eq!(depths(1, [8, 0, 0]), (vec![8], Some(6)));
        assert_eq!(depths(0, [0, 0, 0]), (vec![], Some(3)));
    }
}
