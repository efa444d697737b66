//! Spherical K-means: clusters of directions.

use crate::data::vector::{argmax, dot, unit};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

/// The effort of a clustering.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// The seed of all random draws.
    pub(crate) seed: u64,
    /// The number of starts; the best result is returned.
    pub(crate) restarts: u32,
    /// The maximum number of rounds per start.
    pub(crate) rounds: u32,
}

/// Centroids at unit length, and the mean product of the points with their nearest centroids.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clustering {
    pub(crate) centroids: Vec<Vec<f32>>,
    pub(crate) fit: f64,
}

/// The nearest centroid of a point (on ties the lowest index), and the product of the two.
fn nearest(centroids: &[Vec<f32>], point: &[f32]) -> (usize, f32) {
    let products: Vec<f32> = centroids.iter().map(|centroid| dot(centroid, point)).collect();
    let index = argmax(products.iter().copied());
    (index, products.get(index).copied().unwrap_or(0.0))
}

/// Clusters points of unit length. The result depends only on the points, the number and the effort: points are compared in
/// parallel, but sums are in the order of the points.
pub(crate) fn cluster(points: &[Vec<f32>], clusters: usize, effort: Effort) -> Clustering {
    let mut best: Option<Clustering> = None;
    for restart in 0..effort.restarts.max(1) {
        let mut draws = ChaCha8Rng::seed_from_u64(effort.seed);
        draws.set_stream(u64::from(restart));
        let found = climb(points, start(points, clusters, &mut draws), effort.rounds);
        if best.as_ref().is_none_or(|best| found.fit > best.fit) {
            best = Some(found);
        }
    }
    best.unwrap_or(Clustering { centroids: Vec::new(), fit: 0.0 })
}

/// K-means++: each further centroid is a random point, with a probability proportional to its distance (1 − product) to the
/// nearest centroid so far.
fn start(points: &[Vec<f32>], clusters: usize, draws: &mut ChaCha8Rng) -> Vec<Vec<f32>> {
    let mut centroids: Vec<Vec<f32>> = Vec::with_capacity(clusters);
    let mut distance = vec![1.0f64; points.len()];
    while centroids.len() < clusters && !points.is_empty() {
        let total: f64 = distance.iter().sum();
        let mut left = uniform(draws) * total;
        let drawn = distance.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        let centroid = points[drawn.unwrap_or(0)].clone();
        distance
            .par_iter_mut()
            .zip(points)
            .for_each(|(distance, point)| *distance = distance.min(f64::from((1.0 - dot(&centroid, point)).max(0.0))));
        centroids.push(centroid);
    }
    centroids
}

fn climb(points: &[Vec<f32>], mut centroids: Vec<Vec<f32>>, rounds: u32) -> Clustering {
    let mut places: Vec<(usize, f32)> = Vec::new();
    for _ in 0..rounds.max(1) {
        let found: Vec<(usize, f32)> = points.par_iter().map(|point| nearest(&centroids, point)).collect();
        let settled = !places.is_empty() && found.iter().zip(&places).all(|(new, old)| new.0 == old.0);
        places = found;
        if settled {
            break;
        }
        centroids = means(points, &places, &centroids);
    }
    let fit: f64 =
        points.par_iter().map(|point| f64::from(nearest(&centroids, point).1)).collect::<Vec<_>>().iter().sum();
    Clustering { centroids, fit: fit / points.len().max(1) as f64 }
}

fn means(points: &[Vec<f32>], places: &[(usize, f32)], centroids: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let width = points.first().map_or(0, Vec::len);
    let mut sums = vec![vec![0.0f64; width]; centroids.len()];
    let mut counts = vec![0usize; centroids.len()];
    for (point, (place, _)) in points.iter().zip(places) {
        counts[*place] += 1;
        sums[*place].iter_mut().zip(point).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    // A centroid without points restarts at the point that fits its own centroid worst.
    let mut worst: Vec<usize> = (0..points.len()).collect();
    worst.sort_by(|a, b| places[*a].1.total_cmp(&places[*b].1).then(a.cmp(b)));
    let mut worst = worst.into_iter();
    sums.iter()
        .zip(&counts)
        .map(|(sum, count)| match (count, worst.as_slice().is_empty()) {
            (0, false) => worst.next().map(|index| points[index].clone()).unwrap_or_default(),
            _ => unit(&sum.iter().map(|x| *x as f32).collect::<Vec<_>>()),
        })
        .collect()
}

/// A uniform number from 0 to below 1.
fn uniform(draws: &mut ChaCha8Rng) -> f64 {
    (draws.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const EFFORT: Effort = Effort { seed: 7, restarts: 3, rounds: 50 };

    fn corners() -> Vec<Vec<f32>> {
        (0..60)
            .map(|index| {
                let mut point = vec![0.05 * (index / 3) as f32 / 20.0; 3];
                point[index % 3] = 1.0;
                unit(&point)
            })
            .collect()
    }

    #[test]
    fn groups_far_apart_are_found() {
        let points = corners();
        let found = cluster(&points, 3, EFFORT);
        let groups: Vec<usize> = points.iter().map(|point| nearest(&found.centroids, point).0).collect();
        assert!(groups.chunks(3).all(|chunk| chunk == &groups[..3]));
        assert!(found.fit > 0.99);
        assert!(found.centroids.iter().all(|centroid| (dot(centroid, centroid) - 1.0).abs() < 1e-5));
    }

    #[test]
    fn one_seed_gives_one_result() {
        assert_eq!(cluster(&corners(), 5, EFFORT), cluster(&corners(), 5, EFFORT));
    }

    #[test]
    fn equal_points_and_more_clusters_than_points_are_accepted() {
        let points = vec![vec![1.0, 0.0]; 4];
        let found = cluster(&points, 6, EFFORT);
        assert_eq!(found.centroids.len(), 6);
        assert_eq!(found.fit, 1.0);
        assert!(cluster(&[], 2, EFFORT).centroids.is_empty());
    }
}
