//! Training a UniRoute router (arXiv 2502.08773): clusters of prompts, and the error of each model in each cluster.
//!
//! Centroids come from spherical K-means on the embeddings at unit length. A model's error in a cluster is 1 − its mean score there.
//! Because small clusters are uncertain, the error is smoothed towards the model's error over all prompts, as if the cluster had
//! `smoothing` more prompts with that error.
//!
//! A router can have several clusterings, each from another random start, and then takes the mean of the errors in the prompt's
//! clusters. One K-means depends much on its start; the mean of several depends less, and has finer steps. They run side by side
//! under MPC.
//!
//! [`Map::Learned`] moves the centroids of a single clustering, so that the errors of a prompt's cluster predict its outcomes best.
//!
//! Settings are chosen by cross-validation over folds and seeds ([`hull_area`](crate::evaluation::hull_area), which covers every weight of cost): the
//! simplest one within one standard error of the best. The router itself is then trained on all prompts.

use crate::Stop;
use crate::data::samples::cost_row;
use crate::data::vector::{argmax, dot, unit};
use crate::data::{Samples, TableError};
use crate::routers::cross_validation::{Choice, Folds, Validation, choose};
use crate::routers::kmeans::{Effort, cluster};
use crate::routers::mixture;
use crate::routers::verdict::{Ending, Fit};
use crate::routers::{LambdaRule, TrainError};
use blindroute_routing::bundle::{Matrix, Rule, UniRoute};
use serde::Serialize;

mod learned;

/// How a prompt is assigned to a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Map {
    /// The nearest centroid of K-means.
    #[default]
    KMeans,
    /// The paper's LearnedMap: centroids trained on the outcomes. Training mixes clusters with a softmax, as in the paper. The
    /// router uses the nearest centroid, so that one secure program serves both maps.
    Learned,
}

/// Centroids to use instead of clustering.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The number of clusterings that the centroids are of.
    pub clusterings: usize,
    /// `[clusterings · K, hidden]`.
    pub centroids: Matrix,
}

/// The combinations to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How a prompt is assigned to a cluster. A learned map is tried beside K-means where there is one clustering, and kept where it
    /// is better.
    pub map: Map,
    /// Numbers of clusters. Numbers above the number of prompts are skipped.
    pub clusters: Vec<usize>,
    /// Numbers of clusterings.
    pub clusterings: Vec<usize>,
    /// Centroids to use instead of clustering: those of the encoder's teacher, whose embeddings the student reproduces closely.
    /// Errors are computed again.
    pub start: Option<Start>,
    /// Weights of the error over all prompts, in numbers of prompts.
    pub smoothing: Vec<f32>,
    /// How the default weight of cost is chosen.
    pub lambda: LambdaRule,
    /// How settings are compared.
    pub validation: Validation,
    /// Whether to mix the router with the prompt-blind hull until it is not worse.
    pub mixture: bool,
    /// The seed of all random draws.
    pub seed: u64,
    /// The maximum number of rounds per clustering.
    pub rounds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            map: Map::default(),
            clusters: vec![8, 16, 32],
            clusterings: vec![1, 8],
            start: None,
            smoothing: vec![3.0, 10.0, 30.0, 100.0],
            lambda: LambdaRule::default(),
            validation: Validation { folds: 5, seeds: 3 },
            mixture: false,
            seed: 0,
            rounds: 50,
        }
    }
}

/// One combination that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The number of clusters of each clustering.
    pub clusters: usize,
    /// The number of clusterings.
    pub clusterings: usize,
    /// The weight of the error over all prompts.
    pub smoothing: f32,
    /// The number of passes in which the map was trained; 0 for K-means.
    pub passes: usize,
    /// The mean area on the folds of all seeds.
    pub area: f64,
}

/// A trained router, and the trials that led to it.
pub type Fitted = Fit<UniRoute, Trial>;

