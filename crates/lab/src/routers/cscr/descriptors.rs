//! Outcome fingerprints: descriptors computed from the table of outcomes alone.
//!
//! The prompts of the train split are clustered. A model's lead in a cluster is its mean score there minus the pool's mean
//! score. In clusters with few prompts it is smoothed towards the model's lead over all prompts. It is weighted by the square
//! root of the cluster's share of the prompts.
//!
//! A descriptor has unit length, but the length of a lead says how good a model is. Therefore one more coordinate holds what
//! the lead lacks in length compared with the longest lead of the pool (the reduction of inner products to cosines by Bachrach
//! et al., RecSys 2014). Then the similarity with a query orders models by the inner product with their leads.
//!
//! The clusters, the pool's means and that longest length are the [`Probe`]. A model that joins later needs only its own
//! outcomes on some or all of the train prompts. The projection and the other descriptors do not change.

use crate::Stop;
use crate::data::vector::{argmax, dot, unit};
use crate::data::{Samples, TableError};
use crate::routers::TrainError;
use crate::routers::kmeans::{Effort, cluster};
use blindroute_routing::bundle::Matrix;

/// Weight of a model's overall lead in each cluster, in numbers of prompts.
const SMOOTHING: f64 = 10.0;

/// The reference that descriptors are computed against.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    centroids: Vec<Vec<f32>>,
    /// The pool's mean score in each cluster.
    expected: Vec<f64>,
    /// The square root of each cluster's share of the prompts.
    weight: Vec<f64>,
    /// The length of the pool's longest lead.
    longest: f64,
}

impl Probe {
    /// A probe for descriptors of this width. It has `width - 1` clusters of the train split, or fewer if there are fewer prompts.
    pub fn new(train: &Samples, width: usize, seed: u64, stop: &Stop) -> Result<Self, TrainError> {
        let points: Vec<Vec<f32>> = train.embeddings().iter_rows().map(unit).collect();
        let clusters = width.saturating_sub(1).clamp(1, points.len());
        let centroids = cluster(&points, clusters, Effort { seed, restarts: 2, rounds: 50 }, stop)?.centroids;
        let mut probe = Self { centroids, expected: Vec::new(), weight: Vec::new(), longest: 0.0 };
        let means: Vec<f32> = train.scores().iter_rows().map(mean).collect();
        let (sums, counts) = probe.sums(train.embeddings(), &means);
        let prompts = train.prompts() as f64;
        probe.expected = sums.iter().zip(&counts).map(|(sum, count)| sum / count.max(1.0)).collect();
        probe.weight = counts.iter().map(|count| (count / prompts).sqrt()).collect();
        for model in 0..train.models() {
            stop.check()?;
            let lead = probe.lead(train.embeddings(), &column(train, model))?;
            probe.longest = probe.longest.max(square(&lead).sqrt());
        }
        Ok(probe)
    }

    /// A model's descriptor from its scores on prompts with these embeddings.
    ///
    /// # Errors
    /// If the number of scores is not the number of prompts.
    pub fn descriptor(&self, embeddings: &Matrix, scores: &[f32]) -> Result<Vec<f32>, TrainError> {
        let mut lead = self.lead(embeddings, scores)?;
        let square = square(&lead);
        // A model that joins may have a longer lead than all others.
        let lacking = (self.longest.powi(2) - square).max(0.0).sqrt();
        // In a pool of equal models, all descriptors are the last unit vector.
        lead.push(if square.sqrt() + lacking > 1e-6 { lacking } else { 1.0 });
        Ok(unit(&lead.into_iter().map(|entry| entry as f32).collect::<Vec<_>>()))
    }

    /// How far a model's mean score is above the pool's in each cluster, smoothed and weighted.
    fn lead(&self, embeddings: &Matrix, scores: &[f32]) -> Result<Vec<f64>, TrainError> {
        if scores.len() != embeddings.rows() {
            let (found, expected) = (scores.len(), embeddings.rows());
            return Err(TableError::Shape { what: "the number of a model's scores", found, expected }.into());
        }
        let (mut sums, counts) = self.sums(embeddings, scores);
        for ((sum, count), expected) in sums.iter_mut().zip(&counts).zip(&self.expected) {
            *sum -= count * expected;
        }
        let overall = sums.iter().sum::<f64>() / (counts.iter().sum::<f64>()).max(1.0);
        let smoothed = |sum: f64, count: f64| (sum + SMOOTHING * overall) / (count + SMOOTHING);
        let parts = self.weight.iter().zip(sums.iter().zip(&counts));
        Ok(parts.map(|(weight, (sum, count))| weight * smoothed(*sum, *count)).collect())
    }

