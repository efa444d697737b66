//! From answers to figures with their intervals.

use super::answers::TaskAnswers;
use super::methods::{Method, methods};
use super::metrics::{Metric, Truth};
use super::private;
use super::result::{MethodResult, PoolEvaluation, Summary, TaskEvaluation};
use super::texts::numbers;
use crate::evaluation::{Bootstrap, Estimate, Interval, deviation, finite};
use std::collections::BTreeMap;

impl PoolEvaluation {
    /// An evaluation of a bundle of this name and digest, on this day.
    #[must_use]
    pub fn new(
        (bundle, digest, date): (String, String, String),
        batch: usize,
        scene: Option<String>,
        bootstrap: Bootstrap,
        tasks: Vec<TaskEvaluation>,
    ) -> Self {
        let summary = Summary::of(&tasks);
        Self { bundle, digest, date, batch, scene, bootstrap, tasks, summary }
    }
}

impl TaskEvaluation {
    /// Measures a task's answers. The seed of the bootstrap is that of random routing too.
    #[must_use]
    pub fn of(answers: &TaskAnswers<'_>, bootstrap: Bootstrap) -> Self {
        let texts = answers.texts.texts();
        let labels = &answers.task.labels;
        let of_text: Option<Vec<f64>> = texts.iter().map(|text| text.value).collect();
        let numbers = numbers(labels).filter(|_| labels.len() > 2).zip(of_text);
        let metrics = Metric::of_task(labels.len(), numbers.is_some());
        let truth = Truth::new(labels.len(), texts.iter().map(|text| text.label).collect(), numbers);
        let methods = methods(answers, &truth, bootstrap.seed);
        let last = answers.exits.len() - 1;
        let seen: Vec<Figures> =
            methods.iter().map(|method| Figures::of(method, &metrics, &truth, &vec![1; texts.len()])).collect();
        let drawn = bootstrap.run(texts.len(), |times| {
            methods.iter().map(|method| Figures::of(method, &metrics, &truth, times)).collect::<Vec<_>>()
        });
        let measured = Measured { metrics: &metrics, seen: &seen, drawn: &drawn, last };
        let unanswered = |text: &usize| {
            let clear = answers.by_exit.iter().chain(answers.routed.iter().map(|routed| &routed.labels));
            clear.into_iter().any(|labels| labels[*text].is_none())
        };
        Self {
            task: answers.task.name.clone(),
            texts: texts.len(),
            labels: labels.len(),
            f1_of: labels.get(1).filter(|_| labels.len() == 2).cloned(),
            exits: answers.exits.to_vec(),
            unanswered_lines: (0..texts.len()).filter(unanswered).map(|text| texts[text].line).collect(),
            methods: methods.iter().enumerate().map(|(place, method)| measured.result(place, method)).collect(),
            private: answers.private.as_ref().map(|private| private::result(private, answers.texts, bootstrap)),
        }
    }
}

/// A method's figures on one resample.
struct Figures {
    layers: f64,
    /// By measure, in each run.
    runs: Vec<Vec<f64>>,
}

impl Figures {
    fn of(method: &Method, metrics: &[Metric], truth: &Truth, times: &[u32]) -> Self {
        let all: f64 = times.iter().map(|times| f64::from(*times)).sum();
        let layers: f64 = method.layers.iter().zip(times).map(|(layers, times)| layers * f64::from(*times)).sum();
        Self {
            layers: layers / all,
            runs: method.runs.iter().map(|found| found.measure(metrics, truth, times)).collect(),
        }
    }

    /// The mean over the runs.
    fn mean(&self, metric: usize) -> f64 {
        self.runs.iter().map(|run| run[metric]).sum::<f64>() / self.runs.len() as f64
    }
}

struct Measured<'a> {
    metrics: &'a [Metric],
    seen: &'a [Figures],
    drawn: &'a [Vec<Figures>],
    /// The place of the last exit.
    last: usize,
}

impl Measured<'_> {
    fn result(&self, place: usize, method: &Method) -> MethodResult {
        let by_metric = |estimate: &dyn Fn(usize) -> Estimate| -> BTreeMap<Metric, Estimate> {
            self.metrics.iter().enumerate().map(|(at, metric)| (*metric, estimate(at))).collect()
        };
        let measures = by_metric(&|metric| Estimate {
            deviation: deviation(self.seen[place].runs.iter().map(|run| run[metric]).collect()),
            ..self.estimate(&|figures| figures[place].mean(metric))
        });
        let difference = by_metric(&|metric| {
            self.estimate(&|figures| figures[place].mean(metric) - figures[self.last].mean(metric))
        });
        MethodResult {
            kind: method.kind,
            capacities: method.capacities.clone(),
            own: method.own,
            layers: self.estimate(&|figures| figures[place].layers),
            repeated: method.repeated,
            measures,
            difference: if place == self.last { BTreeMap::new() } else { difference },
        }
    }

    fn estimate(&self, value: &dyn Fn(&[Figures]) -> f64) -> Estimate {
        Estimate {
            value: finite(value(self.seen)),
            deviation: None,
            interval: Interval::of(self.drawn.iter().map(|figures| value(figures)).collect()),
        }
    }
}
