//! Whether the time of some work depends on its secrets, by statistics.
//!
//! The work runs on a fixed secret and on random ones, in random order; Welch's t-test then compares the two distributions of its time.
//! Interruptions make a few times very long, so the test is repeated on the times below each of a hundred percentiles, and the
//! largest |t| counts. **Source** Reparaz, Balasch, Verbauwhede, Dude, is my code constant time?, DATE'17. **Differs from the source**
//! in that the percentiles are those of all times, not of a first part.

/// Beyond this |t|, the two distributions differ.
pub const LIMIT: f64 = 4.5;

/// Percentiles at which times are cropped.
const CROPS: u32 = 100;

/// How much two distributions of times differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Welch's t of the crop at which |t| is largest.
    pub t: f64,
    /// The times of that crop are below this quantile; 1 for all times.
    pub below: f64,
    /// The medians of the times on the fixed secret and on random ones.
    pub medians: [f64; 2],
}

/// The difference of times, each with whether its secret was the fixed one. A crop with fewer than a hundred times of a kind does
/// not count.
pub fn difference(times: &[(bool, f64)]) -> Difference {
    let mut sorted: Vec<f64> = times.iter().map(|&(_, time)| time).collect();
    sorted.sort_by(f64::total_cmp);
    let quantile = |sorted: &[f64], part: f64| {
        sorted.get((sorted.len() as f64 * part) as usize).or(sorted.last()).copied().unwrap_or_default()
    };
    let mut largest = (0.0_f64, 1.0);
    for crop in 0..=CROPS {
        // Closer together towards the longest times; the last crop is none.
        let below = if crop == CROPS { 1.0 } else { 1.0 - 0.5_f64.powf(10.0 * f64::from(crop + 1) / f64::from(CROPS)) };
        let limit = if crop == CROPS { f64::INFINITY } else { quantile(&sorted, below) };
        let t = welch(times.iter().filter(|&&(_, time)| time <= limit));
        if t.abs() > largest.0.abs() {
            largest = (t, below);
        }
    }
    let median = |fixed| {
        let mut own: Vec<f64> = times.iter().filter(|&&(kind, _)| kind == fixed).map(|&(_, time)| time).collect();
        own.sort_by(f64::total_cmp);
        quantile(&own, 0.5)
    };
    Difference { t: largest.0, below: largest.1, medians: [median(true), median(false)] }
}

/// Welch's t of the two kinds; 0 if there are too few of either, infinite if they differ and neither varies.
fn welch<'a>(times: impl Iterator<Item = &'a (bool, f64)>) -> f64 {
    // Count, mean and sum of squared deviations, by Welford.
    let mut kinds = [(0.0_f64, 0.0_f64, 0.0_f64); 2];
    for &(fixed, time) in times {
        let (count, mean, squares) = &mut kinds[usize::from(fixed)];
        *count += 1.0;
        let deviation = time - *mean;
        *mean += deviation / *count;
        *squares += deviation * (time - *mean);
    }
    let [random, fixed] = kinds;
    if random.0 < 100.0 || fixed.0 < 100.0 {
        return 0.0;
    }
    let variance = |(count, _, squares): (f64, f64, f64)| squares / (count - 1.0) / count;
    let difference = fixed.1 - random.1;
    if difference == 0.0 { 0.0 } else { difference / (variance(random) + variance(fixed)).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Noise;

    /// Compares byte by byte and counts the steps: what takes time.
    fn steps(secret: &[u8; 16], guess: &[u8; 16], early: bool) -> f64 {
        let mut steps = 0;
        let mut equal = true;
        for (own, theirs) in secret.iter().zip(guess) {
            steps += 1;
            equal &= own == theirs;
            if early && !equal {
                break;
            }
        }
        f64::from(steps)
    }

    fn compared(early: bool) -> Difference {
        let mut noise = Noise::new(5);
        let times: Vec<_> = (0..5000)
            .map(|_| {
                let fixed = noise.word() >> 63 == 1;
                let mut secret = [0; 16];
                if !fixed {
                    secret.copy_from_slice(&noise.bytes(16));
                }
                // A clock that is not exact, and an interruption now and then.
                let jitter = (noise.word() % 16) as f64 + if noise.word().is_multiple_of(50) { 10_000.0 } else { 0.0 };
                (fixed, steps(&secret, &[0; 16], early) + jitter)
            })
            .collect();
        difference(&times)
    }

    #[test]
    fn case_33_an_early_exit_on_a_secret_is_found_and_the_same_work_without_it_is_not() {
        let (mutant, constant) = (compared(true), compared(false));
        assert!(mutant.t > LIMIT && mutant.medians[0] > mutant.medians[1], "{mutant:?}");
        assert!(constant.t.abs() < LIMIT, "{constant:?}");
    }

    #[test]
    fn interruptions_do_not_hide_a_difference_and_few_times_tell_nothing() {
        assert!(compared(true).below < 1.0, "the difference shows most where the longest times are left out");
        let few: Vec<_> = (0..150).map(|at| (at % 2 == 0, f64::from(at % 2))).collect();
        assert_eq!(difference(&few).t, 0.0);
        let sure: Vec<_> = (0..400).map(|at| (at % 2 == 0, f64::from(at % 2))).collect();
        assert_eq!(difference(&sure).t.abs(), f64::INFINITY);
    }
}
