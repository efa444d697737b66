//! Batches of texts in a nested pool of classifiers: at each depth, and with capacities.

use super::runs::{Figures, measure};
use super::{ids_after, start};
use anyhow::Context;
use blindroute_console::terminal::spinner;
use blindroute_placement::PrivateRouter;
use blindroute_protocol::Tensor;
use blindroute_routing::bundle::{Bundle, MOST_EXITS};
use blindroute_routing::program::{SessionRequest, Task, stack_inputs};
use blindroute_routing::tokenizer;
use blindroute_runtime::SceneName;
use serde::Serialize;

/// The smallest share of equal labels that counts as the same answer. These texts are none of any task, so many are on the edge
/// between two labels, or between going on and not; `classify` in placements `full` and `local` compares on real ones.
pub(crate) const LEAST_EQUAL: f64 = 0.8;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classification<'a> {
    /// The task; the first if none is named.
    pub(crate) task: Option<&'a str>,
    pub(crate) tokens: usize,
    /// How many texts share a session.
    pub(crate) batch: usize,
}

/// What sessions of one kind took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ClassifyMeasurement {
    pub(crate) task: String,
    pub(crate) tokens: usize,
    pub(crate) batch: usize,
    /// After how many layers all texts left; none if some went on further than others.
    pub(crate) depth: Option<usize>,
    /// By exit but the last, how many texts went on.
    pub(crate) going: Vec<usize>,
    /// The smallest share of texts, over the runs, whose label was the clear one.
    pub(crate) equal_labels: f64,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// Measures sessions of texts at each exit of the pool, the first exit first, and with the task's capacities, all with the same
/// processes.
pub(crate) fn measure_classify(
    bundle: &Bundle,
    what: &Classification<'_>,
    scene: SceneName,
    runs: u32,
) -> anyhow::Result<Vec<ClassifyMeasurement>> {
    let bar = spinner();
    let router = start(bundle, scene, &|step| bar.set_message(step.to_owned()))?;
    let pool = router.public().plan.pool.clone().context("the bundle has no pool of classifiers")?;
    let known = || pool.tasks.iter().map(|task| task.task.name.clone()).collect::<Vec<_>>().join(", ");
    let classifier =
        pool.task(what.task).with_context(|| format!("there is no such task; the pool has: {}", known()))?;
    let task = &pool.tasks[classifier].task;
    let (bucket, inputs) = texts(&router, what)?;
    let stages = pool.exits.len() - 1;
    let mut sessions: Vec<(Option<usize>, usize, Vec<usize>)> =
        (0..=stages).map(|exit| (Some(pool.exits[exit]), exit, vec![what.batch; exit])).collect();
    sessions.push((None, stages, task.going(what.batch)));
    let mut found = Vec::with_capacity(sessions.len());
    for (depth, exit, going) in sessions {
        let mut capacities = [0; MOST_EXITS - 1];
        capacities.iter_mut().zip(&going).for_each(|(capacity, texts)| *capacity = *texts);
        let of = Task::classify(classifier, bucket, exit, capacities);
        let request = SessionRequest::new(of).with_batch(what.batch);
        router.private(request, &inputs)?;
        let measured = measure(&router, request, &inputs, runs, &|run| {
            bar.set_message(format!("{going:?} of {} texts go on: run {run}", what.batch));
        })?;
        // The cosine of one-hot labels is the share of equal ones.
        let equal_labels = measured.cosine;
        let mut figures = measured.figures(&router, scene);
        figures.checked = equal_labels >= LEAST_EQUAL;
        let (task, tokens, batch) = (task.name.clone(), what.tokens, what.batch);
        found.push(ClassifyMeasurement { task, tokens, batch, depth, going, equal_labels, figures });
    }
    bar.finish_and_clear();
    Ok(found)
}

/// The inputs of different texts of this length, and their bucket.
fn texts(router: &PrivateRouter, what: &Classification<'_>) -> anyhow::Result<(usize, Vec<Tensor<f32>>)> {
    let bucket = tokenizer::bucket(what.tokens).context("a bucket")?;
    let of_text = |text: usize| -> anyhow::Result<Vec<Tensor<f32>>> {
        let ids = ids_after(router, what.tokens, text % 40)?;
        Ok(router.encoder_inputs(&ids, bucket)?.tensors)
    };
    let texts = (0..what.batch).map(of_text).collect::<anyhow::Result<Vec<_>>>()?;
    Ok((bucket, stack_inputs(&texts)?))
}

impl ClassifyMeasurement {
    /// Online time per text, in milliseconds.
    pub(crate) fn per_text(&self) -> f64 {
        self.figures.ms.online / self.batch as f64
    }

    pub(crate) fn line(&self) -> String {
        let Self { task, tokens, batch, figures, equal_labels, .. } = self;
        let who = match self.depth {
            Some(depth) => format!("all after {depth} layers"),
            None => format!("{:?} go on", self.going),
        };
        format!(
            "{task}, {batch} texts of {tokens} tokens, {who}: {:.2} ms a text, equal labels {equal_labels:.3}; {}",
            self.per_text(),
            figures.line()
        )
    }
}
