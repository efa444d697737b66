//! Selection alone.

use super::runs::{Figures, measure};
use super::start;
use crate::published::{PublishedSelection, published_selection};
use blindroute_console::terminal::spinner;
use blindroute_placement::PrivateRouter;
use blindroute_protocol::{Shape, Tensor};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{Measurement, SelectMethod, SessionRequest};
use blindroute_runtime::SceneName;
use serde::Serialize;

/// What one method of selection took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SelectMeasurement {
    pub(crate) method: SelectMethod,
    pub(crate) candidates: usize,
    pub(crate) k: usize,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// What servers and dealer learn of the input.
    pub(crate) leaks: &'static str,
    /// Whether it chose what an exact search chooses.
    pub(crate) exact: bool,
    /// PPRoute's figures of the same selection, on its authors' machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) published: Option<PublishedSelection>,
}

/// Measures our selection with processes of its own.
pub(crate) fn measure_select(
    bundle: &Bundle,
    candidates: usize,
    k: usize,
    scene: SceneName,
    runs: u32,
) -> anyhow::Result<SelectMeasurement> {
    let bar = spinner();
    let router = start(bundle, scene, &|step| bar.set_message(step.to_owned()))?;
    let setting = Setting { candidates, k, method: SelectMethod::Unsorted, scene };
    let row = setting.measure(&router, runs, &|step| bar.set_message(step))?;
    bar.finish_and_clear();
    Ok(row)
}

/// One selection.
pub(crate) struct Setting {
    pub(crate) candidates: usize,
    pub(crate) k: usize,
    pub(crate) method: SelectMethod,
    pub(crate) scene: SceneName,
}

impl Setting {
    fn task(&self, method: SelectMethod) -> Measurement {
        Measurement::Select { candidates: self.candidates, keep: self.k, method }
    }

    /// Measures several runs by the same processes.
    pub(crate) fn measure(
        &self,
        router: &PrivateRouter,
        runs: u32,
        progress: &dyn Fn(String),
    ) -> anyhow::Result<SelectMeasurement> {
        let Self { candidates, k, method, scene } = *self;
        let inputs = numbers(candidates);
        progress(format!("{method}: warm-up"));
        router.private(SessionRequest::new(self.task(method)), &inputs)?;
        let runs = measure(router, SessionRequest::new(self.task(method)), &inputs, runs, &|run| {
            progress(format!("{method}: run {run}"))
        })?;
        let found = router.clear(self.task(method), inputs.to_vec())?.0;
        let best = router.clear(self.task(SelectMethod::Unsorted), inputs.to_vec())?.0;
        Ok(SelectMeasurement {
            method,
            candidates,
            k,
            figures: runs.figures(router, scene),
            leaks: "nothing",
            exact: found.bits == best.bits,
            published: published_selection(method).filter(|_| (candidates, k) == (112, 4)),
        })
    }
}

/// Similarities without ties that fall with the distance from a place on a ring of candidates, and the same numbers less a
/// price. An exact search works for any numbers; the approximate one needs similar neighbours.
fn numbers(candidates: usize) -> [Tensor<f32>; 2] {
    let (n, peak) = (candidates as f64, (candidates * 2 / 3) as f64);
    let fraction = |x: f64| x - x.floor();
    let similarity: Vec<f32> = (0..candidates)
        .map(|i| {
            let way = (i as f64 - peak).rem_euclid(n);
            // One side is steeper, by a factor for which no two are equal (see the test below).
            (1.0 - way.min(1.3036 * (n - way)) / n) as f32
        })
        .collect();
    let price = |i: usize| 0.5 * fraction(i as f64 * 0.366_294) as f32;
    let score = similarity.iter().enumerate().map(|(i, s)| s - price(i)).collect();
    let shape = Shape::row(candidates);
    [Tensor::new(shape, similarity), Tensor::new(shape, score)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_two_numbers_are_equal_at_the_resolution() {
        for candidates in [2, 3, 20, 112, 128] {
            for row in numbers(candidates) {
                let mut sorted = row.data().to_vec();
                sorted.sort_by(f32::total_cmp);
                assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] > 1.0 / 65536.0), "{candidates}");
            }
        }
    }
}
