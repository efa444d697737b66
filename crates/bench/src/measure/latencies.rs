//! What several routes at once took.

use blindroute_runtime::SceneName;
use serde::Serialize;
use std::time::Duration;

/// Where the sessions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sessions {
    /// Each route prepares its own: all offline work is in its latency.
    AsNeeded,
    /// From a full pool that is not filled while routes run; it is filled between rounds of routes, which is not timed.
    Ready,
    /// From a pool, full at first, that is filled while routes run.
    Filling,
}

impl Sessions {
    pub(crate) const ALL: [Self; 3] = [Self::AsNeeded, Self::Ready, Self::Filling];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::AsNeeded => "prepared as needed",
            Self::Ready => "ready, no filling",
            Self::Filling => "ready, filling beside",
        }
    }
}

/// One setting's routes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ThroughputMeasurement {
    pub(crate) tokens: usize,
    /// Prompts that share a session.
    pub(crate) batch: usize,
    pub(crate) scene: &'static str,
    pub(crate) sessions: Sessions,
    /// Sessions at once.
    pub(crate) concurrency: usize,
    pub(crate) pool: usize,
    /// Prompts, not sessions.
    pub(crate) routes: usize,
    /// Prompts, while sessions ran.
    pub(crate) routes_per_second: f64,
    pub(crate) ms: Latencies,
    /// Per session, whatever its batch.
    pub(crate) openings: u32,
    pub(crate) checked: bool,
}

/// Milliseconds; each prompt of a batch has its session's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Latencies {
    /// From asking for a session to the answer.
    pub(crate) median: f64,
    pub(crate) percentile95: f64,
    /// Of that, waiting for a session.
    pub(crate) wait_median: f64,
    pub(crate) online_median: f64,
}

/// What a ready session costs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FillingMeasurement {
    pub(crate) tokens: usize,
    pub(crate) batch: usize,
    pub(crate) scene: &'static str,
    pub(crate) sessions: usize,
    /// The mean time to prepare one while nothing else runs.
    pub(crate) filling_ms: f64,
    /// From the dealer.
    pub(crate) material_bytes: u64,
    /// Resident memory of each server for each session that rests; absent where the system does not tell.
    pub(crate) server0_mib: Option<f64>,
    pub(crate) server1_mib: Option<f64>,
}

/// One session's times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) latency: Duration,
    pub(crate) waited: Duration,
    pub(crate) online: Duration,
}

impl Latencies {
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let at = |time: fn(&Sample) -> Duration, hundredths: usize| {
            let mut sorted: Vec<Duration> = samples.iter().map(time).collect();
            sorted.sort_unstable();
            // The smallest time that this percentage does not exceed.
            let place = (sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
            sorted.get(place).map_or(f64::NAN, |time| round(time.as_secs_f64() * 1000.0))
        };
        Self {
            median: at(|sample| sample.latency, 50),
            percentile95: at(|sample| sample.latency, 95),
            wait_median: at(|sample| sample.waited, 50),
            online_median: at(|sample| sample.online, 50),
        }
    }
}

impl ThroughputMeasurement {
    pub(crate) fn heading() -> String {
        let cells = [
            "sessions",
            "tokens",
            "batch",
            "at once",
            "routes",
            "routes/s",
            "median ms",
            "95th ms",
            "wait ms",
            "online ms",
            "openings",
        ];
        row(&cells.map(str::to_owned))
    }

    pub(crate) fn line(&self) -> String {
        let Self { tokens, batch, sessions, concurrency, routes, routes_per_second, ms, openings, .. } = self;
        let answer = if self.checked { "checked" } else { "WRONG ANSWER" };
        let cells = [
            sessions.label().to_owned(),
            tokens.to_string(),
            batch.to_string(),
            concurrency.to_string(),
            routes.to_string(),
            format!("{routes_per_second:.2}"),
            format!("{:.1}", ms.median),
            format!("{:.1}", ms.percentile95),
            format!("{:.1}", ms.wait_median),
            format!("{:.1}", ms.online_median),
            openings.to_string(),
        ];
        let scene = if self.scene == SceneName::Loopback.name() { String::new() } else { format!("{} ", self.scene) };
        format!("{}  {scene}{answer}", row(&cells))
    }
}

fn row(cells: &[String; 11]) -> String {
    let [sessions, rest @ ..] = cells;
    let mut text = format!("{sessions:<22}");
    rest.iter().for_each(|cell| text.push_str(&format!("{cell:>10}")));
    text
}

impl FillingMeasurement {
    pub(crate) fn line(&self) -> String {
        let mib = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |mib| format!("{mib:.1}"));
        format!(
            "a ready session of {} x {} tokens: {:.1} ms to fill in, {} bytes of material, {} + {} MiB at the servers (of {} at rest)",
            self.batch,
            self.tokens,
            self.filling_ms,
            self.material_bytes,
            mib(self.server0_mib),
            mib(self.server1_mib),
            self.sessions
        )
    }
}

pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample(ms: u64) -> Sample {
        let [latency, waited, online] = [ms, ms / 4, ms / 2].map(Duration::from_millis);
        Sample { latency, waited, online }
    }

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let samples: Vec<Sample> = (1..=20).rev().map(|place| sample(40 * place)).collect();
        let found = Latencies::of(&samples);
        let expected = Latencies { median: 400.0, percentile95: 760.0, wait_median: 100.0, online_median: 200.0 };
        assert_eq!(found, expected);
        assert_eq!(Latencies::of(&samples[..1]).percentile95, 800.0);
        assert!(Latencies::of(&[]).median.is_nan());
    }

    #[test]
    fn lines_fit_their_heading() {
        let measurement = ThroughputMeasurement {
            tokens: 32,
            batch: 8,
            scene: "wan",
            sessions: Sessions::Filling,
            concurrency: 4,
            pool: 4,
            routes: 20,
            routes_per_second: 12.5,
            ms: Latencies::of(&[sample(100)]),
            openings: 144,
            checked: true,
        };
        let (heading, line) = (ThroughputMeasurement::heading(), measurement.line());
        assert!(line.len() > heading.len() && line[..heading.len()].ends_with("50.0       144"), "{heading}\n{line}");
        assert!(line.ends_with("wan checked") && line.starts_with("ready, filling beside"), "{line}");
        let json = serde_json::to_value(&measurement).unwrap();
        assert_eq!((&json["sessions"], &json["ms"]["wait_median"]), (&"filling".into(), &25.0.into()));
        assert_eq!((&json["batch"], &json["openings"]), (&8.into(), &144.into()));
        let local = ThroughputMeasurement { scene: "loopback", checked: false, ..measurement };
        assert!(local.line().ends_with("  WRONG ANSWER"), "{}", local.line());
    }
}
