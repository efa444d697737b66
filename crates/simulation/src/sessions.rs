//! What the ledgers and logs of a lane say of its sessions, and what is wrong with them.

use crate::check::Checked;
use crate::ledger::named;
use blindroute_runtime::store::use_of;
use blindroute_runtime::{Role, SessionId};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// A party's sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) role: Role,
    /// All that its ledgers hold, by their names.
    pub(crate) claimed: HashMap<String, SessionId>,
    /// Those that it served or dealt, as its log names them.
    pub(crate) finished: Vec<String>,
    /// Of those that took stored material, the session under which it was dealt.
    pub(crate) stored: HashMap<String, String>,
    /// How many sessions' material is in its store.
    pub(crate) kept: usize,
}

impl Sessions {
    /// The session under which the material of one was dealt: it, or a stored one.
    fn material_of<'a>(&'a self, session: &'a str) -> &'a str {
        self.stored.get(session).map_or(session, String::as_str)
    }

    /// Whether the use of this stored session is in its ledgers.
    fn has_use_of(&self, stored: SessionId) -> bool {
        self.claimed.contains_key(&named(use_of(stored)))
    }
}

/// How many sessions' material a store's folder holds.
pub(crate) fn kept(store: &Path) -> anyhow::Result<usize> {
    if !store.exists() {
        return Ok(0);
    }
    let mut count = 0;
    for entry in std::fs::read_dir(store)? {
        count += usize::from(entry?.path().extension().is_some_and(|extension| extension == "key"));
    }
    Ok(count)
}

/// Counts the sessions of a lane's dealer, server 0 and server 1, and says what is wrong with them. No session and no material is used
/// twice, and none is lost that was served.
pub(crate) fn sessions(checked: &mut Checked, [dealer, zero, one]: [&Sessions; 3], answered: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for party in [dealer, zero, one] {
        let (role, mut sessions, mut material) = (party.role, HashSet::new(), HashSet::new());
        for session in &party.finished {
            let of = party.material_of(session);
            if !sessions.insert(session) {
                wrong.push(format!("{role} used session {session} TWICE"));
            } else if !material.insert(of) {
                wrong.push(format!("{role} used the material of session {of} TWICE"));
            }
            if !party.claimed.contains_key(session) {
                wrong.push(format!("{role} used session {session}, which is in none of its ledgers"));
            }
            match dealer.claimed.get(of) {
                None => wrong.push(format!("{role} used material of session {of}, which the dealer never entered")),
                Some(stored) if of != session && !party.has_use_of(*stored) => {
                    wrong.push(format!("{role} used stored material of session {of}, and its ledgers do not say so"));
                }
                Some(_) => {}
            }
        }
    }
    let served: HashSet<&String> = zero.finished.iter().collect();
    let by_both: Vec<&String> = one.finished.iter().filter(|session| served.contains(session)).collect();
    if let Some(session) = by_both.iter().find(|session| zero.material_of(session) != one.material_of(session)) {
        wrong.push(format!("the servers used different material in session {session}"));
    }
    let (used, stored) = (by_both.len(), zero.kept.min(one.kept));
    let in_all =
        dealer.claimed.keys().filter(|name| [zero, one].iter().all(|server| server.claimed.contains_key(*name)));
    // Each took material that the dealer entered, as both servers did when they asked for it.
    let in_all = in_all.count();
    if answered > in_all {
        wrong.push(format!("{answered} calls were answered by {in_all} sessions"));
    }
    checked.generated += dealer.claimed.len();
    checked.used += used;
    checked.stored += stored;
    checked.burnt += dealer.claimed.len().saturating_sub(used + stored);
    checked.from_store += by_both.iter().filter(|session| zero.stored.contains_key(**session)).count();
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sessions of these numbers, under the names that logs have for them.
    fn names(numbers: &[u8]) -> Vec<String> {
        numbers.iter().map(|number| named(id(*number))).collect()
    }

    fn id(number: u8) -> SessionId {
        SessionId([number; 16])
    }

    fn party(role: Role, claimed: &[u8], finished: &[u8]) -> Sessions {
        let claimed = claimed.iter().map(|number| (named(id(*number)), id(*number))).collect();
        Sessions { role, claimed, finished: names(finished), stored: HashMap::new(), kept: 0 }
    }

    fn told(parties: [&Sessions; 3], answered: usize) -> (String, [usize; 3]) {
        let mut checked = Checked::default();
        let wrong = sessions(&mut checked, parties, answered);
        (wrong.join("; "), [checked.generated, checked.used, checked.burnt])
    }

    #[test]
    fn sessions_that_are_used_twice_lost_or_made_up_are_found() {
        let of = |claimed: [&[u8]; 3], finished: [&[u8]; 3], answered| {
            let dealer = party(Role::Dealer, claimed[0], finished[0]);
            let [zero, one] = [(Role::Server0, 1), (Role::Server1, 2)]
                .map(|(role, place)| party(role, claimed[place], finished[place]));
            told([&dealer, &zero, &one], answered)
        };
        let all: [&[u8]; 3] = [&[1, 2, 3]; 3];
        assert_eq!(of(all, [&[1, 2], &[1, 2], &[1]], 1), (String::new(), [3, 1, 2]));
        let first = &names(&[1])[0];
        assert!(of(all, [&[], &[1, 2, 1], &[1]], 0).0.contains(&format!("server0 used session {first} TWICE")));
        let lost = format!("server1 used session {first}, which is in none of its ledgers");
        assert!(of([&[1], &[1], &[]], [&[], &[1], &[1]], 0).0.contains(&lost));
        assert!(of([&[], &[1], &[1]], [&[], &[1], &[]], 0).0.contains("the dealer never entered"));
        assert!(of(all, [&[1], &[1], &[1]], 4).0.contains("4 calls were answered by 3 sessions"));
    }

    #[test]
    fn stored_material_that_is_used_twice_or_unclaimed_is_found() {
        // Session 9 takes what was dealt under 1, and 8 what was dealt under 2.
        let server = |role, stored: &[(u8, u8)], used: &[u8]| {
            let finished: Vec<u8> = stored.iter().map(|(session, _)| *session).collect();
            let mut party = party(role, &[1, 2, 8, 9], &finished);
            party.claimed.extend(used.iter().map(|number| (named(use_of(id(*number))), use_of(id(*number)))));
            party.stored = stored.iter().map(|(session, of)| (named(id(*session)), named(id(*of)))).collect();
            party
        };
        let dealer = party(Role::Dealer, &[1, 2], &[1, 2]);
        let zero = server(Role::Server0, &[(9, 1), (8, 2)], &[1, 2]);
        let one = |stored: &[(u8, u8)], used: &[u8]| {
            let one = server(Role::Server1, stored, used);
            told([&dealer, &zero, &one], 2)
        };
        assert_eq!(one(&[(9, 1), (8, 2)], &[1, 2]), (String::new(), [2, 2, 0]));
        assert!(one(&[(9, 1), (8, 2)], &[1]).0.contains("its ledgers do not say so"));
        assert!(one(&[(9, 1), (8, 1)], &[1]).0.contains("the material of session"));
        assert!(one(&[(9, 2), (8, 1)], &[1, 2]).0.contains("different material"));
        assert!(one(&[(9, 1), (8, 3)], &[1, 3]).0.contains("the dealer never entered"));
    }
}
