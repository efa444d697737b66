//! What has to hold after a list, whatever was done.

use crate::bundle::{CANARY, Reference, Text};
use crate::crew::{Call, DEADLINE, Outcome};
use crate::deployment::Deployment;
use crate::driver::{Event, Told};
use crate::gateway::UNROUTED;
use crate::lane::{Lane, PARTIES};
use crate::ledger::named;
use crate::operation::GATEWAY;
use crate::process::Resources;
use crate::report::{Recovery, recoveries};
use crate::sessions::{Sessions, kept, sessions};
use anyhow::Context;
use blindroute_runtime::{Role, SessionId};
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

/// Codes that an error may have: those of the library, and what a gateway says of its own, or nothing because it is down.
const CODES: [&str; 6] = ["session", "no_pair", "cancelled", "unknown_client", UNROUTED, "unreachable"];

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
    /// Of these, how many by each version of the bundle.
    pub versions: [usize; 2],
    /// Texts that got an error, by its code.
    pub errors: BTreeMap<&'static str, usize>,
    /// Sessions that dealers entered in their ledgers.
    pub generated: usize,
    /// Of these, sessions that both servers served.
    pub used: usize,
    /// Of these, sessions whose material both servers still have in store.
    pub stored: usize,
    /// Of these, the others: consumed without an answer of both.
    pub burnt: usize,
    /// Sessions of clients that took stored material.
    pub from_store: usize,
    /// Servers with an old ledger that served nothing, although sessions were asked of them.
    pub refused: usize,
    /// How long after each fault its lane answered again.
    pub recoveries: Vec<Recovery>,
    /// The most descriptors and kibibytes that a party held more at the end than after its first sessions.
    pub growth: (i64, i64),
}

