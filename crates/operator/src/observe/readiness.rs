//! Whether a party takes sessions, from what is known of it.

use blindroute_runtime::Role;
use blindroute_runtime::identity::Dated;
use std::fmt;
use std::time::SystemTime;

/// Seconds by which clocks may differ without a word.
const CLOCKS: u64 = 60;

/// What is known of a party.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Whether it has loaded its files and listens.
    pub(super) is_serving: bool,
    /// Why it stops, if it does.
    pub(super) stopping: Option<&'static str>,
    /// What is wrong with its ledger.
    pub(super) ledger: Option<String>,
    /// The parties that it calls: by how many seconds their clocks are ahead, if that is known, or what is wrong with them.
    pub(super) parties: Vec<(Role, Result<Option<i64>, String>)>,
    pub(super) certificates: Vec<Dated>,
    /// Sessions whose material is stored.
    pub(super) stored: u64,
}

/// Whether it takes sessions, and what its operator should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    /// Why it takes none.
    pub(super) reasons: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl Readiness {
    pub(super) fn of(facts: &Facts, now: SystemTime) -> Self {
        let Facts { is_serving, stopping, ledger, parties, certificates, stored } = facts;
        let mut found = Self::default();
        if !is_serving {
            found.reasons.push("it is starting: its files are being loaded and checked".to_owned());
        }
        found.reasons.extend(stopping.map(|reason| format!("it is stopping ({reason})")));
        found.reasons.extend(ledger.iter().map(|problem| format!("its ledger takes no session: {problem}")));
        for (party, answer) in parties {
            match answer {
                Err(problem) if *party == Role::Dealer && *stored > 0 => {
                    let what = format!("{party} does not answer, so only stored material is used: {problem}");
                    found.notes.push(one_line(&what));
                }
                Err(problem) => found.reasons.push(format!("{party} does not answer: {problem}")),
                Ok(ahead) if differs(*ahead) => found.notes.push(clock(*party, ahead.unwrap_or_default())),
                Ok(_) => {}
            }
        }
        for Dated { what, role, validity, .. } in certificates {
            if *what == "certificate" && !validity.holds(now) {
                found.reasons.push(match now < validity.from {
                    true => format!("its certificate does not hold yet: compare the clock ({role})"),
                    false => format!("its certificate has expired: renew it ({role})"),
                });
            }
        }
        let soon = certificates.iter().filter_map(|dated| Some((dated, dated.ends_soon(now)?)));
        found.notes.extend(soon.map(|(dated, days)| match days {
            ..=-1 => format!("{} of {} has expired", dated.what, dated.role),
            1 => format!("{} of {} expires in 1 day", dated.what, dated.role),
            _ => format!("{} of {} expires in {days} days", dated.what, dated.role),
        }));
        found
    }

    pub(super) fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Whether a clock is so many seconds ahead or behind that somebody should look. Certificates allow ten minutes.
pub(super) fn differs(ahead: Option<i64>) -> bool {
    ahead.is_some_and(|seconds| seconds.unsigned_abs() >= CLOCKS)
}

fn clock(party: Role, ahead: i64) -> String {
    let (seconds, which) = (ahead.unsigned_abs(), if ahead > 0 { "ahead of" } else { "behind" });
    format!(
        "the clock of {party} is {seconds} seconds {which} the one here; sessions fail if they differ by ten minutes"
    )
}

/// One line for each, as `/readyz` shows them.
impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ready() {
            writeln!(f, "ready")?;
        }
        self.reasons.iter().try_for_each(|reason| writeln!(f, "{}", one_line(reason)))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

/// What other parties said may be in it.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
