//! What has to hold after a list, whatever was done.

use crate::bundle::{CANARY, Reference};
use crate::crew::{Call, DEADLINE, Outcome};
use crate::deployment::Deployment;
use crate::driver::{Event, Told};
use crate::lane::{Lane, PARTIES};
use crate::report::{Recovery, recoveries};
use anyhow::Context;
use blindroute_runtime::Role;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// How long after a fault a call may still fail by it: the waits of a client for a server that says nothing, and the pause in which it
/// skips a pair that failed.
const AFTERWARDS: Duration = Duration::from_secs(30);
/// A call that was given up ends within that.
const SLACK: Duration = Duration::from_secs(8);
/// Descriptors that a party may have more than after its first sessions: lanes between servers that are kept for the next session.
const DESCRIPTORS: usize = 16;
/// A party's memory at the end may be one and a half times that after its first sessions, and this.
const MEMORY_KIB: u64 = 32 << 10;

/// What a list came to, checked.
#[derive(Debug, Default)]
pub struct Checked {
    /// What must not be. Empty if all is well.
    pub violations: Vec<String>,
    /// What could not be done.
    pub skipped: Vec<String>,
    /// How often each kind of fault or change happened.
    pub faults: BTreeMap<&'static str, usize>,
    /// Texts that were answered.
    pub answers: usize,
    /// Texts that got an error, by its code.
    pub errors: BTreeMap<&'static str, usize>,
    /// Sessions that dealers entered in their ledgers.
    pub generated: usize,
    /// Of these, sessions that both servers served.
    pub used: usize,
    /// Of these, the others: consumed without an answer of both.
    pub burnt: usize,
    /// Servers with an old ledger that served nothing, although sessions were asked of them.
    pub refused: usize,
    /// How long after each fault its lane answered again.
    pub recoveries: Vec<Recovery>,
    /// The most descriptors and kibibytes that a party held more at the end than after its first sessions.
    pub growth: (i64, i64),
}

pub(crate) fn is_flat(first: usize, last: usize) -> bool {
    last <= first + DESCRIPTORS
}

/// Ends the deployment, and checks everything.
pub(crate) fn all(mut deployment: Deployment, told: Told, reference: &Reference) -> anyhow::Result<Checked> {
    let mut checked = Checked { recoveries: recoveries(&told.events, &told.calls), ..Checked::default() };
    for event in &told.events {
        *checked.faults.entry(event.kind).or_default() += 1;
    }
    let revoked = told.revoked.len();
    if revoked > 0 {
        checked.faults.insert("revoke", revoked);
    }
    calls(&mut checked, &told, reference);
    resources(&mut checked, &told);
    for (number, lane) in deployment.lanes.iter_mut().enumerate() {
        for role in PARTIES {
            let status = lane.stop(role)?;
            if status != Some(0) {
                checked.violations.push(format!("lane {number}: {role} ended with status {status:?} when asked to"));
            }
        }
    }
    if let Some(left) = processes_of(deployment.home.path())?.first() {
        checked.violations.push(format!("a process is left: {left}"));
    }
    let mut seen: HashSet<String> = HashSet::new();
    for (number, lane) in deployment.lanes.iter().enumerate() {
        let all = ledgers(&mut checked, number, lane, &told.calls)?;
        if all.iter().any(|session| seen.contains(session)) {
            checked.violations.push(format!("lane {number}: a session of it is in another lane's ledgers too"));
        }
        seen.extend(all);
        for folder in PARTIES.map(Role::name) {
            if let Some(file) = with_canary(&lane.home().join(folder))? {
                checked.violations.push(format!("lane {number}: a text is in {file}"));
            }
        }
    }
    checked.violations.extend(told.violations);
    (checked.skipped, checked.refused) = (told.skipped, told.refused);
    Ok(checked)
}

/// Answers are the clear ones, errors have a reason, and both come in time.
fn calls(checked: &mut Checked, told: &Told, reference: &Reference) {
    for call in &told.calls {
        let took = call.ended - call.began;
        if took > DEADLINE + SLACK {
            checked.violations.push(format!("a call of client {} took {took:?}", call.client));
        }
        let of_client = || told.revoked.iter().filter(|(client, ..)| *client == call.client);
        let while_revoked = of_client().any(|(_, from, to)| call.began > *from && to.is_none_or(|to| call.began < to));
        let excused = of_client().any(|(_, from, _)| call.ended > *from)
            || call.lanes.iter().all(|lane| told.events.iter().any(|event| disturbs(event, *lane, call)));
        for (text, outcome) in &call.outcomes {
            match outcome {
                Outcome::Answer { model, lane } => {
                    checked.answers += 1;
                    let expected = &reference.texts[text % reference.texts.len()].model;
                    if model != expected {
                        checked.violations.push(format!("WRONG ANSWER of lane {lane}: {model}, expected {expected}"));
                    }
                    if while_revoked {
                        checked.violations.push(format!("client {} was answered after it was revoked", call.client));
                    }
                }
                Outcome::Error { code, message } => {
                    *checked.errors.entry(code).or_default() += 1;
                    if message.contains(CANARY) {
                        checked.violations.push(format!("an error of kind {code} holds a text"));
                    }
                    if !["session", "no_pair", "cancelled", "unknown_client"].contains(code) || !excused {
                        let reason =
                            if excused { "of an unexpected kind" } else { "without a fault in each of its lanes" };
                        checked.violations.push(format!("an error {reason} after {took:?}: {code}: {message}"));
                    }
                }
            }
        }
    }
}