/// Trains on the samples. `cost` is [`relative_costs`](crate::data::relative_costs) of the pool. Calls `on_fold` after each fold with
/// the number of folds that are done and of all.
pub fn train(
    samples: &Samples,
    cost: &[f32],
    options: &Options,
    on_fold: &mut dyn FnMut(usize, usize),
    stop: &Stop,
) -> Result<Fitted, TrainError> {
    samples.check(samples, cost)?;
    let validation = options.validation.within(samples)?;
    if options.smoothing.iter().any(|smoothing| !(smoothing.is_finite() && *smoothing >= 0.0)) {
        return Err(TrainError::Options { what: "smoothing below 0", hint: "give numbers of at least 0" });
    }
    // Every part of the folds must have as many prompts as there are clusters.
    let most = samples.prompts().div_ceil(2);
    let clusters = options.clusters.iter().copied().filter(|clusters| (1..=most).contains(clusters)).collect();
    let options = &Options { clusters, ..options.clone() };
    let none = options.clusters.is_empty() || !options.clusterings.iter().any(|clusterings| *clusterings > 0);
    if options.start.is_none() && none {
        let hint = "give one from 1 to half the number of prompts, and one number of clusterings at least";
        return Err(TrainError::Options { what: "number of clusters", hint });
    }
    let mut fit = |rest: &Samples, seed: u64| {
        let all = candidates(rest, cost, options, seed, stop)?;
        Ok(all.into_iter().map(|(_, router)| Rule::UniRoute(router)).collect())
    };
    let keep = |_: &Samples, _: &Folds, utilities| Ok(utilities);
    let Choice { place, areas, utilities, .. } =
        choose((samples, cost), (validation, options.seed), &mut fit, &keep, on_fold, stop)?;
    let mut all = candidates(samples, cost, options, options.seed, stop)?;
    let tried: Vec<Trial> = all.iter().zip(&areas).map(|((trial, _), area)| Trial { area: *area, ..*trial }).collect();
    let mut router = all.swap_remove(place).1;
    let ending = Ending { validation, lambda: options.lambda, mixture: options.mixture };
    let verdict = ending.verdict(samples, cost, utilities, stop)?;
    mixture::mix_uniroute(&mut router, &samples.mean_scores(), verdict.share);
    Ok(Fitted { router, verdict, chosen: tried[place], tried })
}

/// A router of each combination, from simple to complex: few clusters before many, then much smoothing before little.
fn candidates(
    samples: &Samples,
    cost: &[f32],
    options: &Options,
    seed: u64,
    stop: &Stop,
) -> Result<Vec<(Trial, UniRoute)>, TrainError> {
    let mut all = Vec::new();
    for Start { clusterings, centroids } in starts(samples, options, seed, stop)? {
        let clusters = centroids.rows() / clusterings;
        let mut maps = vec![(0, centroids)];
        if options.map == Map::Learned && clusterings == 1 && clusters > 1 {
            let first = errors(samples, &places(samples, &maps[0].1), clusters, learned::SMOOTHING);
            maps.extend(learned::maps(samples, &maps[0].1, &first, seed, stop)?);
        }
        for (passes, centroids) in maps {
            for &smoothing in &options.smoothing {
                stop.check()?;
                let errors = cluster_errors(samples, &centroids, clusterings, smoothing);
                let router = UniRoute { clusterings, centroids: centroids.clone(), errors, cost: cost_row(cost) };
                all.push((Trial { clusters, clusterings, smoothing, passes, area: 0.0 }, router));
            }
        }
    }
    all.sort_by(|(a, _), (b, _)| {
        let size = |trial: &Trial| (trial.clusterings * trial.clusters, trial.clusterings, trial.passes);
        size(a).cmp(&size(b)).then(b.smoothing.total_cmp(&a.smoothing))
    });
    Ok(all)
}

/// The centroids to try before a map is trained: the given ones, or those of K-means for each number of clusters and clusterings.
fn starts(samples: &Samples, options: &Options, seed: u64, stop: &Stop) -> Result<Vec<Start>, TrainError> {
    let width = samples.embeddings().columns();
    if let Some(given) = &options.start {
        let found = given.centroids.columns();
        let wrong = TrainError::from(TableError::Shape {
            what: "the width of the centroids to start from",
            found,
            expected: width,
        });
        return if found == width { Ok(vec![given.clone()]) } else { Err(wrong) };
    }
    let points: Vec<Vec<f32>> = samples.embeddings().iter_rows().map(unit).collect();
    let most = options.clusterings.iter().copied().max().unwrap_or_default();
    let mut all = Vec::new();
    for &clusters in options.clusters.iter().filter(|clusters| **clusters <= points.len()) {
        let mut centroids: Vec<Vec<f32>> = Vec::new();
        for clustering in 0..most {
            // Each clustering is a restart of its own.
            let effort = Effort { seed: seed << 16 | clustering as u64, restarts: 1, rounds: options.rounds };
            centroids.extend(cluster(&points, clusters, effort, stop)?.centroids);
            if options.clusterings.contains(&(clustering + 1)) {
                let centroids = Matrix::from_fn(centroids.len(), width, |row, column| centroids[row][column]);
                all.push(Start { clusterings: clustering + 1, centroids });
            }
        }
    }
    Ok(all)
}

/// The nearest centroid of every prompt.
fn places(samples: &Samples, centroids: &Matrix) -> Vec<usize> {
    let nearest = |point| argmax(centroids.iter_rows().map(|centroid| dot(centroid, point)));
    samples.embeddings().iter_rows().map(nearest).collect()
}

