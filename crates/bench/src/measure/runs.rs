//! Several runs of one task, each checked, and their medians.

use super::{SAME, cosine};
use blindroute_placement::{Bytes, PeakMemory, PrivateRouter};
use blindroute_protocol::Tensor;
use blindroute_routing::program::{SessionRequest, embedding};
use blindroute_runtime::SceneName;
use blindroute_runtime::SessionOutcome;
use serde::Serialize;
use std::time::Duration;

/// Times in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Medians {
    pub(crate) offline: f64,
    pub(crate) online: f64,
    pub(crate) clear: f64,
    /// A server's online time inside exchanges with the other: sending, and waiting for its messages.
    pub(crate) communication: f64,
    /// The rest of a server's online time.
    pub(crate) computation: f64,
}

/// What one task took in several runs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) scene: &'static str,
    pub(crate) ms: Medians,
    pub(crate) openings: u32,
    pub(crate) bytes: Bytes,
    pub(crate) peak_mib: PeakMemory,
    pub(crate) checked: bool,
    pub(crate) runs: u32,
}

/// Several runs of one task.
pub(crate) struct Runs {
    offline: Vec<Duration>,
    online: Vec<Duration>,
    clear: Vec<Duration>,
    communication: Vec<Duration>,
    computation: Vec<Duration>,
    openings: u32,
    bytes: Bytes,
    /// Whether every chosen one was the clear interpreter's.
    agreed: bool,
    /// The smallest cosine of opened values with the clear ones; 1 where there are none.
    pub(crate) cosine: f64,
}

impl Runs {
    /// What they took, all checks passed or not.
    pub(crate) fn figures(&self, router: &PrivateRouter, scene: SceneName) -> Figures {
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

/// Runs a request under MPC and in the clear, and compares.
pub(crate) fn measure(
    router: &PrivateRouter,
    request: SessionRequest,
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
    for run in 1..=runs {
        progress(run);
        let (expected, clear) = router.clear_request(request, inputs.to_vec())?;
        let outcome = router.private(request, inputs)?;
        let SessionOutcome { output, offline, online, servers: [zero, one], bytes_sent, .. } = outcome;
        result.agreed &= output.bits == expected.bits;
        if !embedding(&expected).is_empty() {
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

fn mib(peak: &PeakMemory) -> String {
    let show = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |mib| mib.to_string());
    format!("{}/{}/{}/{}", show(peak.server0), show(peak.server1), show(peak.dealer), show(peak.client))
}

impl Figures {
    /// What the text output says.
    pub(crate) fn line(&self) -> String {
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
    pub(crate) fn confirm(&self, what: &str) -> anyhow::Result<()> {
        if !self.checked {
            anyhow::bail!("the private answer ({what}) is not the clear interpreter's; please report this");
        }
        Ok(())
    }
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
}
