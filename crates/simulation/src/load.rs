//! A deployment under load, without faults, and a gateway that more call than it has room for.

use crate::bundle::{Reference, Text, options};
use crate::crew::{Outcome, connect, outcome};
use crate::deployment::{Deployment, Settings};
use crate::gateway::{Address, Gateway, UNROUTED, ask};
use crate::lane::PARTIES;
use crate::process::Resources;
use anyhow::ensure;
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

/// Requests that the gateway has room for at once.
const ROUTES: usize = 4;
/// How long a caller whom the gateway refused waits, as `Retry-After` says.
const RETRY: Duration = Duration::from_secs(1);
/// What the gateway says when it has no room.
const FULL: &str = "requests wait for a route already";

/// Threads that route one text after the other.
#[derive(Clone, Copy, Debug)]
pub struct Callers {
    /// That ask the lanes by the library.
    pub of_lanes: usize,
    /// That ask the gateway, if there is one.
    pub of_gateway: usize,
}

/// What callers met.
#[derive(Debug, Default)]
pub struct Met {
    /// Milliseconds of each answer, sorted.
    pub times: Vec<u32>,
    /// The same, of each time that the gateway had no room and said when to come again.
    pub refused: Vec<u32>,
    /// Errors by code: how many, and the text of the first.
    pub errors: BTreeMap<&'static str, (usize, String)>,
    /// Answers that were not the clear ones.
    pub wrong: usize,
}

/// How a load went.
#[derive(Debug)]
pub struct Load {
    /// Who asked.
    pub callers: Callers,
    /// How long.
    pub time: Duration,
    /// By the library.
    pub lanes: Met,
    /// By the gateway.
    pub gateway: Met,
    /// Sessions in the dealers' ledgers, and those of them that are in both servers' too.
    pub sessions: [usize; 2],
    /// Of each lane and party, and the gateway: memory and descriptors when it was warm, and at the end.
    pub resources: Vec<(String, Resources, Resources)>,
}

/// Keeps these callers routing for this time.
///
/// # Errors
/// If the deployment cannot be made, or a party ends early or with an error, or if there are fewer sessions than answers.
pub fn load(settings: &Settings, reference: &Arc<Reference>, callers: Callers, time: Duration) -> anyhow::Result<Load> {
    let settings = Settings { clients: CLIENTS, faults: false, gateway_routes: ROUTES, ..settings.clone() };
    let mut deployment = Deployment::make(&settings, reference)?;
    deployment.start_all()?;
    deployment.gateway.as_mut().map(Gateway::start).transpose()?;
    let routers = (0..CLIENTS)
        .map(|client| connect(&deployment.lanes.iter().map(|lane| lane.client(client, 0)).collect::<Vec<_>>()))
        .collect::<anyhow::Result<Vec<PrivateRouter>>>()?;
    let (of_lanes, of_gateway) = (Mutex::new(Met::default()), Mutex::new(Met::default()));
    let until = Instant::now() + time;
    let gateway = deployment.gateway.as_ref().map(Gateway::address);
    let samples = std::thread::scope(|scope| {
        for caller in 0..callers.of_lanes {
            let (router, met) = (&routers[caller % CLIENTS], &of_lanes);
            scope.spawn(move || call(router, reference, caller, until, met));
        }
        for (caller, address) in (0..callers.of_gateway).zip(gateway.iter().cycle()) {
            let met = &of_gateway;
            scope.spawn(move || call_gateway(address, reference, caller, until, met));
        }
        let mut samples = Vec::new();
        for _ in 0..SAMPLES {
            std::thread::sleep(time / SAMPLES);
            samples.push(sample(&mut deployment)?);
        }
        anyhow::Ok(samples)
    })?;
    drop(routers);
    let [lanes, gateway] = [of_lanes, of_gateway].map(|met| {
        let mut met = met.into_inner().unwrap_or_else(PoisonError::into_inner);
        met.times.sort_unstable();
        met.refused.sort_unstable();
        met
    });
    let sessions = end(&mut deployment)?;
    let answers = lanes.times.len() + gateway.times.len();
    ensure!(answers <= sessions[1], "{answers} answers came from {} sessions", sessions[1]);
    let warm = samples.get(WARMING).into_iter().flatten();
    let resources = warm.zip(samples.last().into_iter().flatten());
    let resources = resources.map(|((name, warm), (_, last))| (name.clone(), *warm, *last)).collect();
    Ok(Load { callers, time, lanes, gateway, sessions, resources })
}

