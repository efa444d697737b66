//! What a training says of its router.

use super::{BestReading, ReadingTrial, SetReport};
use crate::data::{Dataset, units_warning};
use crate::evaluation::Report;
use crate::routers::{Chosen, CrossValidated, TrainRouterError, Trained};
use blindroute_routing::lexical::Lexical;
use serde::Serialize;
use std::fmt::Write as _;

/// The report of a training, as JSON and as text.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport<'a> {
    router: &'a str,
    digest: String,
    chosen: &'a Chosen,
    /// Whether the bundle's default router is this one.
    is_default: bool,
    /// What cross-validation says of the router.
    validated: &'a CrossValidated,
    /// Whether it is surely better than the prompt-blind hull.
    sure: bool,
    /// The share of its own predictions in a mixture with the hull.
    share: f32,
    /// Results on train and valid, by routers that have not seen the prompt.
    cross_validation: &'a Report,
    test: &'a Report,
    /// How the router reads prompts.
    reads: ReadingTrial,
    /// All ways that were tried.
    tried: &'a [ReadingTrial],
    /// What the data set can teach.
    set: SetReport,
    /// Why the figures may be unreliable; absent if there is no reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip)]
    dataset: &'a Dataset,
}

impl<'a> TrainReport<'a> {
    /// The report of a training on this data set.
    ///
    /// # Errors
    /// If the bundle's tokenizer or the table cannot be used.
    pub fn new(best: &'a BestReading, dataset: &'a Dataset) -> Result<Self, TrainRouterError> {
        let Trained { bundle, chosen, validated, share, is_default, cross_validation, test, .. } = &best.trained;
        let set = SetReport::of(bundle, dataset)?;
        let mut warnings = set.warnings(cross_validation.area);
        warnings.extend(units_warning(dataset.models()));
        Ok(Self {
            router: &best.name,
            digest: bundle.digest().to_string(),
            chosen,
            is_default: *is_default,
            validated,
            sure: validated.is_sure(),
            share: *share,
            cross_validation,
            test,
            reads: best.chosen,
            tried: &best.tried,
            set,
            warnings,
            dataset,
        })
    }

    /// The report for people.
    pub fn to_text(&self) -> String {
        let test = self.test;
        let mut text = format!("router {}: {}, λ {:.4}\n", self.router, self.settings(), test.lambda);
        let _ = writeln!(text, "{}", self.verdict());
        let _ = writeln!(text, "test split, {} prompts; cost is relative to the most expensive model", test.prompts);
        let mut row = |what: &str, score: f64, cost: f64| {
            let _ = writeln!(text, "  {what:<52} score {score:.4}  cost {cost:.4}");
        };
        row("this router", test.router.score, test.router.cost);
        row("oracle", test.oracle.score, test.oracle.cost);
        row("random model", test.random.score, test.random.cost);
        let best = &test.best_single;
        row(&format!("best single ({})", best.model), best.point.score, best.point.cost);
        let cheapest = &test.cheapest;
        row(&format!("cheapest ({})", cheapest.model), cheapest.point.score, cheapest.point.cost);
        let _ = writeln!(
            text,
            "  area over all λ {:.4}, of random models without seeing the prompt {:.4}",
            test.area, test.prompt_free_area
        );
        let chosen: Vec<String> = (self.dataset.models().iter().zip(&test.chosen))
            .filter(|(_, count)| **count > 0)
            .map(|(model, count)| format!("{} {count}", model.name))
            .collect();
        let _ = write!(text, "  chosen: {}", chosen.join(", "));
        let lines = describe(self.tried, self.reads).into_iter().chain([self.set.describe()]);
        for line in lines.chain(self.warnings.iter().map(|warning| format!("warning: {warning}"))) {
            let _ = write!(text, "\n{line}");
        }
        text
    }

    fn settings(&self) -> String {
        match self.chosen {
            Chosen::UniRoute { best, .. } => {
                let map = if best.passes > 0 { format!("a map of {} passes, ", best.passes) } else { String::new() };
                let several = if best.clusterings > 1 { format!("{} times ", best.clusterings) } else { String::new() };
                format!("{map}{several}{} clusters, smoothing {}", best.clusters, best.smoothing)
            }
            Chosen::Direct { best, .. } => format!("penalty {}", best.penalty),
            Chosen::Cscr { best, .. } => {
                format!("descriptors of width {}, {} passes", best.descriptor, best.passes)
            }
        }
    }

    /// Whether the router is better than not looking at the prompt, in a sentence or two.
    fn verdict(&self) -> String {
        let found = self.validated;
        let spread = found.deviation.map_or(String::new(), |deviation| format!(" ± {deviation:.4}"));
        let (value, interval) = (found.above_hull.value.unwrap_or_default(), found.above_hull.interval);
        let end = |end: Option<f64>| end.map_or("–".to_owned(), |end| format!("{end:+.4}"));
        let interval = interval.map_or(String::new(), |found| format!(" [{}, {}]", end(found.low), end(found.high)));
        let mut text = format!(
            "cross-validation on train and valid ({} folds, {}): area {:.4}{spread}, above the best choice that does not look \
             at the prompt by {value:+.4}{interval}",
            found.folds,
            if found.seeds == 1 { "1 seed".to_owned() } else { format!("{} seeds", found.seeds) },
            found.area,
        );
        if self.share < 1.0 {
            let _ = write!(
                text,
                "\nit is a mixture: {:.0} % of the router's own predictions, the rest the models' mean scores",
                100.0 * self.share
            );
        } else if !self.sure {
            let place = if self.is_default {
                "it is the default only because the bundle has no other"
            } else {
                "it is not the default"
            };
            let _ = write!(
                text,
                "\nwarning: this router is not surely better than choosing a model without looking at the prompt, and {place}; train it \
                 with --mixture to have a router that is not worse, or give more prompts",
            );
        }
        text
    }
}

/// Lines of the report: what the router reads, and what else was tried.
fn describe(tried: &[ReadingTrial], chosen: ReadingTrial) -> Vec<String> {
    let features = |lexical: Option<Lexical>| match lexical {
        Some(lexical) => format!("{} lexical features of scale {:.2}", lexical.width(), lexical.scale),
        None => "no lexical features".to_owned(),
    };
    let reads = format!("window {}, {}", chosen.window, features(chosen.lexical));
    let of = |trial: &ReadingTrial| format!("window {}, {}: {:.4}", trial.window, features(trial.lexical), trial.area);
    let others = (tried.len() > 1).then(|| "areas in the cross-validation".to_owned());
    let trials = tried.iter().filter(|_| tried.len() > 1).map(|trial| format!("  {}", of(trial)));
    std::iter::once(reads).chain(others).chain(trials).collect()
}
