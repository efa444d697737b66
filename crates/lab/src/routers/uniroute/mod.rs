//! Training a UniRoute router (arXiv 2502.08773): clusters of prompts, and the error of each model in each cluster.
//!
//! Centroids come from spherical K-means on the embeddings of the train split at unit length. A model's error in a cluster is
//! 1 − its mean score there. Because small clusters are uncertain, the error is smoothed towards the model's error over the
//! whole split, as if the cluster had `smoothing` more prompts with that error.
//!
//! [`Map::Learned`] then moves the centroids, so that the errors of a prompt's cluster predict its outcomes best.
//!
//! The number of clusters and the smoothing are those with the largest [`evaluation::hull_area`] on the validation split. This
//! area covers every weight of cost, so the choice does not depend on one. On ties, fewer clusters and more smoothing win. The
//! default weight of cost is chosen last, by a [`LambdaRule`].

use crate::data::samples::cost_row;
use crate::data::vector::{argmax, dot, unit};
use crate::data::{Samples, TableError};
use crate::evaluation::{self, Point};
use crate::routers::kmeans::{Effort, cluster};
use crate::routers::{LambdaRule, TrainError, choose_lambda};
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

/// The combinations to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How a prompt is assigned to a cluster. A learned map is tried beside K-means, and kept where it is better.
    pub map: Map,
    /// Numbers of clusters. Numbers above the number of train prompts are skipped.
    pub clusters: Vec<usize>,
    /// Centroids to use instead of clustering, `[K, hidden]`: those of the encoder's teacher, whose embeddings the student
    /// reproduces closely. Errors are computed again.
    pub start: Option<Matrix>,
    /// Weights of the error over the whole split, in numbers of prompts.
    pub smoothing: Vec<f32>,
    /// How the default weight of cost is chosen.
    pub lambda: LambdaRule,
    /// The seed of all random draws.
    pub seed: u64,
    /// The number of starts of each clustering.
    pub restarts: u32,
    /// The maximum number of rounds per start.
    pub rounds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            map: Map::default(),
            clusters: vec![4, 8, 16, 24, 32, 48, 64],
            start: None,
            smoothing: vec![1.0, 3.0, 10.0, 30.0, 100.0],
            lambda: LambdaRule::default(),
            seed: 0,
            restarts: 4,
            rounds: 100,
        }
    }
}

/// One combination that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The number of clusters.
    pub clusters: usize,
    /// The weight of the error over the whole split.
    pub smoothing: f32,
    /// The number of passes over the train split in which the map was trained; 0 for K-means.
    pub passes: usize,
    /// The area on the validation split.
    pub area: f64,
}

/// A trained router, and the trials that led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The router.
    pub router: UniRoute,
    /// The default weight of cost.
    pub lambda: f32,
    /// Score and cost at that weight on the validation split.
    pub valid: Point,
    /// The combination that won.
    pub chosen: Trial,
    /// All combinations that were tried, in order.
    pub tried: Vec<Trial>,
}

/// Trains on `train` and chooses on `valid`. `cost` is [`relative_costs`](crate::data::relative_costs) of the pool. Calls
/// `on_trial` after each trial.
pub fn train(
    train: &Samples,
    valid: &Samples,
    cost: &[f32],
    options: &Options,
    on_trial: &mut dyn FnMut(&Trial),
) -> Result<Fitted, TrainError> {
    train.check(valid, cost)?;
    if options.smoothing.iter().any(|smoothing| !(smoothing.is_finite() && *smoothing >= 0.0)) {
        return Err(TrainError::Options { what: "smoothing below 0", hint: "give numbers of at least 0" });
    }
    let starts = starts(train, options)?;
    let mut best: Option<(Trial, UniRoute)> = None;
    let mut tried = Vec::new();
    for centroids in starts {
        let clusters = centroids.rows();
        let mut maps = vec![(0, centroids)];
        if options.map == Map::Learned && clusters > 1 {
            let first = errors(train, &places(train, &maps[0].1), clusters, learned::SMOOTHING);
            maps.extend(learned::maps(train, &maps[0].1, &first, options.seed)?);
        }
        for (passes, centroids) in maps {
            let places = places(train, &centroids);
            for &smoothing in &options.smoothing {
                let errors = errors(train, &places, clusters, smoothing);
                let router = UniRoute { centroids: centroids.clone(), errors, cost: cost_row(cost) };
                let rule = Rule::UniRoute(router.clone());
                let trial = Trial {
                    clusters,
                    smoothing,
                    passes,
                    area: evaluation::hull_area(&evaluation::sweep(&rule, valid, &evaluation::lambdas())),
                };
                on_trial(&trial);
                tried.push(trial);
                let better = |best: &Trial| {
                    let simpler = |trial: &Trial| {
                        (std::cmp::Reverse(trial.clusters), std::cmp::Reverse(trial.passes), trial.smoothing)
                    };
                    trial.area > best.area || (trial.area == best.area && simpler(&trial) > simpler(best))
                };
                if best.as_ref().is_none_or(|(best, _)| better(best)) {
                    best = Some((trial, router));
                }
            }
        }
    }
    let hint = "give one from 1 to the number of train prompts, and at least one smoothing";
    let (chosen, router) = best.ok_or(TrainError::Options { what: "number of clusters", hint })?;
    let (lambda, valid) = choose_lambda(&Rule::UniRoute(router.clone()), valid, options.lambda);
    Ok(Fitted { router, lambda, valid, chosen, tried })
}

