//! Adding models to the pool of a trained router. Each needs a price and a descriptor; nothing is trained again.
//!
//! - **UniRoute** needs the model's error in each cluster, from its outcomes.
//! - **CSCR** needs the model's descriptor, from its outcomes with the same [probe](crate::routers::cscr::Probe) as for the others, or a given one.
//!   In a router with score lines the new model's line has the mean slope of the old ones and goes through the model's mean score.
//! - **Direct** routers would need a regression for the model and are dropped.
//!
//! The table has the old models and the new ones. The table's prices are used, so this can also change prices. A router's default
//! weight of cost keeps its meaning: it is converted from the largest old price to the largest new one.

use crate::Stop;
use crate::data::samples::cost_row;
use crate::data::vector::{dot, unit_rows};
use crate::data::{Dataset, Samples, TableError, relative_costs};
use crate::encoders::Embedded;
use crate::evaluation::rule::utilities;
use crate::routers::cscr::Probe;
use crate::routers::fingerprint::{Fingerprints, FingerprintsError};
use crate::routers::{TrainError, uniroute};
use blindroute_routing::bundle::{Bundle, BundleError, Cscr, Matrix, Model, Rule, ScoreLines, UniRoute};

/// How models join.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Weight of a model's overall error in each of UniRoute's clusters, in numbers of prompts.
    pub smoothing: f32,
    /// The seed that the CSCR router was trained with, for outcome fingerprints.
    pub seed: u64,
    /// The descriptors that the CSCR router was trained with, and those of the new models. Without them, outcome fingerprints are
    /// used.
    pub fingerprints: Option<&'a Fingerprints>,
}

