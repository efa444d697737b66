//! Outcome fingerprints: descriptors that the table of outcomes alone gives.
//!
//! The train split's prompts are clustered, and a model's descriptor says in which clusters it does better than the pool
//! does on average: (its mean score − the pool's) by cluster, weighted by the root of the cluster's share, at unit length.
//! The clusters and the pool's means are the probe; a model that joins later needs its own outcomes on (a part of) the
//! train prompts and nothing else: neither the head nor another descriptor changes.

use blindroute_routing::bundle::Matrix;

use crate::{
    Samples, TrainError,
    kmeans::{Effort, cluster},
    vector::{argmax, dot, unit},
};

/// What descriptors are measured against.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    centroids: Vec<Vec<f32>>,
    /// The pool's mean score in each cluster.
    expected: Vec<f64>,
    /// The root of each cluster's share of the prompts.
    weight: Vec<f64>,
}

impl Probe {
    /// A probe of so many clusters (fewer where there are fewer prompts) of the train split.
    pub fn new(train: &Samples, clusters: usize, seed: u64) -> Self {
        let points: Vec<Vec<f32>> = train.embeddings().iter_rows().map(unit).collect();
        let clusters = clusters.clamp(1, points.len());
        let centroids = cluster(&points, clusters, Effort { seed, restarts: 2, rounds: 50 }).centroids;
        let mut probe = Self { centroids, expected: Vec::new(), weight: Vec::new() };
        let means: Vec<f32> = train.scores().iter_rows().map(mean).collect();
        let (sums, counts) = probe.sums(train.embeddings(), &means);
        let prompts = train.prompts() as f64;
        probe.expected = sums.iter().zip(&counts).map(|(sum, count)| sum / count.max(1.0)).collect();
        probe.weight = counts.iter().map(|count| (count / prompts).sqrt()).collect();
        probe
    }

    /// A model's descriptor from its scores on prompts with these embeddings.
    ///
    /// # Errors
    /// If the scores are not one a prompt.
    pub fn descriptor(&self, embeddings: &Matrix, scores: &[f32]) -> Result<Vec<f32>, TrainError> {
        if scores.len() != embeddings.rows() {
            let (found, expected) = (scores.len(), embeddings.rows());
            return Err(TrainError::Shape { what: "the number of a model's scores", found, expected });
        }
        let (sums, counts) = self.sums(embeddings, scores);
        let parts = self.expected.iter().zip(&self.weight).zip(sums.iter().zip(&counts));
        // A cluster in which the model was not tried says nothing: as the pool.
        let raw: Vec<f32> = parts
            .map(|((expected, weight), (sum, count))| match *count {
                0.0 => 0.0,
                count => (weight * (sum / count - expected)) as f32,
            })
            .collect();
        let length = dot(&raw, &raw).sqrt();
        if length < 1e-6 {
            // No cluster tells it from the pool; any direction will do, and the first is as good.
            return Ok((0..raw.len()).map(|place| if place == 0 { 1.0 } else { 0.0 }).collect());
        }
        Ok(unit(&raw))
    }

    /// Every model's descriptor, `[M, clusters]`.
    pub(crate) fn descriptors(&self, train: &Samples) -> Result<Matrix, TrainError> {
        let rows = (0..train.models()).map(|model| {
            let scores: Vec<f32> = train.scores().iter_rows().map(|row| row[model]).collect();
            self.descriptor(train.embeddings(), &scores)
        });
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(Matrix::from_fn(rows.len(), self.centroids.len(), |model, cluster| rows[model][cluster]))
    }

    /// Sums and counts of values by cluster.
    fn sums(&self, embeddings: &Matrix, values: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let (mut sums, mut counts) = (vec![0.0; self.centroids.len()], vec![0.0; self.centroids.len()]);
        for (embedding, value) in embeddings.iter_rows().zip(values) {
            let place = argmax(self.centroids.iter().map(|centroid| dot(centroid, embedding)));
            sums[place] += f64::from(*value);
            counts[place] += 1.0;
        }
        (sums, counts)
    }
}

fn mean(row: &[f32]) -> f32 {
    row.iter().sum::<f32>() / row.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_says_where_a_model_is_better_than_the_pool() {
        // Prompts in two directions; model 0 answers the first kind, model 1 the second, model 2 both.
        let embeddings = Matrix::from_fn(8, 2, |row, column| f32::from(u8::from(row % 2 == column)));
        let scores = Matrix::from_fn(8, 3, |row, model| f32::from(u8::from(model == 2 || row % 2 == model)));
        let samples = Samples::new(embeddings.clone(), scores).unwrap();
        let probe = Probe::new(&samples, 2, 0);
        let descriptors = probe.descriptors(&samples).unwrap();
        let half = 0.5f32.sqrt();
        // In each cluster the pool's mean is 2/3: the models differ by 1/3, −2/3; −2/3, 1/3; 1/3, 1/3.
        let first = dot(descriptors.row(0), descriptors.row(1));
        assert!((first - (-4.0 / 5.0)).abs() < 1e-5, "{first}");
        assert!(descriptors.row(2).iter().all(|entry| (entry - half).abs() < 1e-5));
        // A model that joins with outcomes on a part of the prompts.
        let part = Matrix::from_fn(2, 2, |row, column| embeddings.row(row)[column]);
        let joined = probe.descriptor(&part, &[1.0, 0.0]).unwrap();
        assert!((dot(&joined, descriptors.row(0)) - 1.0).abs() < 1e-5);
        assert!(probe.descriptor(&part, &[1.0]).is_err());
        // One that is as the pool everywhere still has length 1.
        assert!(probe.descriptor(&part, &[2.0 / 3.0, 2.0 / 3.0]).is_ok_and(|d| (dot(&d, &d) - 1.0).abs() < 1e-6));
    }
}