/// The centroids to try before a map is trained: the given ones, or those of K-means for each number of clusters.
fn starts(train: &Samples, options: &Options) -> Result<Vec<Matrix>, TrainError> {
    let width = train.embeddings().columns();
    if let Some(given) = &options.start {
        let found = given.columns();
        let wrong = TrainError::from(TableError::Shape {
            what: "the width of the centroids to start from",
            found,
            expected: width,
        });
        return if found == width { Ok(vec![given.clone()]) } else { Err(wrong) };
    }
    let points: Vec<Vec<f32>> = train.embeddings().iter_rows().map(unit).collect();
    let effort = Effort { seed: options.seed, restarts: options.restarts, rounds: options.rounds };
    let possible = options.clusters.iter().filter(|clusters| (1..=points.len()).contains(*clusters));
    let start = |clusters: &usize| {
        let found = cluster(&points, *clusters, effort).centroids;
        Matrix::from_fn(*clusters, width, |row, column| found[row][column])
    };
    Ok(possible.map(start).collect())
}

/// The nearest centroid of every prompt.
fn places(samples: &Samples, centroids: &Matrix) -> Vec<usize> {
    let nearest = |point| argmax(centroids.iter_rows().map(|centroid| dot(centroid, point)));
    samples.embeddings().iter_rows().map(nearest).collect()
}

/// Each model's error in each cluster, `[K, M]`, from which a model can also join.
pub(crate) fn cluster_errors(samples: &Samples, centroids: &Matrix, smoothing: f32) -> Matrix {
    errors(samples, &places(samples, centroids), centroids.rows(), smoothing)
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
        let (train_split, valid, test, cost) = synthetic(8, 5);
        let fitted = train(&train_split, &valid, &cost, &Options::default(), &mut |_| ()).unwrap();
        assert_eq!(fitted.tried.len(), 35);
        let rule = Rule::UniRoute(fitted.router.clone());
        let point = evaluation::operate(&rule, &test, 0.0);
        let best_single = test.mean_scores().into_iter().fold(0.0, f64::max);
        assert!(point.score > best_single + 0.2, "{point:?} against {best_single}");
        let area = evaluation::hull_area(&evaluation::sweep(&rule, &test, &evaluation::lambdas()));
        assert!(area > evaluation::hull_area(&evaluation::singles(&test, &cost)) + 0.1);
        let again = train(&train_split, &valid, &cost, &Options::default(), &mut |_| ()).unwrap();
        assert_eq!(again, fitted);
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
        let (train_split, valid, test) = (split(300, 0), split(150, 5), split(150, 9));
        let of = |map| {
            let options = Options { map, clusters: vec![2], ..Default::default() };
            train(&train_split, &valid, &[1.0, 1.0], &options, &mut |_| ()).unwrap()
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
        let (train_split, valid, _, cost) = synthetic(8, 5);
        let of = |train_split: &Samples, valid: &Samples, start| {
            train(train_split, valid, &cost, &Options { start, ..Default::default() }, &mut |_| ()).unwrap()
        };
        let theirs = of(&train_split, &valid, None);
        let seen = |samples: &Samples| {
            let turned = |row: usize, column: usize| {
                let next = (column + 1) % samples.embeddings().columns();
                samples.embeddings().row(row)[column] + 0.1 * samples.embeddings().row(row)[next]
            };
            let (rows, columns) = samples.embeddings().shape();
            Samples::new(Matrix::from_fn(rows, columns, turned), samples.scores().clone()).unwrap()
        };
        let start = Some(theirs.router.centroids.clone());
        let mine = of(&seen(&train_split), &seen(&valid), start.clone());
        assert_eq!(mine.router.centroids, theirs.router.centroids);
        assert_eq!(mine.tried.len(), Options::default().smoothing.len());
        let places = places(&seen(&train_split), &mine.router.centroids);
        let smoothing = mine.chosen.smoothing;
        assert_eq!(mine.router.errors, errors(&train_split, &places, mine.chosen.clusters, smoothing));
        assert!(mine.chosen.area > theirs.chosen.area - 0.02, "{:?}, {:?}", mine.chosen, theirs.chosen);

        let narrow = Options { start: Some(Matrix::from_fn(2, 3, |_, _| 0.5)), ..Default::default() };
        let fault = train(&train_split, &valid, &cost, &narrow, &mut |_| ()).unwrap_err().to_string();
        assert!(fault.contains("the width of the centroids to start from is 3"), "{fault}");
    }

    #[test]
    fn impossible_options_are_refused() {
        let (train_split, valid, _, cost) = synthetic(4, 3);
        let options = Options { clusters: vec![0, 1 << 20], ..Default::default() };
        let error = train(&train_split, &valid, &cost, &options, &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("number of clusters"), "{error}");
        let options = Options { smoothing: vec![-1.0], ..Default::default() };
        assert!(train(&train_split, &valid, &cost, &options, &mut |_| ()).is_err());
        assert!(train(&train_split, &valid, &cost[1..], &Options::default(), &mut |_| ()).is_err());
    }
}
