//! Bundles' routers beside baselines on a split of a data set, and on a user's own prompts: what `blindroute eval` and `blindroute
//! calibrate` do.
//!
//! A [`Side`] is a bundle with the data set as its encoder sees it. [`measure`] makes a curve of each of its routers, fits the
//! baselines that read prompts ([`baselines`](crate::routers::baselines)) on the train and valid splits, and hands all curves to
//! [`evaluate`]. [`calibrate_bundle`] finds the weight of cost of one of its routers.

use crate::Stop;
use crate::data::{Dataset, Reading, Split, units_warning};
use crate::encoders::{DatasetEmbedError, EmbedEvent, Embedded, embed_dataset};
use crate::evaluation::{
    About, Bootstrap, Curve, Evaluation, Group, SourceOnly, TestSet, evaluate, lambdas, pairs, references, run_of,
};
use blindroute_routing::bundle::{Bundle, Router};
use std::path::Path;

mod error;
mod own_prompts;
mod reading;
mod subject;
#[cfg(test)]
mod tests;

pub use error::ComparisonError;
pub use own_prompts::calibrate_bundle;
pub use subject::{check_names, check_pool};

/// A bundle with the data set as its encoder sees it. Several of one group hold routers of the same names that were trained with
/// other seeds.
#[derive(Clone, Debug)]
pub struct Side {
    /// The group of its routers.
    pub group: Group,
    /// The bundle.
    pub bundle: Bundle,
    /// All prompts of the data set by its encoder.
    pub embedded: Embedded,
}

impl Side {
    /// Embeds the data set, with a file that keeps embeddings if one is named ([`embed_dataset`]).
    ///
    /// # Errors
    /// If the data set cannot be embedded.
    pub fn embed(
        (group, bundle): (Group, Bundle),
        dataset: &Dataset,
        file: Option<&Path>,
        on_event: &mut dyn FnMut(EmbedEvent),
        stop: &Stop,
    ) -> Result<Self, DatasetEmbedError> {
        let embedded = embed_dataset(&bundle, dataset, file, on_event, stop)?;
        Ok(Self { group, bundle, embedded })
    }
}

/// What is measured, and the head of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The prompts to measure on.
    pub split: Split,
    /// The routers to measure by name; none for all.
    pub routers: Vec<String>,
    /// The bootstrap of the intervals; its seed is also that of the baselines.
    pub bootstrap: Bootstrap,
    /// The data set's name.
    pub data: String,
    /// The date of the report.
    pub date: Option<String>,
    /// The source of the data and its licence.
    pub source: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            split: Split::Test,
            routers: Vec::new(),
            bootstrap: Bootstrap::default(),
            data: "data".to_owned(),
            date: None,
            source: None,
        }
    }
}

/// Measures the sides' routers beside baselines. Calls `on_step` with the curves that are made, and of how many, which take
/// unequal times.
///
/// # Errors
/// If there is no side, a side's bundle has no router for the data set's models, no bundle has a router that is named, the models
/// all have equal scores on the split, or the caller stopped the work.
pub fn measure(
    dataset: &Dataset,
    sides: &[Side],
    options: &Options,
    on_step: &mut dyn FnMut(usize, usize),
    stop: &Stop,
) -> Result<Evaluation, ComparisonError> {
    let plain = plain(sides).ok_or(ComparisonError::NoSide)?;
    for side in sides {
        check_pool(&side.bundle, dataset.models(), "a bundle")?;
    }
    check_names(&options.routers, sides.iter().map(|side| &side.bundle))?;
    let set = TestSet::of_split(about(dataset, sides, options)?, dataset, options.split)?;
    let named = |router: &&Router| options.routers.is_empty() || options.routers.contains(&router.name);
    let routers: usize = sides.iter().map(|side| side.bundle.parts().routers.iter().filter(named).count()).sum();
    // The baselines that read prompts, and the bootstrap.
    let all = routers + 4 + 1;
    let mut done = 0;
    on_step(done, all);
    let mut step = || {
        done += 1;
        on_step(done, all);
        stop.check()
    };
    let mut curves: Vec<Curve> = Vec::new();
    for side in sides {
        let tokenizer = side.bundle.tokenizer()?;
        for router in side.bundle.parts().routers.iter().filter(named) {
            let Router { name, lambda, lexical, rule } = router;
            let samples = dataset.samples(options.split, &side.embedded.inputs(&tokenizer, *lexical))?;
            let run = run_of(rule, &samples, &weights(sides, name));
            let known = curves.iter_mut().find(|curve| curve.group == side.group && curve.name == *name);
            match known {
                // Another bundle's router of this name: another seed.
                Some(curve) => curve.runs.push(run),
                None => {
                    curves.push(Curve {
                        name: name.clone(),
                        group: side.group,
                        lambda: Some(*lambda),
                        runs: vec![run],
                    });
                }
            }
            step()?;
        }
    }
    let mut blind = references(set.outcomes(), set.models(), &lambdas());
    // The oracle and the hull first, then what reads prompts.
    let rest = blind.split_off(2);
    curves.extend(blind);
    curves.extend(reading::baselines(dataset, plain.embedded.embeddings(), options, &mut step, stop)?);
    curves.push(SourceOnly::curve(dataset, options.split));
    curves.extend(rest);
    let evaluation = evaluate(&set, &curves, &pairs(&curves), options.bootstrap, stop)?;
    step()?;
    Ok(evaluation)
}

/// The side whose embeddings baselines read. In the clear one would use the encoder as published.
fn plain(sides: &[Side]) -> Option<&Side> {
    sides.iter().find(|side| side.group == Group::Original).or(sides.first())
}

/// The head of the report, with notes on what limits the results.
fn about(dataset: &Dataset, sides: &[Side], options: &Options) -> Result<About, ComparisonError> {
    let mut notes = Vec::new();
    match options.split {
        Split::Train => {
            notes.push("Routers and baselines were trained on these prompts, so their results are too good.")
        }
        Split::Valid => notes.push(
            "Settings of routers were chosen on these prompts, and baselines were trained on them, so their results are too good.",
        ),
        Split::Test => (),
    }
    notes.push(if plain(sides).is_some_and(|side| side.group == Group::Original) {
        "k-NN, MLP, boosting and ridge read the original encoder's embeddings."
    } else {
        "k-NN, MLP, boosting and ridge read the same encoder's embeddings as the private routers."
    });
    let places = dataset.places(options.split);
    let texts: Vec<&str> = places.iter().map(|at| dataset.prompts()[*at].text.as_str()).collect();
    let mut readings = sides.iter().map(|side| Reading::by(&side.bundle, &texts)).collect::<Result<Vec<_>, _>>()?;
    readings.dedup();
    let told = readings.iter().flat_map(|reading| [vec![reading.describe()], reading.warnings()].concat());
    let told = told.map(|sentence| format!("{sentence}."));
    Ok(About {
        data: options.data.clone(),
        split: options.split.to_string(),
        date: options.date.clone(),
        source: options.source.clone(),
        notes: notes.into_iter().map(str::to_owned).chain(told).chain(units_warning(dataset.models())).collect(),
        readings: readings.clone(),
    })
}

/// The weights of cost of every curve, and those that routers of this name are used with: each is asked at all of them.
fn weights(sides: &[Side], name: &str) -> Vec<f32> {
    let routers = sides.iter().flat_map(|side| &side.bundle.parts().routers).filter(|router| router.name == name);
    let mut all: Vec<f32> = lambdas().into_iter().chain(routers.map(|router| router.lambda)).collect();
    all.sort_by(f32::total_cmp);
    all.dedup();
    all
}