    /// Every model's descriptor, `[M, width]`.
    pub(crate) fn descriptors(&self, train: &Samples, stop: &Stop) -> Result<Matrix, TrainError> {
        let rows = (0..train.models()).map(|model| {
            stop.check()?;
            self.descriptor(train.embeddings(), &column(train, model))
        });
        let rows = rows.collect::<Result<Vec<_>, TrainError>>()?;
        Ok(Matrix::from_fn(rows.len(), self.centroids.len() + 1, |model, place| rows[model][place]))
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

fn square(lead: &[f64]) -> f64 {
    lead.iter().map(|entry| entry * entry).sum()
}

/// A model's scores on all prompts.
fn column(samples: &Samples, model: usize) -> Vec<f32> {
    samples.scores().iter_rows().map(|row| row[model]).collect()
}

fn mean(row: &[f32]) -> f32 {
    row.iter().sum::<f32>() / row.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prompts in two directions, a hundred each. Model 0 answers the first kind, model 1 the second, model 2 both, and model 3
    /// scores one half on each.
    fn samples() -> Samples {
        let embeddings = Matrix::from_fn(200, 2, |row, column| f32::from(u8::from(row % 2 == column)));
        let scores = Matrix::from_fn(200, 4, |row, model| match model {
            2 => 1.0,
            3 => 0.5,
            model => f32::from(u8::from(row % 2 == model)),
        });
        Samples::new(embeddings, scores).unwrap()
    }

    #[test]
    fn a_descriptor_says_where_and_by_how_much_a_model_leads() {
        let samples = samples();
        let probe = Probe::new(&samples, 3, 0, &Stop::never()).unwrap();
        let descriptors = probe.descriptors(&samples, &Stop::never()).unwrap();
        assert_eq!(descriptors.shape(), (4, 3));
        // The pool's mean is 5/8 in each cluster. Leads: model 0 has ±3/8, −5/8 and −1/8 overall; 2 has 3/8; 3 has −1/8.
        let smoothed = |lead: f32| (100.0 * lead - 10.0 / 8.0) / 110.0;
        let half = 0.5f32.sqrt();
        let lead = |first: f32, second: f32| [first * half, second * half];
        let (near, far) = (smoothed(3.0 / 8.0), smoothed(-5.0 / 8.0));
        let leads = [lead(near, far), lead(far, near), lead(0.375, 0.375), lead(-0.125, -0.125)];
        let length = |lead: &[f32; 2]| (lead[0] * lead[0] + lead[1] * lead[1]).sqrt();
        let longest = leads.iter().map(length).fold(0.0, f32::max);
        for a in 0..4 {
            for b in 0..4 {
                let rest = |lead: &[f32; 2]| (longest.powi(2) - length(lead).powi(2)).max(0.0).sqrt();
                let inner: f32 = leads[a].iter().zip(&leads[b]).map(|(a, b)| a * b).sum();
                let expected = (inner + rest(&leads[a]) * rest(&leads[b])) / longest.powi(2);
                let found = dot(descriptors.row(a), descriptors.row(b));
                assert!((found - expected).abs() < 1e-4, "{a}, {b}: {found}, {expected}");
            }
        }
        // Models 2 and 3 have leads of similar direction and different length: the descriptors tell them apart.
        assert!(dot(descriptors.row(2), descriptors.row(3)) < 0.5);
    }

    #[test]
    fn a_model_joins_with_outcomes_on_a_part() {
        let samples = samples();
        let probe = Probe::new(&samples, 3, 0, &Stop::never()).unwrap();
        let part = Matrix::from_fn(100, 2, |row, column| samples.embeddings().row(row)[column]);
        let first: Vec<f32> = (0..100).map(|row| f32::from(u8::from(row % 2 == 0))).collect();
        let joined = probe.descriptor(&part, &first).unwrap();
        let whole = probe.descriptors(&samples, &Stop::never()).unwrap();
        // Leads of 3/8 and −5/8, smoothed towards −1/8, with 50 prompts per cluster here and 100 there. No lead is longer.
        let lead = |count: f32| [3.0 / 8.0, -5.0 / 8.0].map(|lead: f32| (count * lead - 10.0 / 8.0) / (count + 10.0));
        let expected = dot(&lead(50.0), &lead(100.0)) / dot(&lead(100.0), &lead(100.0));
        let alike = dot(&joined, whole.row(0));
        assert!((alike - expected).abs() < 1e-5, "{alike}, {expected}");
        assert!(probe.descriptor(&part, &[1.0]).is_err());
        // The descriptor of a model with a longer lead than all others also has length 1.
        let strong = probe.descriptor(&part, &[9.0; 100]).unwrap();
        assert!((dot(&strong, &strong) - 1.0).abs() < 1e-6 && strong[2] == 0.0, "{strong:?}");
    }

    #[test]
    fn models_that_do_not_differ_have_one_descriptor() {
        let embeddings = samples().embeddings().clone();
        let alike = Samples::new(embeddings, Matrix::from_fn(200, 2, |_, _| 0.5)).unwrap();
        let descriptors =
            Probe::new(&alike, 3, 0, &Stop::never()).unwrap().descriptors(&alike, &Stop::never()).unwrap();
        assert!(descriptors.iter_rows().all(|row| row == [0.0, 0.0, 1.0]), "{descriptors:?}");
    }
}
