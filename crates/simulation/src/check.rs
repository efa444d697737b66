//! What has to hold after a list, whatever was done.

use crate::bundle::{CANARY, Reference, Text};
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
fn calls(checked: &mut Checked, told: &Told, texts: &[Text]) {
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
                    let expected = &texts[text % texts.len()].model;
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

/// Reads the ledgers of a lane and its logs, and compares them. Gives all sessions of the lane.
fn ledgers(checked: &mut Checked, number: usize, lane: &Lane, calls: &[Call]) -> anyhow::Result<HashSet<String>> {
    let of = |role| anyhow::Ok(lane.party(role).claimed()?);
    let claimed = [of(Role::Dealer)?, of(Role::Server0)?, of(Role::Server1)?];
    let finished = PARTIES.map(|role| lane.party(role).log().finished.clone());
    for role in PARTIES {
        let log = lane.party(role).log();
        if log.canaries > 0 {
            checked.violations.push(format!("lane {number}: {} lines of the log of {role} hold a text", log.canaries));
        }
        checked.violations.extend(log.panics.iter().map(|line| format!("lane {number}: {role}: {line}")));
    }
    let answered = |call: &&Call| {
        call.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Answer { lane, .. } if *lane == number))
    };
    let wrong = sessions(checked, &claimed, &finished, calls.iter().filter(answered).count());
    checked.violations.extend(wrong.into_iter().map(|wrong| format!("lane {number}: {wrong}")));
    Ok(claimed.into_iter().flatten().collect())
}

/// Counts a lane's sessions, and says what is wrong with them: those that were entered in the ledgers of dealer, server 0 and server 1,
/// and those that each finished. No session is used twice, and none is lost that was served.
fn sessions(
    checked: &mut Checked,
    claimed: &[HashSet<String>; 3],
    finished: &[Vec<String>; 3],
    answered: usize,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((role, claimed), finished) in PARTIES.iter().zip(claimed).zip(finished) {
        let mut once = HashSet::new();
        if let Some(twice) = finished.iter().find(|session| !once.insert(*session)) {
            wrong.push(format!("{role} used session {twice} TWICE"));
        }
        if let Some(lost) = finished.iter().find(|session| !claimed.contains(*session)) {
            wrong.push(format!("{role} used session {lost}, which is in none of its ledgers"));
        }
    }
    let [dealer, zero, one] = claimed;
    let [_, served_zero, served_one] = finished.each_ref().map(|finished| finished.iter().collect::<HashSet<_>>());
    if !served_zero.union(&served_one).all(|session| dealer.contains(*session)) {
        wrong.push("a session was served that the dealer never entered".to_owned());
    }
    let used = served_zero.intersection(&served_one).count();
    let in_all = dealer.iter().filter(|session| zero.contains(*session) && one.contains(*session)).count();
    if answered > in_all {
        wrong.push(format!("{answered} calls were answered by {in_all} sessions"));
    }
    checked.generated += dealer.len();
    checked.used += used;
    checked.burnt += dealer.len() - used.min(dealer.len());
    wrong
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

    fn set(all: &[&str]) -> HashSet<String> {
        all.iter().map(|session| (*session).to_owned()).collect()
    }

    fn list(all: &[&str]) -> Vec<String> {
        all.iter().map(|session| (*session).to_owned()).collect()
    }

    #[test]
    fn sessions_that_are_used_twice_lost_or_made_up_are_found() {
        let told = |claimed: [&[&str]; 3], finished: [&[&str]; 3], answered| {
            let mut checked = Checked::default();
            let wrong = sessions(&mut checked, &claimed.map(set), &finished.map(list), answered);
            (wrong.join("; "), [checked.generated, checked.used, checked.burnt])
        };
        let all: [&[&str]; 3] = [&["a", "b", "c"]; 3];
        assert_eq!(told(all, [&["a", "b"], &["a", "b"], &["a"]], 1), (String::new(), [3, 1, 2]));
        assert!(told(all, [&[], &["a", "b", "a"], &["a"]], 0).0.contains("server0 used session a TWICE"));
        assert!(
            told([&["a"], &["a"], &[]], [&[], &["a"], &["a"]], 0)
                .0
                .contains("server1 used session a, which is in none")
        );
        assert!(told([&[], &["a"], &["a"]], [&[], &["a"], &[]], 0).0.contains("the dealer never entered"));
        assert!(told(all, [&["a"], &["a"], &["a"]], 4).0.contains("4 calls were answered by 3 sessions"));
    }

    #[test]
    fn wrong_late_and_unexplained_outcomes_are_found() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let text = Text { text: CANARY.to_owned(), model: "right".to_owned(), margin: 1.0 };
        let answer = |model: &str| Outcome::Answer { model: model.to_owned(), lane: 1 };
        let error = |code, message: &str| Outcome::Error { code, message: message.to_owned() };
        let fault = |lane| Event::in_lane("kill", lane, began, Some(after(1)));
        let told = |outcome, seconds: u64, events: Vec<Event>, revoked: Option<u64>| {
            let (lanes, outcomes) = (vec![0, 1], vec![(0, outcome)]);
            let call = Call { client: 3, lanes, began: after(2), ended: after(2 + seconds), outcomes };
            let revoked = revoked.map(|from| (3, after(from), None)).into_iter().collect();
            let told = Told { calls: vec![call], events, revoked, ..Told::default() };
            let mut checked = Checked::default();
            calls(&mut checked, &told, std::slice::from_ref(&text));
            checked.violations.join("; ")
        };
        let both = || vec![fault(0), fault(1)];
        assert_eq!(told(answer("right"), 1, Vec::new(), None), "");
        assert!(told(answer("left"), 1, both(), None).contains("WRONG ANSWER of lane 1: left, expected right"));
        assert!(told(answer("right"), 60, both(), None).contains("took"));
        assert!(told(answer("right"), 1, Vec::new(), Some(1)).contains("after it was revoked"));
        assert_eq!(told(answer("right"), 1, Vec::new(), Some(3)), "");
        assert_eq!(told(error("no_pair", "x"), 1, both(), None), "");
        assert!(told(error("no_pair", "x"), 1, vec![fault(0)], None).contains("without a fault in each of its lanes"));
        assert_eq!(told(error("no_pair", "x"), 1, Vec::new(), Some(1)), "");
        assert!(told(error("no_choice", "x"), 1, both(), None).contains("of an unexpected kind"));
        assert!(told(error("session", CANARY), 1, both(), None).contains("holds a text"));
    }
}