/// A bundle with a larger pool.
#[derive(Debug)]
pub struct Joined {
    /// The bundle: the old models in their order, then the new ones.
    pub bundle: Bundle,
    /// The names of the new models.
    pub added: Vec<String>,
    /// The names of routers that were dropped because they cannot take a model without training.
    pub left_out: Vec<String>,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The table lacks a model of the bundle.
    #[error(
        "the table has no model {model:?}, which is in the bundle's pool; use a table with the old and the new models"
    )]
    Missing {
        /// Which model.
        model: String,
    },
    /// There is no new model.
    #[error("every model of the table is already in the bundle's pool; use a table with the old and the new models")]
    Nothing,
    /// The descriptors of a router were not made from this table, seed or fingerprints.
    #[error(
        "the descriptors of router {router:?} do not match {from}; use the table, seed and fingerprints that the router was trained with"
    )]
    Descriptors {
        /// Which router.
        router: String,
        /// What they were compared with.
        from: &'static str,
    },
    /// The table cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The outcome fingerprints cannot be computed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A fingerprint is missing.
    #[error(transparent)]
    Fingerprints(#[from] FingerprintsError),
    /// The bundle cannot hold the result.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// The least cosine of equal descriptors: computed again, they may differ in their last bits.
const SAME: f32 = 0.9999;

/// Adds the models of the table that the bundle does not have. `embedded` are all prompts of the table by the bundle's encoder;
/// only the train and valid splits are used. `source` describes where the outcomes come from; it becomes part of the bundle's
/// origin.
pub fn join(
    bundle: Bundle,
    dataset: &Dataset,
    embedded: &Embedded,
    options: &Options<'_>,
    source: &str,
) -> Result<Joined, JoinError> {
    let tokenizer = bundle.tokenizer()?;
    let mut parts = bundle.into_parts();
    let order = order(&parts.models, dataset.models())?;
    let old = parts.models.len();
    let largest = |models: &[Model]| models.iter().map(|model| model.price).fold(0.0, f64::max);
    let before = largest(&parts.models);
    parts.models = order.iter().map(|place| dataset.models()[*place].clone()).collect();
    let stretch = if before > 0.0 { (largest(&parts.models) / before) as f32 } else { 1.0 };
    let cost = cost_row(&relative_costs(&parts.models));

    let ordered = dataset.with_models(&order);
    let mut left_out = Vec::new();
    let mut routers = Vec::new();
    for mut router in std::mem::take(&mut parts.routers) {
        let inputs = embedded.inputs(&tokenizer, router.lexical);
        let all = ordered.tuning_samples(&inputs)?;
        router.rule = match router.rule {
            Rule::UniRoute(rule) => {
                let found = uniroute::cluster_errors(&all, &rule.centroids, rule.clusterings, options.smoothing);
                let errors = extended(&rule.errors, &found);
                Rule::UniRoute(UniRoute { errors, cost: cost.clone(), ..rule })
            }
            Rule::Cscr(rule) => {
                let wrong = |from| JoinError::Descriptors { router: router.name.clone(), from };
                let (found, from) = match options.fingerprints {
                    Some(fingerprints) => (unit_rows(&fingerprints.descriptors(&parts.models)?), "these fingerprints"),
                    None => {
                        let probe = Probe::new(
                            &dataset.with_models(&order[..old]).tuning_samples(&inputs)?,
                            rule.descriptors.columns(),
                            options.seed,
                            &Stop::never(),
                        )?;
                        (probe.descriptors(&all, &Stop::never())?, "the outcomes of this table and this seed")
                    }
                };
                let same = |model: usize| {
                    let (known, found) = (rule.descriptors.row(model), found.row(model));
                    known.len() == found.len() && dot(known, found) > SAME * dot(known, known).sqrt()
                };
                if !(0..old).all(same) {
                    return Err(wrong(from));
                }
                let keep = if rule.keep == old { order.len() } else { rule.keep };
                let descriptors = extended(&rule.descriptors, &found);
                let known = rule.score_lines.clone();
                let bare = Cscr { descriptors, cost: cost.clone(), keep, score_lines: None, ..rule };
                let score_lines = known.map(|known| Box::new(extended_lines(&known, &bare, &all)));
                Rule::Cscr(Cscr { score_lines, ..bare })
            }
            Rule::Direct(_) | Rule::Mlp(_) | Rule::Neighbours(_) => {
                left_out.push(router.name);
                continue;
            }
        };
        router.lambda *= stretch;
        routers.push(router);
    }
    parts.routers = routers;
    let added: Vec<String> = parts.models[old..].iter().map(|model| model.name.clone()).collect();
    let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
    parts.origin = format!("{}\nmodels joined ({}): {source}", parts.origin, added.join(", "));
    Ok(Joined { bundle: Bundle::new(parts)?, added, left_out })
}

/// The lines of the old models, and for each new one a line of their mean slope through its means.
fn extended_lines(known: &ScoreLines, bare: &Cscr, samples: &Samples) -> ScoreLines {
    let (old, models) = (known.slope.columns(), bare.descriptors.rows());
    let common = known.slope.data().iter().sum::<f32>() / old.max(1) as f32;
    let slopes = known.slope.data().iter().copied().chain(std::iter::repeat(common));
    let slopes: Vec<f32> = slopes.take(models).collect();
    let rule = Rule::Cscr(bare.clone());
    let mut leads = vec![0.0f64; models];
    for embedding in samples.embeddings().iter_rows() {
        let row = utilities(&rule, embedding);
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        leads.iter_mut().zip(row).for_each(|(sum, similarity)| *sum += f64::from(similarity - mean));
    }
    let (means, prompts) = (samples.mean_scores(), samples.prompts() as f64);
    let through = |model: usize| means[model] - f64::from(slopes[model]) * leads[model] / prompts;
    let offset = |model: usize| known.offset.data().get(model).copied().unwrap_or_else(|| through(model) as f32);
    ScoreLines {
        slope: Matrix::from_fn(1, models, |_, model| slopes[model]),
        offset: Matrix::from_fn(1, models, |_, model| offset(model)),
    }
}

/// The indices in the table of the bundle's models, then of the others.
fn order(bundle: &[Model], table: &[Model]) -> Result<Vec<usize>, JoinError> {
    let mut order = Vec::with_capacity(table.len());
    for model in bundle {
        let place = table.iter().position(|other| other.name == model.name);
        order.push(place.ok_or_else(|| JoinError::Missing { model: model.name.clone() })?);
    }
    let new: Vec<usize> = (0..table.len()).filter(|place| !order.contains(place)).collect();
    if new.is_empty() {
        return Err(JoinError::Nothing);
    }
    order.extend(new);
    Ok(order)
}

/// `all`, with the part that `old` has taken from `old`.
fn extended(old: &Matrix, all: &Matrix) -> Matrix {
    let known = |row, column| row < old.rows() && column < old.columns();
    Matrix::from_fn(all.rows(), all.columns(), |row, column| {
        if known(row, column) { old.row(row)[column] } else { all.row(row)[column] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;
    use crate::data::synthetic::synthetic_pool;
    use crate::evaluation::rule::choose;
    use crate::routers::{Method, NewRouter, cscr, train_router};

    fn trained_without(bundle: Bundle, dataset: &Dataset, embedded: &Embedded, model: usize) -> (Bundle, Dataset) {
        let without = dataset.without_model(model);
        let cscr = cscr::Options { widths: vec![8], passes: 12, rate: 3e-3, ..Default::default() };
        let methods = [
            ("uniroute", Method::UniRoute(uniroute::Options { clusters: vec![8], ..Default::default() })),
            ("direct", Method::Direct(Default::default())),
            ("cscr", Method::Cscr(cscr)),
        ];
        let train = |bundle, (name, method): (&str, Method)| {
            let new = NewRouter { name, source: "made up", method: &method, lexical: None };
            train_router(bundle, &without, embedded, new, &mut |_, _| (), &Stop::never()).unwrap().bundle
        };
        (methods.into_iter().fold(bundle, train), without)
    }

    const OPTIONS: Options<'_> = Options { smoothing: 3.0, seed: 0, fingerprints: None };

    /// Each model in turn is left out and joins. It then gets a larger share of the prompts that it answers than of the others.
    #[test]
    fn a_joined_model_is_chosen_where_it_is_right() {
        let (bundle, dataset, embedded) = synthetic_pool(8, 6);
        // Per router: prompts chosen and all, where the model is right and where it is wrong.
        let mut counts = std::collections::BTreeMap::<String, [[f64; 2]; 2]>::new();
        for model in 0..6 {
            let (before, _) = trained_without(bundle.clone(), &dataset, &embedded, model);
            let joined = join(before, &dataset, &embedded, &OPTIONS, "made up").unwrap();
            let test = dataset.samples(Split::Test, embedded.embeddings()).unwrap();
            for router in &joined.bundle.parts().routers {
                let counts = counts.entry(router.name.clone()).or_default();
                for (embedding, scores) in test.embeddings().iter_rows().zip(test.scores().iter_rows()) {
                    let [chosen, all] = &mut counts[usize::from(scores[model] < 0.5)];
                    *chosen += f64::from(u8::from(choose(&router.rule, embedding, 0.0) == 5));
                    *all += 1.0;
                }
            }
        }
        assert_eq!(counts.len(), 2);
        for (router, [right, wrong]) in counts {
            let (right, wrong) = (right[0] / right[1], wrong[0] / wrong[1]);
            assert!(
                right > 1.5 * wrong && right > 0.1,
                "{router}: {right} of the prompts it answers, {wrong} of the others"
            );
        }
    }

    #[test]
    fn the_pool_grows_and_mismatches_are_refused() {
        let (bundle, dataset, embedded) = synthetic_pool(8, 6);
        let (before, without) = trained_without(bundle, &dataset, &embedded, 2);
        let joined = join(before.clone(), &dataset, &embedded, &OPTIONS, "made up").unwrap();
        assert_eq!((joined.added, joined.left_out), (vec!["model 2".to_owned()], vec!["direct".to_owned()]));
        let parts = joined.bundle.parts();
        let names: Vec<&str> = parts.models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["model 0", "model 1", "model 3", "model 4", "model 5", "model 2"]);
        assert!(parts.origin.ends_with("models joined (model 2): made up"), "{}", parts.origin);
        for router in &parts.routers {
            assert_eq!(
                router.lambda,
                before.router(Some(&router.name)).unwrap().lambda,
                "the most expensive model stays the same"
            );
        }
        // The most expensive model joins: relative costs shrink, and λ grows by the same factor.
        let (cheap, _) = trained_without(joined.bundle.clone(), &dataset, &embedded, 5);
        let dearer = join(cheap.clone(), &dataset, &embedded, &OPTIONS, "").unwrap().bundle;
        let (old, new) = (cheap.router(Some("uniroute")).unwrap(), dearer.router(Some("uniroute")).unwrap());
        assert!((new.lambda - old.lambda * 6.0 / 5.0).abs() < 1e-6, "{} and {}", old.lambda, new.lambda);

        let refused = |options: &Options<'_>, table: &Dataset| {
            join(before.clone(), table, &embedded, options, "").unwrap_err().to_string()
        };
        assert!(refused(&OPTIONS, &without).contains("every model of the table"));
        assert!(refused(&OPTIONS, &dataset.without_model(0)).contains("no model \"model 0\""));
        assert!(
            refused(&Options { seed: 9, ..OPTIONS }, &dataset).contains("router \"cscr\" do not match the outcomes")
        );
    }
}
