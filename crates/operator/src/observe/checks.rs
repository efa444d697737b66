//! Finding out, again and again, whether the ledger takes sessions and whether the parties that this one calls answer.

use super::Calls;
use super::board::{Board, Found};
use super::readiness::differs;
use blindroute_placement::Observed;
use blindroute_placement::health::clock_of;
use blindroute_runtime::messages::FailureKind;
use blindroute_runtime::{LinkError, Role, Shutdown};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks, as long as all is well.
const PAUSE: Duration = Duration::from_secs(10);
/// Between two looks, as long as something is not.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// Looks until the party stops.
pub(super) fn start(board: Arc<Board>, observed: Observed, shutdown: Shutdown, calls: Calls) -> io::Result<()> {
    let look = move || {
        loop {
            let found = look(&observed, &calls);
            let good = found.ledger.is_none() && found.parties.iter().all(|(_, answer)| answer.is_ok());
            tell(&board.found(found.clone()), &found);
            if shutdown.wait(if good { PAUSE } else { SHORT_PAUSE }) {
                return;
            }
        }
    };
    std::thread::Builder::new().name("checks".into()).spawn(look).map(drop)
}

fn look(observed: &Observed, calls: &Calls) -> Found {
    let ledger = observed.check_ledger().err();
    let called = |(party, address): &(Role, String)| {
        let answer = match clock_of(*party, address, observed.endpoint(), &calls.timeouts) {
            Ok(ahead) => Ok(Some(ahead)),
            // It answers, and has no room for another call at this moment.
            Err(LinkError::Failed { failure, .. }) if failure.kind == FailureKind::Busy => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        (*party, answer)
    };
    Found {
        taken_over: ledger.as_ref().is_some_and(|error| error.that_ends_the_party().is_some()),
        ledger: ledger.map(|error| error.to_string()),
        parties: calls.parties.iter().map(called).collect(),
    }
}

/// Logs what changed.
fn tell(before: &Found, now: &Found) {
    if let (None, Some(problem)) = (&before.ledger, &now.ledger) {
        tracing::error!(problem, "the ledger takes no session, so this party is not ready");
    }
    for (party, answer) in &now.parties {
        let earlier = before.parties.iter().find(|(other, _)| other == party).map(|(_, answer)| answer);
        match (earlier, answer) {
            (None | Some(Ok(_)), Err(problem)) => {
                tracing::warn!(%party, problem, "does not answer; /readyz says whether this party is ready without it");
            }
            (Some(Err(_)), Ok(_)) => tracing::info!(%party, "answers again"),
            _ => {}
        }
        let told = |answer: &Result<Option<i64>, String>| differs(answer.as_ref().ok().copied().flatten());
        if let (false, true, Ok(Some(seconds))) = (earlier.is_some_and(told), told(answer), answer) {
            tracing::warn!(%party, seconds, "its clock is ahead by so many seconds, or behind: compare both with the time");
        }
    }
}
