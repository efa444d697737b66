//! What sessions under MPC answered and took, beside the same texts in the clear.

use super::texts::TestTexts;
use crate::evaluation::{Bootstrap, Estimate, Interval, finite};
use serde::Serialize;

/// Answers under MPC for the first texts of a file, and what their sessions took.
#[derive(Clone, Debug, Default)]
pub struct PrivateAnswers {
    /// With the task's own capacities, for each text the label in the clear and the one under MPC.
    pub routed: Vec<(Option<usize>, Option<usize>)>,
    /// The same if all leave at the last exit.
    pub alone: Vec<(Option<usize>, Option<usize>)>,
    /// The sessions.
    pub sessions: Vec<PrivateSession>,
}

/// What the session of a group of texts took in both ways; nothing for one that gave no answer.
#[derive(Clone, Copy, Debug)]
pub struct PrivateSession {
    /// The number of texts, without repeated ones.
    pub texts: usize,
    /// How many texts were repeated with capacities.
    pub repeated: usize,
    /// With the task's own capacities.
    pub routed: Option<Served>,
    /// If all leave at the last exit.
    pub alone: Option<Served>,
}

/// What one session took: times in milliseconds, and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Served {
    /// Preparing the material.
    pub offline_ms: f64,
    /// From sending the inputs to the answers.
    pub online_ms: f64,
    /// All of it, with the client's work.
    pub total_ms: f64,
    /// Exchanges between the servers.
    pub openings: f64,
    /// Sent by both servers to each other.
    pub server_bytes: f64,
    /// Sent by the client to both servers.
    pub client_bytes: f64,
    /// Sent by the dealer to both servers.
    pub material_bytes: f64,
}

/// The figures of one way under MPC.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrivateMethod {
    /// The share of right labels; a text without an answer counts as wrong.
    pub accuracy: Estimate,
    /// The share of answered texts whose label is the one in the clear.
    pub equal_labels: Estimate,
    /// The lines of texts without an answer.
    pub unanswered_lines: Vec<u64>,
    /// What one text took: its share of its session. The openings are those of a session, in the mean.
    pub per_text: Served,
}

/// The figures of a task under MPC.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrivateResult {
    /// The number of texts, from the first of the file.
    pub texts: usize,
    /// The number of sessions in each way.
    pub sessions: usize,
    /// How many texts were repeated to fill those with capacities. Their cost is in the figures.
    pub repeated: usize,
    /// With the task's own capacities.
    pub routed: PrivateMethod,
    /// If all leave at the last exit.
    pub alone: PrivateMethod,
    /// The online time with capacities over that of the last exit alone.
    pub online_ratio: Estimate,
    /// The same of the whole time.
    pub time_ratio: Estimate,
}

/// The figures of private answers for the first of these texts.
pub(super) fn result(answers: &PrivateAnswers, texts: &TestTexts, bootstrap: Bootstrap) -> PrivateResult {
    let sessions = &answers.sessions;
    let both: Vec<(Served, Served)> = sessions.iter().filter_map(|session| session.routed.zip(session.alone)).collect();
    let ratio = |of: fn(&Served) -> f64| {
        let value = |times: &[u32]| {
            let sum = |side: &dyn Fn(&(Served, Served)) -> f64| -> f64 {
                both.iter().zip(times).map(|(session, times)| side(session) * f64::from(*times)).sum()
            };
            sum(&|session| of(&session.0)) / sum(&|session| of(&session.1))
        };
        estimate(both.len(), bootstrap, &value)
    };
    let method = |labels: &[(Option<usize>, Option<usize>)], of: fn(&PrivateSession) -> Option<Served>| {
        let served = sessions.iter().filter_map(|session| Some((session.texts, of(session)?))).collect::<Vec<_>>();
        measured(labels, texts, &served, bootstrap)
    };
    PrivateResult {
        texts: answers.routed.len(),
        sessions: sessions.len(),
        repeated: sessions.iter().map(|session| session.repeated).sum(),
        routed: method(&answers.routed, |session| session.routed),
        alone: method(&answers.alone, |session| session.alone),
        online_ratio: ratio(|served| served.online_ms),
        time_ratio: ratio(|served| served.total_ms),
    }
}

fn measured(
    labels: &[(Option<usize>, Option<usize>)],
    texts: &TestTexts,
    served: &[(usize, Served)],
    bootstrap: Bootstrap,
) -> PrivateMethod {
    let share = |right: &(dyn Fn(usize) -> bool + Sync), counts: &(dyn Fn(usize) -> bool + Sync)| {
        let value = |times: &[u32]| {
            let sum = |of: &dyn Fn(usize) -> bool| -> f64 {
                (0..labels.len()).filter(|text| of(*text)).map(|text| f64::from(times[text])).sum()
            };
            sum(&|text| counts(text) && right(text)) / sum(counts)
        };
        estimate(labels.len(), bootstrap, &value)
    };
    let all: usize = served.iter().map(|(texts, _)| texts).sum();
    let per_text = |of: fn(&Served) -> f64| served.iter().map(|(_, served)| of(served)).sum::<f64>() / all as f64;
    let answered = |text: usize| labels[text].1.is_some();
    PrivateMethod {
        accuracy: share(&|text| labels[text].1 == Some(texts.texts()[text].label), &|_| true),
        equal_labels: share(&|text| labels[text].0 == labels[text].1, &answered),
        unanswered_lines: (0..labels.len())
            .filter(|text| !answered(*text))
            .map(|text| texts.texts()[text].line)
            .collect(),
        per_text: Served {
            offline_ms: per_text(|served| served.offline_ms),
            online_ms: per_text(|served| served.online_ms),
            total_ms: per_text(|served| served.total_ms),
            openings: per_text(|served| served.openings) * all as f64 / served.len() as f64,
            server_bytes: per_text(|served| served.server_bytes),
            client_bytes: per_text(|served| served.client_bytes),
            material_bytes: per_text(|served| served.material_bytes),
        },
    }
}

/// A value of things that each count so many times, with its interval.
fn estimate(things: usize, bootstrap: Bootstrap, value: &(dyn Fn(&[u32]) -> f64 + Sync)) -> Estimate {
    Estimate {
        value: finite(value(&vec![1; things])),
        deviation: None,
        interval: Interval::of(bootstrap.run(things, value)),
    }
}
