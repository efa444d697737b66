//! Spherical K-means: clusters of directions.

use crate::data::vector::{dot, unit};
use crate::{Stop, Stopped};
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

/// Where a point is.
#[derive(Clone, Debug)]
struct Place {
    /// The nearest centroid, on ties the lowest index.
    centroid: usize,
    /// The product with it.
    product: f32,
    /// No product with a centroid is larger than its bound.
    bounds: Vec<f32>,
}

/// By how much rounding may change a bound.
const ROUNDING: f32 = 1e-5;

impl Place {
    /// The place of a point.
    fn of(point: &[f32], centroids: &[Vec<f32>]) -> Self {
        let mut place = Self { centroid: 0, product: 0.0, bounds: vec![f32::INFINITY; centroids.len()] };
        place.follow(point, centroids, &vec![0.0; centroids.len()]);
        place
    }

    /// Finds the nearest centroid after each has moved so far. A product with a point of unit length changes by no more than that,
    /// so most need not be computed (Elkan, ICML'03, for distances).
    fn follow(&mut self, point: &[f32], centroids: &[Vec<f32>], moved: &[f32]) {
        let Some(own) = centroids.get(self.centroid) else { return };
        self.product = dot(own, point);
        let before = self.centroid;
        for (index, (bound, moved)) in self.bounds.iter_mut().zip(moved).enumerate() {
            *bound += moved + ROUNDING;
            if index == before {
                *bound = self.product;
            } else if *bound >= self.product {
                *bound = dot(&centroids[index], point);
                if *bound > self.product || (*bound == self.product && index < self.centroid) {
                    (self.centroid, self.product) = (index, *bound);
                }
            }
        }
    }
}

/// Clusters points of unit length. The result depends only on the points, the number and the effort: points are compared in
/// parallel, but sums are in the order of the points.
pub(crate) fn cluster(
    points: &[Vec<f32>],
    clusters: usize,
    effort: Effort,
    stop: &Stop,
) -> Result<Clustering, Stopped> {
    let mut best: Option<Clustering> = None;
    for restart in 0..effort.restarts.max(1) {
        let mut draws = ChaCha8Rng::seed_from_u64(effort.seed);
        draws.set_stream(u64::from(restart));
        let found = climb(points, start(points, clusters, &mut draws), effort.rounds, stop)?;
        if best.as_ref().is_none_or(|best| found.fit > best.fit) {
            best = Some(found);
        }
    }
    Ok(best.unwrap_or(Clustering { centroids: Vec::new(), fit: 0.0 }))
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

fn climb(points: &[Vec<f32>], mut centroids: Vec<Vec<f32>>, rounds: u32, stop: &Stop) -> Result<Clustering, Stopped> {
    let mut places: Vec<Place> = points.par_iter().map(|point| Place::of(point, &centroids)).collect();
    for _ in 0..rounds.max(1) {
        stop.check()?;
        let next = means(points, &places, &centroids);
        let distance = |(from, to): (&Vec<f32>, &Vec<f32>)| {
            from.iter().zip(to).map(|(from, to)| (from - to).powi(2)).sum::<f32>().sqrt()
        };
        let moved: Vec<f32> = centroids.iter().zip(&next).map(distance).collect();
        centroids = next;
        let stays = |(place, point): (&mut Place, &Vec<f32>)| {
            let before = place.centroid;
            place.follow(point, &centroids, &moved);
            place.centroid == before
        };
        let settled = places.par_iter_mut().zip(points).map(stays).reduce(|| true, |all, stays| all && stays);
        if settled {
            break;
        }
    }
    let fit: f64 = places.iter().map(|place| f64::from(place.product)).sum();
    Ok(Clustering { centroids, fit: fit / points.len().max(1) as f64 })
}

fn means(points: &[Vec<f32>], places: &[Place], centroids: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let width = points.first().map_or(0, Vec::len);
    let mut sums = vec![vec![0.0f64; width]; centroids.len()];
    let mut counts = vec![0usize; centroids.len()];
    for (point, place) in points.iter().zip(places) {
        counts[place.centroid] += 1;
        sums[place.centroid].iter_mut().zip(point).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    // A centroid without points restarts at the point that fits its own centroid worst.
    let mut worst: Vec<usize> = (0..points.len()).collect();
    worst.sort_by(|a, b| places[*a].product.total_cmp(&places[*b].product).then(a.cmp(b)));
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
    use crate::data::synthetic::synthetic;
    use crate::data::vector::argmax;

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
        let found = cluster(&points, 3, EFFORT, &Stop::never()).unwrap();
        let groups: Vec<usize> = points.iter().map(|point| Place::of(point, &found.centroids).centroid).collect();
        assert!(groups.chunks(3).all(|chunk| chunk == &groups[..3]));
        assert!(found.fit > 0.99);
        assert!(found.centroids.iter().all(|centroid| (dot(centroid, centroid) - 1.0).abs() < 1e-5));
    }

    /// The same as without bounds, to the last bit.
    #[test]
    fn products_that_are_not_computed_would_change_nothing() {
        let (samples, ..) = synthetic(12, 3);
        let points: Vec<Vec<f32>> = samples.embeddings().iter_rows().map(unit).collect();
        for clusters in [2, 9, 20] {
            let mut draws = ChaCha8Rng::seed_from_u64(3);
            let first = start(&points, clusters, &mut draws);
            let found = climb(&points, first.clone(), 30, &Stop::never()).unwrap();
            let mut centroids = first;
            let mut places: Vec<Place> = Vec::new();
            for _ in 0..30 {
                let nearest = |point: &Vec<f32>| {
                    let products: Vec<f32> = centroids.iter().map(|centroid| dot(centroid, point)).collect();
                    let centroid = argmax(products.iter().copied());
                    Place { centroid, product: products[centroid], bounds: Vec::new() }
                };
                let now: Vec<Place> = points.iter().map(nearest).collect();
                let settled = places.iter().map(|place| place.centroid).eq(now.iter().map(|place| place.centroid));
                places = now;
                if settled {
                    break;
                }
                centroids = means(&points, &places, &centroids);
            }
            assert_eq!(found.centroids, centroids, "{clusters} clusters");
        }
    }

    #[test]
    fn one_seed_gives_one_result() {
        assert_eq!(
            cluster(&corners(), 5, EFFORT, &Stop::never()).unwrap(),
            cluster(&corners(), 5, EFFORT, &Stop::never()).unwrap()
        );
    }

    #[test]
    fn equal_points_and_more_clusters_than_points_are_accepted() {
        let points = vec![vec![1.0, 0.0]; 4];
        let found = cluster(&points, 6, EFFORT, &Stop::never()).unwrap();
        assert_eq!(found.centroids.len(), 6);
        assert_eq!(found.fit, 1.0);
        assert!(cluster(&[], 2, EFFORT, &Stop::never()).unwrap().centroids.is_empty());
    }
}