/// Each model's error in each cluster of each clustering, `[clusterings · K, M]`, from which a model can also join.
pub(crate) fn cluster_errors(samples: &Samples, centroids: &Matrix, clusterings: usize, smoothing: f32) -> Matrix {
    let clusters = centroids.rows() / clusterings;
    let of = |clustering: usize| {
        let start = clustering * clusters;
        let own = Matrix::from_fn(clusters, centroids.columns(), |row, column| centroids.row(start + row)[column]);
        errors(samples, &places(samples, &own), clusters, smoothing)
    };
    let parts: Vec<Matrix> = (0..clusterings).map(of).collect();
    Matrix::from_fn(centroids.rows(), samples.models(), |row, model| parts[row / clusters].row(row % clusters)[model])
}

fn errors(samples: &Samples, places: &[usize], clusters: usize, smoothing: f32) -> Matrix {
    let models = samples.models();
    let overall: Vec<f64> = samples.mean_scores().iter().map(|score| 1.0 - score).collect();
    let mut sums = vec![0.0f64; clusters * models];
    let mut counts = vec![0.0f64; clusters];
    for (place, scores) in places.iter().zip(samples.scores().iter_rows()) {
        counts[*place] += 1.0;
        let row = &mut sums[place * models..(place + 1) * models];
        row.iter_mut().zip(scores).for_each(|(sum, score)| *sum += 1.0 - f64::from(*score));
    }
    let smoothing = f64::from(smoothing);
    Matrix::from_fn(clusters, models, |cluster, model| {
        let weight = counts[cluster] + smoothing;
        let error = (sums[cluster * models + model] + smoothing * overall[model]) / weight;
        // Without a prompt and without smoothing, only the overall error is known.
        if weight > 0.0 { error as f32 } else { overall[model] as f32 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use crate::evaluation;
    use crate::routers::cross_validation::{deviation, mean};

    #[test]
    fn errors_by_hand() {
        let matrix = |rows, columns, data: &[f32]| Matrix::new(rows, columns, data.to_vec()).unwrap();
        let samples = Samples::new(matrix(3, 1, &[1.0; 3]), matrix(3, 2, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.75])).unwrap();
        let found = errors(&samples, &[0, 0, 2], 3, 0.0);
        assert_eq!(found.data(), [0.5, 1.0, (1.0f64 / 3.0) as f32, 0.75, 0.0, 0.25]);
        let found = errors(&samples, &[0, 0, 2], 3, 1.0);
        assert_eq!(found.data()[0], ((1.0 + 1.0 / 3.0) / 3.0) as f32);
        assert_eq!(found.data()[5], ((0.25 + 0.75) / 2.0) as f32);
    }

    #[test]
    fn prompts_go_to_their_specialists() {
        let (train_split, _, test, cost) = synthetic(8, 5);
        let mut folds = 0;
        let fitted = train(&train_split, &cost, &quick(), &mut |_, _| folds += 1, &Stop::never()).unwrap();
        assert_eq!((fitted.tried.len(), folds), (16, 5));
        assert!(fitted.verdict.validated.is_sure() && fitted.verdict.share == 1.0, "{:?}", fitted.verdict.validated);
        let rule = Rule::UniRoute(fitted.router.clone());
        let point = evaluation::operate(&rule, &test, 0.0);
        let best_single = test.mean_scores().into_iter().fold(0.0, f64::max);
        assert!(point.score > best_single + 0.2, "{point:?} against {best_single}");
        let area = evaluation::hull_area(&evaluation::sweep(&rule, &test, &evaluation::lambdas()));
        assert!(area > evaluation::hull_area(&evaluation::singles(&test, &cost)) + 0.1);
        let again = train(&train_split, &cost, &quick(), &mut |_, _| (), &Stop::never()).unwrap();
        assert_eq!(again, fitted);
    }

    fn quick() -> Options {
        let validation = Validation { folds: 5, seeds: 1 };
        Options { clusters: vec![4, 8], clusterings: vec![1, 4], validation, ..Default::default() }
    }

    /// The mean of several clusterings depends less on their random starts than one does.
    #[test]
    fn several_clusterings_agree_more_than_single_ones() {
        let (samples, _, test, cost) = synthetic(12, 5);
        let area = |clusterings: usize, seed: u64| {
            let options = Options { clusters: vec![6], clusterings: vec![clusterings], seed, ..quick() };
            let fitted = train(&samples, &cost, &options, &mut |_, _| (), &Stop::never()).unwrap();
            assert_eq!((fitted.router.clusterings, fitted.router.clusters()), (clusterings, 6));
            let points = evaluation::sweep(&Rule::UniRoute(fitted.router), &test, &evaluation::lambdas());
            evaluation::hull_area(&points)
        };
        let of = |clusterings: usize| (0..6).map(|seed| area(clusterings, 10 * seed)).collect::<Vec<_>>();
        let (single, several) = (of(1), of(8));
        assert!(deviation(&several) < deviation(&single) && mean(&several) > mean(&single), "{several:?}, {single:?}");
    }

    /// Three kinds of prompts in two clusters: the third lies nearer to the first, but its outcomes are the second's.
    #[test]
    fn a_learned_map_looks_at_outcomes() {
        let kinds = [[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]];
        let split = |prompts: usize, phase: usize| {
            let embeddings = Matrix::from_fn(prompts, 8, |row, column| {
                let noise = ((row * 31 + column * 17 + phase) % 23) as f32 / 23.0 - 0.5;
                kinds[row % 3].get(column).copied().unwrap_or(0.0) + 0.1 * noise
            });
            let scores = Matrix::from_fn(prompts, 2, |row, model| f32::from(u8::from((row % 3 != 0) == (model == 1))));
            Samples::new(embeddings, scores).unwrap()
        };
        let (train_split, test) = (split(300, 0), split(150, 9));
        let of = |map| {
            let options = Options { map, clusters: vec![2], clusterings: vec![1], ..quick() };
            train(&train_split, &[1.0, 1.0], &options, &mut |_, _| (), &Stop::never()).unwrap()
        };
        let score = |fitted: &Fitted| evaluation::operate(&Rule::UniRoute(fitted.router.clone()), &test, 0.0).score;
        let (kmeans, learned) = (of(Map::KMeans), of(Map::Learned));
        assert!(score(&kmeans) < 0.7, "{}", score(&kmeans));
        assert!(score(&learned) > 0.95 && learned.chosen.passes > 0, "{}, {:?}", score(&learned), learned.chosen);
        assert_eq!(learned.tried.iter().filter(|trial| trial.passes == 0).count(), kmeans.tried.len());
        assert_eq!(of(Map::Learned), learned);
    }

    /// A student whose embeddings are slightly rotated: the teacher's centroids work, and the errors are computed again.
    #[test]
    fn a_students_router_keeps_the_teachers_centroids() {
        let (train_split, _, _, cost) = synthetic(8, 5);
        let of = |samples: &Samples, start| {
            train(samples, &cost, &Options { start, ..quick() }, &mut |_, _| (), &Stop::never()).unwrap()
        };
        let theirs = of(&train_split, None);
        let seen = |samples: &Samples| {
            let turned = |row: usize, column: usize| {
                let next = (column + 1) % samples.embeddings().columns();
                samples.embeddings().row(row)[column] + 0.1 * samples.embeddings().row(row)[next]
            };
            let (rows, columns) = samples.embeddings().shape();
            Samples::new(Matrix::from_fn(rows, columns, turned), samples.scores().clone()).unwrap()
        };
        let (clusterings, centroids) = (theirs.router.clusterings, theirs.router.centroids.clone());
        let mine = of(&seen(&train_split), Some(Start { clusterings, centroids }));
        assert_eq!(mine.router.centroids, theirs.router.centroids);
        assert_eq!(mine.tried.len(), Options::default().smoothing.len());
        let errors = cluster_errors(&seen(&train_split), &mine.router.centroids, clusterings, mine.chosen.smoothing);
        assert_eq!(mine.router.errors, errors);
        assert!(mine.chosen.area > theirs.chosen.area - 0.02, "{:?}, {:?}", mine.chosen, theirs.chosen);

        let start = Start { clusterings: 1, centroids: Matrix::from_fn(2, 3, |_, _| 0.5) };
        let fault =
            train(&train_split, &cost, &Options { start: Some(start), ..quick() }, &mut |_, _| (), &Stop::never())
                .unwrap_err();
        let fault = fault.to_string();
        assert!(fault.contains("the width of the centroids to start from is 3"), "{fault}");
    }

    #[test]
    fn impossible_options_are_refused() {
        let (samples, _, _, cost) = synthetic(4, 3);
        let fault = |options: Options| {
            train(&samples, &cost, &options, &mut |_, _| (), &Stop::never()).unwrap_err().to_string()
        };
        assert!(fault(Options { clusters: vec![0, 1 << 20], ..quick() }).contains("number of clusters"));
        assert!(fault(Options { clusterings: vec![], ..quick() }).contains("number of clusterings"));
        assert!(fault(Options { smoothing: vec![-1.0], ..quick() }).contains("smoothing below 0"));
        assert!(fault(Options { validation: Validation { folds: 1, seeds: 1 }, ..quick() }).contains("folds or seeds"));
        assert!(train(&samples, &cost[1..], &quick(), &mut |_, _| (), &Stop::never()).is_err());
    }
}