/// One caller, which has one text routed after the other.
fn call(router: &PrivateRouter, reference: &Reference, caller: usize, until: Instant, met: &Mutex<Met>) {
    for place in caller.. {
        if Instant::now() >= until {
            return;
        }
        let text = reference.text(place);
        let started = Instant::now();
        let told = outcome(router.route(&text.text, &options()));
        note(met, text, told, started.elapsed());
    }
}

/// One caller of the gateway, which comes again with the same text when it was refused.
fn call_gateway(address: &Address, reference: &Reference, caller: usize, until: Instant, met: &Mutex<Met>) {
    for place in caller.. {
        loop {
            if Instant::now() >= until {
                return;
            }
            let text = reference.text(place);
            let started = Instant::now();
            let told = ask(address, text, &format!("{caller}-{place}"));
            if note(met, text, told, started.elapsed()) {
                break;
            }
            std::thread::sleep(RETRY);
        }
    }
}

/// Adds what came of a call, and says whether it is over.
fn note(met: &Mutex<Met>, text: &Text, told: Outcome, took: Duration) -> bool {
    let took = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
    let mut met = met.lock().unwrap_or_else(PoisonError::into_inner);
    match told {
        Outcome::Answer { model, version, .. } => {
            met.times.push(took);
            met.wrong += usize::from(model != text.models[version]);
        }
        Outcome::Error { code: UNROUTED, message } if message.contains(FULL) => {
            met.refused.push(took);
            return false;
        }
        Outcome::Error { code, message } => met.errors.entry(code).or_insert((0, message)).0 += 1,
    }
    true
}

/// Ends everything, and counts the sessions of the ledgers.
fn end(deployment: &mut Deployment) -> anyhow::Result<[usize; 2]> {
    if let Some(gateway) = &mut deployment.gateway {
        let status = gateway.process.stop()?;
        ensure!(status == Some(0), "the gateway ended with status {status:?}");
    }
    let mut sessions = [0; 2];
    for lane in &mut deployment.lanes {
        for role in PARTIES {
            let status = lane.stop(role)?;
            ensure!(status == Some(0), "{role} ended with status {status:?}");
        }
        let [dealt, zero, one] = PARTIES.map(|role| lane.party(role).claimed());
        let (dealt, zero, one) = (dealt?, zero?, one?);
        sessions[0] += dealt.len();
        sessions[1] += dealt.iter().filter(|session| zero.contains(*session) && one.contains(*session)).count();
    }
    Ok(sessions)
}

fn sample(deployment: &mut Deployment) -> anyhow::Result<Vec<(String, Resources)>> {
    let mut all = Vec::new();
    for (number, lane) in deployment.lanes.iter_mut().enumerate() {
        for role in PARTIES {
            all.push((format!("lane {number} {role}"), lane.party_mut(role).process.resources()?));
        }
    }
    if let Some(gateway) = &mut deployment.gateway {
        all.push(("gateway".to_owned(), gateway.process.resources()?));
    }
    Ok(all)
}

/// The time within which this part of the calls was over.
fn within(times: &[u32], part: f64) -> Option<u32> {
    let place = (times.len() as f64 * part) as usize;
    times.get(place.min(times.len().saturating_sub(1))).copied()
}

impl Met {
    fn json(&self, time: Duration) -> serde_json::Value {
        let times = |times: &[u32]| json!({ "median": within(times, 0.5), "p99": within(times, 0.99), "longest": times.last() });
        json!({
            "answers": self.times.len(), "per_second": self.times.len() as f64 / time.as_secs_f64(),
            "milliseconds": times(&self.times), "wrong": self.wrong, "errors": self.errors,
            "refused": self.refused.len(), "refused_milliseconds": times(&self.refused),
        })
    }
}

impl Load {
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
        let [dealt, in_all] = self.sessions;
        json!({
            "callers": self.callers.of_lanes, "callers_of_gateway": self.callers.of_gateway,
            "seconds": self.time.as_secs_f64(), "lanes": self.lanes.json(self.time),
            "gateway": self.gateway.json(self.time),
            "sessions": { "dealt": dealt, "in_all_ledgers": in_all }, "parties": resources,
        })
    }
}
