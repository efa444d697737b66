//! What all measurements of tasks share: several runs, each checked, and their medians.

use anyhow::Context;
use blindroute_placement::{Bytes, ChildOptions, PeakMemory, PrivateRouter};
use blindroute_protocol::{Output, Tensor};
use blindroute_routing::bundle::{Activation, Attention, Bundle};
use blindroute_routing::program::Work;
use blindroute_routing::tokenizer;
use blindroute_runtime::SceneName;
use blindroute_runtime::SessionOutcome;
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

/// Times in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Medians {
    pub(super) offline: f64,
    pub(super) online: f64,
    pub(super) clear: f64,
    /// A server's online time inside exchanges with the other: sending, and waiting for its messages.
    pub(super) communication: f64,
    /// The rest of a server's online time.
    pub(super) computation: f64,
}

/// What one task took in several runs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) scene: &'static str,
    pub(super) ms: Medians,
    pub(super) openings: u32,
    pub(super) bytes: Bytes,
    pub(super) peak_mib: PeakMemory,
    pub(super) checked: bool,
    pub(super) runs: u32,
}

/// The least cosine between an embedding under MPC and one in the clear that counts as the same.
pub(super) const SAME: f64 = 0.999;

/// A router with children of its own.
pub(super) fn start(bundle: &Bundle, scene: SceneName, progress: &dyn Fn(&str)) -> anyhow::Result<PrivateRouter> {
    let executable = std::env::current_exe().context("this program's own path")?;
    let children = ChildOptions::new(executable).in_scene(scene.scene()).dangerously_serve_measurements();
    Ok(PrivateRouter::with_children(bundle, &children, progress)?)
}

/// The bundle with another encoder program on the same weights.
pub(super) fn variant(
    bundle: Bundle,
    attention: Option<Attention>,
    activation: Option<Activation>,
) -> anyhow::Result<Bundle> {
    let mut parts = bundle.into_parts();
    parts.encoder.attention = attention.unwrap_or(parts.encoder.attention);
    parts.encoder.activation = activation.unwrap_or(parts.encoder.activation);
    Ok(Bundle::new(parts)?)
}

/// Text of ordinary words, to be cut to any length.
const TEXT: &str = "A company sells three kinds of boxes and wants to know how many of each it should make next month, given \
    the orders of the last year, the price of paper, and the time that one worker needs for a box. Explain step by step. ";

/// Token ids of a text of this length.
pub(super) fn ids(router: &PrivateRouter, tokens: usize) -> anyhow::Result<Vec<u32>> {
    ids_after(router, tokens, 0)
}

/// Token ids of a text of this length that begins so many words later: another for each number of words below 40.
pub(super) fn ids_after(router: &PrivateRouter, tokens: usize, words: usize) -> anyhow::Result<Vec<u32>> {
    let text: Vec<String> = TEXT.repeat(9).split_whitespace().skip(words).map(str::to_owned).collect();
    let mut ids = router.tokens(&text.join(" "))?.ids;
    let end = ids.last().copied().context("the text has tokens")?;
    ids.truncate(tokens - 1);
    ids.push(end);
    Ok(ids)
}

/// Refuses lengths that no prompt has.
pub(super) fn check_tokens(tokens: &[usize]) -> anyhow::Result<()> {
    match tokens.iter().find(|tokens| !(3..=tokenizer::MAX_TOKENS).contains(*tokens)) {
        Some(tokens) => anyhow::bail!("--tokens {tokens}: expected 3 to {}", tokenizer::MAX_TOKENS),
        None => Ok(()),
    }
}

/// Several runs of one task.
pub(super) struct Runs {
    offline: Vec<Duration>,
    online: Vec<Duration>,
    clear: Vec<Duration>,
    communication: Vec<Duration>,
    computation: Vec<Duration>,
    openings: u32,
    bytes: Bytes,
    /// Whether every chosen one was the clear interpreter's.
    agreed: bool,
    /// The least cosine of opened values with the clear ones; 1 where there are none.
    pub(super) cosine: f64,
}

