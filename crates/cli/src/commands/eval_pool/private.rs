//! Answers under MPC, and what their sessions took.

use super::clear;
use super::subject::Subject;
use blindroute_console::progress::Progress;
use blindroute_lab::classifiers::evaluate::{PrivateAnswers, PrivateSession, Served, Session, TaskAnswers};
use blindroute_placement::{ClassifyOptions, ClassifyReport, Placement};

/// Classifies the first so many texts under MPC, session by session with the task's own capacities and at the last exit, in turn, so
/// that both meet the same noise of the machine.
pub(super) fn answers(subject: &Subject<'_>, clear: &TaskAnswers<'_>, texts: usize) -> anyhow::Result<PrivateAnswers> {
    let sessions = subject.sessions(texts);
    let own = clear_labels(subject, clear, &sessions, texts)?;
    let last = clear.by_exit.last().into_iter().flatten().take(texts);
    let mut answers = PrivateAnswers {
        routed: own.into_iter().map(|label| (label, None)).collect(),
        alone: last.map(|label| (*label, None)).collect(),
        sessions: Vec::with_capacity(sessions.len()),
    };
    let routed = subject.options(Placement::Full);
    let alone = routed.clone().with_depth(subject.last());
    let mut progress = Progress::new(&format!("{}: classifying under MPC", subject.file.task.name));
    progress.at((0, texts), (0, texts), "texts");
    // The first session after a start sets up the weights.
    if let Some(first) = sessions.first() {
        subject.classify(first, &routed)?;
        subject.classify(first, &alone)?;
    }
    let mut done = 0;
    for (turn, session) in sessions.iter().enumerate() {
        progress.at((done, texts), (done, texts), "texts");
        let mut own = || serve(subject, session, &routed, &mut answers.routed);
        let mut last = || serve(subject, session, &alone, &mut answers.alone);
        // Each way is the first in every other turn.
        let (routed, alone) = if turn % 2 == 0 {
            let own = own()?;
            (own, last()?)
        } else {
            let last = last()?;
            (own()?, last)
        };
        answers.sessions.push(PrivateSession {
            texts: session.1.len(),
            repeated: routed.map_or(0, |(_, repeated)| repeated),
            routed: routed.map(|(served, _)| served),
            alone: alone.map(|(served, _)| served),
        });
        done += session.1.len();
    }
    Ok(answers)
}

/// The labels in the clear with the task's own capacities, in these sessions.
fn clear_labels(
    subject: &Subject<'_>,
    clear: &TaskAnswers<'_>,
    sessions: &[Session],
    texts: usize,
) -> anyhow::Result<Vec<Option<usize>>> {
    match clear.routed.first() {
        // The same sessions.
        Some(own) if own.labels.len() == texts => Ok(own.labels.clone()),
        // Which texts go on depends on those that share their session.
        _ => Ok(clear::classify(subject, sessions, texts, &subject.options(Placement::Local), &mut |_| ())?.labels),
    }
}

/// Classifies a session's texts under MPC, keeps their labels, and says what it took and how many texts were repeated;
/// nothing if it gave no answer.
fn serve(
    subject: &Subject<'_>,
    session: &Session,
    options: &ClassifyOptions,
    labels: &mut [(Option<usize>, Option<usize>)],
) -> anyhow::Result<Option<(Served, usize)>> {
    let reports = subject.classify(session, options)?;
    for (place, report) in session.1.iter().zip(&reports) {
        labels[*place].1 = report.as_ref().and_then(|report| subject.label(report));
    }
    Ok(reports.iter().flatten().next().map(|report| (served(report), report.padded)))
}

/// What the session of a report took.
fn served(report: &ClassifyReport) -> Served {
    let (ms, bytes) = (&report.ms, &report.bytes);
    Served {
        offline_ms: ms.offline,
        online_ms: ms.online,
        total_ms: ms.total,
        openings: f64::from(report.openings),
        server_bytes: (bytes.server0_sent + bytes.server1_sent) as f64,
        client_bytes: bytes.client_sent as f64,
        material_bytes: bytes.material as f64,
    }
}
