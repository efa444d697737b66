//! A task's texts, and the sessions in which they are classified.

use anyhow::Context;
use blindroute_lab::classifiers::evaluate::{Session, TestText, TestTexts, sessions};
use blindroute_placement::{ClassifyOptions, ClassifyReport, Placement, PlacementError, PrivateRouter, Text};
use blindroute_routing::bundle::{ClassifierTask, MOST_EXITS};
use blindroute_routing::program::Task;
use blindroute_routing::tokenizer::Tokenizer;
use std::path::Path;

/// The most texts of any session.
pub(super) const MOST_TEXTS: usize = 64;

/// A task with the texts of its file.
pub(super) struct TaskFile<'a> {
    pub(super) task: &'a ClassifierTask,
    pub(super) texts: TestTexts,
    /// The bucket of each text.
    buckets: Vec<usize>,
}

impl<'a> TaskFile<'a> {
    pub(super) fn read(path: &Path, task: &'a ClassifierTask, tokenizer: &Tokenizer) -> anyhow::Result<Self> {
        let texts = TestTexts::read(path, task)?;
        let bucket = |text: &TestText| {
            let tokens = match &text.text2 {
                Some(second) => tokenizer.encode_pair(&text.text, second),
                None => tokenizer.encode(&text.text),
            };
            let tokens = tokens.with_context(|| {
                format!("{}, line {}: a text cannot be used; correct or remove the line", path.display(), text.line)
            })?;
            anyhow::Ok(tokens.bucket())
        };
        let buckets = texts.texts().iter().map(bucket).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { task, texts, buckets })
    }
}

/// What is measured.
pub(super) struct Subject<'a> {
    pub(super) router: &'a PrivateRouter,
    /// After how many layers texts may leave.
    pub(super) exits: &'a [usize],
    pub(super) file: &'a TaskFile<'a>,
    pub(super) batch: usize,
    pub(super) seed: u64,
}

impl Subject<'_> {
    /// The sessions of the first so many texts.
    pub(super) fn sessions(&self, texts: usize) -> Vec<Session> {
        let most = |bucket| {
            let capacities = [0; MOST_EXITS - 1];
            let any = Task::classify(0, bucket, 0, capacities);
            self.batch.min(any.most_prompts())
        };
        sessions(&self.file.buckets[..texts], &most, self.seed)
    }

    pub(super) fn options(&self, placement: Placement) -> ClassifyOptions {
        ClassifyOptions::default().with_task(&self.file.task.name).with_batch(self.batch).with_placement(placement)
    }

    /// The layers of the last exit.
    pub(super) fn last(&self) -> usize {
        self.exits.last().copied().unwrap_or_default()
    }

    /// The place of the label in a report.
    pub(super) fn label(&self, report: &ClassifyReport) -> Option<usize> {
        self.file.task.labels.iter().position(|label| *label == report.label)
    }

    /// Classifies the texts of a session; no report for a text without an answer.
    ///
    /// # Errors
    /// If no text would get an answer.
    pub(super) fn classify(
        &self,
        session: &Session,
        options: &ClassifyOptions,
    ) -> anyhow::Result<Vec<Option<ClassifyReport>>> {
        let all = self.file.texts.texts();
        let of = |place: &usize| Text { text: &all[*place].text, text2: all[*place].text2.as_deref() };
        let texts: Vec<Text<'_>> = session.1.iter().map(of).collect();
        let answers = self.router.classify_batch(&texts, options)?;
        let read = |(place, answer): (&usize, Result<ClassifyReport, PlacementError>)| match answer {
            Ok(report) => Ok(Some(report)),
            Err(error) if error.stops_all() => {
                let (task, line) = (&self.file.task.name, all[*place].line);
                Err(anyhow::Error::new(error).context(format!("the texts of task {task}, from line {line}")))
            }
            Err(error) => {
                tracing::debug!(line = all[*place].line, "no answer: {error}");
                Ok(None)
            }
        };
        session.1.iter().zip(answers).map(read).collect()
    }
}
