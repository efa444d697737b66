//! Calls in rotation: a block of calls of one target, from all connections at once, then of the next target.

use super::Form;
use super::connection::{Connection, Request, Sample};
use super::process::{GatewayProcess, READY};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// Who is called.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// The model that is asked for.
    pub(crate) model: &'static str,
    /// Whether each call takes a session.
    pub(crate) routed: bool,
}

/// How often, and from how many connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) form: Form,
    pub(crate) connections: usize,
    pub(crate) requests: usize,
}

/// What the calls of one target took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallsMeasurement {
    pub(crate) target: String,
    /// Of the gateway.
    pub(crate) placement: &'static str,
    pub(crate) form: Form,
    pub(crate) connections: usize,
    pub(crate) calls: usize,
    /// From the request to the end of the answer.
    pub(crate) ms: Quantiles,
    /// Without the route's own time, which the gateway says.
    pub(crate) ms_beyond_route: Quantiles,
    /// What is left of that without the same quantile of direct calls.
    pub(crate) added_ms: Quantiles,
    /// The median beside that of direct calls.
    pub(crate) ratio: f64,
    /// How often the other side had closed a connection between two calls.
    pub(crate) closed: usize,
    /// Every answer was the mock's.
    pub(crate) checked: bool,
}

/// The median and the 99th percentile, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Quantiles {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |hundredths: usize| {
            let place = (times.len() * hundredths).div_ceil(100).saturating_sub(1);
            times.get(place).map_or(f64::NAN, |time| microseconds(time.as_secs_f64() * 1000.0))
        };
        Self { p50: at(50), p99: at(99) }
    }

    fn less(self, other: Self) -> Self {
        Self { p50: microseconds(self.p50 - other.p50), p99: microseconds(self.p99 - other.p99) }
    }
}

fn microseconds(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

/// What was measured of a target so far.
struct Measured<'t> {
    target: &'t Target,
    connections: Vec<Connection>,
    samples: Vec<Sample>,
}

/// Calls all targets, the first of which is the provider itself.
///
/// # Errors
/// If an answer is not the mock's.
pub(crate) fn measure(
    targets: &[Target],
    gateway: &mut GatewayProcess,
    load: Load,
    progress: &dyn Fn(usize),
) -> anyhow::Result<Vec<CallsMeasurement>> {
    let connections = |target: &Target| (0..load.connections).map(|_| Connection::new(target.address)).collect();
    let mut all: Vec<Measured<'_>> = targets
        .iter()
        .map(|target| Measured { target, connections: connections(target), samples: Vec::new() })
        .collect();
    // No block takes more sessions than are ready.
    let each = (READY / load.connections).clamp(1, 4);
    let blocks = load.requests.div_ceil(each * load.connections);
    // The first block warms up.
    for block in 0..=blocks {
        progress(block * each * load.connections);
        for measured in &mut all {
            if measured.target.routed {
                gateway.wait_ready()?;
            }
            let samples = measured.block(load.form, each, block)?;
            if block > 0 {
                measured.samples.extend(samples);
            }
        }
    }
    Ok(figures(&all, load))
}

impl Measured<'_> {
    /// Calls so often from each connection, from all at once.
    fn block(&mut self, form: Form, each: usize, block: usize) -> anyhow::Result<Vec<Sample>> {
        let Self { target, connections, .. } = self;
        let many = connections.len();
        let run = |(place, connection): (usize, &mut Connection)| {
            let first = (block * many + place) * each;
            let requests: Vec<_> =
                (first..first + each).map(|number| Request::new(target.address, target.model, form, number)).collect();
            requests.iter().map(|request| connection.call(request, form)).collect::<anyhow::Result<Vec<_>>>()
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = connections.iter_mut().enumerate().map(|one| scope.spawn(move || run(one))).collect();
            let mut samples = Vec::with_capacity(many * each);
            for thread in threads {
                let ended =
                    thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked; please report this")));
                samples.extend(ended?);
            }
            Ok(samples)
        })
    }
}

fn figures(all: &[Measured<'_>], load: Load) -> Vec<CallsMeasurement> {
    let beyond = |measured: &Measured<'_>| {
        Quantiles::of(measured.samples.iter().map(|sample| sample.latency.saturating_sub(sample.route)).collect())
    };
    let Some(direct) = all.first().map(beyond) else { return Vec::new() };
    let of = |measured: &Measured<'_>| {
        let ms_beyond_route = beyond(measured);
        CallsMeasurement {
            target: measured.target.name.clone(),
            placement: "",
            form: load.form,
            connections: load.connections,
            calls: measured.samples.len(),
            ms: Quantiles::of(measured.samples.iter().map(|sample| sample.latency).collect()),
            ms_beyond_route,
            added_ms: ms_beyond_route.less(direct),
            ratio: microseconds(ms_beyond_route.p50 / direct.p50),
            closed: measured.connections.iter().map(|connection| connection.closed).sum(),
            checked: true,
        }
    };
    all.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let found = Quantiles::of(times);
        assert_eq!(found, Quantiles { p50: 100.0, p99: 198.0 });
        assert_eq!(found.less(Quantiles { p50: 1.0, p99: 200.0 }), Quantiles { p50: 99.0, p99: -2.0 });
        assert!(Quantiles::of(Vec::new()).p99.is_nan());
    }
}