/// Whether a fault of this lane may be why a call failed.
fn disturbs(event: &Event, lane: usize, call: &Call) -> bool {
    let over = event.over.is_none_or(|over| call.began < over + AFTERWARDS);
    event.lane == Some(lane) && event.began < call.ended && over
}

fn resources(checked: &mut Checked, told: &Told) {
    for (lane, role, first, last) in &told.resources {
        if !is_flat(first.descriptors, last.descriptors) {
            let (first, last) = (first.descriptors, last.descriptors);
            checked.violations.push(format!("lane {lane}: {role} had {first} descriptors, and {last} at the end"));
        }
        if last.resident_kib > first.resident_kib * 3 / 2 + MEMORY_KIB {
            let (first, last) = (first.resident_kib, last.resident_kib);
            checked.violations.push(format!("lane {lane}: {role} had {first} KiB, and {last} KiB at the end"));
        }
        let descriptors = last.descriptors as i64 - first.descriptors as i64;
        let memory = last.resident_kib as i64 - first.resident_kib as i64;
        checked.growth = (checked.growth.0.max(descriptors), checked.growth.1.max(memory));
    }
}

/// No session is used twice, and none is lost that was served. Gives all sessions of the lane.
fn ledgers(checked: &mut Checked, number: usize, lane: &Lane, calls: &[Call]) -> anyhow::Result<HashSet<String>> {
    let mut claimed = Vec::new();
    let mut finished = Vec::new();
    for role in PARTIES {
        let party = lane.party(role);
        let sessions = party.claimed()?;
        let log = party.log();
        let once: HashSet<String> = log.finished.iter().cloned().collect();
        if once.len() < log.finished.len() {
            checked.violations.push(format!("lane {number}: {role} used a session TWICE"));
        }
        if let Some(lost) = once.iter().find(|session| !sessions.contains(*session)) {
            checked
                .violations
                .push(format!("lane {number}: {role} used session {lost}, which is in none of its ledgers"));
        }
        if log.canaries > 0 {
            checked.violations.push(format!("lane {number}: {} lines of the log of {role} hold a text", log.canaries));
        }
        checked.violations.extend(log.panics.iter().map(|line| format!("lane {number}: {role}: {line}")));
        claimed.push(sessions);
        finished.push(once);
    }
    let [dealer, zero, one] = claimed.as_slice() else { anyhow::bail!("a lane has three parties") };
    let [_, served_zero, served_one] = finished.as_slice() else { anyhow::bail!("a lane has three parties") };
    if !served_zero.union(served_one).all(|session| dealer.contains(session)) {
        checked.violations.push(format!("lane {number}: a session was served that the dealer never entered"));
    }
    let used = served_zero.intersection(served_one).count();
    let in_all = dealer.iter().filter(|session| zero.contains(*session) && one.contains(*session)).count();
    let answered = |call: &&Call| {
        call.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Answer { lane, .. } if *lane == number))
    };
    let answered = calls.iter().filter(answered).count();
    if answered > in_all {
        checked.violations.push(format!("lane {number}: {answered} calls were answered by {in_all} sessions"));
    }
    checked.generated += dealer.len();
    checked.used += used;
    checked.burnt += dealer.len() - used;
    Ok(claimed.into_iter().flatten().collect())
}

/// The command lines of processes that name this folder.
fn processes_of(home: &Path) -> anyhow::Result<Vec<String>> {
    let home = home.to_str().context("the folder's path is not UTF-8")?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(home) {
            found.push(line);
        }
    }
    Ok(found)
}

/// A file below a folder that holds a text.
fn with_canary(folder: &Path) -> anyhow::Result<Option<String>> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let found = if entry.file_type()?.is_dir() {
            with_canary(&entry.path())?
        } else {
            let bytes = std::fs::read(entry.path())?;
            // The public part holds the vocabulary, and with it the word.
            let public = entry.file_name() == "public.bin";
            let found = !public && bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            found.then(|| entry.path().display().to_string())
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
