//! The pairs of servers elsewhere, as people and their monitoring see them: from what sessions told, and without any from a look.

use super::Gateway;
use crate::clock::Moment;
use crate::observe::PartyState;
use crate::page::{Certificate, Health};
use blindroute_placement::PairState;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// After so long without a contact, servers are called and asked nothing.
const LOOK: Duration = Duration::from_secs(60);

/// The certificates of a connection, in the order in which the router names them.
const CERTIFICATES: [&str; 2] = ["authority", "client"];

/// The pairs with their numbers in the configuration; none if the servers were started here.
pub(super) fn elsewhere(gateway: &Gateway) -> Vec<(usize, PairState)> {
    let states = gateway.chooser.router().pair_states().into_iter().enumerate();
    states.filter(|(_, state)| state.certificates.is_some()).collect()
}

/// Calls servers now and then, as long as the gateway runs.
pub(super) async fn look(gateway: Arc<Gateway>) {
    if elsewhere(&gateway).is_empty() {
        return;
    }
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        let router = Arc::clone(gateway.chooser.router());
        // A contact that was a little less than the interval ago is old when it is next looked at.
        if tokio::task::spawn_blocking(move || router.look_at_pairs(LOOK / 2)).await.is_err() {
            tracing::warn!("the look at the servers ended early; please report this");
        }
    }
}

/// For `/readyz`.
pub(super) fn states(gateway: &Gateway) -> Vec<PartyState> {
    let state = |(pair, state): (usize, PairState)| PartyState {
        name: format!("pair {pair}"),
        reachable: state.answers().unwrap_or(true),
        answered: state.answered.map(|at| moment(at).to_string()),
        failed: state.failed.map(|(at, _)| moment(at).to_string()),
    };
    elsewhere(gateway).into_iter().map(state).collect()
}

/// For `/metrics`.
pub(super) fn count(gateway: &Gateway) {
    let now = SystemTime::now();
    for (pair, state) in elsewhere(gateway) {
        if let Some(answers) = state.answers() {
            gateway.metrics.pair_answers(pair, answers);
        }
        for (name, validity) in CERTIFICATES.into_iter().zip(state.certificates.into_iter().flatten()) {
            gateway.metrics.certificate_days(pair, name, validity.days_left(now));
        }
    }
}

/// For the page: how a pair is.
pub(super) fn health(state: &PairState) -> Health {
    match (state.answers(), state.answered, &state.failed) {
        (Some(true), Some(at), _) => Health::Answered { at: moment(at) },
        (Some(false), _, Some((_, reason))) => Health::Silent { reason: reason.clone() },
        _ => Health::NotAsked,
    }
}

/// For the page: the certificates here.
pub(super) fn certificates(gateway: &Gateway) -> Vec<Certificate> {
    let of = |(pair, state): (usize, PairState)| {
        let named = CERTIFICATES.into_iter().zip(state.certificates.into_iter().flatten());
        let certificate = move |(name, validity): (&str, blindroute_placement::Validity)| Certificate {
            name: format!("{name}, for pair {pair}"),
            ends: moment(validity.until),
        };
        named.map(certificate).collect::<Vec<_>>()
    };
    elsewhere(gateway).into_iter().flat_map(of).collect()
}

fn moment(at: SystemTime) -> Moment {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