impl Runs {
    /// What they took, all checks passed or not.
    pub(super) fn figures(&self, router: &PrivateRouter, scene: SceneName) -> Figures {
        Figures {
            scene: scene.name(),
            ms: self.medians(),
            openings: self.openings,
            bytes: self.bytes,
            peak_mib: router.peak_memory(),
            checked: self.agreed && self.cosine >= SAME,
            runs: u32::try_from(self.online.len()).unwrap_or(u32::MAX),
        }
    }

    fn medians(&self) -> Medians {
        let median = |times: &[Duration]| {
            let mut sorted = times.to_vec();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).map_or(f64::NAN, |time| (time.as_secs_f64() * 1e6).round() / 1000.0)
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
    router: &PrivateRouter,
    task: impl Into<Work>,
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
        cosine: 1.0,
    };
    let task = task.into();
    for run in 1..=runs {
        progress(run);
        let (expected, clear) = router.clear(task, inputs.to_vec())?;
        let outcome = router.private(router.request(task, 1)?, inputs)?;
        let SessionOutcome { output, offline, online, servers: [zero, one], bytes_sent, .. } = outcome;
        result.agreed &= output.bits == expected.bits;
        if !expected.values.is_empty() {
            result.cosine = result.cosine.min(cosine(&output, &expected));
        }
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
pub(in crate::commands) fn cosine(a: &Output, b: &Output) -> f64 {
    let (a, b) = (a.values.concat(), b.values.concat());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
    // Of something without direction: alike to nothing.
    if cosine.is_nan() { -1.0 } else { cosine }
}

fn mib(peak: &PeakMemory) -> String {
    let show = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |mib| mib.to_string());
    format!("{}/{}/{}/{}", show(peak.server0), show(peak.server1), show(peak.dealer), show(peak.client))
}

impl Figures {
    /// What the text output says.
    pub(super) fn line(&self) -> String {
        let Figures { ms, openings, bytes, .. } = self;
        let scene = if self.scene == SceneName::Loopback.name() { "" } else { &format!("{}: ", self.scene) };
        format!(
            "{scene}online {:.1} ms, offline {:.1} ms, clear {:.2} ms ({:.1}x); {openings} openings; bytes: servers {} + {}, client \
             {}, material {}; peak MiB (server 0/1, dealer, client) {}; {}",
            ms.online,
            ms.offline,
            ms.clear,
            ms.online / ms.clear,
            bytes.server0_sent,
            bytes.server1_sent,
            bytes.client_sent,
            bytes.material,
            mib(&self.peak_mib),
            if self.checked { "answer checked" } else { "WRONG ANSWER" }
        )
    }

    /// Fails if an answer was not the clear one.
    pub(super) fn confirm(&self, what: &str) -> anyhow::Result<()> {
        if !self.checked {
            anyhow::bail!("the private answer ({what}) is not the clear one; please report this");
        }
        Ok(())
    }
}

/// Prints one measurement.
pub(super) fn print(json: bool, measurement: &impl Serialize, line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(measurement)?)?;
    } else {
        writeln!(out, "{line}")?;
    }
    // Each measurement takes a while: none waits for the next to be seen.
    Ok(out.flush()?)
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
            cosine: 1.0,
        };
        assert!((runs.medians().online - 20.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_cosine_of_parallel_vectors_is_one() {
        let of = |values: [f64; 2]| Output { values: vec![values.to_vec()], bits: Vec::new() };
        assert!((cosine(&of([1.0, 2.0]), &of([2.0, 4.0])) - 1.0).abs() < 1e-12);
        assert!(cosine(&of([1.0, 0.0]), &of([0.0, 1.0])).abs() < 1e-12);
        assert!(cosine(&of([0.0, 0.0]), &of([0.0, 1.0])) < 0.0);
    }
}