/// Whether a process holds no more than what is said above, in descriptors and in memory.
pub(crate) fn is_flat(first: &Resources, last: &Resources) -> [bool; 2] {
    let memory = first.resident_kib * 3 / 2 + MEMORY_KIB;
    [last.descriptors <= first.descriptors + DESCRIPTORS, last.resident_kib <= memory]
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
    calls(&mut checked, &told, &reference.texts);
    resources(&mut checked, &told);
    for (number, lane) in deployment.lanes.iter_mut().enumerate() {
        for role in PARTIES {
            let status = lane.stop(role)?;
            if status != Some(0) {
                checked.violations.push(format!("lane {number}: {role} ended with status {status:?} when asked to"));
            }
        }
    }
    if let Some(gateway) = &mut deployment.gateway {
        let status = gateway.process.stop()?;
        if status != Some(0) {
            checked.violations.push(format!("the gateway ended with status {status:?} when asked to"));
        }
        let log = gateway.process.log();
        if log.canaries > 0 {
            checked.violations.push(format!("{} lines of the log of the gateway hold a text", log.canaries));
        }
        checked.violations.extend(log.panics.iter().map(|line| format!("the gateway: {line}")));
        let found = with_canary(&gateway.home)?;
        checked.violations.extend(found.map(|file| format!("a text is in {file}")));
    }
    if let Some(left) = processes_of(deployment.home.path())?.first() {
        checked.violations.push(format!("a process is left: {left}"));
    }
    let mut seen: HashSet<SessionId> = HashSet::new();
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
fn calls(checked: &mut Checked, told: &Told, texts: &[Text]) {
    for call in &told.calls {
        let took = call.ended - call.began;
        if took > DEADLINE + SLACK {
            checked.violations.push(format!("a call of client {} took {took:?}", call.client));
        }
        let of_client = || told.revoked.iter().filter(|(client, ..)| *client == call.client);
        let while_revoked = of_client().any(|(_, from, to)| call.began > *from && to.is_none_or(|to| call.began < to));
        let excused = of_client().any(|(_, from, _)| call.ended > *from)
            || call.lanes.iter().all(|lane| told.events.iter().any(|event| disturbs(event, *lane, call)))
            || (call.by_gateway && told.events.iter().any(|event| was_down(event, call)));
        for (text, outcome) in &call.outcomes {
            match outcome {
                Outcome::Answer { model, lane, version } => {
                    let by = lane.map_or("the gateway".to_owned(), |lane| format!("lane {lane}"));
                    checked.answers += 1;
                    checked.versions[*version] += 1;
                    let expected = &texts[text % texts.len()].models[*version];
                    if model != expected {
                        checked
                            .violations
                            .push(format!("WRONG ANSWER of {by}: {model}, expected {expected} by version {version}"));
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
                    if !CODES.contains(code) || !excused {
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

/// Whether the gateway was down while it was called.
fn was_down(event: &Event, call: &Call) -> bool {
    event.kind == GATEWAY && event.began < call.ended && event.over.is_none_or(|over| call.began < over)
}

fn resources(checked: &mut Checked, told: &Told) {
    for (name, first, last) in &told.resources {
        let [descriptors, memory] = is_flat(first, last);
        if !descriptors {
            let (first, last) = (first.descriptors, last.descriptors);
            checked.violations.push(format!("{name} had {first} descriptors, and {last} at the end"));
        }
        if !memory {
            let (first, last) = (first.resident_kib, last.resident_kib);
            checked.violations.push(format!("{name} had {first} KiB, and {last} KiB at the end"));
        }
        let descriptors = last.descriptors as i64 - first.descriptors as i64;
        let memory = last.resident_kib as i64 - first.resident_kib as i64;
        checked.growth = (checked.growth.0.max(descriptors), checked.growth.1.max(memory));
    }
}

/// Reads the ledgers of a lane and its logs, and compares them. Gives all sessions of the lane.
fn ledgers(checked: &mut Checked, number: usize, lane: &Lane, calls: &[Call]) -> anyhow::Result<HashSet<SessionId>> {
    let mut parties = Vec::new();
    for role in PARTIES {
        let party = lane.party(role);
        let claimed = party.claimed()?.into_iter().map(|session| (named(session), session)).collect();
        let log = party.process.log();
        if log.canaries > 0 {
            checked.violations.push(format!("lane {number}: {} lines of the log of {role} hold a text", log.canaries));
        }
        checked.violations.extend(log.panics.iter().map(|line| format!("lane {number}: {role}: {line}")));
        let (finished, stored) = (log.finished.clone(), log.stored.clone());
        parties.push(Sessions { role, claimed, finished, stored, kept: kept(&party.store())? });
    }
    let answered = |call: &&Call| {
        call.outcomes
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Answer { lane, .. } if *lane == Some(number)))
    };
    let answered = calls.iter().filter(answered).count();
    let all = parties.iter().flat_map(|party| party.claimed.values().copied()).collect();
    if let [dealer, zero, one] = parties.as_slice() {
        let wrong = sessions(checked, [dealer, zero, one], answered);
        checked.violations.extend(wrong.into_iter().map(|wrong| format!("lane {number}: {wrong}")));
    }
    Ok(all)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn wrong_late_and_unexplained_outcomes_are_found() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let text = Text { text: CANARY.to_owned(), models: ["right", "other"].map(str::to_owned), margin: 1.0 };
        let by = |version, model: &str| Outcome::Answer { model: model.to_owned(), lane: Some(1), version };
        let answer = |model| by(0, model);
        let error = |code, message: &str| Outcome::Error { code, message: message.to_owned() };
        let fault = |lane| Event::in_lane("kill", lane, began, Some(after(1)));
        let told_by = |by_gateway, outcome, seconds: u64, events: Vec<Event>, revoked: Option<u64>| {
            let (lanes, outcomes) = (vec![0, 1], vec![(0, outcome)]);
            let call = Call { client: 3, lanes, by_gateway, began: after(2), ended: after(2 + seconds), outcomes };
            let revoked = revoked.map(|from| (3, after(from), None)).into_iter().collect();
            let told = Told { calls: vec![call], events, revoked, ..Told::default() };
            let mut checked = Checked::default();
            calls(&mut checked, &told, std::slice::from_ref(&text));
            checked.violations.join("; ")
        };
        let told = |outcome, seconds, events, revoked| told_by(false, outcome, seconds, events, revoked);
        let both = || vec![fault(0), fault(1)];
        assert_eq!(told(answer("right"), 1, Vec::new(), None), "");
        assert!(told(answer("left"), 1, both(), None).contains("WRONG ANSWER of lane 1: left, expected right"));
        assert_eq!(told(by(1, "other"), 1, Vec::new(), None), "");
        assert!(told(by(1, "right"), 1, Vec::new(), None).contains("expected other by version 1"));
        assert!(told(answer("right"), 60, both(), None).contains("took"));
        assert!(told(answer("right"), 1, Vec::new(), Some(1)).contains("after it was revoked"));
        assert_eq!(told(answer("right"), 1, Vec::new(), Some(3)), "");
        assert_eq!(told(error("no_pair", "x"), 1, both(), None), "");
        assert!(told(error("no_pair", "x"), 1, vec![fault(0)], None).contains("without a fault in each of its lanes"));
        assert_eq!(told(error("no_pair", "x"), 1, Vec::new(), Some(1)), "");
        assert!(told(error("no_choice", "x"), 1, both(), None).contains("of an unexpected kind"));
        assert!(told(error("session", CANARY), 1, both(), None).contains("holds a text"));
        let down = |from, to| vec![Event::of_no_lane(GATEWAY, after(from), Some(after(to)))];
        assert_eq!(told_by(true, error("unreachable", "x"), 1, down(1, 4), None), "");
        assert!(told_by(true, error("unreachable", "x"), 1, down(0, 1), None).contains("without a fault"));
        assert!(told(error("unreachable", "x"), 1, down(1, 4), None).contains("without a fault"));
    }
}
