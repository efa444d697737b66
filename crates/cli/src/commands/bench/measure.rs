//! What all measurements of tasks share: several runs, each checked, and their medians.

use anyhow::Context;
use blindroute_placement::{Bytes, PeakMemory, PrivateRouter, Programs};
use blindroute_protocol::{Output, Tensor};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::Task;
use blindroute_runtime::session::Route;
use serde::Serialize;
use std::time::Duration;

/// Times in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Medians {
    pub(super) offline: f64,
    pub(super) online: f64,
    pub(super) clear: f64,
    /// A server's online time inside exchanges with the other: sending, and waiting for its messages.
    pub(super) communication: f64,
    /// The rest of a server's online time.
    pub(super) computation: f64,
}

/// A router with children of its own.
pub(super) fn start(bundle: &Bundle, progress: &dyn Fn(&str)) -> anyhow::Result<PrivateRouter> {
    let programs = Programs { executable: std::env::current_exe().context("this program's own path")? };
    Ok(PrivateRouter::with_children(bundle, &programs, progress)?)
}

/// Several runs of one task.
pub(super) struct Runs {
    offline: Vec<Duration>,
    online: Vec<Duration>,
    clear: Vec<Duration>,
    communication: Vec<Duration>,
    computation: Vec<Duration>,
    pub(super) openings: u32,
    pub(super) bytes: Bytes,
    pub(super) agreed: bool,
}

impl Runs {
    /// Medians of the times.
    pub(super) fn medians(&self) -> Medians {
        let median = |times: &[Duration]| {
            let mut sorted = times.to_vec();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).map_or(f64::NAN, |time| (time.as_secs_f64() * 1e5).round() / 100.0)
        };
        Medians {
            offline: median(&self.offline),
            online: median(&self.online),
            clear: median(&self.clear),
            communication: median(&self.communication),
            computation: median(&self.computation),
        }
    }
}

/// Runs a task under MPC and in the clear, and compares.
pub(super) fn measure(
    router: &mut PrivateRouter,
    task: Task,
    inputs: &[Tensor<f32>],
    runs: u32,
    progress: &dyn Fn(u32),
) -> anyhow::Result<Runs> {
    let mut result = Runs {
        offline: Vec::new(),
        online: Vec::new(),
        clear: Vec::new(),
        communication: Vec::new(),
        computation: Vec::new(),
        openings: 0,
        bytes: Bytes::default(),
        agreed: true,
    };
    for run in 1..=runs {
        progress(run);
        let (expected, clear) = router.clear(task, inputs.to_vec())?;
        let Route { output, offline, online, servers: [zero, one], bytes_sent } = router.private(task, inputs)?;
        result.agreed &= output.bits == expected.bits;
        result.offline.push(offline);
        result.online.push(online);
        result.clear.push(clear);
        // The mean of the two servers, who wait for each other.
        let exchanging = (zero.exchanging + one.exchanging) / 2;
        result.communication.push(exchanging);
        result.computation.push(((zero.online + one.online) / 2).saturating_sub(exchanging));
        result.openings = zero.openings;
        result.bytes = Bytes {
            server0_sent: zero.bytes_sent,
            server1_sent: one.bytes_sent,
            client_sent: bytes_sent,
            material: zero.material_bytes + one.material_bytes,
        };
    }
    Ok(result)
}

/// How alike two embeddings are.
pub(super) fn cosine(a: &Output, b: &Output) -> f64 {
    let (a, b) = (a.values.concat(), b.values.concat());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

fn mib(peak: &PeakMemory) -> String {
    let show = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |mib| mib.to_string());
    format!("{}/{}/{}/{}", show(peak.server0), show(peak.server1), show(peak.dealer), show(peak.client))
}

impl Medians {
    pub(super) fn line(&self, openings: u32, bytes: &Bytes, peak: &PeakMemory) -> String {
        format!(
            "online {:.1} ms, offline {:.1} ms, clear {:.2} ms ({:.1}x); {openings} openings; bytes: servers {} + {}, client {}, \
             material {}; peak MiB (server 0/1, dealer, client) {}",
            self.online,
            self.offline,
            self.clear,
            self.online / self.clear,
            bytes.server0_sent,
            bytes.server1_sent,
            bytes.client_sent,
            bytes.material,
            mib(peak)
        )
    }
}

/// Prints one measurement.
#[allow(clippy::print_stdout)]
pub(super) fn print(json: bool, measurement: &impl Serialize, line: &str) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(measurement)?);
    } else {
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_sorted_times() {
        let times = [30, 10, 20].map(Duration::from_millis).to_vec();
        let runs = Runs {
            offline: times.clone(),
            online: times.clone(),
            clear: times.clone(),
            communication: times.clone(),
            computation: times,
            openings: 0,
            bytes: Bytes::default(),
            agreed: true,
        };
        assert!((runs.medians().online - 20.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_cosine_of_parallel_vectors_is_one() {
        let of = |values: [f64; 2]| Output { values: vec![values.to_vec()], bits: Vec::new() };
        assert!((cosine(&of([1.0, 2.0]), &of([2.0, 4.0])) - 1.0).abs() < 1e-12);
        assert!(cosine(&of([1.0, 0.0]), &of([0.0, 1.0])).abs() < 1e-12);
    }
}
