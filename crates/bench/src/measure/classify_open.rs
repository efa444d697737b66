//! Texts in a nested pool of classifiers in the open, beside the largest model alone: each text on its own, and in batches.

use super::classify::{Classification, LEAST_EQUAL};
use super::{start, texts};
use anyhow::Context;
use blindroute_console::terminal::spinner;
use blindroute_placement::{ClassifyOptions, ClassifyReport, Placement, Policy, PrivateRouter, Text};
use blindroute_routing::bundle::Bundle;
use blindroute_runtime::SceneName;
use serde::Serialize;
use std::collections::BTreeMap;

/// What some texts took, whose sessions had so many of them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OpenMeasurement {
    pub(crate) scene: &'static str,
    pub(crate) task: String,
    pub(crate) tokens: usize,
    /// How many texts were classified.
    pub(crate) texts: usize,
    /// How many shared their first session, at most.
    pub(crate) batch: usize,
    /// Whether they left where their gain said, in the open. Else all went through all layers.
    pub(crate) open: bool,
    /// By number of layers, how many texts left after it.
    pub(crate) left: BTreeMap<usize, usize>,
    /// The smallest share of texts, over the runs, whose label was the clear one.
    pub(crate) equal_labels: f64,
    /// Medians of milliseconds, of all texts' sessions together.
    pub(crate) online: f64,
    pub(crate) offline: f64,
    pub(crate) openings: u32,
    /// Bytes that the servers sent each other, and that the dealer sent.
    pub(crate) server_bytes: u64,
    pub(crate) material_bytes: u64,
    pub(crate) runs: u32,
    pub(crate) checked: bool,
}

/// Measures texts alone and in batches, each through all layers and in the open, all with the same processes.
pub(crate) fn measure_open(
    bundle: &Bundle,
    what: &Classification<'_>,
    scene: SceneName,
    runs: u32,
) -> anyhow::Result<Vec<OpenMeasurement>> {
    let bar = spinner();
    let router = start(bundle, scene, &|step| bar.set_message(step.to_owned()))?;
    let pool = router.public().plan.pool.as_ref().context("the bundle has no pool of classifiers")?;
    let layers = pool.exits.last().copied().context("a pool has exits")?;
    let texts = texts(&router, what.batch, what.tokens)?;
    let mut found = Vec::new();
    for batch in [1, what.batch] {
        let mut options = ClassifyOptions::default().with_batch(batch);
        options.task = what.task.map(str::to_owned);
        for options in [options.clone().with_depth(layers), options.with_policy(Policy::Open)] {
            let progress =
                |run: u32| bar.set_message(format!("{batch} texts a session, {:?}: run {run}", options.policy));
            found.push(OpenMeasurement {
                scene: scene.name(),
                tokens: what.tokens,
                ..measure(&router, &texts, &options, (runs, &progress))?
            });
        }
    }
    bar.finish_and_clear();
    Ok(found)
}

fn classified(
    router: &PrivateRouter,
    texts: &[String],
    options: &ClassifyOptions,
) -> anyhow::Result<Vec<ClassifyReport>> {
    let texts: Vec<Text<'_>> = texts.iter().map(|text| text.as_str().into()).collect();
    Ok(router.classify_batch(&texts, options)?.into_iter().collect::<Result<_, _>>()?)
}

fn measure(
    router: &PrivateRouter,
    texts: &[String],
    options: &ClassifyOptions,
    (runs, progress): (u32, &dyn Fn(u32)),
) -> anyhow::Result<OpenMeasurement> {
    let clear = classified(router, texts, &options.clone().with_placement(Placement::Local))?;
    progress(0);
    classified(router, texts, options)?;
    let (mut online, mut offline, mut equal, mut last) = (Vec::new(), Vec::new(), 1.0f64, Vec::new());
    for run in 1..=runs {
        progress(run);
        last = classified(router, texts, options)?;
        online.push(total(&last, |report| report.ms.online));
        offline.push(total(&last, |report| report.ms.offline));
        let same = last.iter().zip(&clear).filter(|(private, clear)| private.label == clear.label).count();
        equal = equal.min(same as f64 / texts.len() as f64);
    }
    let mut left = BTreeMap::new();
    last.iter().filter_map(|report| report.depth).for_each(|layers| *left.entry(layers).or_default() += 1);
    Ok(OpenMeasurement {
        scene: "",
        task: last.first().map(|report| report.task.clone()).unwrap_or_default(),
        tokens: 0,
        texts: texts.len(),
        batch: options.batch,
        open: options.policy == Policy::Open,
        left,
        equal_labels: equal,
        online: median(online),
        offline: median(offline),
        openings: total(&last, |report| f64::from(report.openings)).round() as u32,
        server_bytes: total(&last, |report| (report.bytes.server0_sent + report.bytes.server1_sent) as f64).round()
            as u64,
        material_bytes: total(&last, |report| report.bytes.material as f64).round() as u64,
        runs,
        checked: equal >= LEAST_EQUAL,
    })
}

/// The sum over sessions: each is reported by all of its texts.
fn total(reports: &[ClassifyReport], of: impl Fn(&ClassifyReport) -> f64) -> f64 {
    reports.iter().map(|report| of(report) / report.batch.max(1) as f64).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl OpenMeasurement {
    pub(crate) fn line(&self) -> String {
        let Self { task, texts, tokens, batch, online, offline, equal_labels, openings, .. } = self;
        let who = if self.open { "in the open" } else { "through all layers" };
        let left: Vec<String> = self.left.iter().map(|(layers, texts)| format!("{texts} after {layers}")).collect();
        let count = *texts as f64;
        format!(
            "{task}, {texts} texts of {tokens} tokens, {batch} a session, {who} ({}): online {:.2} ms a text, offline {:.2} ms a text; \
             all together {openings} openings; bytes: servers {}, material {}; equal labels {equal_labels:.3}",
            left.join(", "),
            online / count,
            offline / count,
            self.server_bytes,
            self.material_bytes,
        )
    }

    /// Fails if too many labels were not those in the clear.
    pub(crate) fn confirm(&self) -> anyhow::Result<()> {
        if !self.checked {
            anyhow::bail!("only {:.3} of the labels are those in the clear; please report this", self.equal_labels);
        }
        Ok(())
    }
}
