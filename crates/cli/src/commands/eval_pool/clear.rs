//! Answers in the clear: at each exit, and in sessions with capacities.

use super::subject::Subject;
use blindroute_console::progress::Progress;
use blindroute_lab::classifiers::evaluate::{Routed, Session, TaskAnswers, capacity_grid, leaving};
use blindroute_placement::{ClassifyOptions, ClassifyReport, Placement};

/// Classifies all texts in every way.
pub(super) fn answers<'a>(subject: &Subject<'a>) -> anyhow::Result<TaskAnswers<'a>> {
    let (task, texts) = (subject.file.task, subject.file.texts.texts().len());
    let sessions = subject.sessions(texts);
    let mut capacities = vec![task.capacities.clone()];
    capacities.extend(capacity_grid(subject.exits.len(), &task.capacities));
    let mut progress = Progress::new(&format!("{}: classifying in the clear", task.name));
    let all = texts * (subject.exits.len() + capacities.len());
    let mut done = 0;
    let mut watch = |texts: usize| {
        progress.at((done, all), (done, all), "texts");
        done += texts;
    };
    let local = || subject.options(Placement::Local);
    let mut by_exit = Vec::with_capacity(subject.exits.len());
    for layers in subject.exits {
        by_exit.push(classify(subject, &sessions, texts, &local().with_depth(*layers), &mut watch)?.labels);
    }
    let mut routed = Vec::with_capacity(capacities.len());
    for capacities in capacities {
        let options = local().with_capacities(capacities.clone());
        routed.push(Routed { capacities, ..classify(subject, &sessions, texts, &options, &mut watch)? });
    }
    Ok(TaskAnswers { task, exits: subject.exits, texts: &subject.file.texts, by_exit, routed, private: None })
}

/// The answers of sessions of the first so many texts. `watch` hears how many texts come next.
pub(super) fn classify(
    subject: &Subject<'_>,
    sessions: &[Session],
    texts: usize,
    options: &ClassifyOptions,
    watch: &mut dyn FnMut(usize),
) -> anyhow::Result<Routed> {
    // Without an answer, a text went through all layers.
    let deepest: Vec<f64> =
        (1..=subject.exits.len()).map(|exit| f64::from(u8::from(exit == subject.exits.len()))).collect();
    let mut routed =
        Routed { capacities: Vec::new(), labels: vec![None; texts], left: vec![deepest; texts], repeated: 0 };
    for session in sessions {
        watch(session.1.len());
        let reports = subject.classify(session, options)?;
        let first: Option<&ClassifyReport> = reports.iter().flatten().next();
        routed.repeated += first.map_or(0, |report| report.padded);
        for (place, report) in session.1.iter().zip(&reports) {
            routed.labels[*place] = report.as_ref().and_then(|report| subject.label(report));
            if let Some(report) = first {
                routed.left[*place] = leaving(&report.capacities, report.batch);
            }
        }
    }
    Ok(routed)
}
