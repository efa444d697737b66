//! The bootstrap: how much a number would change with other prompts of the same kind.

use crate::{Stop, Stopped};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;
use serde::Serialize;

/// A bootstrap over prompts: resampling with replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// The number of resamples; 0 for no intervals.
    pub resamples: usize,
    /// The seed of all random draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 1000, seed: 0 }
    }
}

/// The middle 95 % of the values of the resamples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end; none if it is infinite.
    pub low: Option<f64>,
    /// The upper end; none if it is infinite.
    pub high: Option<f64>,
}

impl Bootstrap {
    /// The value of `measure` on each resample. `measure` receives how often each prompt was drawn. Draws depend only on the seed
    /// and the number of the resample, so the result is the same with any number of threads.
    pub(crate) fn run<T: Send>(&self, prompts: usize, measure: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
        (0..self.resamples).into_par_iter().map(|resample| measure(&self.draw(prompts, resample as u64))).collect()
    }

    /// The same, until it is stopped.
    pub(crate) fn run_until<T: Send>(
        &self,
        prompts: usize,
        measure: impl Fn(&[u32]) -> T + Sync,
        stop: &Stop,
    ) -> Result<Vec<T>, Stopped> {
        let checked = |times: &[u32]| stop.check().map(|()| measure(times));
        let resample = |resample| checked(&self.draw(prompts, resample as u64));
        (0..self.resamples).into_par_iter().map(resample).collect()
    }

    /// How often each prompt is drawn in one resample.
    fn draw(&self, prompts: usize, resample: u64) -> Vec<u32> {
        let mut draws = ChaCha8Rng::seed_from_u64(self.seed);
        draws.set_stream(resample);
        let mut times = vec![0; prompts];
        for _ in 0..prompts {
            // The upper half of the product is uniform below `prompts`, with a bias of at most prompts / 2^64.
            times[((u128::from(draws.next_u64()) * prompts as u128) >> 64) as usize] += 1;
        }
        times
    }
}

impl Interval {
    /// The interval of the values of all resamples; none if there are no values or one of them is NaN.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| value.is_nan()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let last = (values.len() - 1) as f64;
        // The ends are values that occurred, rounded outwards.
        let finite = |rank: f64| Some(values[rank as usize]).filter(|value| value.is_finite());
        Some(Self { low: finite((last * 0.025).floor()), high: finite((last * 0.975).ceil()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64], times: &[u32]) -> f64 {
        values.iter().zip(times).map(|(value, times)| value * f64::from(*times)).sum::<f64>() / values.len() as f64
    }

    #[test]
    fn resamples_differ_and_are_reproducible() {
        let bootstrap = Bootstrap { resamples: 50, seed: 7 };
        let draws = bootstrap.run(40, <[u32]>::to_vec);
        assert!(draws.iter().all(|times| times.iter().sum::<u32>() == 40));
        assert!(draws.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(draws, bootstrap.run(40, <[u32]>::to_vec));
        assert_ne!(draws, Bootstrap { seed: 8, ..bootstrap }.run(40, <[u32]>::to_vec));
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(draws, alone.install(|| bootstrap.run(40, <[u32]>::to_vec)));
    }

    #[test]
    fn intervals_of_a_mean_cover_it_in_95_percent() {
        // 200 samples of 60 throws of a coin that shows 1 in 3 of 10 cases.
        let mut throws = ChaCha8Rng::seed_from_u64(3);
        let mut covered = 0;
        for trial in 0..200 {
            let values: Vec<f64> = (0..60).map(|_| if throws.next_u32() % 10 < 3 { 1.0 } else { 0.0 }).collect();
            let resamples = Bootstrap { resamples: 300, seed: trial }.run(60, |times| mean(&values, times));
            let interval = Interval::of(resamples).unwrap();
            let width = interval.high.unwrap() - interval.low.unwrap();
            // ± 1.96 · √(0.3 · 0.7 / 60) = ± 0.116.
            assert!((0.12..0.34).contains(&width), "{width}");
            covered += u32::from(interval.low.unwrap() <= 0.3 && 0.3 <= interval.high.unwrap());
        }
        assert!((180..=198).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn ends_by_hand() {
        let of = |values: &[f64]| Interval::of(values.to_vec());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[1.0, f64::NAN]), None);
        assert_eq!(of(&[2.0]), Some(Interval { low: Some(2.0), high: Some(2.0) }));
        let hundred: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(of(&hundred), Some(Interval { low: Some(2.0), high: Some(98.0) }));
        assert_eq!(of(&[1.0, f64::INFINITY]), Some(Interval { low: Some(1.0), high: None }));
        assert_eq!(of(&[f64::INFINITY; 2]), Some(Interval { low: None, high: None }));
    }
}
