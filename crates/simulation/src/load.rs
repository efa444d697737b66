//! A deployment under load, without faults.

use crate::bundle::{Reference, options};
use crate::crew::{Outcome, connect, outcome};
use crate::deployment::{Deployment, Settings};
use crate::lane::PARTIES;
use crate::process::Resources;
use blindroute_placement::PrivateRouter;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Registered clients; several threads use each.
const CLIENTS: usize = 8;
/// Measurements of memory in the whole time.
const SAMPLES: u32 = 20;
/// The part of the samples before memory is expected to be level.
const WARMING: usize = 4;

/// What clients met.
#[derive(Debug, Default)]
struct Met {
    /// Of answers, in milliseconds.
    times: Vec<u32>,
    errors: BTreeMap<&'static str, (usize, String)>,
    wrong: usize,
}

/// How a load went.
#[derive(Debug)]
pub struct Load {
    /// Threads that routed one text after the other.
    pub callers: usize,
    /// How long.
    pub time: Duration,
    /// Milliseconds of each answer, sorted.
    pub times: Vec<u32>,
    /// Errors by code: how many, and the text of the first.
    pub errors: BTreeMap<&'static str, (usize, String)>,
    /// Answers that were not the clear ones.
    pub wrong: usize,
    /// Of each lane and party: memory and descriptors when it was warm, and at the end.
    pub resources: Vec<(String, Resources, Resources)>,
}

/// Keeps `callers` threads routing for this time.
///
/// # Errors
/// If the deployment cannot be made, or a party ends.
pub fn load(settings: &Settings, reference: &Arc<Reference>, callers: usize, time: Duration) -> anyhow::Result<Load> {
    let settings = Settings { clients: CLIENTS, faults: false, ..settings.clone() };
    let mut deployment = Deployment::make(&settings, reference)?;
    deployment.start_all()?;
    let routers = (0..CLIENTS)
        .map(|client| connect(&deployment.lanes.iter().map(|lane| lane.client(client, 0)).collect::<Vec<_>>()))
        .collect::<anyhow::Result<Vec<PrivateRouter>>>()?;
    let (met, until) = (Mutex::new(Met::default()), Instant::now() + time);
    let samples = std::thread::scope(|scope| {
        for caller in 0..callers {
            let (router, met) = (&routers[caller % CLIENTS], &met);
            scope.spawn(move || call(router, reference, caller, until, met));
        }
        let mut samples = Vec::new();
        for _ in 0..SAMPLES {
            std::thread::sleep(time / SAMPLES);
            samples.push(sample(&mut deployment)?);
        }
        anyhow::Ok(samples)
    })?;
    let Met { mut times, errors, wrong } = met.into_inner().unwrap_or_else(PoisonError::into_inner);
    times.sort_unstable();
    let warm = samples.get(WARMING).into_iter().flatten();
    let resources = warm.zip(samples.last().into_iter().flatten());
    let resources = resources.map(|((name, warm), (_, last))| (name.clone(), *warm, *last)).collect();
    Ok(Load { callers, time, times, errors, wrong, resources })
}

/// One caller, which has one text routed after the other.
fn call(router: &PrivateRouter, reference: &Reference, caller: usize, until: Instant, met: &Mutex<Met>) {
    let mut texts = reference.texts.iter().cycle().skip(caller);
    while Instant::now() < until {
        let Some(text) = texts.next() else { return };
        let started = Instant::now();
        let told = outcome(router.route(&text.text, &options()));
        let took = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        let mut met = met.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Outcome::Answer { model, version, .. } => {
                met.times.push(took);
                met.wrong += usize::from(model != text.models[version]);
            }
            Outcome::Error { code, message } => met.errors.entry(code).or_insert((0, message)).0 += 1,
        }
    }
}

fn sample(deployment: &mut Deployment) -> anyhow::Result<Vec<(String, Resources)>> {
    let mut all = Vec::new();
    for (number, lane) in deployment.lanes.iter_mut().enumerate() {
        for role in PARTIES {
            all.push((format!("lane {number} {role}"), lane.party_mut(role).process.resources()?));
        }
    }
    Ok(all)
}

impl Load {
    /// The time within which this part of the answers came.
    #[must_use]
    pub fn within(&self, part: f64) -> u32 {
        let place = (self.times.len() as f64 * part) as usize;
        self.times.get(place.min(self.times.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// As an object for programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let resources: Vec<_> = self
            .resources
            .iter()
            .map(|(name, warm, last)| {
                json!({ "party": name, "warm_kib": warm.resident_kib, "end_kib": last.resident_kib,
                        "warm_descriptors": warm.descriptors, "end_descriptors": last.descriptors })
            })
            .collect();
        json!({
            "callers": self.callers, "seconds": self.time.as_secs_f64(), "answers": self.times.len(),
            "per_second": self.times.len() as f64 / self.time.as_secs_f64(),
            "milliseconds": { "median": self.within(0.5), "p99": self.within(0.99), "longest": self.times.last() },
            "wrong": self.wrong, "errors": self.errors, "parties": resources,
        })
    }
}
